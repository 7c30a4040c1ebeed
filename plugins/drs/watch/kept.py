"""What a run that has ended keeps by rule, by its own record of clean-up or by its evidence."""

from __future__ import annotations

import datetime as dt

from drs.evidence.record import Evidence
from drs.evidence.store import EvidenceStore
from drs.plan.naming import plan_name
from drs.run.ownership import tag_value
from drs.run.records import CleanupRecord
from drs.text.times import SEARCH_CLOCK_SKEW
from drs.watch.airflow_view import KeptJobs
from drs.watch.view import RunKey


def kept_by(cleanup: CleanupRecord | None) -> KeptJobs | None:
    """What the clean-up of a run kept; ``None`` if nothing."""
    if cleanup is None or not cleanup.kept:
        return None
    return KeptJobs(frozenset(cleanup.jobs), cleanup.why_kept)


def kept_in_evidence(store: EvidenceStore, key: RunKey, began: dt.datetime | None) -> KeptJobs | None:
    """What a run kept, by its newest evidence; ``None`` if nothing, or if it has none.

    :param began: a time before which the run has no evidence
    """
    for _, record in store.newest_first(plan_name(key.dag_id)):
        if not isinstance(record, Evidence):
            continue
        if began is not None and record.assembled_at < began - SEARCH_CLOCK_SKEW:
            return None
        if (record.run.dag_id, tag_value(record.run.run_id)) == (key.dag_id, key.run_id):
            return _kept_in(record)
    return None


def _kept_in(record: Evidence) -> KeptJobs | None:
    if record.cleanup is None or not record.cleanup.kept:
        return None
    jobs = {job for wave in record.waves for job in wave.jobs}
    jobs.update(each.launch_job_id for each in record.cleanup.instances)
    return KeptJobs(frozenset(jobs), record.cleanup.why_kept)
