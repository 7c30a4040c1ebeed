"""A session of the connection's role that is so short that the role is assumed again at almost every call."""

from __future__ import annotations

from drs.errors import Code
from drs.preflight.findings import Finding

RENEWED_EARLY = 900
"""Seconds before the end of a session at which botocore asks for a new one
(``RefreshableCredentials._advisory_refresh_timeout``).
"""
USED_AT_LEAST = 60
"""Seconds for which a session should be used before that."""
ADVISED = 3600
"""AWS's default for ``DurationSeconds``, which every role allows."""


def short_role_session(connection: str, seconds: int | None) -> list[Finding]:
    """A warning if sessions of the role are used for less than a minute.

    :param connection: the name of the connection
    :param seconds: the ``DurationSeconds`` that it asks for; ``None`` if it asks for none
    """
    if seconds is None or seconds >= RENEWED_EARLY + USED_AT_LEAST:
        return []
    seen = (
        f"The connection {connection} asks for sessions of {seconds} s of its role (DurationSeconds). "
        f"botocore asks for a new session {RENEWED_EARLY // 60} min before the old one ends. Therefore it "
        "assumes the role again at almost every call: each call takes longer, and STS may throttle."
    )
    remedy = (
        f'In the extra of the connection {connection}, write "DurationSeconds": {ADVISED} in '
        "assume_role_kwargs, or remove DurationSeconds: this is AWS's default."
    )
    return [Finding(Code.INVALID_FIELD, seen, remedy, severity="warning")]
