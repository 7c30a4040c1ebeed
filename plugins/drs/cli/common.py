"""What all commands share: exit codes, and where plans are."""

from __future__ import annotations

from pathlib import Path

PLANS_FOLDER = Path("include/plans")

OK, BROKEN, USAGE = 0, 1, 2
"""Good; what was asked about is not good; wrong usage, or what was named does not exist."""
