"""Conformance checks for strategies, stopping policies and selectors: ours and those of other packages.

Each check puts a part through many histories, empty, growing, abstaining, failed, walled and long ones, and
raises ``AssertionError`` with the history's name where the part breaks a rule of its protocol.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import cache
from types import EllipsisType, MappingProxyType
from typing import Any, Final, TypeVar

from thinkctl import registry
from thinkctl.protocols import Selector, StoppingPolicy, Strategy
from thinkctl.testing.build import history_of, sample_of
from thinkctl.testing.pure import no_world
from thinkctl.types import (
    Answer,
    Budget,
    Decision,
    Finish,
    History,
    Message,
    Origin,
    Probe,
    ProbeRequest,
    Problem,
    Request,
    Sample,
    Sampling,
    Segment,
    Usage,
    name_of,
    spec_of,
)

__all__ = ["check_policy", "check_selector", "check_strategy", "histories"]

T = TypeVar("T")

_MANY: Final = 200
_ROUNDS: Final = 16
"""A strategy is followed for so many rounds of its own requests."""
_STEPS: Final = 4
"""One in so many steps that a strategy asks for ends its chain."""
_VOTES_AHEAD: Final = 8
"""A policy's ``more`` is believed beyond so many votes."""
_NEW: Final = "97"
"""An answer that nobody gave yet."""


@cache
def histories() -> Mapping[str, History]:
    """Return histories of many kinds by name, the same ones every time."""
    tight = Budget(tokens=40, seconds=2, dollars=Decimal("0.01"), requests=2, thinking_tokens=8)
    mixed = history_of(
        "4", "5", None, "4", "6", scores=[0.2, 0.9, None, 0.5], logprobs=[-0.1, [-0.5, -2.0], -1.0]
    )
    failed = [sample_of(None, finish=finish) for finish in (Finish.ERROR, Finish.LENGTH, Finish.CUT)]
    many = [("4", "5", "4", None, "7")[place % 5] for place in range(_MANY)]
    known = {
        "empty": history_of(),
        "empty with a tight budget": history_of(budget=tight),
        "empty and walled": history_of(walled=True, elapsed=3.0),
        "one in flight": history_of(...),
        "all in flight": history_of(..., ..., ...),
        "in flight and nothing thought yet": history_of(sample_of(..., thought="")),
        "one answer": history_of("4"),
        "one answer within a tight budget": history_of("4", budget=tight),
        "one abstention": history_of(None),
        "agreement": history_of("4", "4", "4"),
        "a tie": history_of("5", "4", "4", "5"),
        "no two agree": history_of("1", "2", "3", "4", "5"),
        "a gap in launch order": history_of("4", ..., "5", "5"),
        "the oldest still in flight": history_of(..., "5", "5", "5"),
        "all abstain": history_of(None, None, None),
        "all failed": history_of(*failed),
        "failures among answers": history_of("4", *failed, "5", "4"),
        "scores, confidences and abstentions": mixed,
        "scores of 0": history_of("4", "5", scores=[0.0, 0.0]),
        "concluded": history_of(sample_of("4", concluded=True), "5", ...),
        "probed": history_of("4", _probed(sample_of(..., index=1, logprobs=-0.2))),
        "continued": _continued(),
        "steps of chains": _steps(),
        "several models and parts": _tagged(),
        "walled with a gap": history_of("4", ..., "5", "5", walled=True),
        "walled with nothing finished": history_of(..., ..., walled=True),
        "walled without answers": history_of(None, sample_of(None, finish=Finish.CUT), walled=True),
        "ended by a policy that had counted two": history_of("4", "5", "5", ..., counted=2),
        "ended by a policy that had counted none": history_of("4", "5", counted=0),
        "many": history_of(*many),
        "many that agree": history_of(*["4"] * _MANY),
        "many, some in flight": history_of(*many, *[...] * 8),
        "long ago": history_of("4", "5", elapsed=1e6, seed=7),
        "another form": history_of("B", "C", "B", problem=_choice()),
    }
    growing = {f"growing, step {place}": history_of(*many[:place]) for place in range(2, 13)}
    return MappingProxyType({**known, **growing})


