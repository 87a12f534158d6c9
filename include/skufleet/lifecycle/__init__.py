"""The life of a model: the gate that decides, promotion that carries it out, releases that record what serves.

What does not belong here: how MLflow keeps stages (``registry``), training, and S3 keys (``fleet``).
"""
