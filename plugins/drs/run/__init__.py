"""What a run records about itself, and the rules that it follows. Pure: no AWS calls, no clock, no Airflow.

May import: ``plan``, and the values of ``aws`` (jobs, states, quotas), never its calls.
"""
