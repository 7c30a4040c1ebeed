"""What a server's launch settings name, and EC2 does not accept."""

from __future__ import annotations

from drs.aws.refusals.kind import ErrorKind

SETTINGS: tuple[ErrorKind, ...] = (
    ErrorKind(
        id="instance_profile_missing",
        phrase="the instance profile does not exist",
        codes=("InvalidIamInstanceProfileArn.Malformed",),
        words=r"(invalid|unknown|not find).{0,20}IAM instance profile|iamInstanceProfile.{0,40}invalid"
        r"|instance profile.{0,40}(cannot be found|not exist)",
        cause="The instance profile in the launch settings does not exist.",
        remedy="If it is one of DRS's own, open the DRS console once as an administrator, which creates the "
        "roles of DRS again. Otherwise correct the server's launch template.",
        retry_is_safe=False,
        examples=(
            "An error occurred (InvalidParameterValue) when calling the RunInstances operation: Value "
            "(AWSElasticDisasterRecoveryRecoveryInstanceRole) for parameter iamInstanceProfile.name is "
            "invalid. Invalid IAM Instance Profile name",
        ),
    ),
    ErrorKind(
        id="role_missing",
        phrase="a role does not exist",
        codes=("NoSuchEntityException",),
        vague_codes=("NoSuchEntity",),
        words=r"\brole\b.{0,40}(cannot be found|does not exist)",
        cause="IAM does not know a role or an instance profile that the launch needs.",
        remedy="If the error names one of DRS's own roles (AWSElasticDisasterRecovery...), open the DRS "
        "console "
        "once as an administrator, which creates them again. Otherwise correct the role that the server's "
        "launch settings name.",
        retry_is_safe=False,
        examples=(
            "NoSuchEntity: The role with name "
            "AWSElasticDisasterRecoveryRecoveryInstanceWithLaunchActionsRole cannot be found.",
        ),
    ),
    ErrorKind(
        id="image",
        phrase="the image (AMI) cannot be used",
        codes=(
            "InvalidAMIID.Malformed",
            "InvalidAMIID.NotFound",
            "InvalidAMIID.Unavailable",
            "InvalidManifest",
        ),
        words=r"not authorized for images|\b(image|AMI)\b.{0,60}(does not exist|not found|no longer available"
        r"|not available)",
        cause="The account may not use the image (AMI) that the launch names, or it does not exist in this "
        "Region: it is not shared with the account, was deregistered, or is not among the allowed AMIs.",
        remedy="Look at the image that the error names. Share it with this account (and its KMS key, if it "
        "is "
        "encrypted), allow it (EC2 settings, Allowed AMIs), or correct the server's launch template.",
        retry_is_safe=False,
        examples=(
            "AuthFailure: Not authorized for images: [ami-0a1b2c3d4e5f60718]",
            "An error occurred (InvalidAMIID.NotFound) when calling the RunInstances operation: The image id "
            "'[ami-0a1b2c3d4e5f60718]' does not exist",
        ),
    ),
    ErrorKind(
        id="key_pair",
        phrase="the key pair does not exist",
        codes=("InvalidKeyPair.Format", "InvalidKeyPair.NotFound", "InvalidKeyPairName"),
        words=r"key pair.{0,60}does not exist",
        cause="The key pair in the server's launch template does not exist in this account and Region.",
        remedy="Name an existing key pair in the launch template's default version, or none.",
        retry_is_safe=False,
        examples=(
            "An error occurred (InvalidKeyPair.NotFound) when calling the RunInstances operation: The key "
            "pair 'prod-key' does not exist",
        ),
    ),
    ErrorKind(
        id="tag_policy",
        phrase="a tag policy forbids a tag",
        codes=("TagPolicy", "TagPolicyException", "TagPolicyViolation"),
        words=r"\btag policy\b",
        cause="A tag policy of the AWS organisation does not allow a tag that the launch would set; the "
        "error "
        "names its key. DRS copies the tags of the source server and of the launch template.",
        remedy="Correct that tag on the source server in DRS and in its launch template, or ask the owner of "
        "the organisation's tag policies to allow the value.",
        retry_is_safe=False,
        examples=(
            "An error occurred (TagPolicyViolation) when calling the RunInstances operation: The tag policy "
            "does not allow the specified value for the following tag key: 'CostCenter'.",
        ),
    ),
    ErrorKind(
        id="tag_invalid",
        phrase="a tag is not valid",
        codes=("InvalidTag", "InvalidTagKey.Malformed"),
        words=r"tag keys? (may|must|can)\s?not|tag keys? starting with",
        cause="The launch would set a tag that AWS does not accept, such as a key that begins with aws:.",
        remedy="Correct the tag that the error names, on the source server in DRS and in its launch "
        "template.",
        retry_is_safe=False,
        examples=("InvalidTagKey.Malformed: Tag keys starting with 'aws:' are reserved for internal use",),
    ),
    ErrorKind(
        id="launch_template_missing",
        phrase="the EC2 launch template does not exist",
        codes=(
            "InvalidLaunchTemplateId.Malformed",
            "InvalidLaunchTemplateId.NotFound",
            "InvalidLaunchTemplateId.VersionNotFound",
            "InvalidLaunchTemplateName.MalformedException",
            "InvalidLaunchTemplateName.NotFoundException",
        ),
        words=r"launch template.{0,60}(does not exist|not found)",
        cause="The EC2 launch template that DRS keeps for the server, or its default version, does not "
        "exist.",
        remedy="Open the server's launch settings in the DRS console and save them, which creates the "
        "template again. Then set subnet and security groups in it.",
        retry_is_safe=False,
        examples=(
            "An error occurred (InvalidLaunchTemplateId.NotFound) when calling the RunInstances "
            "operation: The specified launch template, with template ID lt-0a1b2c3d, does not exist.",
        ),
    ),
    ErrorKind(
        id="licence",
        phrase="licence or tenancy does not fit",
        codes=(
            "IncompatibleHostRequirements",
            "InvalidAffinity",
            "InvalidAutoPlacement",
            "InvalidHostConfiguration",
            "InvalidHostID.Malformed",
            "InvalidHostID.NotFound",
            "InvalidHostId",
            "InvalidHostState",
            "InvalidTenancy",
            "UnavailableHostRequirements",
            "UnsupportedHostConfiguration",
            "UnsupportedInstanceTypeOnHost",
            "UnsupportedTenancy",
        ),
        words=r"\bBYOL\b|bring your own licen[sc]e|licen[sc](e|ing) (is|configuration|type)|dedicated host"
        r"|\btenancy\b",
        cause="The licensing or tenancy in the launch settings does not fit. Bring-your-own-licence needs a "
        "dedicated host, or an operating system that EC2 allows with it, and neither is there.",
        remedy="Switch off BYOL in the server's launch settings (operating system licensing), or name a "
        "dedicated host with free capacity, in the subnet's zone, in its launch template.",
        retry_is_safe=False,
        examples=(
            "Unsupported: BYOL is not supported for this operating system on shared hardware",
            "InvalidHostID.NotFound: The dedicated host h-0a1b2c3d does not exist",
        ),
    ),
    ErrorKind(
        id="marketplace",
        phrase="an AWS Marketplace subscription is missing",
        codes=("InvalidProductInfo",),
        words=r"accept (the )?terms and subscribe|\bmarketplace\b",
        cause="The disks have the product code of an AWS Marketplace image to which this account has no "
        "subscription.",
        remedy="Accept the product's terms in AWS Marketplace with this account (the error contains the "
        "address).",
        retry_is_safe=False,
        examples=(
            "OptInRequired: In order to use this AWS Marketplace product you need to accept terms and "
            "subscribe.",
        ),
    ),
    ErrorKind(
        id="boot_mode",
        phrase="the instance type cannot boot this system",
        words=r"\bboot ?mode\b|\bUEFI\b|\blegacy.?bios\b|\bTPM\b",
        matches="AWS's words",
        cause="The instance type does not support the boot mode of the system (UEFI or legacy BIOS).",
        remedy="Choose an instance type that supports the system's boot mode (aws ec2 "
        "describe-instance-types shows SupportedBootModes), or set the boot mode in the server's launch "
        "settings.",
        retry_is_safe=False,
        examples=(
            "An error occurred (InvalidParameterValue): The instance type 'm4.large' does not support "
            "the boot mode 'uefi'",
        ),
    ),
    ErrorKind(
        id="instance_type",
        phrase="the instance type is not supported here",
        codes=("EncryptedVolumesNotSupported", "InvalidInstanceFamily", "InvalidInstanceType"),
        words=r"instance type.{0,80}(not (currently )?(supported|available|support|exist)|invalid)"
        r"|\bENA\b|architecture|(invalid|unsupported) (value .{0,20}for )?instance ?type",
        cause="The instance type does not exist in this zone, or does not fit the system (architecture, "
        "drivers, number of disks).",
        remedy="Choose another instance type in the launch template, or switch on right-sizing. Make sure "
        "that the subnet is in a zone that offers the type (aws ec2 describe-instance-type-offerings "
        "--location-type availability-zone).",
        retry_is_safe=False,
        examples=(
            "An error occurred (Unsupported) when calling the RunInstances operation: Your requested "
            "instance type (m7i.large) is not supported in your requested Availability Zone (us-east-1e).",
            "InvalidParameterValue: Enhanced networking with ENA is required for the instance type",
        ),
    ),
    ErrorKind(
        id="placement",
        phrase="the placement group or Capacity Reservation does not exist",
        codes=(
            "InvalidCapacityReservationId.Malformed",
            "InvalidCapacityReservationId.NotFound",
            "InvalidCapacityReservationState.PendingActivation",
            "InvalidLaunchTargets",
            "InvalidPlacementGroup.Unknown",
            "InvalidPlacementGroupId.Malformed",
        ),
        words=r"placement group.{0,40}(is unknown|does not exist)|capacity reservation.{0,60}(does not exist"
        r"|not found)",
        cause="The placement group or the Capacity Reservation in the launch template does not exist, or is "
        "not active.",
        remedy="Correct the placement in the launch template's default version.",
        retry_is_safe=False,
        examples=("InvalidPlacementGroup.Unknown: The Placement Group 'x' is unknown.",),
    ),
    ErrorKind(
        id="interfaces_and_groups",
        phrase="the launch template contradicts itself",
        codes=("InvalidParameterCombination", "InvalidParameterDependency"),
        words=r"may not be specified (on|in) the same request|network interfaces and an? (instance|subnet)",
        cause="The server's launch template has settings that exclude each other, such as a network "
        "interface "
        "together with a subnet or security groups outside of it.",
        remedy="Correct the default version of the server's launch template: put subnet, security groups and "
        "addresses either all into its network interface or all outside of it, and remove what the error "
        "names.",
        retry_is_safe=False,
        examples=(
            "An error occurred (InvalidParameterCombination) when calling the RunInstances operation: "
            "Network "
            "interfaces and an instance-level security groups may not be specified on the same request",
        ),
    ),
    ErrorKind(
        id="termination_protection",
        phrase="an earlier instance is protected against termination",
        words=r"may not be terminated|disableApiTermination|termination protection|may not be stopped"
        r"|disableApiStop",
        matches="AWS's words",
        cause="DRS must terminate the server's earlier recovery instance before it launches a new one, but "
        "EC2 protects that instance against termination.",
        remedy="Ask whether somebody needs that instance. If not, switch off its termination protection (aws "
        "ec2 modify-instance-attribute --no-disable-api-termination) and launch again.",
        retry_is_safe=False,
        examples=(
            "An error occurred (OperationNotPermitted) when calling the TerminateInstances operation: "
            "The instance 'i-0a1b2c3d4e5f60718' may not be terminated. Modify its "
            "'disableApiTermination' instance attribute and try again.",
        ),
    ),
    ErrorKind(
        id="instance_state",
        phrase="the instance is not in the right state",
        codes=("IncorrectInstanceState", "InvalidInstanceState"),
        vague_codes=("IncorrectState", "IncorrectStateException", "InvalidState"),
        words=r"not in a (valid )?state|incorrect (instance )?state|is not in the .{0,30}state",
        cause="The instance or its disk was not in a state in which EC2 could do this, such as still "
        "starting "
        "or stopping. States pass.",
        remedy="Launch again. If it happens again, look at the state of the instance and of its volumes in "
        "the "
        "EC2 console.",
        retry_is_safe=True,
        examples=(
            "UnsupportedOperation: The instance 'i-0a1b2c3d4e5f60718' is not in a state from which it can be "
            "started.",
        ),
    ),
    ErrorKind(
        id="instance_gone",
        phrase="the instance does not exist any more",
        codes=(
            "Client.InstanceInitiatedShutdown",
            "Client.InstanceTerminated",
            "Client.UserInitiatedShutdown",
            "InvalidInstanceID.Malformed",
            "InvalidInstanceID.NotFound",
            "Server.ScheduledStop",
            "Server.SpotInstanceShutdown",
            "Server.SpotInstanceTermination",
        ),
        cause="EC2 no longer runs an instance that the job needs (the conversion server or the recovery "
        "instance): somebody or something ended it while the job was running.",
        remedy="Find out in CloudTrail who ended it (TerminateInstances, StopInstances): automation that "
        "ends "
        "untagged or unknown instances must leave those of DRS alone. Then launch again.",
        retry_is_safe=False,
        examples=("InvalidInstanceID.NotFound: The instance ID 'i-0a1b2c3d4e5f60718' does not exist",),
    ),
    ErrorKind(
        id="user_data",
        phrase="the launch template's user data is too large",
        words=r"user data is limited",
        matches="AWS's words",
        cause="EC2 accepts at most 16 KB of user data.",
        remedy="Shorten the user data in the launch template's default version.",
        retry_is_safe=False,
        examples=("InvalidParameterValue: User data is limited to 16384 bytes",),
    ),
)
