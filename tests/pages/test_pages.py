"""The documentation runs: every Python block of a page, in order, and every command is one that there is.

A page's blocks share one namespace and one event loop, as a reader's notebook would; the loop's time is virtual,
so that a deadline takes no time. A ``text`` block that follows a Python block is what that block prints.
``<!-- not run: why -->`` on the line before a block leaves it out. Where a page says ``engine_from("vllm:...")``,
a scripted engine answers (``stand_in.py``); a page that makes a vLLM engine by itself is an engine test.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import importlib.util
import inspect
import io
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import typer

import thinkctl
from thinkctl.cli.app import app
from thinkctl.testing import VirtualLoop
from thinkctl.verifiers.sandbox.jail import bubblewrap_trouble

ROOT: Final = Path(__file__).resolve().parents[2]
PAGES: Final = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK: Final = re.compile(
    r"(?P<left_out><!-- not run: [^\n]+ -->\n)?"
    r"^```python[^\n]*\n(?P<code>.*?)^```$"
    r"(?:\n+```text\n(?P<prints>.*?)^```$)?",
    re.MULTILINE | re.DOTALL,
)
SHELL: Final = re.compile(r"^```(?:bash|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def _stand_in() -> Any:
    spec = importlib.util.spec_from_file_location("stand_in", Path(__file__).with_name("stand_in.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


STAND_IN: Final = _stand_in()


def blocks_of(text: str) -> list[re.Match[str]]:
    return [match for match in BLOCK.finditer(text) if not match["left_out"]]


def by_page(pages: Iterable[Path]) -> list[Any]:
    """Return the pages as parameters; those that make a vLLM engine or a sandbox are marked."""

    def marks(page: Path) -> list[pytest.MarkDecorator]:
        code = "".join(match["code"] for match in blocks_of(page.read_text(encoding="utf-8")))
        runs_code = re.search(r"\b(Sandbox|UnitTests|GeneratedTests|ProgramResult)\(", code)
        no_sandbox = pytest.mark.skipif(bubblewrap_trouble() is not None, reason=str(bubblewrap_trouble()))
        engine = [pytest.mark.engine] if re.search(r"\bVllm[A-Z]", code) else []
        return [*engine, no_sandbox] if runs_code else engine

    return [pytest.param(page, marks=marks(page), id=page.relative_to(ROOT).as_posix()) for page in pages]


def run_page(text: str, name: str) -> Mapping[str, Any]:
    """Run the blocks of a page and compare what they print; return the names they left."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        for match in blocks_of(text):
            above = text.count("\n", 0, match.start("code"))  # so that a traceback shows the page's own line
            source = "\n" * above + match["code"]
            code = compile(source, name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                result = eval(code, namespace)
                if inspect.iscoroutine(result):
                    runner.run(result)
            if match["prints"] is not None:
                assert printed.getvalue() == match["prints"], f"{name}:{above + 1} prints something else"
    return namespace


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run pages in an empty folder, with the stand-in for vLLM."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(thinkctl, "engine_from", STAND_IN.engine_from)


@pytest.mark.parametrize("page", by_page(PAGES))
def test_a_page_does_what_it_shows(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    run_page(text, str(page.relative_to(ROOT)))
    found = len(blocks_of(text)) + text.count("<!-- not run: ")
    assert found == text.count("```python"), "a block that the search overlooks"


@pytest.mark.parametrize("page", by_page(PAGES))
def test_a_page_says_so_where_its_output_is_not_a_model_s(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    blocks = blocks_of(text)
    if any('"vllm' in block["code"] for block in blocks) and any(block["prints"] for block in blocks):
        assert STAND_IN.NOTICE in " ".join(text.split())


# -- commands ------------------------------------------------------------------------------------------------


def commands_of(text: str) -> Iterator[list[str]]:
    """Iterate over the words of every ``thinkctl`` command in the shell blocks of a page."""
    for block in SHELL.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line.removeprefix("$ "), comments=True)
            if words and Path(words[0]).name == "thinkctl":
                ends = [words.index(end) for end in ("|", ">", ">>", "<", "&&") if end in words]
                yield words[1 : min(ends, default=len(words))]


def parse(words: list[str]) -> None:
    """Read a command as the command line does, without doing it. Raises what click raises for wrong ones."""
    command: Any = typer.main.get_command(app)
    context = None
    while hasattr(command, "get_command"):
        assert words, "a command is missing"
        if words[0] in {"--version", "--help", "-h"}:
            return
        context = context or command.make_context("thinkctl", list(words))
        name, *words = words
        found = command.get_command(context, name)
        assert found is not None, f"there is no command {name!r}"
        command = found
    if "--help" not in words:
        command.make_context(command.name, list(words), parent=context)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_the_commands_of_a_page_are_ones_that_there_are(page: Path) -> None:
    for words in commands_of(page.read_text(encoding="utf-8")):
        parse(words)


@pytest.mark.parametrize(
    "command", ["thinkctl ask", "thinkctl ask hi --bugdet tokens=3", "thinkctl think hi"]
)
def test_a_wrong_command_on_a_page_is_noticed(command: str) -> None:
    (words,) = commands_of(f"```bash\n$ {command} > out.txt\n```\n")
    with pytest.raises(Exception, match=r"Missing|No such|there is no"):
        parse(words)


# -- pages of one's own --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("page", "outcome"),
    [
        ("```python\nprint(1)\n```\n\n```text\n1\n```\n", None),
        ("```python\nx = 1\n```\ntext\n```python\nprint(x)\n```\n```text\n1\n```\n", None),
        ("```python\nimport asyncio\nawait asyncio.sleep(9999)\n```\n", None),
        ('```python\nfrom thinkctl import engine_from\nengine_from("vllm:small").launched\n```\n', None),
        ("<!-- not run: costs money -->\n```python\n1 / 0\n```\n", None),
        ("```python\nprint(1)\n```\n\n```text\n2\n```\n", AssertionError),
        ("```python\n1 / 0\n```\n", ZeroDivisionError),
    ],
)
def test_a_page_is_run_as_a_reader_would(page: str, outcome: type[Exception] | None) -> None:
    with pytest.raises(outcome) if outcome is not None else contextlib.nullcontext():
        run_page(page, "page")
