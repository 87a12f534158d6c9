"""The lake: the landing readers, the sales history (Delta Lake on S3), run-scoped objects and their publication.

The only package that speaks S3 (boto3, deltalake). What does not belong here: judging ranges of values (quality),
choosing what to train (fleet), and knowing one retailer's files (catalogue files and sources).
"""
