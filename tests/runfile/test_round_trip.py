"""A run that was read is the run that was written, whatever it holds; and nothing else is ever read."""

from __future__ import annotations

import json
import math
import re
from dataclasses import fields, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thinkctl import runfile
from thinkctl.errors import RunFileError
from thinkctl.runfile.codec import BadValue, dump_card, dump_run, load_card, load_run
from thinkctl.testing import history_of
from thinkctl.types import (
    Answer,
    AnswerType,
    Budget,
    Decision,
    Dimensions,
    Finish,
    History,
    Message,
    ModelCard,
    Note,
    Origin,
    Prices,
    Probe,
    ProbeRequest,
    Problem,
    Receipt,
    ReceiptLine,
    Request,
    Role,
    Run,
    Sample,
    Sampling,
    Segment,
    Shadow,
    StopReason,
    ThinkingMarks,
    TokenLogprob,
    Usage,
    Verdict,
)

# --------------------------------------------------------------------------------------------- arbitrary runs

texts = st.text(st.characters(exclude_categories=()), max_size=8)  # with lone surrogates
counts = st.integers(0, 2**70)
signed = st.floats(allow_nan=False)
anything_float = st.sampled_from([math.nan, math.inf, -math.inf, -0.0]) | signed
positive = st.floats(0, 1e300).map(abs)
ids = st.lists(st.integers(0, 2**40), max_size=5).map(tuple)
decimals = st.decimals(allow_nan=False) | st.sampled_from([Decimal("1.10"), Decimal("-0"), Decimal("NaN")])


def some(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


def few(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(values, max_size=2).map(tuple)


messages = st.lists(
    st.builds(Message, role=st.sampled_from(["system", "user", "assistant", "tool"]), content=texts),
    max_size=2,
).map(lambda turns: (*turns, Message(role="user", content="And?")))
answer_types = st.sampled_from([int, bool, Literal["a\ud83d", 3, True], list[int], re.compile("a+")]).map(
    AnswerType.of
)
givens = st.dictionaries(
    texts,
    st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts | st.lists(texts, max_size=2),
    max_size=2,
)
problems = st.builds(
    Problem, messages=messages, form=st.sampled_from(["boxed", "date"]), id=texts, given=givens
) | st.builds(Problem, messages=messages, id=texts, answer_type=answer_types)
samplings = st.builds(
    Sampling,
    temperature=st.floats(0, 10),
    top_p=st.floats(0.01, 1),
    top_k=st.integers(0, 9),
    max_tokens=some(st.integers(1, 9)),
    thinking_tokens=some(st.integers(0, 9)),
    logprobs=some(st.integers(0, 20)),
)
budgets = st.builds(
    Budget,
    tokens=some(st.integers(1000, 2**50)),
    seconds=some(st.floats(1e-9, 1e9)),
    dollars=some(st.decimals("1e-12", "1e12", places=12)),
    answer_tokens=some(st.integers(1, 99)),
)
logprobs = some(few(st.builds(TokenLogprob, anything_float, few(anything_float))))
answers = st.builds(Answer, texts, texts, st.integers(0, 9), st.booleans())
usages = st.builds(Usage, counts, counts, some(counts), counts, counts, counts, counts, counts, st.booleans())
segments = st.builds(Segment, ids, st.sampled_from(Origin), logprobs)
requests = st.builds(
    Request,
    messages,
    samplings,
    parent=some(st.integers(0, 9)),
    reopen=st.booleans(),
    extend=texts,
    until=some(texts),
    think=st.booleans(),
    model=some(texts),
    tag=texts,
)
verdicts = st.builds(
    Verdict,
    some(anything_float),
    some(st.booleans()),
    texts,
    usage=usages,
    model=texts,
    answer=some(answers),
    marks=few(texts),
)
samples = st.builds(
    Sample,
    index=st.integers(0, 9),
    request=requests,
    model=texts,
    prompt_ids=ids,
    segments=few(segments),
    text=texts,
    thought_chars=counts,
    finish=some(st.sampled_from(Finish)),
    concluded=st.booleans(),
    answer=some(answers),
    verdict=some(verdicts),
    probes=few(st.builds(Probe, counts, texts, some(answers), logprobs, usages, texts, counts)),
    usage=usages,
    started=positive,
    ended=some(anything_float),
    error=texts,
)


@st.composite
def histories(draw: st.DrawFn) -> History:
    problem = draw(problems)
    shared = draw(st.lists(samples, max_size=3))
    if draw(st.booleans()):  # as they mostly are: one request, one prompt, one model
        request = Request(problem.messages, draw(samplings))
        prompt = draw(ids)
        shared = [replace(sample, request=request, prompt_ids=prompt, model="m") for sample in shared]
    return draw(
        st.builds(
            History,
            st.just(problem),
            budgets,
            st.just(tuple(shared)),
            elapsed=positive,
            seed=st.integers(),
            walled=st.booleans(),
            counted=some(counts),
        )
    )


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | anything_float | texts | st.just("$float"),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts | st.just("$float"), inner, max_size=2),
    max_leaves=5,
)
specs = st.dictionaries(texts | st.sampled_from(["name", "$float", "$$"]), plain, max_size=3)
decisions = st.builds(
    Decision,
    st.booleans(),
    few(counts),
    few(counts),
    few(st.builds(ProbeRequest, counts, texts, counts, some(counts), some(counts))),
    some(counts),
    some(counts),
    some(anything_float),
    texts,
    st.booleans(),
)
shadows = st.builds(
    Shadow,
    specs,
    st.booleans(),
    counts,
    counts,
    st.integers(),
    some(answers),
    st.booleans(),
    counts,
    texts,
    texts,
)
receipts = st.builds(
    Receipt,
    few(st.builds(ReceiptLine, st.sampled_from(Role), texts, usages, some(decimals))),
    positive,
    counts,
    counts,
    positive,
)
runs = st.builds(
    Run,
    histories(),
    some(answers),
    some(anything_float),
    st.sampled_from(StopReason),
    texts,
    receipts,
    specs,
    some(specs),
    some(specs),
    few(st.builds(Note, anything_float, counts, decisions)),
    shadows=few(shadows),
    verifier=some(specs),
)


