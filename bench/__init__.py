"""Measurements of this project; `docs/performance.md` holds the tables and the commands."""
