"""DRS's quotas in a Region (AWS general reference). None but the last can be raised."""

from __future__ import annotations

MAX_JOBS_IN_PROGRESS = 20
MAX_SERVERS_PER_JOB = 100
"""Lower than the 200 that the API's shape admits in one call."""
MAX_SERVERS_IN_JOBS = 500
"""Source servers in all jobs in progress."""
MAX_REPLICATING_SERVERS = 300
MAX_SOURCE_SERVERS = 4000
"""The default; AWS raises it on request."""
