# One image for Airflow's services and the MLflow server, with exactly the packages of requirements.txt.
# Built on plain Python: Airflow's own image brings a resolved set of its own, which would have to be taken apart again.
FROM python:3.11-slim-bookworm

ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PYTHONUNBUFFERED=1

RUN groupadd --gid 50000 skufleet \
    && useradd --uid 50000 --gid skufleet --no-create-home --home-dir /opt/airflow skufleet \
    && install --directory --owner=skufleet --group=skufleet \
        /opt/airflow /opt/airflow/logs /opt/airflow/state /opt/skufleet

WORKDIR /opt/skufleet

# Before the code, so that a change of code does not install everything again.
COPY requirements.txt ./
RUN pip install -r requirements.txt

COPY include ./include
COPY dags ./dags
COPY plugins ./plugins

ENV PYTHONPATH=/opt/skufleet \
    AIRFLOW_HOME=/opt/airflow

USER 50000:50000

CMD ["airflow", "version"]
