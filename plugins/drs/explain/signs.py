"""Failures that the raw error does not explain: recognised by the job log's events, or by their absence."""

from __future__ import annotations

from drs.aws.states import JobStatus, LaunchStatus
from drs.explain.pattern import Example, LaunchSymptoms, Pattern

HUNG_CONVERSION = (
    "Check in EC2 whether the conversion server (AWS Elastic Disaster Recovery Conversion Server) exists and "
    "is healthy: it needs an address in the staging area subnet and TCP 443 to S3, EC2 and DRS. DRS cannot "
    "cancel the job, which holds the server until it ends. If it never ends, open a support case with the "
    "job's id."
)


def _stands_still_after(seen: LaunchSymptoms, event: str) -> bool:
    """Whether the job is live, and this was the server's last event."""
    return seen.live and seen.last == event


SIGNS: tuple[Pattern, ...] = (
    # --- an event that means trouble ------------------------------------------------------------------------
    Pattern(
        id="no_snapshot_to_fall_back_to",
        phrase="no snapshot could be taken, and there is no earlier one",
        events=frozenset({"USING_PREVIOUS_SNAPSHOT_FAILED"}),
        cause="DRS could not take a snapshot of the disks, and found no earlier consistent one to launch "
        "from.",
        remedy="Bring the server's replication back to CONTINUOUS first: without a consistent point there "
        "is nothing to recover.",
        retry_is_safe=False,
        examples=(
            Example(events=("SNAPSHOT_START", "SNAPSHOT_FAIL", "USING_PREVIOUS_SNAPSHOT_FAILED", "JOB_END")),
        ),
    ),
    Pattern(
        id="snapshot_fell_back",
        phrase="the snapshot failed, and DRS fell back to an earlier one",
        events=frozenset({"USING_PREVIOUS_SNAPSHOT"}),
        cause="The snapshot could not be taken in time, so DRS used the last consistent one. Then it "
        "launched nothing, and did not say why.",
        remedy="Look at the server's replication (state, lag). Then launch again. As long as "
        "snapshots fail, the recovery point is older than the replication lag says.",
        retry_is_safe=True,
        examples=(
            Example(
                events=("JOB_START", "SNAPSHOT_START", "USING_PREVIOUS_SNAPSHOT", "JOB_END"),
                job_status="COMPLETED",
            ),
        ),
    ),
    Pattern(
        id="snapshot_failed",
        phrase="the snapshot failed",
        events=frozenset({"SNAPSHOT_FAIL"}),
        cause="The snapshot of the server's disks could not be taken.",
        remedy="Check whether the server's replication keeps up (state, lag, the replication server), then "
        "launch again.",
        retry_is_safe=True,
        examples=(Example(events=("SNAPSHOT_START", "SNAPSHOT_FAIL", "JOB_END")),),
    ),
    Pattern(
        id="conversion_failed",
        phrase="the conversion failed",
        events=frozenset({"CONVERSION_FAIL"}),
        cause="The conversion server could not make the disks bootable in EC2.",
        remedy="Usual causes: the conversion server cannot be launched in the staging area subnet "
        "(permission, addresses, capacity) or cannot reach AWS from there (TCP 443 to S3, EC2 and DRS), or "
        "the disks have a boot loader or file system that DRS does not support.",
        retry_is_safe=True,
        examples=(Example(events=("SNAPSHOT_END", "CONVERSION_START", "CONVERSION_FAIL", "JOB_END")),),
    ),
    Pattern(
        id="cleanup_failed",
        phrase="an earlier instance of the server could not be removed",
        events=frozenset({"CLEANUP_FAIL"}),
        cause="DRS could not remove what an earlier launch of this server left, so it did not launch the "
        "server again.",
        remedy="Find out what keeps the server's earlier recovery instance: EC2 termination protection, a "
        "failback, or a change that somebody made. Terminate it in DRS, then launch again.",
        retry_is_safe=False,
        examples=(Example(events=("JOB_START", "CLEANUP_START", "CLEANUP_FAIL", "JOB_END")),),
    ),
    Pattern(
        id="server_skipped",
        phrase="DRS skipped the server",
        events=frozenset({"SERVER_SKIPPED"}),
        cause="DRS skipped this server and launched nothing: at that moment the server was not ready for a "
        "launch.",
        remedy="Look at the server in the DRS console (replication state, last snapshot, a job of somebody "
        "else), fix what you find, and launch the server again.",
        retry_is_safe=True,
        examples=(Example(events=("JOB_START", "SERVER_SKIPPED", "JOB_END")),),
    ),
    Pattern(
        id="template_not_updated",
        phrase="DRS could not update the launch template",
        events=frozenset({"UPDATE_LAUNCH_TEMPLATE_FAILED"}),
        cause="DRS could not write a version of the server's EC2 launch template, which each launch needs.",
        remedy="Make sure that the role may use ec2:CreateLaunchTemplateVersion and "
        "ec2:ModifyLaunchTemplate, and that the template still exists and has the tag "
        "AWSElasticDisasterRecoveryManaged.",
        retry_is_safe=False,
        examples=(Example(events=("JOB_START", "UPDATE_LAUNCH_TEMPLATE_FAILED", "JOB_END")),),
    ),
    Pattern(
        id="job_cancelled",
        phrase="DRS cancelled the job",
        events=frozenset({"JOB_CANCEL"}),
        cause="DRS cancelled the job. Its API has no call for that, so it was DRS itself, or AWS support.",
        remedy="Look at the AWS Health Dashboard and in the DRS console, then launch again.",
        retry_is_safe=True,
        examples=(Example(events=("JOB_START", "SNAPSHOT_START", "JOB_CANCEL", "JOB_END")),),
    ),
    # --- launch statuses -----------------------------------------------------------------------------------
    Pattern(
        id="terminated_since",
        phrase="the instance was launched, then terminated",
        when=lambda seen: seen.launch_status == LaunchStatus.TERMINATED,
        matches="the launch status is TERMINATED",
        cause="The instance was launched. Later somebody terminated it, or another launch of the same server "
        "replaced it.",
        remedy="DRS's job history shows who launched or terminated this server after the job. Agree with "
        "them on who uses the server.",
        retry_is_safe=True,
        examples=(Example(events=("LAUNCH_START", "LAUNCH_END", "JOB_END"), launch_status="TERMINATED"),),
    ),
    Pattern(
        id="no_instance_named",
        phrase="DRS says LAUNCHED, but names no instance",
        when=lambda seen: seen.launch_status == LaunchStatus.LAUNCHED,
        matches="the launch status is LAUNCHED, and no instance is named",
        cause="DRS calls the server launched, but neither the job nor its log nor the list of recovery "
        "instances names an instance. So there is no proof of a launch.",
        remedy="Look in EC2 for instances with the tag drs.amazonaws.com-job of this job. If there is none, "
        "launch the server again.",
        retry_is_safe=True,
        examples=(
            Example(events=("JOB_START", "JOB_END"), launch_status="LAUNCHED", job_status="COMPLETED"),
        ),
    ),
    # --- a job that is still live --------------------------------------------------------------------------
    Pattern(
        id="job_not_started",
        phrase="the job never started",
        when=lambda seen: seen.job_status == JobStatus.PENDING,
        matches="the job is PENDING",
        cause="DRS has accepted the job, but has not started it.",
        remedy="Look at the job in the DRS console and at the AWS Health Dashboard. Only DRS can start it: "
        "if it never does, open a support case with the job's id. Until the job has ended, DRS refuses "
        "another launch of its servers.",
        retry_is_safe=False,
        examples=(Example(job_status="PENDING"),),
    ),
    Pattern(
        id="conversion_stuck",
        phrase="the conversion hangs",
        when=lambda seen: _stands_still_after(seen, "CONVERSION_START"),
        matches="the job is live, the server's last event is CONVERSION_START",
        cause="The disks are being made bootable, and this has not ended in the time that the plan allows. A "
        "Windows conversion takes about 15 minutes, without any event. One that takes much longer hangs.",
        remedy=f"{HUNG_CONVERSION} If conversions of this size take longer, raise `launch.job_timeout`.",
        retry_is_safe=False,
        examples=(
            Example(
                events=("JOB_START", "SNAPSHOT_START", "SNAPSHOT_END", "CONVERSION_START"),
                job_status="STARTED",
                launch_status="PENDING",
                silent_minutes=58,
            ),
        ),
    ),
    Pattern(
        id="stopped_after_snapshot",
        phrase="the job makes no progress after the snapshot",
        when=lambda seen: _stands_still_after(seen, "SNAPSHOT_END"),
        matches="the job is live, the server's last event is SNAPSHOT_END",
        cause="The snapshot is complete, but the conversion that should follow has not begun: DRS could not "
        "launch the conversion server.",
        remedy="Make sure that the role has every EC2 permission that DRS needs (`python -m drs doctor PLAN` "
        f"rehearses them), and that the staging area subnet exists and has free addresses. {HUNG_CONVERSION}",
        retry_is_safe=False,
        examples=(Example(events=("JOB_START", "SNAPSHOT_START", "SNAPSHOT_END"), job_status="STARTED"),),
    ),
    Pattern(
        id="job_silent",
        phrase="the job is silent",
        when=lambda seen: seen.silent,
        matches="the job is live, and its log has had no new event for 10 minutes or more",
        cause="The job is live, but its log has had no new event for 10 minutes or more.",
        remedy="Look at the job in the DRS console, and at the instances and volumes that it made in EC2. "
        "DRS cannot cancel the job, which holds its servers until it ends. If it never ends, open a support "
        "case with the job's id.",
        retry_is_safe=False,
        examples=(
            Example(events=("JOB_START",), job_status="STARTED", silent_minutes=30),
            Example(events=("JOB_START", "LAUNCH_START"), job_status="STARTED", silent_minutes=12),
        ),
    ),
    Pattern(
        id="job_slow",
        phrase="the job was still running",
        when=lambda seen: seen.live,
        matches="the job is live, and its log has a recent event",
        cause="The job was still running when the time that the plan allows was over.",
        remedy="If launches of this size take longer, raise `launch.job_timeout` in the plan. The job "
        "holds its servers until it ends.",
        retry_is_safe=False,
        examples=(
            Example(events=("CONVERSION_END", "LAUNCH_START"), job_status="STARTED", silent_minutes=2),
        ),
    ),
    # --- a job that has ended ------------------------------------------------------------------------------
    Pattern(
        id="ended_after_snapshot",
        phrase="the job ended after the snapshot and launched nothing",
        when=lambda seen: seen.ended and seen.raw_error is None and seen.last == "SNAPSHOT_END",
        matches="the job has ended, the server's last event is SNAPSHOT_END, and nothing was launched",
        cause="The job took its snapshot and then ended: DRS launched neither a conversion server nor an "
        "instance, and wrote no error. Most often the role that started the job lacks a permission of EC2 "
        "that DRS needs first.",
        remedy="Run `python -m drs doctor PLAN`, which rehearses the permissions, and compare the role with "
        "include/iam. CloudTrail shows the calls that DRS made for the role, and which of them were refused.",
        retry_is_safe=False,
        examples=(
            Example(
                events=("JOB_START", "SNAPSHOT_START", "SNAPSHOT_END", "JOB_END"),
                job_status="COMPLETED",
                launch_status="FAILED",
            ),
        ),
    ),
    Pattern(
        id="ended_without_a_word",
        phrase="DRS launched nothing and gave no error",
        when=lambda seen: seen.ended and seen.raw_error is None,
        matches="the job has ended, nothing was launched, and nothing else explains it",
        cause="The job has ended, the server was not launched, and DRS wrote no error.",
        remedy="See the server's last event above. CloudTrail shows the calls that DRS made for the role, "
        "and which of them were refused. `python -m drs doctor PLAN` rehearses the permissions.",
        retry_is_safe=True,
        examples=(
            Example(events=("JOB_START", "JOB_END"), job_status="COMPLETED", launch_status="FAILED"),
            Example(events=("LAUNCH_START", "LAUNCH_FAILED", "JOB_END"), job_status="COMPLETED"),
        ),
    ),
    Pattern(
        id="no_job",
        phrase="the server has no job",
        when=lambda seen: seen.raw_error is None and seen.job_status is None and not seen.events,
        matches="there is no job, or DRS does not list it",
        cause="DRS lists no job of this run for the server: the run did not try to launch it, or the job "
        "cannot be found.",
        remedy="Read the end of the log of the wave's start_recovery, and the job history in the DRS "
        "console.",
        retry_is_safe=False,
        examples=(Example(),),
    ),
)

UNEXPLAINED = Pattern(
    id="unexplained",
    phrase="DRS gave no error, and the job log does not explain it",
    when=lambda _: True,
    matches="DRS gave no error, and nothing else explains it",
    cause="DRS gave no error, and the events of the job log do not explain why the server is not launched.",
    remedy="Look at the job and the server in the DRS console. CloudTrail shows the calls that DRS made for "
    "the "
    "role, and which of them were refused.",
    retry_is_safe=False,
    examples=(Example(events=("JOB_START", "LAUNCH_START")),),
)
