"""The version of this package; it may lie in a plugins folder, where no installer knows it."""

VERSION = "0.1.0"
