"""The report in a real browser, where one is installed: it opens, it looks like something, and nothing runs in it."""

from __future__ import annotations

import os
import re
import struct
import subprocess
import time
import zlib

import pytest

from tests.evals.report.browser import BROWSER, QUIET
from thinkctl.evals.report.writing import write_report

OWNED = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"

pytestmark = pytest.mark.skipif(
    BROWSER is None, reason="no Chromium is installed (Debian: apt install chromium)"
)


def browse(tmp_path, path, *options, fragment=""):
    """Open a page in a browser of its own and return what it writes."""
    alone = ["--no-sandbox"] if os.geteuid() == 0 else []
    command = [BROWSER, *QUIET, *alone, f"--user-data-dir={tmp_path / 'profile'}", *options]
    done = subprocess.run(
        [*command, f"{path.as_uri()}{fragment}"], capture_output=True, timeout=120, check=True
    )
    return done.stdout.decode("utf-8", "replace")


def pixels(path):
    """Return the width, the height and the bytes of a PNG, unpacked."""
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", data[16:24])
    packed = b"".join(
        data[found.end() : found.end() + int.from_bytes(data[found.start() - 4 : found.start()], "big")]
        for found in re.finditer(b"IDAT", data)
    )
    return width, height, zlib.decompress(packed)


def test_a_question_opens_with_what_the_model_said_as_text(made, tmp_path):
    results = made.Results(tuple(made.usual(12)), tmp_path, text=f"said: {OWNED} end")
    page = write_report(results, tmp_path / "report.html")
    dom = browse(tmp_path, page, "--virtual-time-budget=3000", "--dump-dom", fragment="#q3")
    assert "<title>Small thinks longer</title>" in dom
    (opened,) = re.findall(r'<details class="q" id="q3"[^>]*open.*?</div></details>', dom, re.DOTALL)
    assert "said: &lt;/script&gt;&lt;script&gt;document.title='owned'" in opened
    assert "<img" not in opened
    assert "three of four agree" in opened
    assert "What is q3?" in opened
    assert "12 of 12" in dom  # the filter has counted: the page's own script ran


def test_the_page_looks_like_something_in_light_and_in_dark(made, results, tmp_path):
    page = write_report(results, tmp_path / "report.html")
    for name, options in (("light", []), ("dark", ["--blink-settings=preferredColorScheme=0"])):
        picture = tmp_path / f"{name}.png"
        browse(tmp_path, page, f"--screenshot={picture}", "--window-size=1100,1400", *options)
        width, height, data = pixels(picture)
        assert (width, height) == (1100, 1400)
        assert len(set(zip(data[1::997], data[2::997], data[3::997], strict=False))) > 20


def test_a_thousand_questions_of_64_samples_stay_small_and_open_at_once(made, tmp_path):
    points = tuple(made.usual(1000)[1:2])
    results = made.Results(
        points, tmp_path, made.Study(claims=()), samples=64, text="thinking about it " * 60
    )
    page = write_report(results, tmp_path / "report.html")
    assert page.stat().st_size < 5_000_000
    empty = tmp_path / "empty.html"
    empty.write_text("<title>x</title>", encoding="utf-8")
    browse(tmp_path, empty, "--dump-dom")
    begun = time.monotonic()
    browse(tmp_path, empty, "--dump-dom")
    nothing = time.monotonic() - begun
    begun = time.monotonic()
    assert "1,000 of 1,000" in browse(tmp_path, page, "--dump-dom")
    assert time.monotonic() - begun < 5 * nothing  # a ratio, for the machine may be busy
