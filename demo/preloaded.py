"""Airflow's command line in a process that has already loaded what its children need.

The scheduler forks every task, and the DAG processor every parse: what they have imported, and the service
models that botocore has read, their children need not load. `python -m demo.preloaded scheduler`.
"""

from __future__ import annotations

import airflow.__main__

import drs.dag_factory
import drs.tasks.preloaded

if __name__ == "__main__":
    assert drs.dag_factory  # imported for the children
    assert drs.tasks.preloaded
    airflow.__main__.main()
