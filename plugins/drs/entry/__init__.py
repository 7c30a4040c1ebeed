"""How this package is entered: by Airflow, which finds the provider and the plugin by the entry points of the
installed package, and by DAG files, which call the functions of :mod:`drs.entry.dag_files`.
"""
