"""The command line: what a person types. Talks to Airflow over its REST API and to S3; does no fleet's work itself."""
