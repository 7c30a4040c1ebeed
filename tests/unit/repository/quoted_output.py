"""Compares what a page quotes with what a command printed: times and ids may differ, and nothing else."""

from __future__ import annotations

import re

_MASKS = (
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?( UTC)?", "TIME"),
    (r"manual__TIME(_[0-9a-f]{8})?|manual__[\w.:+-]+", "RUN"),
    (r"\bdrsjob-[0-9a-zA-Z]{17}\b", "JOB"),
    (r"\b(i|eni|vol|snap|pit|lt)-[0-9a-f]{17}\b", "ID"),
    (r"\b[0-9a-f]{64}\b", "HASH"),
    (r"http://[\w.]+:\d+[^\s,;)]*", "URL"),
    (r"\[ *\d+\.\d s\]", "[SECONDS]"),
    (r"\b\d+(\.\d+)? (s|min|h|d|USD)( \d+(\.\d+)? (s|min|h))?\b", "AMOUNT"),
    (r"\b\d:\d\d:\d\d\b", "AMOUNT"),
    (r"(?m)^[ \-─━═]*[\-─━═]{2,}[ \-─━═]*$", " "),  # the rule of a table, as wide as its cells
)
_LEFT_OUT = re.compile(r"(?:\\ )?(?:\\\.\\\.\\\.|…)(?:\\ )?")
"""What a page puts in place of text that it leaves out, after it was escaped."""


def masked(text: str) -> str:
    """A text on one line, with names in place of times, ids and amounts."""
    for pattern, name in _MASKS:
        text = re.sub(pattern, name, text)
    return " ".join(text.split())


def is_quoted_from(quoted: str, printed: str) -> bool:
    """Whether a page quotes what was printed. Dots replace what it leaves out; it may end early."""
    pattern = _LEFT_OUT.sub(".*?", re.escape(masked(quoted)))
    return re.search(pattern, masked(printed)) is not None
