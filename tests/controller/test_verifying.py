"""Verifiers: what they generate is on the bill, inside the wall, and never left running."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from tests.controller.rig import (
    PER_TOKEN,
    QUESTION,
    Asks,
    Judges,
    decides,
    endless,
    generate,
    key,
    keys,
    says,
    solve,
    words,
)
from thinkctl import Budget, Controller, ModelCard, Prices, budget
from thinkctl.errors import RequestFailed
from thinkctl.protocols import Engines
from thinkctl.selectors import BestScore
from thinkctl.testing import End, ScriptedEngine, run
from thinkctl.types import Decision, Finish, GenerationSpec, Receipt, Role, Sample, Usage, Verdict

JUDGE = says("good", 4)
PER_PROMPT = Prices(
    dollars_per_million_prompt_tokens=Decimal(1_000_000), dollars_per_million_generated_tokens=Decimal(0)
)
FREE = Prices(dollars_per_million_prompt_tokens=Decimal(0), dollars_per_million_generated_tokens=Decimal(0))


def scripts(number: int, prompt: str):
    """Say different things to judges and to solvers."""
    return JUDGE if "judge" in prompt else says("45"[number % 2], 3, seconds_per_token=0.1)


async def by_generating(sample: Sample, engines: Engines) -> Verdict:
    """Generate ten tokens and score by the answer."""
    said = await generate(engines, "judge this", 10)
    return Verdict(0.9 if sample.answer and sample.answer.key == "5" else 0.1, feedback=said)


def test_every_finished_sample_is_judged_once() -> None:
    seen: list[int] = []

    async def judge(sample: Sample, engines: Engines) -> Verdict:
        assert sample.finished
        seen.append(sample.index)
        return Verdict(0.5)

    solve(ScriptedEngine([says("4"), says("5")]), Asks(4), verifier=Judges(judge))
    assert sorted(seen) == [0, 1, 2, 3]


def test_a_verdict_settles_its_sample_and_wins() -> None:
    found = solve(ScriptedEngine(scripts), Asks(3), selector=BestScore(), verifier=Judges(by_generating))
    assert key(found) == "5"
    assert [sample.verdict and sample.verdict.score for sample in found.samples] == [0.1, 0.9, 0.1]


def test_a_judge_s_tokens_are_on_the_bill_apart() -> None:
    engine = ScriptedEngine(scripts, prices=PER_TOKEN)
    found = solve(engine, Asks(2), Budget(dollars=Decimal(500)), verifier=Judges(by_generating))
    by_role = {line.role: line.usage for line in found.receipt.lines}
    assert by_role[Role.VERIFIER].generated_tokens == 2 * 6
    assert found.receipt.verifier_tokens == 12
    assert found.receipt.thinking_tokens == 2 * 3
    assert found.receipt.answer_tokens == 2 * 2
    assert found.receipt.dollars == 12 + 10
    assert found.history.usage.generated_tokens == 10


def test_a_judge_s_tokens_are_inside_the_wall() -> None:
    """What the judge may not have it is refused, and the answer comes all the same."""
    found = solve(
        ScriptedEngine(scripts), Asks(2), Budget(tokens=14), verifier=Judges(by_generating), usual_tokens=5
    )
    assert key(found) == "4"
    assert found.receipt.generated_tokens <= 14
    assert any(
        "its verifier failed: the budget has no room for 10 tokens" in each.error for each in found.samples
    )


def test_a_judge_is_asked_for_no_more_than_it_was_granted() -> None:
    engine = ScriptedEngine(lambda number, prompt: endless() if "judge" in prompt else says("4"), waste=1)
    found = solve(engine, Asks(1), Budget(tokens=200), verifier=Judges(by_generating))
    assert found.receipt.verifier_tokens == 10


@pytest.mark.parametrize("reads", [0, 1, 4])
def test_streams_that_a_judge_leaves_open_are_closed_and_billed(reads: int) -> None:
    async def judge(sample: Sample, engines: Engines) -> Verdict:
        for _ in range(3):
            stream = engines["scripted"].stream(sample.prompt_ids, GenerationSpec(50))
            deltas = aiter(stream)
            for _ in range(reads):
                await anext(deltas)
        return Verdict(1.0)

    engine = ScriptedEngine([says("4"), endless(seconds_per_token=0.1)], waste=1)
    found = solve(engine, Asks(1), verifier=Judges(judge))
    assert found.receipt.verifier_tokens == (3 * reads + 3 if reads else 0)
    assert [log.end for log in engine.log[1:]] == [End.CLOSED] * (3 if reads else 0)


def test_a_judge_that_scores_is_billed_a_token_and_a_prompt() -> None:
    async def judge(sample: Sample, engines: Engines) -> Verdict:
        engine = engines["scripted"]
        yes, no = engine.tokenizer.encode("yes no")
        scores = await engine.score([*sample.prompt_ids, *sample.token_ids], [yes, no])
        return Verdict(2.718281828 ** scores[yes])

    engine = ScriptedEngine([says("4")])
    found = solve(engine, Asks(2), verifier=Judges(judge))
    assert [sample.verdict and round(sample.verdict.score or 0, 3) for sample in found.samples] == [0.5, 0.5]
    (line,) = [line for line in found.receipt.lines if line.role is Role.VERIFIER]
    assert (line.usage.requests, line.usage.generated_tokens, line.usage.cached_tokens) == (2, 2, None)
    assert line.usage.estimated


def test_a_judge_on_another_model_is_billed_to_that_model() -> None:
    async def judge(sample: Sample, engines: Engines) -> Verdict:
        return Verdict(1.0, feedback=await generate({"large": engines["large"]}, "judge", 20))

    async def main() -> None:
        small, large = ScriptedEngine([says("4")]), ScriptedEngine([JUDGE], card=ModelCard(name="large"))
        found = await Controller({"small": small, "large": large}, Asks(1), verifier=Judges(judge)).solve(
            QUESTION
        )
        assert [(line.role, line.model) for line in found.receipt.lines] == [
            (Role.SAMPLE, "small"),
            (Role.VERIFIER, "large"),
        ]
        truth = await large.counters()
        assert found.receipt.verifier_tokens == truth.generated_tokens

    run(main())


def test_a_judge_s_failed_request_leaves_the_sample_unjudged_and_the_run_alive() -> None:
    async def judge(sample: Sample, engines: Engines) -> Verdict:
        if sample.index == 0:
            raise RequestFailed("no judge today")
        return Verdict(1.0)

    found = solve(ScriptedEngine([says("4")]), Asks(2), verifier=Judges(judge))
    assert [sample.error for sample in found.samples] == ["its verifier failed: no judge today", ""]
    assert keys(found) == ["4", "4"]


def test_a_prompt_that_does_not_fit_the_judge_reserves_nothing() -> None:
    async def judge(sample: Sample, engines: Engines) -> Verdict:
        engines["scripted"].stream([1] * 500, GenerationSpec(10))
        return Verdict(1.0)

    found = solve(
        ScriptedEngine([says("4")], context=200), Asks(1), Budget(tokens=100), verifier=Judges(judge)
    )
    assert "its verifier failed" in found.samples[0].error


def test_a_stop_aborts_a_judge_at_work() -> None:
    """The first sample is judged at once, the second takes ten seconds: nobody waits for it."""

    async def judge(sample: Sample, engines: Engines) -> Verdict:
        if sample.index:
            await generate(engines, "judge", 100)
        return Verdict(1.0)

    engine = ScriptedEngine(
        lambda number, prompt: endless(seconds_per_token=0.1) if "judge" in prompt else says("4", 1 + number)
    )
    policy = decides(lambda history: Decision(stop=bool(history.answers) and history.elapsed > 1))
    found = solve(engine, Asks(2), Budget(seconds=5), verifier=Judges(judge), policy=policy, decide_every=1)
    assert found.seconds <= 5
    assert found.samples[1].verdict is None


def test_a_sample_is_in_flight_until_it_is_judged() -> None:
    """Its eldership keeps younger ones waiting, and the strategy sees that it is not done."""

    async def judge(sample: Sample, engines: Engines) -> Verdict:
        await asyncio.sleep(10 if sample.index == 0 else 0)
        return Verdict(1.0)

    policy = decides(lambda history: Decision())
    found = solve(ScriptedEngine([says("4")]), Asks(2), verifier=Judges(judge), policy=policy)
    settled = [(history.elapsed, len(history.settled)) for history in policy.seen]
    assert settled[-1] == (10, 2)
    assert all(count == 0 for elapsed, count in settled if elapsed < 10)
    assert found.samples[0].ended == 10


def test_truncated_samples_are_judged_and_cut_and_failed_ones_are_not() -> None:
    judged: list[Finish | None] = []

    async def judge(sample: Sample, engines: Engines) -> Verdict:
        judged.append(sample.finish)
        return Verdict(1.0)

    engine = ScriptedEngine(
        [
            endless(conclusion=words(90)),
            says("4", 2),
            says("5", 9, fail_after=2),
            endless(seconds_per_token=1),
        ]
    )
    cut = decides(lambda history: Decision(cut=(3,) if history.elapsed > 1 else ()))
    solve(engine, Asks(4), Budget(thinking_tokens=50), verifier=Judges(judge), policy=cut, decide_every=1)
    assert sorted(str(finish) for finish in judged) == ["length", "stop"]


def test_the_history_that_a_judge_sees_holds_the_sample_s_elders() -> None:
    seen: list[int] = []

    class Looks:
        async def judge(self, history, sample, engines) -> Verdict:
            seen.append(history.bought)
            return Verdict(1.0)

    solve(ScriptedEngine([says("4")]), Asks(3), verifier=Looks())
    assert seen == [3, 3, 3]


def test_a_metered_engine_is_the_engine_in_all_that_is_free() -> None:
    async def judge(sample: Sample, engines: Engines) -> Verdict:
        metered = engines["scripted"]
        await metered.start()
        await metered.aclose()
        assert (metered.card, metered.caps, metered.tokenizer) == (engine.card, engine.caps, engine.tokenizer)
        assert await metered.counters() == await engine.counters()
        return Verdict(1.0)

    engine = ScriptedEngine([says("4")])
    found = solve(engine, Asks(1), verifier=Judges(judge))
    assert found.samples[0].verdict is not None
    assert not engine.dead


def test_calls_and_seconds_of_verifiers_are_on_the_bill_of_every_purse() -> None:
    """Two calls of a second each, also where they run at the same time."""

    async def judge(sample: Sample, engines: Engines) -> Verdict:
        await asyncio.sleep(1.0)
        return Verdict(1.0)

    async def scenario() -> tuple[Receipt, Receipt]:
        controller = Controller(ScriptedEngine([says("4")]), Asks(2), verifier=Judges(judge))
        with budget(tokens=1_000) as outer:
            found = await controller.solve(QUESTION)
        return found.receipt, outer.receipt

    own, outer = run(scenario())
    assert (own.verifier_calls, own.verifier_seconds) == (2, pytest.approx(2.0))
    assert (outer.verifier_calls, outer.verifier_seconds) == (2, pytest.approx(2.0))
    assert (own + own).verifier_calls == 4


def test_a_verifier_that_its_deadline_cuts_is_on_the_bill_with_the_time_it_had() -> None:
    async def judge(sample: Sample, engines: Engines) -> Verdict:
        await asyncio.sleep(60.0)
        return Verdict(1.0)

    found = solve(ScriptedEngine([says("4")]), Asks(1), Budget(seconds=5), verifier=Judges(judge))
    assert key(found) == "4"
    assert (found.receipt.verifier_calls, found.receipt.verifier_seconds) == (1, pytest.approx(5.0, abs=0.05))
    assert found.receipt.seconds <= 5.05


@pytest.mark.parametrize(("prices", "dollars"), [(None, None), ({"critic": PER_PROMPT}, 30)])
def test_what_a_verifier_s_own_model_used_is_a_line_of_the_bill(
    prices: dict[str, Prices] | None, dollars: int | None
) -> None:
    """Its price may be given by its name; where it is not, the dollars are unknown and not 0."""

    async def judge(sample: Sample, engines: Engines) -> Verdict:
        return Verdict(0.5, usage=Usage(requests=1, prompt_tokens=15), model="critic")

    engine = ScriptedEngine([says("4")], prices=FREE)
    found = run(Controller(engine, Asks(2), verifier=Judges(judge), prices=prices).solve(QUESTION))
    (line,) = [line for line in found.receipt.lines if line.role is Role.VERIFIER]
    assert (line.model, line.usage.prompt_tokens, line.usage.requests) == ("critic", 30, 2)
    assert found.receipt.dollars == dollars
