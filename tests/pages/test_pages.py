"""The documentation and the examples run: every Python block of a page, in order, and every example.

A page's blocks share one namespace, as a reader's session would. A ``text`` block that follows a Python block is
what that block prints. ``<!-- not run: why -->`` on the line before a block leaves it out. A page or an example
that names a vLLM engine is an engine test.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(
    r"(?P<left_out><!-- not run: [^\n]+ -->\n)?"
    r"^```python[^\n]*\n(?P<code>.*?)^```$"
    r"(?:\n+```text\n(?P<prints>.*?)^```$)?",
    re.MULTILINE | re.DOTALL,
)


def marked(paths: Iterable[Path]) -> list[Any]:
    def marks(path: Path) -> list[pytest.MarkDecorator]:
        text = path.read_text(encoding="utf-8")
        code = text if path.suffix == ".py" else "".join(match["code"] for match in blocks_of(text))
        return [pytest.mark.engine] if re.search(r"\bvllm:|\bVllm", code) else []

    return [
        pytest.param(path, marks=marks(path), id=path.relative_to(ROOT).as_posix()) for path in sorted(paths)
    ]


def blocks_of(text: str) -> list[re.Match[str]]:
    return [match for match in BLOCK.finditer(text) if not match["left_out"]]


def run_page(text: str, name: str) -> int:
    """Run the blocks of a page and compare what they print; how many there were."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    blocks = blocks_of(text)
    for match in blocks:
        above = text.count("\n", 0, match.start("code"))  # so that a traceback shows the page's own line
        code = compile("\n" * above + match["code"], name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            result = eval(code, namespace)
            if inspect.iscoroutine(result):
                asyncio.run(result)
        if match["prints"] is not None:
            assert printed.getvalue() == match["prints"], f"{name}:{above + 1} prints something else"
    return len(blocks)


@pytest.mark.parametrize("page", marked([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]))
def test_a_page_does_what_it_shows(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = page.read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    ran = run_page(text, str(page.relative_to(ROOT)))
    assert ran + text.count("<!-- not run: ") == text.count("```python"), "a block that the search overlooks"


@pytest.mark.parametrize("example", marked((ROOT / "examples").glob("*.py")))
def test_an_example_runs(example: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(example)],
        cwd=tmp_path,
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        check=False,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("page", "outcome"),
    [
        ("```python\nprint(1)\n```\n\n```text\n1\n```\n", 1),
        ("```python\nx = 1\n```\ntext\n```python\nprint(x)\n```\n```text\n1\n```\n", 2),
        ("```python\nimport asyncio\nawait asyncio.sleep(0)\n```\n", 1),
        ("<!-- not run: costs money -->\n```python\n1 / 0\n```\n", 0),
        ("```python\nprint(1)\n```\n\n```text\n2\n```\n", AssertionError),
        ("```python\n1 / 0\n```\n", ZeroDivisionError),
    ],
)
def test_a_page_is_run_as_a_reader_would(page: str, outcome: int | type[Exception]) -> None:
    if isinstance(outcome, int):
        assert run_page(page, "page") == outcome
    else:
        with pytest.raises(outcome):
            run_page(page, "page")
