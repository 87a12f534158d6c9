"""The only package that imports Airflow: params, the run's identity, retry policies, links, wiring of clients.

What a task does belongs in ``fleet``; which task follows which belongs in ``dags/``.
"""
