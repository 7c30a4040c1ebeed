"""Which service an operation belongs to: the operations that this package and DRS call."""

from __future__ import annotations

_OPERATIONS = {
    "cloudwatch": "PutMetricData",
    "drs": "CreateRecoveryInstanceForDrs DescribeJobLogItems DescribeJobs DescribeRecoveryInstances "
    "DescribeRecoverySnapshots DescribeSourceServers GetLaunchConfiguration "
    "GetReplicationConfiguration InitializeService ListLaunchActions ListRecoveryPlanExecutionSteps "
    "ListRecoveryPlanExecutions StartRecovery TerminateRecoveryInstances UpdateLaunchConfiguration",
    "ec2": "AllocateAddress AssociateAddress AssociateIamInstanceProfile AttachNetworkInterface AttachVolume "
    "AuthorizeSecurityGroupEgress AuthorizeSecurityGroupIngress CopySnapshot CreateLaunchTemplate "
    "CreateLaunchTemplateVersion CreateNetworkInterface CreateSecurityGroup CreateSnapshot CreateSnapshots "
    "CreateVolume DeleteLaunchTemplateVersions DeleteNetworkInterface DeleteSecurityGroup DeleteSnapshot "
    "DeleteVolume DescribeAccountAttributes DescribeAddresses DescribeAvailabilityZones DescribeHosts "
    "DescribeImages DescribeInstanceAttribute DescribeInstanceStatus DescribeInstanceTypeOfferings "
    "DescribeInstanceTypes DescribeInstances DescribeKeyPairs DescribeLaunchTemplateVersions "
    "DescribeLaunchTemplates DescribeNetworkInterfaces DescribePlacementGroups DescribeRegions "
    "DescribeSecurityGroups DescribeSnapshots DescribeSubnets DescribeVolumes DescribeVpcs DetachVolume "
    "GetEbsDefaultKmsKeyId GetEbsEncryptionByDefault ModifyInstanceAttribute ModifyLaunchTemplate "
    "ModifyNetworkInterfaceAttribute ModifyVolume RevokeSecurityGroupEgress RunInstances StartInstances "
    "StopInstances TerminateInstances",
    "elasticloadbalancing": "DescribeTargetHealth",
    "iam": "GetInstanceProfile GetRole PassRole SimulatePrincipalPolicy",
    "kms": "CreateGrant Decrypt DescribeKey Encrypt GenerateDataKey GenerateDataKeyWithoutPlaintext "
    "GetPublicKey Sign Verify",
    "s3": "GetObject PutObject",
    "sns": "Publish",
    "ssm": "DescribeInstanceInformation GetCommandInvocation ListCommandInvocations ListCommands SendCommand",
    "sts": "AssumeRole AssumeRoleWithSAML AssumeRoleWithWebIdentity DecodeAuthorizationMessage "
    "GetCallerIdentity GetSessionToken",
}
"""Operations by the prefix that IAM's actions have. An operation that several of these services have, such as
TagResource, is missing: its error does not say which of them denied it."""

SERVICES = {operation: service for service, names in _OPERATIONS.items() for operation in names.split()}
