"""The page of a record in a real browser: it fits A4 as it is printed, and nothing of it is cut off."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from drs.evidence.page import render_page
from drs.evidence.record import Evidence
from tests.unit.evidence.records import failed_record, large_record

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
TEXT_WIDTH = 680
"""An A4 page's, in CSS pixels: 180 mm between margins of 15 mm."""
MEASURE = """<script>
const wide = [...document.querySelectorAll("body *")].filter(
  (element) => element.scrollWidth > element.clientWidth + 1 && element.clientWidth > 0
    || element.getBoundingClientRect().right > document.documentElement.clientWidth + 1);
const root = document.documentElement;
const names = wide.map((element) => element.outerHTML.slice(0, 99));
document.title = `${root.scrollWidth} of ${root.clientWidth}, too wide: ${names}.`;
</script>"""

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium; .ci/install installs it on Debian")


def chromium(profile: Path, *arguments: str) -> str:
    assert CHROMIUM is not None
    command = (CHROMIUM, *FLAGS, f"--user-data-dir={profile}", *arguments)
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout


def test_a_large_record_is_printed_on_a4_and_nothing_is_wider_than_the_paper(tmp_path: Path) -> None:
    """90 servers; the page count says that neither the drawing nor a table runs off into empty pages."""
    page, printed = tmp_path / "page.html", tmp_path / "page.pdf"
    page.write_text(render_page(large_record()), encoding="utf-8")
    chromium(tmp_path / "profile", f"--print-to-pdf={printed}", "--no-pdf-header-footer", page.as_uri())
    pdf = printed.read_bytes()
    boxes = re.findall(rb"/MediaBox \[([^\]]+)\]", pdf)
    assert {tuple(round(float(side)) for side in box.split()) for box in boxes} == {(0, 0, 595, 842)}
    assert 15 <= len(re.findall(rb"/Type /Page\b", pdf)) <= 40


def test_nothing_of_a_failed_record_is_cut_off_at_the_width_of_the_paper(tmp_path: Path) -> None:
    """Long names and ids without a space in them included."""
    record = failed_record().model_dump_json().replace("application-02", "application-02-" + "x" * 150)
    text = render_page(Evidence.model_validate_json(record))
    # The page's own policy lets no script measure it; and on a screen it has margins of its own.
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)
    text = text.replace("@media screen", "@media none").replace("</body>", f"{MEASURE}</body>")
    page = tmp_path / "page.html"
    page.write_text(text, encoding="utf-8")
    size = f"--window-size={TEXT_WIDTH},1000"
    found = chromium(tmp_path / "profile", size, "--hide-scrollbars", "--dump-dom", page.as_uri())
    title = re.search(r"<title>(.*?)</title>", found, re.DOTALL)
    assert title is not None
    assert title.group(1) == f"{TEXT_WIDTH} of {TEXT_WIDTH}, too wide: ."
