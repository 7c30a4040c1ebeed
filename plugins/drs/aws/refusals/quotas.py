"""Quotas of the account that are used up."""

from __future__ import annotations

from drs.aws.refusals.kind import ErrorKind

QUOTAS: tuple[ErrorKind, ...] = (
    ErrorKind(
        id="vcpu_limit",
        phrase="the account's vCPU quota is used up",
        codes=("VcpuLimitExceeded",),
        words=r"vCPU (capacity|limit)",
        cause="The account may not run more vCPUs of this family of instance types in the Region.",
        remedy="Terminate what earlier drills left (`python -m drs cleanup PLAN`), or request a higher quota "
        "'Running On-Demand ... instances' in Service Quotas. A real recovery needs it, too.",
        retry_is_safe=False,
        examples=(
            "An error occurred (VcpuLimitExceeded) when calling the RunInstances operation: You have "
            "requested more vCPU capacity than your current vCPU limit of 32 allows",
            "You have requested more vCPU capacity than your current vCPU limit of 32 allows for the "
            "instance "
            "bucket that the specified instance type belongs to.",
        ),
    ),
    ErrorKind(
        id="instance_limit",
        phrase="the account's instance quota is used up",
        codes=(
            "HostLimitExceeded",
            "InstanceLimitExceeded",
            "MaxScheduledInstanceCapacityExceeded",
            "MaxSpotInstanceCountExceeded",
        ),
        words=r"quota allows for \d+ more running instance|more instances .{0,40}than your current instance"
        r" limit",
        cause="The account may not run more instances (or dedicated hosts) of this type in the Region.",
        remedy="Terminate what earlier drills left (`python -m drs cleanup PLAN`), or request a higher quota "
        "in Service Quotas. A real recovery needs it, too.",
        retry_is_safe=False,
        examples=("InstanceLimitExceeded: Your quota allows for 0 more running instance(s).",),
    ),
    ErrorKind(
        id="volume_limit",
        phrase="an EBS quota is used up",
        codes=(
            "MaxIOPSLimitExceeded",
            "MaximumIopsLimitExceeded",
            "SnapshotLimitExceeded",
            "VolumeLimitExceeded",
            "VolumeModificationSizeLimitExceeded",
        ),
        words=r"exceeded your (maximum )?.{0,30}(storage|IOPS|snapshot|volume)s? (limit|quota)"
        r"|maximum (allowed )?(snapshots|volumes)",
        cause="A quota of EBS is used up: the storage or IOPS of this volume type, or the number of "
        "snapshots.",
        remedy="Delete volumes and snapshots that nobody needs, request a higher EBS quota (the error names "
        "it) in Service Quotas, or choose another volume type in the launch template.",
        retry_is_safe=False,
        examples=(
            "VolumeLimitExceeded: You have exceeded your maximum gp3 storage limit of 50 TiB",
            "SnapshotLimitExceeded: Maximum allowed snapshots exceeded",
            "You have exceeded your maximum gp3 storage limit of 50 TiB in this region.",
        ),
    ),
    ErrorKind(
        id="attachment_limit",
        phrase="the instance type takes no more disks or network interfaces",
        codes=(
            "AttachmentLimitExceeded",
            "InvalidInterface.IpAddressLimitExceeded",
            "PrivateIpAddressLimitExceeded",
        ),
        words=r"(volume|disk|interface) attachments? limit|too many (volumes|disks|network interfaces)",
        cause="The instance type does not take as many disks, network interfaces or addresses as the server "
        "has.",
        remedy="Choose a larger instance type in the launch template.",
        retry_is_safe=False,
        examples=("AttachmentLimitExceeded: The maximum number of volumes is attached to the instance",),
    ),
    ErrorKind(
        id="address_limit",
        phrase="the quota of Elastic IP addresses is used up",
        codes=("AddressLimitExceeded",),
        words=r"maximum number of addresses has been reached",
        cause="The account may not have more Elastic IP addresses in the Region.",
        remedy="Release Elastic IP addresses that nobody needs, request a higher quota in Service Quotas, or "
        "launch without a public address (the server's launch settings).",
        retry_is_safe=False,
        examples=(
            "An error occurred (AddressLimitExceeded) when calling the AllocateAddress operation: The "
            "maximum "
            "number of addresses has been reached.",
        ),
    ),
    ErrorKind(
        id="network_limit",
        phrase="a network quota is used up",
        codes=(
            "NetworkInterfaceLimitExceeded",
            "RulesPerSecurityGroupLimitExceeded",
            "SecurityGroupLimitExceeded",
            "SecurityGroupsPerInstanceLimitExceeded",
            "SecurityGroupsPerInterfaceLimitExceeded",
            "SubnetLimitExceeded",
            "VpcLimitExceeded",
        ),
        words=r"maximum number of (network interfaces|security groups|rules)",
        cause="A quota of the network is used up: network interfaces in the Region, or security groups of "
        "one "
        "interface ({code}).",
        remedy="Terminate what earlier drills left (`python -m drs cleanup PLAN`), delete network interfaces "
        "that nobody uses, name fewer security groups in the launch template, or request a higher quota "
        "(VPC) in Service Quotas.",
        retry_is_safe=False,
        examples=(
            "An error occurred (NetworkInterfaceLimitExceeded) when calling the RunInstances operation: The "
            "maximum number of network interfaces has been reached.",
        ),
    ),
    ErrorKind(
        id="template_limit",
        phrase="there are too many launch templates or versions of one",
        codes=("MaxTemplateLimitExceeded", "MaxTemplateVersionLimitExceeded"),
        cause="EC2 allows no more launch templates in the Region, or no more versions of the template that "
        "DRS "
        "keeps for the server. DRS writes a version at each change of launch settings.",
        remedy="Delete old versions of the server's launch template (not its default version), or launch "
        "templates that nobody uses.",
        retry_is_safe=False,
        examples=("MaxTemplateVersionLimitExceeded: You have reached the limit of 10000 versions",),
    ),
    ErrorKind(
        id="tag_limit",
        phrase="there are too many tags",
        codes=("TagLimitExceeded", "TooManyTags", "TooManyTagsError", "TooManyTagsException"),
        cause="A resource would get more than the 50 tags that AWS allows.",
        remedy="Remove tags of the source server in DRS, or switch off 'copy tags' in its launch settings.",
        retry_is_safe=False,
        examples=("TagLimitExceeded: The maximum number of tags has been reached",),
    ),
    ErrorKind(
        id="quota",
        phrase="a quota of the account is used up",
        codes=("LimitExceeded", "LimitExceededException", "ResourceCountExceeded", "ResourceLimitExceeded"),
        vague_codes=("ServiceQuotaExceededException",),
        words=r"(reached|exceed(s|ed)?) (your|the) (\w+ ){0,3}(quota|limit)\b",
        ends=r"LimitExceeded(Exception)?|QuotaExceeded(Exception)?|CountExceeded",
        cause='A quota of the account is used up. AWS says: "{said}" ({code})',
        remedy="Free what counts against that quota, or request a higher one in Service Quotas. A real "
        "recovery needs it, too.",
        retry_is_safe=False,
        examples=(
            "ResourceLimitExceeded: You have exceeded an Amazon EC2 resource limit.",
            "FlowLogsLimitExceeded: no more flow logs",
        ),
    ),
)
