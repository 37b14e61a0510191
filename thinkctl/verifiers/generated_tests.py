"""Check code by tests that the model itself writes, where there are no others."""

from __future__ import annotations

import ast
import asyncio
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, final

from thinkctl.answers.fences import blocks
from thinkctl.errors import ConfigurationError
from thinkctl.protocols import Engine, Engines
from thinkctl.types import GenerationSpec, History, Message, Problem, Sample, Verdict
from thinkctl.verifiers.code_tests import run_tests
from thinkctl.verifiers.given import text_of
from thinkctl.verifiers.sandbox import Sandbox

__all__ = ["GeneratedTests", "asserts_in"]

_ASK: Final = (
    "{problem}\n\nDo not solve this. Write {number} different tests for {function} instead, each one line of the form "
    "`assert {call}(...) == ...`, in one ```python code block. Use only inputs whose right result you are sure of, "
    "edge cases among them."
)
_LONGEST_TEXT: Final = 50_000
_LONGEST_TEST: Final = 500


@final
@dataclass(frozen=True)
class GeneratedTests:
    """Have the model write tests once a run, and run each sample's code against them in a sandbox.

    ``tests`` is how many are asked for, of at most ``max_tokens`` tokens in all, greedily, of the engine called
    ``model`` (``None``: the run's first). What that takes is on the bill as the verifier's. Reads
    ``problem.given["entry_point"]`` and ``problem.given["setup"]`` where they are there, as ``UnitTests`` does.

    The score is the share of these tests passed, in [0, 1], and ``marks`` are the tests passed: take the selector
    ``Agreement``, which prefers what many samples agree on by passing the same tests. A single test may be wrong, so
    a verdict neither passes nor fails. Where the model wrote no test that can be read the verdict is empty.

    Raises ``RequestFailed`` where the budget has no room for the tests, ``ConfigurationError`` where there is no
    sandbox or no such engine.

    Source: CodeT, Chen et al. 2022 (arXiv:2207.10397), sections 2 and 3. Deviations: all tests come from one answer,
    not from 100 samples; a test is one assert that names the function.
    """

    tests: int = 10
    max_tokens: int = 768
    model: str | None = None
    sandbox: Sandbox = Sandbox(seconds=2)

    def __post_init__(self) -> None:
        for name, value in (("tests", self.tests), ("max_tokens", self.max_tokens)):
            if value < 1:
                raise ConfigurationError(f"{name}={value!r} writes no tests; give 1 or more")

    async def judge(self, history: History, sample: Sample, engines: Engines) -> Verdict:
        if sample.answer is None:
            return Verdict(0.0, feedback="There is no code in the answer.")
        tests = await self._tests(history.problem, self._engine(engines))
        if not tests:
            return Verdict(feedback="The model wrote no tests that can be read.")
        tested = await run_tests(
            sample.answer.text,
            tests,
            self.sandbox,
            setup=text_of(history.problem, "setup"),
            entry_point=text_of(history.problem, "entry_point"),
        )
        marks = tuple(test for test, passed in zip(tests, tested.passed, strict=True) if passed)
        lines = [line for line in (self.sandbox.warning, tested.feedback) if line]
        return Verdict(tested.share, feedback="\n".join(lines), marks=marks)

    def _engine(self, engines: Engines) -> Engine:
        if self.model is None:
            return next(iter(engines.values()))
        if self.model not in engines:
            known = ", ".join(map(repr, engines))
            raise ConfigurationError(
                f"model={self.model!r} is none of the controller's: {known}; give one of them"
            )
        return engines[self.model]

    async def _tests(self, problem: Problem, engine: Engine) -> tuple[str, ...]:
        """Return the tests of this run; the first sample has them written, the others wait for that."""
        memo: dict[object, object] = getattr(engine, "memo", {})
        kept = memo.setdefault((self, problem.id), _Kept())
        if not isinstance(kept, _Kept):
            raise TypeError(f"something else keeps {type(kept).__name__} under the name of {self!r}")
        async with kept.lock:
            if kept.tests is None:
                kept.tests = await self._written(problem, engine)
            return kept.tests

    async def _written(self, problem: Problem, engine: Engine) -> tuple[str, ...]:
        name = text_of(problem, "entry_point")
        text = _ASK.format(
            problem=problem.text,
            number=self.tests,
            function=f"the function `{name}`" if name else "the function that is asked for",
            call=name or "function",
        )
        prompt = engine.tokenizer.chat([Message(role="user", content=text)])
        if (marks := engine.card.thinking) is not None:
            prompt = [*prompt, *engine.tokenizer.encode(f"{marks.start}\n\n{marks.end}\n\n")]
        stream = engine.stream(prompt, GenerationSpec(max_tokens=self.max_tokens, temperature=0.0))
        said: list[int] = []
        try:
            async for delta in stream:
                said += delta.token_ids
        finally:
            await stream.close()
        return asserts_in(engine.tokenizer.decode(said), name)[: self.tests]


@dataclass(eq=False)
class _Kept:
    """The tests of a run, once they are there."""

    def __post_init__(self) -> None:
        self.lock = asyncio.Lock()
        self.tests: tuple[str, ...] | None = None


def asserts_in(text: str, entry_point: str) -> tuple[str, ...]:
    """Return the different ``assert`` statements in what a model wrote, in their order; those of its last words too.

    Only tests that name ``entry_point`` count, where it is known: others test nothing. The text is parsed, never run.
    """
    text = text[:_LONGEST_TEXT]
    sources = [block.content for block in blocks(text)] or [text]
    found = dict.fromkeys(test for source in sources for test in _asserts(source, entry_point))
    return tuple(found)


def _asserts(source: str, entry_point: str) -> Iterator[str]:
    """Yield the asserts of a source that can be parsed, else those of its lines."""
    tree = _parsed(source)
    trees = (
        [tree]
        if tree is not None
        else [_parsed(line.strip().lstrip("-*0123456789.` ").rstrip("` ")) for line in source.split("\n")]
    )
    for each in trees:
        for node in ast.walk(each) if each is not None else ():
            if not isinstance(node, ast.Assert):
                continue
            names = {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}
            test = f"assert {ast.unparse(node.test)}"
            if len(test) <= _LONGEST_TEST and (not entry_point or entry_point in names):
                yield test


def _parsed(source: str) -> ast.Module | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(source)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None
