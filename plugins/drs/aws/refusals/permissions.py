"""Calls that were denied. Only a denial by the role's own policy is corrected in the role."""

from __future__ import annotations

from drs.aws.refusals.denial import Denier
from drs.aws.refusals.kind import ErrorKind

_USER = "User: arn:aws:sts::111122223333:assumed-role/drs/airflow is not authorized to perform: "


PERMISSIONS: tuple[ErrorKind, ...] = (
    ErrorKind(
        id="service_control_policy",
        family="denied",
        phrase="a service control policy {denies} {action}",
        matches="AWS names a service control policy",
        denies=lambda denial: denial.denier is Denier.SERVICE_CONTROL,
        cause="A service control policy (SCP) of the AWS organisation {denies} {action}{policy}. Nothing in "
        "the role's own policies can change that.",
        remedy="Ask the owner of the organisation's service control policies to let this account call "
        "{action}. DRS makes its own calls with the permissions of the caller (aws:ViaAWSService is true in "
        "them), which such policies often forget.",
        retry_is_safe=False,
        examples=(
            _USER + "ec2:RunInstances on resource: arn:aws:ec2:us-east-1::image/ami-0a1b2c3d because no "
            "service control policy allows the ec2:RunInstances action",
            "An error occurred (UnauthorizedOperation) when calling the RunInstances operation: You are not "
            "authorized to perform: ec2:RunInstances with an explicit deny in a service control policy",
            _USER + "SNS:Publish on resource: arn:aws:sns:us-east-1:444455556666:drills with an explicit "
            "deny in a VPC endpoint policy transitively through a service control policy",
        ),
    ),
    ErrorKind(
        id="resource_control_policy",
        family="denied",
        phrase="a resource control policy {denies} {action}",
        matches="AWS names a resource control policy",
        denies=lambda denial: denial.denier is Denier.RESOURCE_CONTROL,
        cause="A resource control policy (RCP) of the organisation that owns the resource {denies} "
        "{action}{policy}. Nothing in the role's own policies can change that.",
        remedy="Ask the owner of that organisation's resource control policies to let this role, and the "
        "calls that DRS makes for it, use {action} on the resource that the error names.",
        retry_is_safe=False,
        examples=(
            _USER + "kms:Decrypt on resource: arn:aws:kms:us-east-1:444455556666:key/0f1e2d3c because no "
            "resource control policy allows the kms:Decrypt action",
        ),
    ),
    ErrorKind(
        id="permissions_boundary",
        family="denied",
        phrase="the role's permissions boundary {denies} {action}",
        matches="AWS names a permissions boundary",
        denies=lambda denial: denial.denier is Denier.BOUNDARY,
        cause="The permissions boundary of the role {denies} {action}{policy}. A boundary is the upper limit "
        "of what a role may do: the role's policies can allow no more than it does.",
        remedy="Ask the owner of the permissions boundary to let it allow {action}. `aws iam get-role` shows "
        "which policy is the role's boundary.",
        retry_is_safe=False,
        examples=(
            _USER + "drs:StartRecovery on resource: "
            "arn:aws:drs:us-east-1:111122223333:source-server/s-0123456789abcdef0 because no permissions "
            "boundary allows the drs:StartRecovery action",
        ),
    ),
    ErrorKind(
        id="session_policy",
        family="denied",
        phrase="the session policy {denies} {action}",
        matches="AWS names a session policy",
        denies=lambda denial: denial.denier is Denier.SESSION,
        cause="The session policy {denies} {action}{policy}. Such a policy is passed when the role is "
        "assumed, "
        "and a session can do no more than it allows.",
        remedy="Find where the role is assumed with a policy: Policy or PolicyArns in assume_role_kwargs of "
        "the Airflow connection, or the broker that gives out the credentials. Let that policy allow "
        "{action}, or assume the role without it.",
        retry_is_safe=False,
        examples=(
            _USER + "ec2:RunInstances because no session policy allows the ec2:RunInstances action",
            _USER + "codedeploy:ListDeployments with an explicit deny in a sessions policy",
        ),
    ),
    ErrorKind(
        id="vpc_endpoint_policy",
        family="denied",
        phrase="the policy of a VPC endpoint {denies} {action}",
        matches="AWS names a VPC endpoint policy",
        denies=lambda denial: denial.denier is Denier.ENDPOINT,
        cause="The call went through a VPC endpoint, and the VPC endpoint policy {denies} {action}{policy}.",
        remedy="Let the policy of that VPC endpoint allow {action} for this role (VPC console, Endpoints, "
        "Policy). It is the endpoint in the network of the caller: the Airflow workers', or, inside a DRS "
        "job, the staging area's.",
        retry_is_safe=False,
        examples=(_USER + "ec2:DescribeInstances because no VPC endpoint policy allows the action",),
    ),
    ErrorKind(
        id="assume_role",
        family="denied",
        phrase="the role may not be assumed",
        matches="AWS names a role trust policy, or denies sts:AssumeRole",
        denies=lambda denial: (
            denial.denier is Denier.TRUST
            or ((denial.action or "").startswith("sts:AssumeRole") and not denial.explicit)
        ),
        cause="The caller may not assume the role{policy}: the role's trust policy does not let it, or the "
        "caller's "
        "own policy does not allow {action}.",
        remedy="Compare role_arn and assume_role_kwargs (ExternalId) of the connection with the role and its "
        "trust policy, and check that the caller's policy allows {action} on that role.",
        retry_is_safe=False,
        examples=(
            _USER + "sts:AssumeRole because no role trust policy allows the sts:AssumeRole action",
            "An error occurred (AccessDenied) when calling the AssumeRole operation: "
            + _USER
            + "sts:AssumeRole on resource: arn:aws:iam::111122223333:role/drs",
        ),
    ),
    ErrorKind(
        id="public_access_blocked",
        phrase="a Block Public Access setting forbids it",
        matches="AWS names a Block Public Access setting",
        denies=lambda denial: denial.denier is Denier.PUBLIC_ACCESS,
        words=r"block ?public",
        cause="A Block Public Access setting of the account or of the VPC forbids what the launch asks for, "
        "such as a public address or a route to an internet gateway.",
        remedy="In the server's EC2 launch template, choose a subnet without public access and no public "
        "address; or ask the owner of the setting (VPC console, Settings, Block Public Access) for an "
        "exclusion of that subnet.",
        retry_is_safe=False,
        examples=(
            "An error occurred (OperationNotPermitted) when calling the RunInstances operation: VPC Block "
            "Public Access is on",
        ),
    ),
    ErrorKind(
        id="resource_policy",
        family="denied",
        phrase="the policy of the resource itself {denies} {action}",
        matches="AWS names a resource-based policy",
        denies=lambda denial: denial.denier is Denier.RESOURCE,
        cause="The resource-based policy of what the call uses (a KMS key's key policy, a bucket's or a "
        "topic's policy) {denies} {action}{policy}. The role's own policy cannot make up for that.",
        remedy="Let the policy of that resource allow {action} for the role and for this account. For a KMS "
        "key of the disks in another account, its key policy must allow kms:CreateGrant, kms:Decrypt, "
        "kms:DescribeKey, kms:GenerateDataKeyWithoutPlaintext and kms:ReEncrypt*. AWS says the same of a key "
        "that does not exist in the Region: compare the Region, too.",
        retry_is_safe=False,
        examples=(
            _USER + "kms:CreateGrant on resource: arn:aws:kms:us-east-1:444455556666:key/0f1e2d3c because no "
            "resource-based policy allows the kms:CreateGrant action",
            _USER + "kms:Decrypt on this resource because the resource does not exist in this Region, no "
            "resource-based policies allow access, or a resource-based policy explicitly denies access",
        ),
    ),
    ErrorKind(
        id="explicit_deny",
        family="denied",
        phrase="an explicit deny forbids {action}",
        matches="AWS names an explicit deny in an identity-based policy, or in no policy that it names",
        denies=lambda denial: denial.explicit,
        cause="A Deny statement forbids {action}{policy}. No Allow overrides it. If AWS names no policy, it "
        "may be one of the role, its permissions boundary, or a policy of the organisation.",
        remedy="Find the Deny: begin with the policies attached to the role. Remove it, or exempt from it "
        "the role of the plan's connection and what DRS does on its behalf (aws:ViaAWSService).",
        retry_is_safe=False,
        examples=(
            _USER + "codedeploy:ListDeployments on resource: "
            "arn:aws:codedeploy:us-east-1:111122223333:deploymentgroup:* with an explicit deny in an "
            "identity-based policy",
            "You are not authorized to perform: ec2:RunInstances with an explicit deny",
        ),
    ),
    ErrorKind(
        id="pass_role",
        family="denied",
        phrase="iam:PassRole is missing",
        matches="the action is iam:PassRole",
        denies=lambda denial: denial.action == "iam:PassRole",
        cause="The role that started the job may not pass DRS's roles to the instances that DRS launches.",
        remedy="Allow iam:PassRole on the roles under service-role/ that DRS uses: "
        "AWSElasticDisasterRecoveryConversionServerRole, AWSElasticDisasterRecoveryRecoveryInstanceRole and "
        "AWSElasticDisasterRecoveryRecoveryInstanceWithLaunchActionsRole (include/iam holds the statement). "
        "An instance profile of your own in the launch template needs it too.",
        retry_is_safe=False,
        examples=(
            _USER + "iam:PassRole on resource: "
            "arn:aws:iam::111122223333:role/service-role/AWSElasticDisasterRecoveryRecoveryInstanceRole",
        ),
    ),
    ErrorKind(
        id="kms_permission",
        family="denied",
        phrase="{action} on the disks' KMS key is missing",
        matches="the action is one of KMS",
        denies=lambda denial: (denial.action or "").startswith("kms:"),
        cause="The role may not use a KMS key: {action} is denied. Inside a DRS job that is the key of the "
        "disks.",
        remedy="Allow the role to use the key, in the role's policy and in the key's policy: "
        "kms:CreateGrant, kms:Decrypt, kms:DescribeKey, kms:GenerateDataKeyWithoutPlaintext, "
        "kms:ReEncrypt*. Begin with: {statement}. If the key belongs to another account, its policy must "
        "name this account, too.",
        retry_is_safe=False,
        examples=(
            _USER + "kms:CreateGrant on resource: arn:aws:kms:us-east-1:111122223333:key/0f1e2d3c because no "
            "identity-based policy allows the kms:CreateGrant action",
        ),
    ),
    ErrorKind(
        id="permission_encoded",
        family="denied",
        phrase="a permission is missing (AWS gives its name in an encoded message)",
        matches="AWS gives the reason only in an encoded authorization failure message",
        denies=lambda denial: denial.encoded,
        cause="AWS denied the call{operation}. Which action was denied, and by which policy, is only in the "
        "encoded message: the call needs more actions than its own, such as iam:PassRole or ec2:CreateTags.",
        remedy="Decode the message: `aws sts decode-authorization-message --encoded-message ...` (it needs "
        "sts:DecodeAuthorizationMessage). It names the action. If its explicitDeny is false, allow that "
        "action in the role's policy; if it is true, find the Deny, which may be in a policy of the "
        "organisation.",
        retry_is_safe=False,
        examples=(
            "UnauthorizedOperation: You are not authorized to perform this operation. Encoded "
            "authorization failure message: 4GIOHlTkIaWHQD0Q0m6XSnuUMCm",
            "An error occurred (UnauthorizedOperation) when calling the RunInstances operation: You are not "
            "authorized to perform this operation. Encoded authorization failure message: 4GIOHlTkIaWHQD0Q0m",
        ),
    ),
    ErrorKind(
        id="permission",
        family="denied",
        phrase="{action} is missing",
        matches="AWS names an identity-based policy, or no policy",
        denies=lambda denial: denial.action is not None,
        cause="The role may not use {action}: its policies do not allow it. DRS launches with the "
        "permissions "
        "of the role that started the job, so what is missing for DRS shows only inside the job.",
        remedy="Add this statement to the policy of the role that the plan's connection uses: "
        "{statement}{otherwise}",
        retry_is_safe=False,
        examples=(
            "You are not authorized to perform: ec2:RunInstances",
            "An error occurred (UnauthorizedOperation) when calling the CreateVolume operation: You are not "
            "authorized to perform this operation.",
            _USER + "drs:CreateRecoveryInstanceForDrs on resource: *",
            _USER + "drs:StartRecovery because no identity-based policy allows the drs:StartRecovery action",
        ),
    ),
    ErrorKind(
        id="permission_not_named",
        family="denied",
        phrase="a permission is missing (AWS does not name it)",
        matches="AWS names neither the action nor a policy",
        denies=lambda _: True,
        cause="AWS denied an action that the error does not name{operation}.",
        remedy="Look for the refused call in CloudTrail (error code AccessDenied or UnauthorizedOperation), "
        "which names the action, or run `python -m drs doctor PLAN`, which rehearses the permissions. Then "
        "allow the action in the policy of the role that the plan's connection uses.",
        retry_is_safe=False,
        examples=(
            "UnauthorizedOperation",
            "An error occurred (AccessDenied) when calling the TagResource operation: Access Denied",
        ),
    ),
)
