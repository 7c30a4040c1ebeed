"""DRS's quotas for one account and Region (AWS general reference). Only the last one can be raised."""

from __future__ import annotations

MAX_JOBS_IN_PROGRESS = 20
MAX_SERVERS_PER_JOB = 100
"""The API's shape would allow 200 in one call; the quota is lower."""
MAX_SERVERS_IN_JOBS = 500
"""Source servers in all jobs in progress."""
MAX_REPLICATING_SERVERS = 300
MAX_SOURCE_SERVERS = 4000
"""The default value; AWS raises it on request."""