def check_selector(selector: Selector) -> None:
    """Check that a selector is a pure, total part that returns an answer of a settled sample.

    ``None`` is for histories in which no settled sample answered, and for these alone.
    """
    assert isinstance(selector, Selector), f"{selector!r} has no method select"
    _check_part(selector, "selectors")
    for name, history in histories().items():
        where = f"{name_of(selector)}.select on {name!r}"
        answer = _pure(selector.select, history, where)
        if answer is None:
            assert not history.answers, (
                f"{where} returned None although {len(history.answers)} samples answered"
            )
            continue
        assert isinstance(answer, Answer), f"{where} returned {answer!r}; return an Answer or None"
        assert answer in history.answers, (
            f"{where} returned {answer!r}, no answer of a settled sample; these are {history.answers!r}"
        )


def check_policy(policy: StoppingPolicy) -> None:
    """Check that a policy is a pure, total part whose decisions can be carried out.

    They concern samples in flight only, and ``more`` is kept: while nothing is in flight, fewer further votes
    than it says, all for one answer, never lead to a stop.
    """
    assert isinstance(policy, StoppingPolicy), f"{policy!r} has no method decide"
    _check_part(policy, "stopping")
    for name, history in histories().items():
        where = f"{name_of(policy)}.decide on {name!r}"
        decision = _pure(policy.decide, history, where)
        _check_decision(decision, history, where)
        if not (history.in_flight or history.walled or history.counted is not None):
            _check_more(policy, decision, history, where)


def check_strategy(strategy: Strategy) -> None:
    """Check that a strategy is a pure, total part whose requests are well-formed, and check its selector.

    It is asked on histories of others and on those that its own requests lead to, with steps that end as steps where
    it asks for steps.
    """
    assert isinstance(strategy, Strategy), f"{strategy!r} has no method propose or no selector"
    _check_part(strategy, "strategies")
    check_selector(strategy.selector)
    for name, history in histories().items():
        _proposals(strategy, history, f"{name_of(strategy)}.propose on {name!r}")
    for answers in (("4",), ("4", "5", None), (None,)):
        _follow(strategy, answers)


# -- what all parts keep -------------------------------------------------------------------------------------


