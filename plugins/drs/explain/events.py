"""The meanings of the events in DRS's job log. DRS writes other events, too, which are shown as they are."""

from __future__ import annotations

MEANINGS = {
    "JOB_START": "DRS has begun the job",
    "SERVER_SKIPPED": "DRS skips this server and does not launch it",
    "CLEANUP_START": "DRS is removing what an earlier launch of this server left",
    "CLEANUP_END": "DRS has removed what an earlier launch left",
    "CLEANUP_FAIL": "DRS could not remove what an earlier launch left",
    "SNAPSHOT_START": "a snapshot of the replicated disks is being taken",
    "SNAPSHOT_END": "the snapshot is complete",
    "SNAPSHOT_FAIL": "the snapshot could not be taken",
    "USING_PREVIOUS_SNAPSHOT": "the launch falls back to the last consistent snapshot",
    "USING_PREVIOUS_SNAPSHOT_FAILED": "there is no earlier snapshot to fall back to",
    "CONVERSION_START": "the disks are being made bootable in EC2 (Windows: about 15 min, in silence)",
    "CONVERSION_END": "the disks are bootable",
    "CONVERSION_FAIL": "the disks could not be made bootable",
    "LAUNCH_START": "the recovery instance is being launched",
    "LAUNCH_END": "the recovery instance is launched",
    "LAUNCH_FAILED": "the recovery instance could not be launched",
    "UPDATE_LAUNCH_TEMPLATE_START": "the EC2 launch template is being updated",
    "UPDATE_LAUNCH_TEMPLATE_END": "the EC2 launch template is updated",
    "UPDATE_LAUNCH_TEMPLATE_FAILED": "the EC2 launch template could not be updated",
    "JOB_CANCEL": "DRS has cancelled the job",
    "JOB_END": "the job has ended; this does not say that its servers were launched",
}

OF_THE_JOB = frozenset({"JOB_START", "JOB_END"})
"""Events that say nothing about a single server."""
