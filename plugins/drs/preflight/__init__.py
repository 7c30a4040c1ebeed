"""Checks before anything is launched: what is read, what is found, how it is told. No Airflow.

PreflightInputs ─► reading (AWS, each list once) ─► Facts ─► checks (pure) ─► Report
"""

from drs.preflight.findings import Finding, Report, findings_table
from drs.preflight.inputs import PreflightInputs
from drs.preflight.inspection import inspect

__all__ = ["Finding", "PreflightInputs", "Report", "findings_table", "inspect"]