def _check_part(part: object, kind: registry.Kind) -> None:
    """Check that a part is a frozen dataclass which its spec describes completely."""
    name = name_of(part)
    frozen = getattr(getattr(type(part), "__dataclass_params__", None), "frozen", False)
    assert frozen, f"{name} is not a frozen dataclass; its fields are its parameters and never change"
    assert copy.deepcopy(part) == part, (
        f"{name} does not equal a copy of itself; keep the dataclass's equality"
    )
    spec = spec_of(part)
    try:
        text = json.dumps(spec, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise AssertionError(f"the spec of {name} is not plain JSON: {error}; it is {spec!r}") from None
    assert json.loads(text) == spec, f"the spec of {name} changes through JSON: {spec!r} becomes {text}"
    if name in registry.names(kind) and registry.load(kind, name) is type(part):
        again = registry.build(json.loads(text), kind)
        assert again == part, f"{name} comes back from its spec {text} as {again!r}, not as {part!r}"


def _pure(method: Callable[[History], T], history: History, where: str) -> T:
    """Return what a method returns, the same for equal histories, out of the world and without a trace."""
    before = copy.deepcopy(history)
    first = _total(method, history, where)
    with no_world(where):
        second = _total(method, history, where)
        third = _total(method, before, where)
    assert history == before, f"{where} changed the history"
    assert first == second, f"{where} returned {first!r} and then {second!r} for the same history"
    assert first == third, f"{where} returned {first!r}, and {third!r} for an equal history"
    return first


def _total(method: Callable[[History], T], history: History, where: str) -> T:
    try:
        return method(history)
    except AssertionError:
        raise
    except Exception as error:  # whatever a part raises, the message says on which history
        raise AssertionError(f"{where} raised {error!r}; every history must be answered") from error


# -- policies ------------------------------------------------------------------------------------------------


def _check_decision(decision: Decision, history: History, where: str) -> None:
    assert isinstance(decision, Decision), f"{where} returned {decision!r}; return a Decision"
    growing = {sample.index for sample in history.in_flight}
    for what, concerned in (
        ("cut", decision.cut),
        ("conclude", decision.conclude),
        ("probe", tuple(_probed_sample(probe, where) for probe in decision.probe)),
    ):
        assert isinstance(concerned, tuple), f"{where}: {what}={concerned!r} is not a tuple"
        wrong = [index for index in concerned if index not in growing]
        assert not wrong, (
            f"{where}: {what} concerns samples {wrong}, which are not in flight: {sorted(growing)}"
        )
    ended = [*decision.cut, *decision.conclude]
    assert len(set(ended)) == len(ended), f"{where} cuts or concludes a sample twice: {ended}"
    more, cap, sure = decision.more, decision.thinking_tokens, decision.confidence
    assert more is None or _is_count(more, 1) or decision.stop, (
        f"{where}: more={more!r}; say 1 or more, or None"
    )
    assert cap is None or _is_count(cap, 0), f"{where}: thinking_tokens={cap!r} is not a number of tokens"
    assert sure is None or 0 <= sure <= 1, f"{where}: confidence={sure!r} is not in [0, 1]"
    assert isinstance(decision.why, str), f"{where}: why={decision.why!r} is not a text"
    assert isinstance(decision.stop, bool), f"{where}: stop={decision.stop!r} is not True or False"


def _probed_sample(probe: ProbeRequest, where: str) -> int:
    assert isinstance(probe, ProbeRequest), f"{where}: probe {probe!r} is no ProbeRequest"
    assert _is_count(probe.max_tokens, 1), (
        f"{where}: probe with max_tokens={probe.max_tokens!r}; say 1 or more"
    )
    return probe.sample


def _check_more(policy: StoppingPolicy, decision: Decision, history: History, where: str) -> None:
    """Let further votes go to each answer in turn, and to a new one."""
    if decision.stop or decision.more is None:
        return
    for key in {**{answer.key: answer.text for answer in history.answers}, "": _NEW}.values():
        grown = history
        for votes in range(1, min(decision.more, _VOTES_AHEAD + 1)):
            vote = sample_of(key, index=grown.bought, problem=history.problem, logprobs=-0.1, score=0.5)
            grown = replace(grown.received(vote), elapsed=grown.elapsed + 1)
            assert not policy.decide(grown).stop, (
                f"{where} said more={decision.more}, but stops after {votes} further votes for {key!r}; "
                "samples that run at once would be wasted"
            )


def _is_count(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


# -- strategies ----------------------------------------------------------------------------------------------


def _proposals(strategy: Strategy, history: History, where: str) -> Sequence[Request]:
    requests = _pure(strategy.propose, history, where)
    assert isinstance(requests, Sequence), f"{where} returned {requests!r}; return a sequence of requests"
    for request in requests:
        _check_request(request, history, where)
    return requests


def _check_request(request: Request, history: History, where: str) -> None:
    assert isinstance(request, Request), f"{where} returned {request!r} among its requests"
    messages: Any = request.messages
    well_formed = isinstance(messages, tuple) and all(isinstance(message, Message) for message in messages)
    assert well_formed, f"{where}: messages={messages!r} is not a tuple of messages"
    assert isinstance(request.sampling, Sampling), f"{where}: sampling={request.sampling!r} is no Sampling"
    assert isinstance(request.extend, str), f"{where}: extend={request.extend!r} is not a text"
    assert request.model is None or request.model, f"{where}: model='' names no model; None is the first"
    assert request.until is None or isinstance(request.until, str), (
        f"{where}: until={request.until!r} is not a text; None asks for a whole sample"
    )
    assert isinstance(request.tag, str), f"{where}: tag={request.tag!r} is not a text"
    parent = request.parent
    if parent is None:
        assert messages, f"{where}: a request without a parent needs messages"
        assert not request.reopen, f"{where}: reopen needs a parent whose thought goes on"
        return
    assert _is_count(parent, 0) and parent < history.bought, (  # noqa: PT018
        f"{where}: parent={parent!r} is none of the {history.bought} samples launched so far"
    )
    assert history.samples[parent].finished, f"{where}: parent={parent} is still in flight; wait for it"


def _follow(strategy: Strategy, answers: Sequence[str | None]) -> None:
    """Launch what a strategy asks for and let it finish, one after the other, with these answers in turn."""
    history = history_of()
    for step in range(_ROUNDS):
        where = f"{name_of(strategy)}.propose after {history.bought} of its own samples, answers {answers!r}"
        requests = _proposals(strategy, history, where)[:_MANY]
        if not requests and not history.in_flight:
            return
        for request in requests:
            _check_model(request, history, where)
            begun = replace(sample_of(..., index=history.bought), request=request, model=_model(request))
            history = history.received(begun)
        oldest = history.in_flight[0]
        goes_on = oldest.request.until is not None and step % _STEPS > 0
        done = sample_of(
            None if goes_on else answers[step % len(answers)],
            index=oldest.index,
            logprobs=-0.1,
            score=(0.5, 0.75, 0.25)[step % 3],
            finish=Finish.STEP if goes_on else Finish.STOP,
        )
        done = _inherit(replace(done, request=oldest.request, model=oldest.model), history)
        history = replace(history.received(done), elapsed=history.elapsed + 1)


def _check_model(request: Request, history: History, where: str) -> None:
    if request.parent is not None:
        parent = history.samples[request.parent]
        assert parent.model == _model(request), (
            f"{where}: parent={request.parent} is of model {parent.model!r} and goes on with {_model(request)!r}; "
            "token ids mean something else to another model"
        )


def _model(request: Request) -> str:
    return request.model or "scripted"


def _inherit(sample: Sample, history: History) -> Sample:
    """Return a sample with its parent's tokens before its own."""
    if sample.request.parent is None:
        return sample
    parent = history.samples[sample.request.parent]
    inherited = Segment(parent.token_ids, Origin.INHERITED)
    return replace(
        sample,
        segments=(inherited, *sample.segments),
        text=parent.text + sample.text,
        thought_chars=len(parent.text) + sample.thought_chars,
    )


# -- histories -----------------------------------------------------------------------------------------------


def _probed(sample: Sample) -> Sample:
    answer = Answer("4", "4", sample.index, concluded=True)
    probes = [
        Probe(at, "4}", said, None, Usage(probe_tokens=2))
        for at, said in ((1, None), (2, answer), (3, answer))
    ]
    return replace(sample, probes=tuple(probes))


def _continued() -> History:
    first = history_of("4")
    child = sample_of("5", index=1, parent=0)
    return first.received(_inherit(child, first))


def _steps() -> History:
    """Return two chains of steps, one complete, one that goes on, and a third whose step is in flight."""
    history = history_of()
    told_of: list[tuple[str | EllipsisType | None, int | None, float | None]] = [
        (None, None, 0.7),
        (None, None, 0.2),
        ("4", 0, 0.8),
        (None, 1, 0.3),
        (..., 3, None),
    ]
    for index, (answer, parent, score) in enumerate(told_of):
        told = sample_of(answer, index=index, parent=parent, score=score)
        request = replace(told.request, until="\n\n")
        finish = None if answer is ... else Finish.STOP if answer else Finish.STEP
        history = history.received(_inherit(replace(told, request=request, finish=finish), history))
    return history


def _tagged() -> History:
    """Return samples that two parts of a composed strategy asked two models for; one of them is in flight."""
    told = [("0", ""), ("1", "large"), ("0/2", ""), ("1/0", "large"), ("0", "")]
    answered = history_of("4", "5", ..., "5", "4", scores=[0.5, 0.5, None, 0.5, 0.5])
    for sample, (tag, model) in zip(answered.samples, told, strict=True):
        request = replace(sample.request, tag=tag, model=model or None)
        answered = answered.received(replace(sample, request=request, model=model or sample.model))
    return answered


def _choice() -> Problem:
    return Problem(messages=(Message(role="user", content="A, B or C?"),), form="choice")
