"""The network in which an instance would be launched."""

from __future__ import annotations

from drs.aws.refusals.kind import ErrorKind

NETWORK: tuple[ErrorKind, ...] = (
    ErrorKind(
        id="subnet_not_found",
        phrase="the subnet does not exist",
        codes=(
            "DefaultSubnetDoesNotExistInAvailabilityZone",
            "DefaultVpcDoesNotExist",
            "InvalidSubnet",
            "InvalidSubnet.NotFound",
            "InvalidSubnetID.Malformed",
            "InvalidSubnetID.NotFound",
            "InvalidVpcID.NotFound",
            "SubnetNotFound",
            "VPCIdNotSpecified",
            "VPCResourceNotSpecified",
        ),
        words=r"subnet.{0,40}does not exist|no (default )?subnets?\b|no default VPC",
        cause="The subnet in the launch template's default version, or the subnet of the staging area, does "
        "not exist in this account and Region. Or no subnet is named, and there is no default subnet.",
        remedy="Name an existing subnet in the server's EC2 launch template (its default version is what "
        "DRS uses). If the error is about the conversion server, correct the staging area subnet in the "
        "replication settings.",
        retry_is_safe=False,
        examples=(
            "An error occurred (InvalidSubnetID.NotFound) when calling the RunInstances operation: The "
            "subnet ID 'subnet-0a1b2c3d4e5f60718' does not exist",
            "VPCIdNotSpecified: No default VPC for this user",
            "An error occurred (MissingInput) when calling the RunInstances operation: No subnets found for "
            "the default VPC 'vpc-0a1b2c3d'. Please specify a subnet.",
        ),
    ),
    ErrorKind(
        id="no_free_addresses",
        phrase="the subnet has no free address",
        codes=("InsufficientFreeAddressesInSubnet",),
        words=r"(not enough|insufficient|enough) free (private )?(IP )?addresses",
        cause="The subnet has no free private address left.",
        remedy="Free addresses in the subnet, or choose a larger subnet in the server's launch template. "
        "Instances that earlier drills left use addresses: `python -m drs cleanup PLAN` terminates them.",
        retry_is_safe=False,
        examples=(
            "An error occurred (InsufficientFreeAddressesInSubnet) when calling the RunInstances "
            "operation: There are not enough free addresses in subnet 'subnet-0a1b2c3d4e5f60718' to "
            "satisfy the requested number of instances.",
            "There are not enough free addresses in subnet 'subnet-0a1b2c3d4e5f60718' to satisfy the "
            "requested number of instances.",
        ),
    ),
    ErrorKind(
        id="address_in_use",
        phrase="the private address cannot be used",
        codes=("InvalidIPAddress.InUse", "PrivateIpAddressInUse", "Resource.AlreadyAssigned"),
        words=r"address \S+ is (already )?in use|address (is )?already (in use|assigned)"
        r"|address.{0,60}(not|outside).{0,40}subnet",
        cause="The private address that the server should get is in use, or is not in the subnet's range.",
        remedy="Switch off 'copy private IP' in the server's launch settings, or free the address: an "
        "earlier instance of the same server may still use it.",
        retry_is_safe=False,
        examples=(
            "InvalidIPAddress.InUse: Address 10.0.1.17 is in use.",
            "InvalidParameterValue: Address 10.9.1.17 does not fall within the subnet's address range",
        ),
    ),
    ErrorKind(
        id="elastic_ip_not_found",
        phrase="the Elastic IP address cannot be used",
        codes=(
            "Gateway.NotAttached",
            "InvalidAddress.NotFound",
            "InvalidAddressID.NotFound",
            "InvalidAllocationID.NotFound",
            "InvalidAssociationID.NotFound",
            "Resource.AlreadyAssociated",
        ),
        cause="The Elastic IP address in the launch settings does not exist in this Region, belongs to "
        "another "
        "instance, or its VPC has no internet gateway.",
        remedy="Correct or remove the Elastic IP address in the server's launch settings, or attach an "
        "internet gateway to the VPC of the subnet.",
        retry_is_safe=False,
        examples=("InvalidAllocationID.NotFound: The allocation ID 'eipalloc-0a1b2c3d' does not exist",),
    ),
    ErrorKind(
        id="network_interface",
        phrase="the network interface cannot be used",
        codes=(
            "InvalidNetworkInterface.InUse",
            "InvalidNetworkInterface.NotFound",
            "InvalidNetworkInterfaceID.NotFound",
            "InvalidNetworkInterfaceId.Malformed",
        ),
        words=r"interface.{0,60}(is )?(currently )?in use|network interface.{0,40}does not exist",
        cause="The network interface (eni) in the launch template is attached to another instance, or does "
        "not "
        "exist. A template that names an interface can launch one instance at a time.",
        remedy="Name a subnet and security groups in the default version of the server's launch template in "
        "place of the network interface; or free the interface, which an earlier instance of the same server "
        "may still have.",
        retry_is_safe=False,
        examples=(
            "An error occurred (InvalidNetworkInterface.InUse) when calling the RunInstances operation: "
            "interface: [eni-0a1b2c3d4e5f60718] in use",
        ),
    ),
    ErrorKind(
        id="security_group_other_vpc",
        phrase="security group and subnet belong to different VPCs",
        words=r"belong to different networks|different (VPC|network)s?\b",
        matches="AWS's words",
        cause="A security group in the launch template and the subnet belong to different VPCs.",
        remedy="Choose security groups of the subnet's VPC in the launch template's default version.",
        retry_is_safe=False,
        examples=(
            "An error occurred (InvalidParameter) when calling the RunInstances operation: Security "
            "group sg-0a1b2c3d4e5f60718 and subnet subnet-0a1b2c3d4e5f60718 belong to different networks.",
        ),
    ),
    ErrorKind(
        id="security_group_not_found",
        phrase="the security group does not exist",
        codes=(
            "InvalidGroup.NotFound",
            "InvalidGroupId.Malformed",
            "InvalidGroupId.NotFound",
            "InvalidSecurityGroup",
            "InvalidSecurityGroupID.NotFound",
            "InvalidSecurityGroupId.Malformed",
        ),
        words=r"security group.{0,60}does not exist",
        cause="A security group in the launch template does not exist in this account and Region.",
        remedy="Correct the security groups in the launch template's default version.",
        retry_is_safe=False,
        examples=(
            "An error occurred (InvalidGroup.NotFound) when calling the RunInstances operation: The "
            "security group 'sg-0a1b2c3d4e5f60718' does not exist in VPC 'vpc-0a1b2c3d'",
        ),
    ),
    ErrorKind(
        id="zone",
        phrase="the Availability Zone does not fit",
        codes=(
            "InvalidAvailabilityZone",
            "InvalidVolume.ZoneMismatch",
            "InvalidVolumeID.ZoneMismatch",
            "InvalidZone.NotFound",
            "VolumeTypeNotAvailableInZone",
            "ZonesMismatched",
        ),
        words=r"invalid availability zone|different availability zones?",
        cause="The Availability Zone does not exist for this account, does not offer the volume type, or the "
        "instance, its disks and its dedicated host lie in different zones.",
        remedy="Choose a subnet in another Availability Zone in the launch template's default version, and "
        "let "
        "placement (host, group, reservation) name the same zone.",
        retry_is_safe=False,
        examples=("InvalidZone.NotFound: The zone 'us-east-1q' does not exist",),
    ),
)
