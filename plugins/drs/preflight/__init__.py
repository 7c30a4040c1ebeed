"""Checks before anything is launched: what is read, what is found, how it is told."""
