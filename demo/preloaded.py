"""Airflow's command line in a process that has already loaded what its children need.

The scheduler forks every task, and the DAG processor every parse: what they have imported, and the service
models that botocore has read, their children need not load. `python -m demo.preloaded scheduler`.
"""

from __future__ import annotations

import functools
from typing import Any, Literal

import airflow.__main__
import boto3
from botocore.loaders import JSONFileLoader

import drs.dag_factory

SERVICES: tuple[Literal["drs", "ec2", "iam", "sts"], ...] = ("drs", "ec2", "iam", "sts")


def read_service_models_once() -> None:
    """Let all clients of this process and its children share one reading of each service model.

    Each connection of Airflow has a session of its own, which would parse megabytes of JSON for each client.
    """
    load_file = JSONFileLoader.load_file

    @functools.cache
    def load_once(path: str) -> Any:
        return load_file(JSONFileLoader(), path)

    def load_shared(_: JSONFileLoader, file_path: str) -> Any:
        return load_once(file_path)

    JSONFileLoader.load_file = load_shared  # type: ignore[method-assign]
    for service in SERVICES:
        session = boto3.Session("any", "any", region_name="us-east-1")
        session.client(service)


if __name__ == "__main__":
    assert drs.dag_factory  # imported for the children
    read_service_models_once()
    airflow.__main__.main()
