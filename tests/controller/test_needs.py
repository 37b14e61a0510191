"""What a policy needs is arranged, or the policy is refused with the reason; probes at a place; no thought at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from tests.controller.rig import MARKS, Asks, decides, keys, says, solve, words
from thinkctl import Budget, Controller, Request, Sampling
from thinkctl.engines.replay import ReplayEngine
from thinkctl.errors import ConfigurationError
from thinkctl.protocols import Selector
from thinkctl.runfile import Recorded, RecordedSample
from thinkctl.selectors import Majority
from thinkctl.testing import Script, ScriptedEngine, history_of
from thinkctl.types import Decision, History, ModelCard, Needs, Origin, ProbeRequest, ThinkingMarks, needs_of


@dataclass(frozen=True)
class Needy:
    """A policy that needs something and never decides anything."""

    needs: Needs = field(default_factory=Needs)

    def decide(self, history: History) -> Decision:
        return Decision()


def answers_only() -> ReplayEngine:
    """An engine without any log-probabilities."""
    return ReplayEngine([Recorded("a", "2+2?", (RecordedSample("4", 10),))])


def test_two_needs_together_are_the_stronger_of_both() -> None:
    both = Needs(logprobs=0, probes=True, why="one") | Needs(logprobs=5, probe_logprobs=3, why="other")
    assert both == Needs(5, probes=True, probe_logprobs=3, why="one, other")
    assert Needs() | Needs() == Needs()
    assert needs_of(object()) == Needs()


@pytest.mark.parametrize(
    ("needs", "why"),
    [
        (Needs(logprobs=0), "log-probabilities of each token with 0 alternatives"),
        (Needs(probes=True, probe_logprobs=0), "log-probabilities of a probe with 0 alternatives"),
        (Needs(scores=True), "needs scores and nothing gives any"),
        (Needs(logprobs=20, why="the rule"), "^the rule needs log-probabilities"),
    ],
)
def test_a_policy_that_cannot_have_what_it_needs_is_refused_at_construction(needs, why) -> None:
    with pytest.raises(ConfigurationError, match=why):
        Controller(answers_only(), Asks(1), policy=Needy(needs))
    with pytest.raises(ConfigurationError, match=why):
        Controller(answers_only(), Asks(1), shadows=[Needy(needs)])


def test_a_policy_that_needs_more_alternatives_than_there_are_is_told_how_many_there_are() -> None:
    engine = ScriptedEngine([says("4")])
    most = engine.caps.logprobs
    with pytest.raises(ConfigurationError, match=f"gives at most {most} alternatives"):
        Controller(engine, Asks(1), policy=Needy(Needs(logprobs=most + 1)))
    Controller(engine, Asks(1), policy=Needy(Needs(logprobs=most)))


@pytest.mark.parametrize(("asked", "needed", "got"), [(None, 3, 3), (5, 3, 5), (0, 3, 3), (2, None, 2)])
def test_every_request_asks_for_the_log_probabilities_that_the_policy_needs(asked, needed, got) -> None:
    engine = ScriptedEngine([says("4")])
    found = solve(engine, Asks(2, Sampling(logprobs=asked)), policy=Needy(Needs(logprobs=needed)))
    assert [entry.spec.logprobs for entry in engine.log] == [got, got]
    assert [sample.request.sampling.logprobs for sample in found.samples] == [got, got]


# -- where a probe forks -----------------------------------------------------------------------------------------


def probing_at(place: int, since: int) -> object:
    """A policy that asks for one probe at a place, as soon as a sample has ``since`` tokens."""
    return decides(
        lambda history: Decision(
            probe=tuple(
                ProbeRequest(sample.index, at=place)
                for sample in history.in_flight
                if sample.thinking_tokens >= since and not sample.probes
            )
        )
    )


def changing(forced: str, at: int) -> str:
    return "5}" if at < 20 else "4}"


@pytest.mark.parametrize(("place", "said"), [(1, "5"), (10, "5"), (19, "5"), (20, "4"), (30, "4")])
def test_a_probe_forks_where_it_was_told_to_however_far_the_sample_has_got(place, said) -> None:
    script = Script(f"{words(60)} \\boxed{{4}}", 0.1, conclusion=changing)
    found = solve(ScriptedEngine([script]), Asks(1), policy=probing_at(place, since=35), decide_every=1)
    (probe,) = found.samples[0].probes
    assert (probe.at, probe.answer and probe.answer.key) == (place, said)
    assert probe.forced == "\n\nThe final answer is \\boxed{"
    assert probe.forced_tokens == len(ScriptedEngine([script]).tokenizer.encode(probe.forced))


def test_a_probe_beyond_what_was_said_waits_until_it_is_there() -> None:
    script = Script(f"{words(60)} \\boxed{{4}}", 0.1, conclusion=changing)
    found = solve(ScriptedEngine([script]), Asks(1), policy=probing_at(40, since=5), decide_every=1)
    assert [probe.at for probe in found.samples[0].probes] == [40]


def test_a_sample_that_has_answered_is_not_probed_any_more() -> None:
    script = Script(f"{words(5)} \\boxed{{4}} {words(50)}", 0.1, conclusion=changing)
    found = solve(ScriptedEngine([script]), Asks(1), policy=probing_at(3, since=5), decide_every=8)
    assert found.samples[0].probes == ()


# -- no thought --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class One:
    """A strategy that asks once."""

    extend: str = ""
    selector: Selector = Majority()

    def propose(self, history: History) -> Sequence[Request]:
        return [Request(history.problem.messages, extend=self.extend)] * (1 - history.bought)


def silent() -> object:
    return decides(lambda history: Decision(think=False))


def forced_text(engine: ScriptedEngine, found: object) -> str:
    (sample,) = found.samples  # type: ignore[attr-defined]
    first = sample.segments[0]
    return engine.tokenizer.decode(first.token_ids) if first.origin is Origin.FORCED else ""


def test_a_model_that_marks_its_thoughts_is_told_that_it_has_thought() -> None:
    engine = ScriptedEngine([Script("so \\boxed{4}")], card=MARKS)
    found = solve(engine, One(), policy=silent())
    assert forced_text(engine, found) == "<think>\nOkay, I think I have finished thinking.\n</think>\n\n"
    assert keys(found) == ["4"]
    assert found.samples[0].usage.thinking_tokens == 0
    assert found.samples[0].usage.answer_tokens > 0


def test_what_a_strategy_forces_comes_after_that() -> None:
    engine = ScriptedEngine([Script("so \\boxed{4}")], card=MARKS)
    found = solve(engine, One(extend="Well, "), policy=silent())
    assert forced_text(engine, found).endswith("</think>\n\nWell, ")


def test_a_model_without_marks_is_asked_for_the_answer_at_once() -> None:
    engine = ScriptedEngine([Script("4}")])
    found = solve(engine, One(), policy=silent())
    assert (keys(found), found.samples[0].concluded) == (["4"], True)
    assert found.samples[0].usage.thinking_tokens == 0


def test_a_template_that_opens_the_thought_itself_is_not_opened_twice() -> None:
    card = ModelCard(name="scripted", thinking=ThinkingMarks(start="assistant", end="</think>"))
    engine = ScriptedEngine([Script("so \\boxed{4}")], card=card)
    prompt = engine.tokenizer.decode(engine.tokenizer.chat(One().propose(history_of())[0].messages))
    assert "assistant" in prompt[-40:]
    found = solve(engine, One(), policy=silent())
    assert forced_text(engine, found).startswith("Okay")


def test_with_a_budget_it_stays_inside() -> None:
    engine = ScriptedEngine([Script(f"{words(30)} \\boxed{{4}}")], card=MARKS)
    found = solve(engine, One(), Budget(tokens=20), policy=silent())
    assert found.receipt.usage.generated_tokens <= 20
