"""Disks, their snapshots and the keys that encrypt them."""

from __future__ import annotations

from drs.aws.refusals.kind import ErrorKind

DISKS: tuple[ErrorKind, ...] = (
    ErrorKind(
        id="kms_key_disabled",
        phrase="the disks' KMS key is disabled",
        codes=(
            "CustomerKeyHasBeenRevoked",
            "DisabledException",
            "InvalidKMSKey.InvalidState",
            "KMS.DisabledException",
            "KMSDisabled",
            "KMSDisabledException",
            "KMSInvalidState",
            "KMSInvalidStateException",
            "KmsKeyDisabledException",
        ),
        words=r"\bkey\b.{0,60} is (disabled|pending (deletion|import))|^\S* is pending (deletion|import)",
        cause="The KMS key of the disks is disabled, or will be deleted soon.",
        remedy="Enable the key again (aws kms enable-key, after cancel-key-deletion if it is to be deleted). "
        "Without the key nothing can read the replicated disks or launch from them.",
        retry_is_safe=False,
        examples=(
            "Client.InvalidKMSKey.InvalidState: The KMS key provided is in an incorrect state",
            "arn:aws:kms:us-east-1:111122223333:key/0f1e2d3c is pending deletion",
        ),
    ),
    ErrorKind(
        id="kms_key_out_of_reach",
        phrase="the disks' KMS key cannot be reached",
        codes=(
            "Client.InternalError",
            "InvalidKmsKey.NotFound",
            "KMS.NotFoundException",
            "KMSKeyNotAccessible",
            "KMSKeyNotAccessibleFault",
            "KMSNotFound",
            "KMSNotFoundException",
            "KmsKeyNotFoundException",
            "InvalidKmsKeyId.NotFound",
        ),
        words=r"(\bkms\b|customer master).{0,40}(does not exist|not found|inaccessible)"
        r"|inaccessible.{0,30}kms|client error on launch",
        cause="EC2 cannot use the KMS key of the disks. Either the key does not exist in this Region, or it "
        "belongs to another account that does not share it. (EC2 says 'Client error on launch' when an "
        "instance stops at once because it may not decrypt its disks.)",
        remedy="Compare the key in the server's EBS encryption settings with `aws kms describe-key` in the "
        "plan's account and Region. If the key belongs to another account, its policy must allow this "
        "account to use kms:CreateGrant.",
        retry_is_safe=False,
        examples=(
            "Client.InternalError: Client error on launch",
            "An error occurred (InvalidKmsKey.NotFound): The KMS key 0f1e2d3c does not exist",
        ),
    ),
    ErrorKind(
        id="snapshot_not_found",
        phrase="the snapshot does not exist",
        codes=("InvalidSnapshot.NotFound", "InvalidSnapshotID.Malformed", "InvalidSnapshotID.NotFound"),
        words=r"snapshot.{0,30}(does not exist|not found)",
        cause="EC2 does not know a snapshot that the disks should be made from: somebody or something "
        "deleted "
        "it, or it is in another Region.",
        remedy="Find out in CloudTrail who deleted it (DeleteSnapshot): automation that deletes old "
        "snapshots "
        "must leave those of DRS alone. Then launch from another recovery point; the latest data needs no "
        "old snapshot.",
        retry_is_safe=False,
        examples=(
            "An error occurred (InvalidSnapshot.NotFound) when calling the CreateVolume operation: The "
            "snapshot 'snap-0abcdef0123456789' does not exist.",
            "Client.InvalidSnapshot.NotFound",
        ),
    ),
    ErrorKind(
        id="iops",
        phrase="the disks' IOPS do not fit their size",
        codes=("VolumeIOPSLimit",),
        words=r"\biops\b",
        cause="The volume type does not allow as many IOPS for a disk of this size as the launch settings "
        "ask "
        "for.",
        remedy="Lower the IOPS of the disk that the error names, or choose another volume type, in the "
        "server's launch template (or in its disks' settings in DRS).",
        retry_is_safe=False,
        examples=(
            "Failed to create volume from snapshot snap-0a1b2c3d4e5f60718: An error occurred "
            "(InvalidParameterValue) when calling the CreateVolume operation: Iops to volume size ratio of "
            "1000.00 is too high; maximum is 500",
        ),
    ),
    ErrorKind(
        id="volume_settings",
        phrase="the disks' settings are not valid",
        codes=(
            "BootForVolumeTypeUnsupported",
            "InvalidBlockDeviceMapping",
            "InvalidVolume.NotFound",
            "UnknownVolumeType",
        ),
        words=r"volume.{0,60}(too (large|small)|smaller than|size)|(volume|snapshot) size",
        cause="The settings of the server's disks are not valid: a device name, a size, or a volume type "
        "that "
        "does not fit.",
        remedy="Compare the block devices in the default version of the server's launch template with the "
        "disks that DRS replicates, and correct what the error names.",
        retry_is_safe=False,
        examples=(
            "InvalidBlockDeviceMapping: Volume of size 8GB is smaller than snapshot, expect size >= 30GB",
        ),
    ),
)
