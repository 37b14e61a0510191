"""What a policy would have made of a recorded history, by the same ``decide`` that runs live."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkctl import AdaptiveConsistency, Budget, Controller, SelfConsistency, ThinkingCap
from thinkctl.engines.replay import ReplayEngine
from thinkctl.errors import ConfigurationError
from thinkctl.hindsight import at_token, hindsight
from thinkctl.protocols import StoppingPolicy
from thinkctl.runfile import Recorded, RecordedSample
from thinkctl.selectors import BestScore, Majority
from thinkctl.stopping import CannotBeOvertaken, any_of
from thinkctl.testing import Script, ScriptedEngine, history_of, run, sample_of
from thinkctl.types import Answer, Decision, Finish, History, Needs, Probe, ProbeRequest, Usage

votes = st.lists(st.sampled_from(["1", "2", "3", None]), max_size=14)
POLICIES: list[StoppingPolicy] = [
    AdaptiveConsistency(),
    AdaptiveConsistency(0.8),
    CannotBeOvertaken(14),
    any_of(AdaptiveConsistency(0.9), CannotBeOvertaken(14)),
]


@dataclass(frozen=True)
class Acts:
    """A policy that does one thing to the first sample once it has so many tokens."""

    what: str
    at: int
    needs: Needs = Needs()

    def decide(self, history: History) -> Decision:
        ripe = tuple(each.index for each in history.in_flight if each.thinking_tokens >= self.at)
        if self.what == "stop":
            return Decision(stop=bool(ripe))
        return Decision(cut=ripe) if self.what == "cut" else Decision(conclude=ripe)


def probe(at: int, key: str | None, said: int = 3) -> Probe:
    answer = None if key is None else Answer(key, key, 0, concluded=True)
    usage = Usage(requests=1, prompt_tokens=at + 5, probe_tokens=said)
    return Probe(at, f"{key}}}", answer, None, usage, " So: \\boxed{", 4)


def thinking(answer: str | None, tokens: int, *probes: Probe) -> History:
    """One sample that thought so many tokens, with its probes on its bill."""
    from dataclasses import replace

    sample = sample_of(answer, thought=" ".join(["w"] * tokens))
    used = sum((each.usage for each in probes), sample.usage)
    return history_of(replace(sample, probes=probes, usage=used))


@given(votes, st.sampled_from(POLICIES))
def test_votes_are_counted_as_a_live_run_counts_them(answers, policy) -> None:
    recorded = Recorded("a", "2+2?", tuple(RecordedSample(answer, 10) for answer in answers))
    if not answers:
        return
    live = run(
        Controller(ReplayEngine([recorded]), SelfConsistency(len(answers)), policy=policy).solve(
            recorded.problem()
        )
    )
    seen = hindsight(policy, history_of(*answers), Majority())
    assert seen.samples == live.history.bought
    assert (seen.answer and seen.answer.key) == (live.answer and live.answer.key)
    assert seen.stopped == (live.stop == "policy")


def test_no_policy_takes_everything_that_was_recorded() -> None:
    recorded = history_of("4", None, "5", "4")
    seen = hindsight(None, recorded, Majority())
    assert (seen.samples, seen.stopped, seen.walled) == (4, False, False)
    assert seen.usage == recorded.usage


def test_nothing_recorded_gives_no_answer() -> None:
    seen = hindsight(AdaptiveConsistency(), history_of(), Majority())
    assert (seen.samples, seen.answer, seen.stopped) == (0, None, False)


def test_a_sample_that_never_finished_is_left_out_and_the_others_close_up() -> None:
    seen = hindsight(None, history_of("4", ..., "5", "5"), Majority())
    assert [sample.index for sample in seen.history.samples] == [0, 1, 2]
    assert seen.answer is not None
    assert (seen.answer.key, seen.answer.sample) == ("5", 1)


@pytest.mark.parametrize(
    ("budget", "samples", "walled"),
    [
        (Budget(requests=2), 2, True),
        (Budget(requests=4), 4, False),
        (Budget(tokens=1), 0, True),
        (Budget(tokens=10_000), 4, False),
    ],
)
def test_a_smaller_budget_takes_the_samples_that_fit(budget, samples, walled) -> None:
    seen = hindsight(None, history_of("4", "4", "5", "5"), Majority(), budget=budget)
    assert (seen.samples, seen.walled) == (samples, walled)
    assert budget.tokens is None or seen.usage.generated_tokens <= budget.tokens


@pytest.mark.parametrize("budget", [Budget(seconds=1), Budget(dollars=Decimal(1)), Budget(thinking_tokens=5)])
def test_what_no_recording_can_tell_is_refused(budget) -> None:
    with pytest.raises(ConfigurationError, match="a recording cannot tell"):
        hindsight(None, history_of("4"), Majority(), budget=budget)


def test_another_selector_chooses_another_answer() -> None:
    recorded = history_of("4", "4", "5", scores=[0.1, 0.1, 0.9])
    assert [hindsight(None, recorded, each).answer.key for each in (Majority(), BestScore())] == ["4", "5"]  # type: ignore[union-attr]


# -- within a sample ---------------------------------------------------------------------------------------------


def test_a_thought_that_is_closed_at_a_probe_answers_what_the_probe_did() -> None:
    recorded = thinking("4", 100, probe(32, "7"), probe(64, "5"))
    seen = hindsight(Acts("conclude", 64, Needs(probes=True)), recorded, Majority())
    (sample,) = seen.history.samples
    assert (seen.answer and seen.answer.key, sample.concluded, seen.unknown) == ("5", True, 0)
    assert seen.usage == Usage(
        requests=3,
        prompt_tokens=recorded.samples[0].usage.prompt_tokens,
        thinking_tokens=64,
        answer_tokens=3,
        forced_tokens=4,
        probe_tokens=6,
    )


def test_a_thought_that_is_closed_elsewhere_abstains_and_is_counted() -> None:
    seen = hindsight(Acts("conclude", 40), thinking("4", 100), Majority(), every=40)
    assert (seen.answer, seen.unknown, seen.usage.thinking_tokens) == (None, 1, 40)
    seen = hindsight(ThinkingCap(40), thinking("4", 100, probe(32, "7")), Majority(), every=40)
    assert (seen.answer, seen.unknown, seen.usage.probe_tokens) == (None, 1, 0)


def test_a_sample_that_is_cut_abstains_and_what_it_said_is_spent() -> None:
    seen = hindsight(Acts("cut", 64), thinking("4", 100), Majority())
    (sample,) = seen.history.samples
    assert (sample.finish, sample.answer, seen.usage.thinking_tokens) == (Finish.CUT, None, 64)
    assert not seen.stopped


def test_a_stop_in_the_middle_of_a_sample_spends_what_it_had_said_and_does_not_count_it() -> None:
    recorded = history_of("4", *thinking("5", 100).samples)
    seen = hindsight(Acts("stop", 64), recorded, Majority())
    assert (seen.stopped, seen.answer and seen.answer.key, seen.history.counted) == (True, "4", 1)
    assert seen.history.samples[1].usage.thinking_tokens == 64


def test_a_policy_is_not_charged_for_probes_that_it_does_not_need() -> None:
    recorded = thinking("4", 100, probe(32, "7"), probe(64, "5"))
    spent = [
        hindsight(policy, recorded, Majority()).usage.generated_tokens
        for policy in (None, AdaptiveConsistency(), Acts("never", 9999, Needs(probes=True)))
    ]
    own = recorded.usage.generated_tokens - 6
    assert spent == [own, own, own + 6]


@given(st.integers(0, 100))
def test_a_sample_in_the_past_has_what_it_had_then(place) -> None:
    sample = thinking("4", 90, probe(32, "7"), probe(64, "5")).samples[0]
    past = at_token(sample, place)
    assert len(past.token_ids) == min(place, len(sample.token_ids))
    assert past.usage.thinking_tokens == min(place, 90)
    assert [each.at for each in past.probes] == [at for at in (32, 64) if at <= place]
    assert (past.finish, past.answer) == (None, None)
    assert sample.text.startswith(past.text)


def test_what_was_probed_live_is_seen_again_in_hindsight() -> None:
    """The policy that concluded at its probe live does so in the recording that it only watched."""

    @dataclass(frozen=True)
    class Exits:
        needs: Needs = Needs(probes=True)

        def decide(self, history: History) -> Decision:
            ripe = [each for each in history.in_flight if each.thinking_tokens >= 32]
            return Decision(
                probe=tuple(ProbeRequest(each.index, at=32) for each in ripe if not each.probes),
                conclude=tuple(each.index for each in ripe if each.probes),
            )

    script = Script("w " * 200 + "\\boxed{4}", 0.1, conclusion="5}")
    watched = run(Controller(ScriptedEngine([script]), SelfConsistency(2), shadows=[Exits()]).solve("2+2?"))
    acted = run(Controller(ScriptedEngine([script]), SelfConsistency(2), policy=Exits()).solve("2+2?"))
    seen = hindsight(Exits(), watched.history, Majority())
    assert [vote.key for vote in seen.history.answers] == [vote.key for vote in acted.history.answers]
    assert seen.usage.generated_tokens < acted.receipt.usage.generated_tokens + 40


@pytest.mark.parametrize(
    ("tokens", "cap", "thought", "unknown"),
    [
        (300, 100, 100, 1),
        (300, 96, 96, 1),
        (300, 0, 0, 1),
        (110, 100, 100, 1),
        (20, 10, 10, 1),
        (100, 100, 100, 0),
        (20, 100, 20, 0),
    ],
)
def test_a_cap_holds_to_the_token_also_between_two_decisions(tokens, cap, thought, unknown):
    seen = hindsight(ThinkingCap(cap), thinking("4", tokens), Majority())
    assert (seen.usage.thinking_tokens, seen.unknown) == (thought, unknown)
    assert (seen.answer is None) == bool(unknown)
