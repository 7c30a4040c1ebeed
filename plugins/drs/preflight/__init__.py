"""Checks before anything is launched: what is read, what is found, how it is told. No Airflow.

Question ─► reading (AWS, each list once) ─► Facts ─► checks (pure) ─► Report
"""

from drs.preflight.findings import Finding, Report, findings_table
from drs.preflight.inspection import inspect
from drs.preflight.question import Clients, Question

__all__ = ["Clients", "Finding", "Question", "Report", "findings_table", "inspect"]
