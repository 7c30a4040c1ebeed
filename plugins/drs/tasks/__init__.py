"""The tasks of a drill's DAG in Airflow: operators, sensors, triggers, the hook, and what they share.

May import every other folder except ``cli``. Only this folder, ``dag_factory`` and ``settings`` know
Airflow.
"""
