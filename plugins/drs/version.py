"""The version of this package; stated here because a copy in a plugins folder has no package metadata."""

VERSION = "0.1.0"
