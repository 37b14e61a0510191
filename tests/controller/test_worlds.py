"""Whole worlds drawn at random: every part, every currency, every fault, and what must hold in all of them.

``test_never_over`` has the promises one by one; here everything meets. The guard of this folder checks at
every step of every ledger that ``used + reserved <= limit``, and at the end that nothing stays reserved.
"""

from __future__ import annotations

from hypothesis import event, given, settings
from hypothesis import strategies as st

from tests.controller.rig import words
from tests.controller.worlds import World, live, worlds
from thinkctl import Budget
from thinkctl.testing import Script, ScriptedEngine
from thinkctl.types import ModelCard

CUE = 5
"""Tokens of the closing text without a closing mark."""


@settings(max_examples=100)
@given(worlds())
def test_in_every_world_the_walls_hold_and_the_bill_is_the_engine_s(world: World) -> None:
    life, _ = live(world)
    event("died" if life.died else f"stopped by {life.runs[-1].stop.value}")


@given(worlds(cancelled=True))
def test_in_every_world_a_cancellation_at_any_moment_leaves_nothing_behind(world: World) -> None:
    live(world)


@settings(max_examples=25)
@given(worlds())
def test_every_world_repeats_itself(world: World) -> None:
    """The same scripts, parts, budgets and seed give the same runs, to the token and the moment."""
    (first, one), (second, other) = live(world), live(world)
    assert first.runs == second.runs
    assert (first.died, first.seconds) == (second.died, second.seconds)
    assert [log.token_ids for log in one.log] == [log.token_ids for log in other.log]


@st.composite
def answerable(draw: st.DrawFn) -> World:
    """Draw a world in which nothing but tokens is scarce, and every conclusion fits the reserve.

    The reserve is a quarter of the narrowest wall (of each of two shares in a batch). The longest conclusion
    here has four tokens; the closing text is part of a prompt unless it is forced in flight, and then it is
    paid for by the thought's grant.
    """
    world = draw(worlds(faults=False))
    least = 16 * (2 if world.way == "many" else 1)
    conclusions = st.sampled_from(["4}", f"{words(3)} 5}}"])
    scripts = tuple(
        Script(
            script.text,
            script.seconds_per_token,
            script.first,
            script.chunk,
            conclusion=draw(conclusions),
            ends=script.ends,
        )
        for script in world.scripts
    )
    plain = {**world.engine, "context": None}
    return World(
        scripts=scripts,
        engine=plain,
        marked=world.marked,
        closing_seconds=world.closing_seconds,
        strategy="all at once" if world.strategy == "as a tree" else world.strategy,
        n=world.n,
        policy=world.policy,
        judge=world.judge,
        limit=Budget(tokens=draw(st.integers(least, 300)), thinking_tokens=world.limit.thinking_tokens),
        purses=tuple(Budget(tokens=draw(st.none() | st.integers(least, 400))) for _ in world.purses),
        knobs=world.knobs,
        seed=world.seed,
        cancel=(),
        way=world.way,
    )


@settings(max_examples=100)
@given(answerable())
def test_where_only_tokens_are_scarce_there_is_an_answer_whenever_anything_was_said(world: World) -> None:
    """Whatever the policy cuts, concludes, probes or stops, and whatever a verifier takes."""
    life, _ = live(world)
    for found in life.runs:
        if any(sample.text.strip() for sample in found.samples):
            assert found.answer is not None
        elif found.stop.value != "policy":
            assert not found.samples or world.policy is not None


def test_the_longest_conclusion_of_an_answerable_world_fits_its_reserve() -> None:
    """What the property above takes for granted."""
    tokenizer = ScriptedEngine(["x"]).tokenizer
    assert len(tokenizer.encode(f"{words(3)} 5}}")) == 4 == Budget(tokens=16).answer_reserve
    assert len(tokenizer.encode(ModelCard(name="x").answer_cue + "\\boxed{")) == CUE