@settings(deadline=None)
@given(runs)
def test_a_run_that_was_read_equals_the_run_that_was_written(run: Run) -> None:
    line = json.dumps(dump_run(run), allow_nan=False)
    line.encode("ascii")
    assert repr(load_run(json.loads(line))) == repr(
        run
    )  # NaN equals NaN here, 1 is not True, and -0.0 not 0.0


@settings(deadline=None)
@given(runs, st.data())
def test_a_file_that_was_tampered_with_is_read_or_refused_but_never_crashes(
    run: Run, data: st.DataObject
) -> None:
    record = json.loads(json.dumps(dump_run(run)))
    where = record
    while isinstance(where, dict | list) and where:
        steps = list(where) if isinstance(where, dict) else list(range(len(where)))
        step = data.draw(st.sampled_from(steps))
        if not isinstance(where[step], dict | list) or not where[step] or data.draw(st.booleans()):
            where[step] = data.draw(plain)
            break
        where = where[step]
    try:
        read = load_run(record)
    except BadValue:
        return
    assert repr(load_run(json.loads(json.dumps(dump_run(read))))) == repr(read)


@given(runs)
@settings(deadline=None, max_examples=30)
def test_fields_of_a_later_version_are_ignored_at_every_level(run: Run) -> None:
    record = _with_more(json.loads(json.dumps(dump_run(run))))
    assert repr(load_run(record)) == repr(run)


def _with_more(value: Any, *, spec: bool = False) -> Any:
    if isinstance(value, dict):
        grown = {
            name: _with_more(
                item, spec=spec or name in {"strategy", "policy", "selector", "verifier", "given"}
            )
            for name, item in value.items()
        }
        return grown if spec else {**grown, "of_a_later_version": [1]}
    return [_with_more(item, spec=spec) for item in value] if isinstance(value, list) else value


def test_a_new_field_of_a_run_or_of_what_it_is_made_of_needs_no_codec_of_its_own() -> None:
    whole = dump_run(_run())
    assert {field.name for field in fields(Run)} >= whole.keys()


