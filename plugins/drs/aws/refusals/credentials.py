"""Credentials, accounts and Regions that AWS does not accept."""

from __future__ import annotations

from drs.aws.refusals.kind import ErrorKind

_OR_REGION = (
    "It also says so where the Region is the cause: the account has not enabled an opt-in Region (the "
    "account page of the console, AWS Regions), the Region belongs to another partition (aws-us-gov, "
    "aws-cn), "
    "or the session's token comes from the global endpoint of STS, which opt-in Regions do not accept"
)

CREDENTIALS: tuple[ErrorKind, ...] = (
    ErrorKind(
        id="clock_differs",
        family="credentials",
        phrase="the request's time is too far from AWS's",
        codes=("RequestExpired", "RequestTimeTooSkewed", "InvalidSecurity.RequestHasExpired"),
        words=r"signature (has )?expired|signature not yet current|difference between the request time"
        r"|request has expired",
        cause="AWS refused the request because of its time: the caller's clock is wrong by more than five "
        "minutes, or the temporary credentials have expired.",
        remedy="Synchronise the clock of the machine that made the call (chrony or NTP). If the clock is "
        "right, "
        "renew the credentials of the plan's connection (log in again).",
        retry_is_safe=False,
        examples=(
            "An error occurred (RequestExpired) when calling the DescribeJobs operation: Request has "
            "expired.",
            "SignatureDoesNotMatch: Signature expired: 20260301T060000Z is now earlier than 20260301T061500Z",
        ),
    ),
    ErrorKind(
        id="credentials_expired",
        family="credentials",
        phrase="the credentials have expired",
        codes=(
            "ExpiredToken",
            "ExpiredTokenException",
            "SSOTokenLoadError",
            "TokenRefreshRequired",
            "TokenRetrievalError",
            "UnauthorizedSSOTokenError",
        ),
        words=r"(security )?token .{0,40}(is|has) expired|session .{0,40}(has )?expired",
        cause="The session of the credentials has expired, so AWS no longer accepts its token. DRS makes its "
        "own calls with the credentials of the caller, so a long job can outlive a short session.",
        remedy="Renew the credentials of the plan's connection: log in again, or let the role's sessions "
        "last "
        "longer (MaxSessionDuration of the role, DurationSeconds in assume_role_kwargs).",
        retry_is_safe=False,
        examples=("ExpiredTokenException: The security token included in the request is expired",),
    ),
    ErrorKind(
        id="credentials_missing",
        family="credentials",
        phrase="there are no credentials",
        codes=(
            "CredentialRetrievalError",
            "MissingAuthenticationToken",
            "MissingAuthenticationTokenException",
            "NoAuthTokenError",
            "NoCredentialsError",
            "PartialCredentialsError",
        ),
        words=r"unable to locate credentials|partial credentials found",
        cause="The credentials are missing: nothing gives this machine any for AWS, or only a part of them.",
        remedy="Check what the connection leads to: its access key, the profile, or the role of the machine "
        "or pod that makes the call.",
        retry_is_safe=False,
        examples=("NoCredentialsError: Unable to locate credentials",),
    ),
    ErrorKind(
        id="credentials_not_accepted",
        family="credentials",
        phrase="AWS does not accept the credentials",
        codes=(
            "IDPRejectedClaim",
            "InvalidAccessKeyId",
            "InvalidClientTokenId",
            "InvalidIdentityToken",
            "InvalidToken",
            "UnrecognizedClientException",
        ),
        vague_codes=("AuthFailure",),
        words=r"security token included in the request is invalid|not able to validate the provided access",
        cause="AWS does not know the credentials. The access key was deleted or disabled, or it is of "
        "another "
        f"partition. {_OR_REGION}.",
        remedy="Compare the access key or role of the connection with IAM, and the Region (target.region) "
        "with "
        "the Regions that the account has enabled. For an opt-in Region, enable it in the account, and let "
        "STS be asked in the Region (AWS_STS_REGIONAL_ENDPOINTS=regional).",
        retry_is_safe=False,
        examples=(
            "UnrecognizedClientException: The security token included in the request is invalid.",
            "An error occurred (AuthFailure) when calling the DescribeInstances operation: AWS was not able "
            "to validate the provided access credentials",
            "An error occurred (InvalidClientTokenId) when calling the GetCallerIdentity operation: no",
        ),
    ),
    ErrorKind(
        id="signature",
        family="credentials",
        phrase="AWS does not accept the request's signature",
        codes=("IncompleteSignature", "IncompleteSignatureException", "InvalidSecurity"),
        vague_codes=("InvalidSignatureException", "SignatureDoesNotMatch"),
        cause="The request's signature does not match: the secret key is wrong or was cut off, the clock is "
        "wrong, or a proxy changes requests.",
        remedy="Enter the secret key of the connection again, check the machine's clock, and check whether a "
        "proxy lies between the workers and AWS.",
        retry_is_safe=False,
        examples=("SignatureDoesNotMatch: The request signature we calculated does not match",),
    ),
    ErrorKind(
        id="account_blocked",
        family="account",
        phrase="AWS has blocked or not yet verified the account",
        codes=("AccountDisabled", "AccountProblem", "Blocked", "PendingVerification"),
        words=r"accessing resources in this region is being validated"
        r"|account is (currently |still )?(blocked|suspended|disabled|pending verification)"
        r"|pending verification",
        cause="AWS does not let the account use the service: the account is blocked, suspended, disabled, or "
        "still being verified.",
        remedy="Open a case with AWS Support from that account: only AWS can unblock it.",
        retry_is_safe=False,
        examples=(
            "Blocked: This account is currently blocked and not recognized as a valid account.",
            "An error occurred (PendingVerification) when calling the RunInstances operation: Your request "
            "for accessing resources in this region is being validated",
        ),
    ),
    ErrorKind(
        id="region_not_enabled",
        family="account",
        phrase="the service or the Region is not enabled for the account",
        codes=("KMSOptInRequired", "NotSignedUp", "RegionDisabledException", "SubscriptionRequiredException"),
        vague_codes=("OptInRequired",),
        words=r"not subscribed to this service|STS is not activated in this region",
        cause="The account may not use the service in this Region: the Region is an opt-in Region that the "
        "account has not enabled, or the account is new and not fully activated yet.",
        remedy="On the account page of the console (AWS Regions), enable the plan's Region for this account, "
        "and check that the account is active (payment method, sign-up complete).",
        retry_is_safe=False,
        examples=(
            "OptInRequired: You are not subscribed to this service. Please go to http://aws.amazon.com to "
            "subscribe.",
        ),
    ),
    ErrorKind(
        id="no_such_endpoint",
        family="passing",
        phrase="the service's address cannot be reached",
        codes=("EndpointConnectionError",),
        words=r"could not connect to the endpoint URL",
        cause="No connection to the service's address came about: the network, its name servers or a VPC "
        "endpoint are at fault, or the address does not exist because the Region is misspelt or does not "
        "offer the service.",
        remedy="Compare the Region in the address with target.region and with the Regions in which AWS "
        "offers the service (DRS is not in all of them; an opt-in Region must be enabled). Then check the "
        "network path: name servers, proxy, VPC endpoint, security groups (TCP 443).",
        retry_is_safe=True,
        examples=(
            'EndpointConnectionError: Could not connect to the endpoint URL: "https://drs.us-est-1.aws.com/"',
        ),
    ),
    ErrorKind(
        id="region_unknown",
        phrase="the Region is wrong",
        codes=(
            "AuthorizationHeaderMalformed",
            "IllegalLocationConstraintException",
            "InvalidRegion",
            "InvalidRegionError",
            "NoRegionError",
            "PermanentRedirect",
            "UnknownEndpointError",
        ),
        words=r"must specify a region|provided region_name .{0,40} doesn't match",
        cause="The Region is missing, is none of AWS's, or is not the one in which the bucket lies.",
        remedy="Correct target.region in the plan, or the Region of the connection that is used for the "
        "bucket.",
        retry_is_safe=False,
        examples=("NoRegionError: You must specify a region.",),
    ),
)
