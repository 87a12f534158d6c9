"""The model registry: names, the artifact's format, registering many models, stages as aliases, links.

The only package that imports MLflow: its public client, never its tables. What does not belong here: what a model's
parameters mean, which version deserves production (``lifecycle``), and how bytes get to S3 (the caller hands in a
function that writes them). ``import mlflow`` takes about 3 s, so it happens inside functions: whoever reads a name or
a record does not pay for it.
"""
