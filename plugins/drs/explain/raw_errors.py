"""Failures that DRS's raw error reveals: a table that is tried from top to bottom, narrow patterns first.

The codes come from EC2, KMS and IAM, because DRS passes on what these say (see "Error codes for the Amazon
EC2 API" in the EC2 reference).
"""

from __future__ import annotations

from drs.explain.pattern import Example, Pattern

RAW_ERRORS: tuple[Pattern, ...] = (
    # --- permissions: DRS acts with those of its caller -----------------------------------------------------
    Pattern(
        id="explicit_deny",
        phrase="an explicit deny forbids {action}",
        raw_error=r"explicit deny",
        cause="A policy denies {action} explicitly: a service control policy of the organisation, a "
        "permissions boundary or a Deny statement. No Allow overrides it.",
        remedy="Ask the owner of that policy to exempt the role of the plan's connection, or what DRS does "
        "on its behalf (aws:ViaAWSService).",
        retry_is_safe=False,
        examples=(
            Example(
                "An error occurred (UnauthorizedOperation) when calling the RunInstances operation: You are "
                "not authorized to perform: ec2:RunInstances with an explicit deny in a service control "
                "policy"
            ),
        ),
    ),
    Pattern(
        id="pass_role",
        phrase="iam:PassRole is missing",
        raw_error=r"iam:PassRole|cannot be passed|not authorized to pass",
        cause="The role that started the job may not pass DRS's roles to the instances that DRS launches.",
        remedy="Allow iam:PassRole on the roles under service-role/ that DRS uses: "
        "AWSElasticDisasterRecoveryConversionServerRole, AWSElasticDisasterRecoveryRecoveryInstanceRole and "
        "AWSElasticDisasterRecoveryRecoveryInstanceWithLaunchActionsRole (include/iam holds the statement). "
        "An instance profile of your own in the launch template needs it too.",
        retry_is_safe=False,
        examples=(
            Example(
                "User: arn:aws:sts::111122223333:assumed-role/drs-drills/airflow is not authorized to "
                "perform: iam:PassRole on resource: "
                "arn:aws:iam::111122223333:role/service-role/AWSElasticDisasterRecoveryRecoveryInstanceRole"
            ),
        ),
    ),
    Pattern(
        id="kms_permission",
        phrase="{action} on the disks' KMS key is missing",
        raw_error=r"not authorized to perform:? kms:|kms:\w+.*(denied|not allowed)",
        cause="The disks are encrypted with a KMS key. The role that started the job may not use this key: "
        "{action} is denied.",
        remedy="Allow the role to use the key, in the role's policy and in the key's policy: "
        "kms:CreateGrant, kms:Decrypt, kms:DescribeKey, kms:GenerateDataKeyWithoutPlaintext, "
        "kms:ReEncrypt*. Begin with: {statement}. If the key belongs to another account, its policy must "
        "name this account, too.",
        retry_is_safe=False,
        examples=(
            Example(
                "User: arn:aws:sts::111122223333:assumed-role/drs-drills/airflow is not authorized to "
                "perform: kms:CreateGrant on resource: arn:aws:kms:us-east-1:444455556666:key/0f1e2d3c "
                "because no resource-based policy allows the kms:CreateGrant action"
            ),
        ),
    ),
    Pattern(
        id="kms_key_disabled",
        phrase="the disks' KMS key is disabled",
        raw_error=r"InvalidKMSKey\.InvalidState|KMSInvalidState|KMS\.?Disabled|key\S* is (disabled"
        r"|pending deletion)|pending (deletion|import)",
        cause="The KMS key of the disks is disabled, or will be deleted soon.",
        remedy="Enable the key again (aws kms enable-key, after cancel-key-deletion if it is to be deleted). "
        "Without the key nothing can read the replicated disks or launch from them.",
        retry_is_safe=False,
        examples=(
            Example("Client.InvalidKMSKey.InvalidState: The KMS key provided is in an incorrect state"),
            Example("arn:aws:kms:us-east-1:111122223333:key/0f1e2d3c is pending deletion"),
        ),
    ),
    Pattern(
        id="kms_key_out_of_reach",
        phrase="the disks' KMS key cannot be reached",
        raw_error=r"KMSKeyNotAccessible|InvalidKmsKey|KMS\.?NotFound"
        r"|Client\.InternalError: Client error on launch|(kms|customer master).{0,40}(does not exist"
        r"|not found|inaccessible)|inaccessible.{0,30}kms",
        cause="EC2 cannot use the KMS key of the disks. Either the key does not exist in this Region, or it "
        "belongs to another account that does not share it. (EC2 says 'Client error on launch' when an "
        "instance stops at once because it may not decrypt its disks.)",
        remedy="Compare the key in the server's EBS encryption settings with `aws kms describe-key` in the "
        "plan's account and Region. If the key belongs to another account, its policy must allow this "
        "account to use kms:CreateGrant.",
        retry_is_safe=False,
        examples=(
            Example("Client.InternalError: Client error on launch"),
            Example("An error occurred (InvalidKmsKey.NotFound): The KMS key 0f1e2d3c does not exist"),
        ),
    ),
    Pattern(
        id="instance_profile_missing",
        phrase="the instance profile does not exist",
        raw_error=r"(invalid|unknown|not find).{0,20}IAM instance profile|iamInstanceProfile.{0,40}invalid",
        cause="The instance profile in the launch settings does not exist.",
        remedy="If it is one of DRS's own, open the DRS console once as an administrator, which creates the "
        "roles of DRS again. Otherwise correct the server's launch template.",
        retry_is_safe=False,
        examples=(
            Example(
                "An error occurred (InvalidParameterValue) when calling the RunInstances operation: Value "
                "(AWSElasticDisasterRecoveryRecoveryInstanceRole) for parameter iamInstanceProfile.name is "
                "invalid. Invalid IAM Instance Profile name"
            ),
        ),
    ),
    Pattern(
        id="permission_encoded",
        phrase="an EC2 permission is missing (its name is encoded)",
        raw_error=r"^(?!.*when calling the).*encoded authorization failure message",
        cause="The role that started the job lacks a permission. EC2 names it only in an encoded message.",
        remedy="Decode the message: aws sts decode-authorization-message --encoded-message ... (it needs "
        "sts:DecodeAuthorizationMessage). Then allow this action for the role of the plan's connection.",
        retry_is_safe=False,
        examples=(
            Example(
                "UnauthorizedOperation: You are not authorized to perform this operation. Encoded "
                "authorization failure message: 4GIOHlTkIaWHQD0Q0m6XSnuUMCm"
            ),
        ),
    ),
    Pattern(
        id="permission",
        phrase="{action} is missing",
        raw_error=r"UnauthorizedOperation|AccessDenied|not authorized to perform",
        cause="The role that started the job may not use {action}. DRS launches with the permissions of its "
        "caller, so this shows only inside the job.",
        remedy="Add this statement to the policy of the role that the plan's connection uses: {statement}",
        retry_is_safe=False,
        examples=(
            Example("You are not authorized to perform: ec2:RunInstances"),
            Example(
                "An error occurred (UnauthorizedOperation) when calling the CreateVolume operation: You are "
                "not authorized to perform this operation."
            ),
            Example(
                "User: arn:aws:sts::111122223333:assumed-role/drs-drills/airflow is not authorized to "
                "perform: drs:CreateRecoveryInstanceForDrs on resource: *"
            ),
        ),
    ),
    # --- network --------------------------------------------------------------------------------------------
    Pattern(
        id="subnet_not_found",
        phrase="the subnet does not exist",
        raw_error=r"InvalidSubnetID|InvalidSubnet\b|subnet.{0,40}does not exist|no (default )?subnet"
        r"|MissingInput.*subnet|VPCIdNotSpecified|No default VPC",
        cause="The subnet in the launch template's default version, or the subnet of the staging area, does "
        "not exist in this account and Region. Or no subnet is named, and there is no default subnet.",
        remedy="Name an existing subnet in the server's EC2 launch template (its default version is what "
        "DRS uses). If the error is about the conversion server, correct the staging area subnet in the "
        "replication settings.",
        retry_is_safe=False,
        examples=(
            Example(
                "An error occurred (InvalidSubnetID.NotFound) when calling the RunInstances operation: The "
                "subnet ID 'subnet-0a1b2c3d4e5f60718' does not exist"
            ),
            Example("VPCIdNotSpecified: No default VPC for this user"),
        ),
    ),
    Pattern(
        id="no_free_addresses",
        phrase="the subnet has no free address",
        raw_error=r"InsufficientFreeAddressesInSubnet|(not enough|insufficient) free addresses",
        cause="The subnet has no free private address left.",
        remedy="Free addresses in the subnet, or choose a larger subnet in the server's launch template. "
        "Instances that earlier drills left use addresses: `python -m drs cleanup PLAN` terminates them.",
        retry_is_safe=False,
        examples=(
            Example(
                "An error occurred (InsufficientFreeAddressesInSubnet) when calling the RunInstances "
                "operation: There are not enough free addresses in subnet 'subnet-0a1b2c3d4e5f60718' to "
                "satisfy the requested number of instances."
            ),
        ),
    ),
    Pattern(
        id="address_in_use",
        phrase="the private address is in use",
        raw_error=r"InvalidIPAddress\.InUse|PrivateIpAddressInUse|address \S+ is in use"
        r"|InvalidParameterValue.*address.*subnet",
        cause="The private address that the server should get is in use, or is not in the subnet's range.",
        remedy="Switch off 'copy private IP' in the server's launch settings, or free the address: an "
        "earlier instance of the same server may still use it.",
        retry_is_safe=False,
        examples=(
            Example("InvalidIPAddress.InUse: Address 10.0.1.17 is in use."),
            Example(
                "InvalidParameterValue: Address 10.9.1.17 does not fall within the subnet's address range"
            ),
        ),
    ),
    Pattern(
        id="security_group_other_vpc",
        phrase="security group and subnet belong to different VPCs",
        raw_error=r"belong to different networks|different (VPC|network)s?\b",
        cause="A security group in the launch template and the subnet belong to different VPCs.",
        remedy="Choose security groups of the subnet's VPC in the launch template's default version.",
        retry_is_safe=False,
        examples=(
            Example(
                "An error occurred (InvalidParameter) when calling the RunInstances operation: Security "
                "group sg-0a1b2c3d4e5f60718 and subnet subnet-0a1b2c3d4e5f60718 belong to different networks."
            ),
        ),
    ),
    Pattern(
        id="security_group_not_found",
        phrase="the security group does not exist",
        raw_error=r"InvalidGroup\.NotFound|InvalidSecurityGroupI[dD]|InvalidGroupId"
        r"|security group.{0,60}does not exist",
        cause="A security group in the launch template does not exist in this account and Region.",
        remedy="Correct the security groups in the launch template's default version.",
        retry_is_safe=False,
        examples=(
            Example(
                "An error occurred (InvalidGroup.NotFound) when calling the RunInstances operation: The "
                "security group 'sg-0a1b2c3d4e5f60718' does not exist in VPC 'vpc-0a1b2c3d'"
            ),
        ),
    ),
    # --- capacity and quotas --------------------------------------------------------------------------------
    Pattern(
        id="no_capacity",
        phrase="EC2 has no capacity for the instance type",
        raw_error=r"Insufficient(Instance|Host)?Capacity",
        cause="EC2 has no capacity for this instance type in the Availability Zone at the moment.",
        remedy="Launch again later, or choose another instance type or a subnet in another zone in the "
        "launch template. If the plan must work in a disaster, reserve capacity (On-Demand Capacity "
        "Reservation).",
        retry_is_safe=True,
        examples=(
            Example("InsufficientInstanceCapacity: no m5.large in us-east-1a"),
            Example("InsufficientHostCapacity: There is insufficient capacity on the host"),
        ),
    ),
    Pattern(
        id="vcpu_limit",
        phrase="the account's vCPU quota is used up",
        raw_error=r"VcpuLimitExceeded",
        cause="The account may not run more vCPUs of this family of instance types in the Region.",
        remedy="Terminate what earlier drills left (`python -m drs cleanup PLAN`), or request a higher quota "
        "'Running On-Demand ... instances' in Service Quotas. A real recovery needs it, too.",
        retry_is_safe=False,
        examples=(
            Example(
                "An error occurred (VcpuLimitExceeded) when calling the RunInstances operation: You have "
                "requested more vCPU capacity than your current vCPU limit of 32 allows"
            ),
        ),
    ),
    Pattern(
        id="instance_limit",
        phrase="the account's instance quota is used up",
        raw_error=r"InstanceLimitExceeded|HostLimitExceeded",
        cause="The account may not run more instances (or dedicated hosts) of this type in the Region.",
        remedy="Terminate what earlier drills left (`python -m drs cleanup PLAN`), or request a higher quota "
        "in Service Quotas. A real recovery needs it, too.",
        retry_is_safe=False,
        examples=(Example("InstanceLimitExceeded: Your quota allows for 0 more running instance(s)."),),
    ),
    Pattern(
        id="volume_limit",
        phrase="an EBS quota is used up",
        raw_error=r"VolumeLimitExceeded|MaxIOPSLimitExceeded|MaximumIopsLimitExceeded|SnapshotLimitExceeded"
        r"|AttachmentLimitExceeded|ConcurrentSnapshotLimitExceeded",
        cause="A quota of EBS is used up: the storage or IOPS of this volume type, the number of snapshots, "
        "or the number of disks that one instance can have.",
        remedy="Delete volumes and snapshots that nobody needs, request a higher EBS quota (the error names "
        "it), or choose another volume type in the launch template.",
        retry_is_safe=False,
        examples=(
            Example("VolumeLimitExceeded: You have exceeded your maximum gp3 storage limit of 50 TiB"),
            Example("SnapshotLimitExceeded: Maximum allowed snapshots exceeded"),
        ),
    ),
    Pattern(
        id="throttled",
        phrase="EC2 throttled the launch",
        raw_error=r"RequestLimitExceeded|Throttling|Rate exceeded|TooManyRequests"
        r"|SnapshotCreationPerVolumeRateExceeded",
        cause="The account made more calls than EC2 accepts, and DRS gave up on this server.",
        remedy="Launch again. If this happens again, raise `launch.server_delay`, make the waves smaller, "
        "and find out what else calls EC2 in this account.",
        retry_is_safe=True,
        examples=(
            Example(
                "An error occurred (RequestLimitExceeded) when calling the RunInstances operation (reached "
                "max retries: 4): Request limit exceeded."
            ),
            Example("ThrottlingException: Rate exceeded"),
        ),
    ),
    # --- launch settings ------------------------------------------------------------------------------------
    Pattern(
        id="launch_template_missing",
        phrase="the EC2 launch template does not exist",
        raw_error=r"InvalidLaunchTemplate|LaunchTemplate\S*(NotFound|Malformed)"
        r"|launch template.{0,60}(does not exist|not found)",
        cause="The EC2 launch template that DRS keeps for the server, or its default version, does not "
        "exist.",
        remedy="Open the server's launch settings in the DRS console and save them, which creates the "
        "template again. Then set subnet and security groups in it.",
        retry_is_safe=False,
        examples=(
            Example(
                "An error occurred (InvalidLaunchTemplateId.NotFound) when calling the RunInstances "
                "operation: The specified launch template, with template ID lt-0a1b2c3d, does not exist."
            ),
        ),
    ),
    Pattern(
        id="licence",
        phrase="licence or tenancy does not fit",
        raw_error=r"BYOL|bring your own licen[sc]e|licen[sc](e|ing)|InvalidHost|dedicated host|HostId"
        r"|tenancy",
        cause="The licensing or tenancy in the launch settings does not fit. Bring-your-own-licence needs a "
        "dedicated host, or an operating system that EC2 allows with it, and neither is there.",
        remedy="Switch off BYOL in the server's launch settings (operating system licensing), or name a "
        "dedicated host with free capacity, in the subnet's zone, in its launch template.",
        retry_is_safe=False,
        examples=(
            Example("Unsupported: BYOL is not supported for this operating system on shared hardware"),
            Example("InvalidHostID.NotFound: The dedicated host h-0a1b2c3d does not exist"),
        ),
    ),
    Pattern(
        id="marketplace",
        phrase="an AWS Marketplace subscription is missing",
        raw_error=r"OptInRequired|accept (the )?terms and subscribe|marketplace",
        cause="The disks have the product code of an AWS Marketplace image to which this account has no "
        "subscription.",
        remedy="Accept the product's terms in AWS Marketplace with this account (the error contains the "
        "address).",
        retry_is_safe=False,
        examples=(
            Example(
                "OptInRequired: In order to use this AWS Marketplace product you need to accept terms and "
                "subscribe."
            ),
        ),
    ),
    Pattern(
        id="boot_mode",
        phrase="the instance type cannot boot this system",
        raw_error=r"boot ?mode|UEFI|legacy.?bios|\bTPM\b",
        cause="The instance type does not support the boot mode of the system (UEFI or legacy BIOS).",
        remedy="Choose an instance type that supports the system's boot mode (aws ec2 "
        "describe-instance-types shows SupportedBootModes), or set the boot mode in the server's launch "
        "settings.",
        retry_is_safe=False,
        examples=(
            Example(
                "An error occurred (InvalidParameterValue): The instance type 'm4.large' does not support "
                "the boot mode 'uefi'"
            ),
        ),
    ),
    Pattern(
        id="instance_type",
        phrase="the instance type is not supported here",
        raw_error=r"^(?!.*terminat).*\b(Unsupported|UnsupportedOperation|InvalidInstanceType)\b"
        r"|instance type.{0,80}(not supported|not available|invalid)|\bENA\b|architecture",
        cause="The instance type does not exist in this zone, or does not fit the system (architecture, "
        "drivers, number of disks).",
        remedy="Choose another instance type in the launch template, or switch on right-sizing. Make sure "
        "that the subnet is in a zone that offers the type (aws ec2 describe-instance-type-offerings "
        "--location-type availability-zone).",
        retry_is_safe=False,
        examples=(
            Example(
                "An error occurred (Unsupported) when calling the RunInstances operation: Your requested "
                "instance type (m7i.large) is not supported in your requested Availability Zone (us-east-1e)."
            ),
            Example("InvalidParameterValue: Enhanced networking with ENA is required for the instance type"),
        ),
    ),
    Pattern(
        id="termination_protection",
        phrase="an earlier instance is protected against termination",
        raw_error=r"OperationNotPermitted|disableApiTermination|termination protection|may not be terminated",
        cause="DRS must terminate the server's earlier recovery instance before it launches a new one, but "
        "EC2 protects that instance against termination.",
        remedy="Ask whether somebody needs that instance. If not, switch off its termination protection (aws "
        "ec2 modify-instance-attribute --no-disable-api-termination) and launch again.",
        retry_is_safe=False,
        examples=(
            Example(
                "An error occurred (OperationNotPermitted) when calling the TerminateInstances operation: "
                "The instance 'i-0a1b2c3d4e5f60718' may not be terminated. Modify its "
                "'disableApiTermination' instance attribute and try again."
            ),
        ),
    ),
    # --- after and before the launch ------------------------------------------------------------------------
    Pattern(
        id="post_launch_action",
        phrase="a post-launch action failed",
        raw_error=r"post.?launch|launch.?action",
        cause="A post-launch action of DRS failed on the instance. The instance exists, but its set-up is "
        "not complete.",
        remedy="Read the action's output in Systems Manager (Run Command). Then fix the action, or switch it "
        "off in the server's post-launch settings. The drill's subnet needs a route to the endpoints of "
        "Systems Manager.",
        retry_is_safe=True,
        examples=(Example("Post-launch action 'Validate HTTP' failed with status TimedOut"),),
    ),
    Pattern(
        id="snapshot_timeout",
        phrase="the snapshot was not taken",
        raw_error=r"snapshot.{0,60}(failed|time|error)|failed to (take|create).{0,20}snapshot",
        cause="The snapshot of the server's disks could not be taken in time.",
        remedy="Check whether the server's replication keeps up (state, lag, the replication server's "
        "network and disks), then launch again.",
        retry_is_safe=True,
        examples=(
            Example("Failed to take snapshot of the staging disks", ("SNAPSHOT_START", "SNAPSHOT_FAIL")),
        ),
    ),
    Pattern(
        id="conversion_error",
        phrase="the conversion failed",
        raw_error=r"conver(t|sion)",
        cause="The conversion server could not make the disks bootable in EC2.",
        remedy="Read the raw error. Usual causes: the conversion server cannot reach AWS from the staging "
        "area subnet (TCP 443 to S3, EC2 and DRS), the subnet has no room for an instance, or DRS does not "
        "support the boot loader or file system.",
        retry_is_safe=True,
        examples=(Example("Conversion failed: could not mount the root file system", ("CONVERSION_FAIL",)),),
    ),
)
