"""DRS's quotas in a Region that a plan can meet; neither can be raised (AWS general reference)."""

from __future__ import annotations

MAX_JOBS_IN_PROGRESS = 20
MAX_SERVERS_PER_JOB = 100
"""Lower than the 200 that the API's shape admits in one call."""
MAX_SERVERS_IN_JOBS = 500
"""Source servers in all jobs in progress."""