def test_what_has_its_default_takes_no_room() -> None:
    record = dump_run(_run())
    assert record["history"].keys() == {"problem", "samples", "elapsed"}
    first, second, third = record["history"]["samples"]
    assert {"request", "prompt_ids", "model"} <= first.keys()
    assert "messages" not in first["request"]
    assert not {"request", "prompt_ids", "model", "probes", "verdict", "error"} & {*second, *third}


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (
            ["history", "samples", 1, "usage", "requests"],
            "3",
            "history.samples[1].usage.requests: expected an int",
        ),
        (
            ["history", "samples", 1, "segments", 0, "token_ids", 2],
            1.5,
            "samples[1].segments[0].token_ids[2]: exp",
        ),
        (
            ["history", "samples", 0, "finish"],
            "stopped",
            "history.samples[0].finish: expected one of stop, length",
        ),
        (["history", "samples", 0], None, "history.samples[0]: expected an object, got None"),
        (
            ["history", "problem", "messages", 0, "role"],
            "king",
            "history.problem.messages[0].role: Input should be",
        ),
        (["receipt", "lines", 0, "dollars"], "sNaN", "receipt.lines[0].dollars: expected a decimal number"),
        (["receipt", "seconds"], True, "receipt.seconds: expected a number, got True (bool)"),
        (
            ["receipt", "seconds"],
            10**400,
            "receipt.seconds: expected a number that fits a float, got an integer",
        ),
        (["confidence"], "high", "confidence: expected a number, got 'high' (str)"),
        (["strategy"], [], "strategy: expected an object, got a list of 0"),
        (["why"], None, "why: expected a text, got None"),
    ],
)
def test_a_wrong_value_is_refused_with_its_path(path: list[Any], value: object, message: str) -> None:
    record = json.loads(json.dumps(dump_run(_run())))
    where = record
    for step in path[:-1]:
        where = where[step]
    where[path[-1]] = value
    with pytest.raises(BadValue) as error:
        load_run(record)
    assert message in str(error.value)


def test_a_missing_field_is_named() -> None:
    record = dump_run(_run())
    del record["history"]["problem"]
    with pytest.raises(BadValue, match="history: the field 'problem' is missing"):
        load_run(record)


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (lambda run: replace(run, strategy={"n": (1, 2)}), "strategy.n: expected plain data as spec_of"),
        (lambda run: replace(run, confidence="high"), "confidence: expected a number, got 'high'"),
        (lambda run: replace(run, why=None), "why: expected a text"),
    ],
)
def test_what_could_not_be_read_back_is_not_written(run: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(RunFileError, match="cannot be written") as error:
        runfile.write(tmp_path / "runs.jsonl", [run(_run())])
    assert message in str(error.value)
    assert not list(tmp_path.iterdir())


def test_a_model_card_is_kept_with_its_decimals() -> None:
    card = ModelCard(
        name="m",
        parameters=10,
        dimensions=Dimensions(
            layers=1,
            hidden_size=2,
            heads=1,
            key_value_heads=1,
            head_size=2,
            feed_forward_size=3,
            vocabulary=9,
        ),
        thinking=ThinkingMarks(start="<think>", end="</think>"),
        prices=Prices.model_validate(
            {"dollars_per_million_prompt_tokens": "0.10", "dollars_per_million_generated_tokens": "1E-7"}
        ),
    )
    record = json.loads(json.dumps(dump_card(card)))
    record["prices"]["of_a_later_version"] = record["dimensions"]["of_a_later_version"] = 1
    assert repr(load_card(record)) == repr(card)


def test_a_value_that_is_nested_too_deeply_is_refused() -> None:
    record = dump_run(_run())
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(BadValue, match="nested too deeply"):
        load_run({**record, "strategy": {"name": deep}})


def _run() -> Run:
    history = history_of("4", "5", None, logprobs=[-0.5, -1.0, None])
    samples = [replace(sample, request=history.samples[0].request) for sample in history.samples]
    line = ReceiptLine(Role.SAMPLE, "scripted", history.usage, Decimal("0.10"))
    return Run(
        replace(history, samples=tuple(samples)),
        history.answers[0],
        0.5,
        StopReason.DONE,
        "two to one",
        Receipt((line,), 3.0),
        {"name": "self-consistency", "n": 3},
    )
