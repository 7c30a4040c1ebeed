"""Links from a task to the DRS console."""

from __future__ import annotations

from airflow.providers.amazon.aws.links.base_aws import BASE_AWS_CONSOLE_LINK, BaseAwsLink


class DrsJobHistoryLink(BaseAwsLink):
    """The Region's recovery job history, with the log and the servers of each job."""

    name = "DRS job history"
    key = "drs_job_history"
    format_str = BASE_AWS_CONSOLE_LINK + "/drs/home?region={region_name}#/launchHistory"
