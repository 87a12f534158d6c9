"""The embedded stack: PostgreSQL, an S3 server, MLflow and Airflow on this machine, without containers.

What belongs here: starting, stopping and watching those processes, their secrets and the settings they share.
What does not: anything about catalogues, models or DAGs. Real deployments use `docker-compose.yaml` with the same
settings.
"""
