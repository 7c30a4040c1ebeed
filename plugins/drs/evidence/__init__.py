"""The record of a run: what it proved, its RTO and RPO, its page, and the chain in which it is kept.

May import: ``run``, ``plan``, and the values of ``aws``. No Airflow and no boto3, so that an auditor
can verify a record with Python alone.
"""
