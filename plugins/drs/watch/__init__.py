"""Compares what AWS has (jobs by our tags, drill instances) with what Airflow knows of the runs that started
them. ``view`` reads AWS and ``ending`` terminates; everything else is pure.
"""
