"""Checks a run before it launches anything: reads AWS, makes the checks, reports the findings. No Airflow.

PreflightInputs ─► reading (AWS, each list once) ─► Facts ─► checks (pure) ─► Report
"""

from drs.preflight.findings import Finding, Report, findings_table
from drs.preflight.inputs import PreflightInputs
from drs.preflight.inspection import inspect

__all__ = ["Finding", "PreflightInputs", "Report", "findings_table", "inspect"]
