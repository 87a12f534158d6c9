"""One run of the fleet: what to train, who trains what, one chunk end to end, the forecasts and the report.

Glues the pure parts and the services together; knows nothing of Airflow. Every function here takes its clients and the
``Run`` it serves, reads frames from S3, writes frames to S3 under the run's own keys, and returns small JSON.
"""
