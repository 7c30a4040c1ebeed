"""The checks of launched servers."""
