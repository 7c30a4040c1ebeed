"""AWS's own side: failures of its servers, too many requests, no free capacity. Time alone may help."""

from __future__ import annotations

from drs.aws.refusals.kind import ErrorKind

THROTTLED = ErrorKind(
    id="throttled",
    family="passing",
    phrase="AWS throttled the calls",
    codes=(
        "429",
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "KMSThrottling",
        "KMSThrottlingException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "SnapshotCreationPerVolumeRateExceeded",
        "Throttled",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    ),
    words=r"request limit exceeded|rate exceeded|too many requests|reduce your request rate",
    cause="The account made more calls than AWS accepts in that time.",
    remedy="Launch again. If this happens again, raise `launch.server_delay`, make the waves smaller, "
    "and find out what else calls AWS in this account.",
    retry_is_safe=True,
    examples=(
        "An error occurred (RequestLimitExceeded) when calling the RunInstances operation (reached "
        "max retries: 4): Request limit exceeded.",
        "ThrottlingException: Rate exceeded",
        "SnapshotCreationPerVolumeRateExceeded: The maximum per volume CreateSnapshot request rate has been "
        "exceeded.",
    ),
)

AWS_SIDE: tuple[ErrorKind, ...] = (
    THROTTLED,
    ErrorKind(
        id="volume_capacity",
        family="passing",
        phrase="EBS has no capacity for the volume",
        codes=("InsufficientVolumeCapacity",),
        words=r"not enough capacity to fulfill your EBS|insufficient (EBS )?volume capacity",
        cause="EBS has no capacity for a volume of this type in the Availability Zone at the moment.",
        remedy="Launch again later, or choose another volume type or a subnet in another zone in the "
        "server's "
        "launch template.",
        retry_is_safe=True,
        examples=(
            "An error occurred (InsufficientVolumeCapacity) when calling the CreateVolume operation: There "
            "is "
            "not enough capacity to fulfill your EBS volume request.",
        ),
    ),
    ErrorKind(
        id="address_capacity",
        family="passing",
        phrase="AWS has no free public address",
        codes=("InsufficientAddressCapacity",),
        cause="AWS has not enough free Elastic IP addresses in the Region at the moment.",
        remedy="Launch again later, or launch without a public address (the server's launch settings).",
        retry_is_safe=True,
        examples=("InsufficientAddressCapacity: Not enough available addresses",),
    ),
    ErrorKind(
        id="no_capacity",
        family="passing",
        phrase="EC2 has no capacity for the instance type",
        codes=(
            "CapacityReservationsUnavailable",
            "InsufficientCapacity",
            "InsufficientCapacityException",
            "InsufficientCapacityOnHost",
            "InsufficientHostCapacity",
            "InsufficientInstanceCapacity",
            "InsufficientReservedInstanceCapacity",
            "InsufficientReservedInstancesCapacity",
            "ReservationCapacityExceeded",
            "UnfulfillableCapacity",
        ),
        words=r"(do|does) not have (sufficient|enough) .{0,40}capacity|(insufficient|not enough) "
        r"(\w+ ){0,3}capacity|(no|unable to fulfill) (\w+ ){0,2}capacity",
        cause="EC2 has no capacity for this instance type in the Availability Zone, on the dedicated host or "
        "in the Capacity Reservation at the moment.",
        remedy="Launch again later, or choose another instance type or a subnet in another zone in the "
        "launch template. If the plan must work in a disaster, reserve capacity (On-Demand Capacity "
        "Reservation).",
        retry_is_safe=True,
        examples=(
            "InsufficientInstanceCapacity: no m5.large in us-east-1a",
            "InsufficientHostCapacity: There is insufficient capacity on the host",
            "We currently do not have sufficient m5.large capacity in the Availability Zone you requested "
            "(us-east-1a).",
        ),
    ),
    ErrorKind(
        id="wait_for_snapshots",
        family="passing",
        phrase="too many snapshots are in progress",
        codes=("ConcurrentSnapshotLimitExceeded", "PendingSnapshotLimitExceeded"),
        words=r"in.progress snapshots",
        cause="As many snapshots are in progress as EBS allows for a volume or for the account. They end by "
        "themselves.",
        remedy="Launch again when the snapshots in progress are complete (EC2 console, Snapshots).",
        retry_is_safe=True,
        examples=(
            "ConcurrentSnapshotLimitExceeded: Maximum allowed in-progress snapshots for a single volume "
            "exceeded.",
        ),
    ),
    ErrorKind(
        id="network_lost",
        family="passing",
        phrase="AWS gave no answer",
        codes=(
            "ConnectTimeoutError",
            "ConnectionClosedError",
            "ConnectionError",
            "HTTPClientError",
            "IDPCommunicationError",
            "ProxyConnectionError",
            "ReadTimeoutError",
            "RequestTimeout",
            "RequestTimeoutException",
            "SSLError",
        ),
        words=r"(connect|read) timeout on endpoint|connection was closed before we received",
        cause="The network lost the request or AWS's answer to it.",
        remedy="Try again. If it happens again, check the network path to AWS: proxy, VPC endpoint, "
        "certificates, security groups (TCP 443).",
        retry_is_safe=True,
        examples=('ReadTimeoutError: Read timeout on endpoint URL: "https://drs.us-east-1.amazonaws.com/"',),
    ),
    ErrorKind(
        id="aws_failed",
        family="passing",
        phrase="AWS itself failed",
        codes=(
            "500",
            "502",
            "503",
            "504",
            "DependencyTimeoutException",
            "HealthUnavailable",
            "InternalError",
            "InternalException",
            "InternalFailure",
            "InternalServerError",
            "InternalServerException",
            "InternalServiceError",
            "KMSInternalException",
            "KeyUnavailableException",
            "RetryableError",
            "ServerInternal",
            "ServiceFailure",
            "ServiceUnavailable",
            "ServiceUnavailableException",
            "Unavailable",
        ),
        words=r"internal (server |service )?(error|failure)|server is overloaded|service (is )?(currently )?"
        r"unavailable|temporary failure of the server",
        ends=r"InternalException|InternalError|InternalFailure|ServerException|Unavailable(Exception)?"
        r"|TimeoutException",
        cause="The fault lies with AWS: a server of EC2 or of another AWS service failed or was overloaded.",
        remedy="Launch again in a few minutes. If it happens again, look at the AWS Health Dashboard and "
        "open a support case with the ids of the job and the server.",
        retry_is_safe=True,
        examples=(
            "Server.InternalError: Internal error on launch",
            "An error occurred (Unavailable) when calling the RunInstances operation: The server is "
            "overloaded and can't handle the request.",
            "An internal error has occurred",
        ),
    ),
)
