"""How long a browser takes to open a report of 1,000 questions of 64 samples, beside a page with nothing in it.

Run: .venv/bin/python -m tests.benchmarks.report_opening [PAGE ...]

Without a page the report is made here of made-up runs. Each page is opened by a headless Chromium of its own, in turn
with the empty one, since machines are busy: *processor* is what the main thread of the page took until it was idle,
*ready* (DOMContentLoaded) and *first paint* are of the clock, from the navigation on. The best of three of each.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from tests.evals.report import conftest as made
from tests.evals.report.browser import BROWSER, QUIET

QUESTIONS, SAMPLES, ROUNDS = 1000, 64, 3
_PATIENCE = 120.0
_TIMES = """(() => {
  const paint = performance.getEntriesByName("first-paint")[0];
  const page = performance.getEntriesByType("navigation")[0];
  return JSON.stringify([page.domContentLoadedEventEnd, page.loadEventEnd, paint ? paint.startTime : 0]);
})()"""


class Browser:
    """A browser that is told what to do over a pipe (the DevTools protocol), and ends with its block."""

    def __init__(self, profile: Path) -> None:
        to_read, self._out = os.pipe()
        self._in, to_write = os.pipe()
        alone = ["--no-sandbox"] if os.geteuid() == 0 else []
        command = [str(BROWSER), *QUIET, *alone, f"--user-data-dir={profile}", "--remote-debugging-pipe"]
        handed = ["bash", "-c", f'exec "$@" 3<&{to_read} 4>&{to_write}', "bash", *command, "about:blank"]
        self._process = subprocess.Popen(handed, pass_fds=(to_read, to_write), stderr=subprocess.DEVNULL)
        os.close(to_read)
        os.close(to_write)
        self._number, self._unread = 0, b""

    def __enter__(self) -> Self:
        targets = self.ask("Target.getTargets")["targetInfos"]
        page = next(each["targetId"] for each in targets if each["type"] == "page")
        self.session = self.ask("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._out)
        self._process.terminate()
        self._process.wait(timeout=30)
        os.close(self._in)

    def ask(self, method: str, session: str | None = None, **parameters: Any) -> Mapping[str, Any]:
        """Send a message and return what comes back to it."""
        self._number += 1
        told = {"id": self._number, "method": method, "params": parameters}
        if session is not None:
            told["sessionId"] = session
        os.write(self._out, json.dumps(told).encode() + b"\0")
        while True:
            answer = json.loads(self._line())
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                result: Mapping[str, Any] = answer["result"]
                return result

    def _line(self) -> bytes:
        while b"\0" not in self._unread:
            self._unread += os.read(self._in, 1 << 16)
        line, _, self._unread = self._unread.partition(b"\0")
        return line


def opened(page: Path, folder: Path) -> tuple[float, float, float]:
    """Return the seconds of the processor, until the page is ready, and until something is seen."""
    with tempfile.TemporaryDirectory(dir=folder) as profile, Browser(Path(profile)) as browser:
        session = browser.session
        browser.ask("Performance.enable", session, timeDomain="threadTicks")
        browser.ask("Page.navigate", session, url=page.as_uri())
        end = time.monotonic() + _PATIENCE
        ready = painted = 0.0
        while time.monotonic() < end:
            told = browser.ask("Runtime.evaluate", session, expression=_TIMES)["result"]["value"]
            ready, loaded, painted = json.loads(told)
            if loaded and painted:
                break
            time.sleep(0.2)
        else:
            raise TimeoutError(f"{page} was not painted within {_PATIENCE:g} seconds")
        found = browser.ask("Performance.getMetrics", session)["metrics"]
        spent = {each["name"]: each["value"] for each in found}
        return spent["TaskDuration"], ready / 1000, painted / 1000


def report(folder: Path) -> Path:
    """Write the report of made-up runs."""
    from thinkctl.evals.report.writing import write_report

    points = tuple(made.usual(QUESTIONS)[1:2])
    text = "thinking about it " * 60
    results = made.Results(points, folder, made.Study(claims=()), samples=SAMPLES, text=text)
    return write_report(results, folder / "report.html")


def main(arguments: list[str]) -> None:
    """Print a line a page."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        empty = folder / "empty.html"
        empty.write_text("<!doctype html><title>x</title><p>x", encoding="utf-8")
        pages = [Path(each).resolve() for each in arguments] or [report(folder)]
        best: dict[Path, tuple[float, ...]] = {}
        for _ in range(ROUNDS):
            for page in (empty, *pages):
                now = opened(page, folder)
                best[page] = tuple(map(min, now, best.get(page, now)))
        print(f"{'page':<16} {'MB':>5} {'processor':>10} {'ready':>8} {'first paint':>12}")
        for page, times in best.items():
            processor, ready, painted = (f"{1000 * each:,.0f} ms" for each in times)
            size = page.stat().st_size / 1e6
            print(f"{page.name:<16} {size:>5.2f} {processor:>10} {ready:>8} {painted:>12}")


if __name__ == "__main__":
    main(sys.argv[1:])
