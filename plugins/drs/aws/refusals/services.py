"""What DRS and other services refuse for reasons of their own, and codes that say little by themselves."""

from __future__ import annotations

from drs.aws.refusals.kind import ErrorKind

SERVICES: tuple[ErrorKind, ...] = (
    ErrorKind(
        id="drs_not_initialised",
        phrase="DRS is not initialised",
        codes=("UninitializedAccountException",),
        cause="DRS was never set up in this account and Region.",
        remedy="Initialise DRS in this account and Region: open the DRS console once and follow its set-up, "
        "or call `aws drs initialize-service` with an administrator's credentials.",
        retry_is_safe=False,
        examples=("UninitializedAccountException: Account is not initialized",),
    ),
    ErrorKind(
        id="held_by_another_job",
        phrase="another job holds the server",
        vague_codes=("ConflictException",),
        cause='DRS refused the call because of something else that is going on. AWS says: "{said}"',
        remedy="Wait for the job that holds the server to end: `python -m drs jobs --active --plan PLAN` "
        "lists the live ones. DRS cannot cancel a job.",
        retry_is_safe=False,
        examples=("ConflictException: One or more of the Source Servers are in an ongoing job",),
    ),
    ErrorKind(
        id="post_launch_action",
        phrase="a post-launch action failed",
        words=r"post.?launch action|launch action.{0,40}fail",
        matches="AWS's words",
        cause="A post-launch action of DRS failed on the instance. The instance exists, but its set-up is "
        "not complete.",
        remedy="Read the action's output in Systems Manager (Run Command). Then fix the action, or switch it "
        "off in the server's post-launch settings. The drill's subnet needs a route to the endpoints of "
        "Systems Manager.",
        retry_is_safe=True,
        examples=("Post-launch action 'Validate HTTP' failed with status TimedOut",),
    ),
    ErrorKind(
        id="snapshot_timeout",
        phrase="the snapshot was not taken",
        words=r"fail\w* to (take|create) (a |the )?snapshot|snapshot.{0,40}(timed out|time-?out|failed)",
        matches="DRS's words",
        cause="The snapshot of the server's disks could not be taken in time.",
        remedy="Check whether the server's replication keeps up (state, lag, the replication server's "
        "network and disks), then launch again.",
        retry_is_safe=True,
        examples=("Failed to take snapshot of the staging disks",),
    ),
    ErrorKind(
        id="conversion_error",
        phrase="the conversion failed",
        words=r"\bconver(t|sion)\b.{0,80}fail|fail\w*.{0,40}\bconver(t|sion)\b",
        matches="DRS's words",
        cause="The conversion server could not make the disks bootable in EC2.",
        remedy="Read the raw error. Usual causes: the conversion server cannot reach AWS from the staging "
        "area subnet (TCP 443 to S3, EC2 and DRS), the subnet has no room for an instance, or DRS does not "
        "support the boot loader or file system.",
        retry_is_safe=True,
        examples=("Conversion failed: could not mount the root file system",),
    ),
    ErrorKind(
        id="operation_not_permitted",
        phrase="EC2 does not permit this",
        vague_codes=("OperationNotPermitted", "OperationNotPermittedException"),
        cause='EC2 does not permit what was asked for, for a reason of its own. AWS says: "{said}"',
        remedy="Remove what AWS's words name: a setting of the instance, of the account, or of the VPC.",
        retry_is_safe=False,
        examples=("OperationNotPermitted: The network interface at device index 0 cannot be detached.",),
    ),
    ErrorKind(
        id="unsupported",
        phrase="AWS does not support this",
        vague_codes=(
            "Unsupported",
            "UnsupportedException",
            "UnsupportedHibernationConfiguration",
            "UnsupportedOperation",
            "UnsupportedOperationException",
        ),
        words=r"configuration is (currently )?not supported",
        ends=r"^Unsupported\w*|NotSupported(Exception)?",
        cause='AWS does not support what the launch settings ask for. AWS says: "{said}"',
        remedy="Change the setting that AWS's words name in the default version of the server's launch "
        "template.",
        retry_is_safe=False,
        examples=("UnsupportedHibernationConfiguration: hibernation needs an encrypted root volume",),
    ),
    ErrorKind(
        id="not_found",
        phrase="something that the request names does not exist",
        vague_codes=(
            "404",
            "NoSuchBucket",
            "NoSuchKey",
            "NotFound",
            "NotFoundException",
            "ResourceNotFound",
            "ResourceNotFoundException",
        ),
        ends=r"NotFound(Exception|Fault)?|DoesNotExist(Exception)?|^NoSuch\w+|\.Unknown",
        cause="Something that the request names does not exist in this account and Region. AWS says: "
        '"{said}" ({code})',
        remedy="Compare what AWS's words name with what exists in the plan's account and Region, and correct "
        "the setting that names it.",
        retry_is_safe=False,
        examples=(
            "ResourceNotFoundException: Job drsjob-0123456789abcdef0 not found",
            "InvalidConnectionID.NotFound: there is no such connection",
        ),
    ),
    ErrorKind(
        id="in_use",
        phrase="something that the request needs is in use",
        codes=("DependencyViolation", "VolumeInUse"),
        ends=r"\.?InUse(Exception)?|AlreadyExists(Exception)?|AlreadyAssociated"
        r"|Conflict(Exception)?",
        cause='Something that the request needs is in use or exists already. AWS says: "{said}" ({code})',
        remedy="Find out what uses what AWS's words name. An earlier instance of the same server may still "
        "have it: `python -m drs cleanup PLAN` terminates what drills left.",
        retry_is_safe=False,
        examples=("VolumeThing.InUse: it is attached",),
    ),
    ErrorKind(
        id="value_refused",
        phrase="AWS refused a value of the request",
        vague_codes=(
            "InvalidInput",
            "InvalidParameter",
            "InvalidParameterException",
            "InvalidParameterValue",
            "InvalidRequest",
            "MissingInput",
            "MissingParameter",
            "ParamValidationError",
            "UnknownParameter",
            "ValidationError",
            "ValidationException",
        ),
        ends=r"\.?Malformed(Exception)?|^Malformed\w+|^Invalid\w+(\.\w+)?",
        cause='AWS refused a value of the request{operation}. AWS says: "{said}" ({code})',
        remedy="Correct the setting that AWS's words name. What DRS asks EC2 for comes from the default "
        "version "
        "of the server's launch template and from its launch settings in DRS.",
        retry_is_safe=False,
        examples=(
            "InvalidParameterValue: Value () for parameter groupId is invalid. The value cannot be empty",
            "InvalidFrobnicationId.Malformed: no",
        ),
    ),
)

UNKNOWN = ErrorKind(
    id="unknown",
    phrase="an error that is not known here",
    matches="anything else",
    cause='"{said}": this error is unknown to this package. Nothing is known about it except these words of '
    "AWS's.",
    remedy="Read AWS's words, and the server's events in the DRS console. Fix what they name before you try "
    "again. AWS Support can say more: give them the ids of the job and the server.",
    retry_is_safe=False,
    examples=("Failed to launch target instance", "QuantumFluxExceeded: flux 9 > 7"),
)
