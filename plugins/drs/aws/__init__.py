"""DRS and EC2 as values and as calls: states, quotas, jobs, clients, and what AWS's errors mean.

May import: ``errors``, ``times``. Knows nothing of Airflow, and nothing of plans or runs.
"""
