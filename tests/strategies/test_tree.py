"""Tree search: how the tree is found again, where UCT and adaptive branching put the next sample, and when they end."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.controller.rig import Judges, solve
from tests.strategies.growing import ended, grown
from thinkctl import Budget, Controller
from thinkctl.errors import ConfigurationError
from thinkctl.protocols import Engines
from thinkctl.strategies import UCT, AdaptiveBranching
from thinkctl.strategies.prompts import UNCHECKED, reason_first, what_scored
from thinkctl.strategies.tree import Node, tree_of
from thinkctl.testing import Script, ScriptedEngine, check_strategy, history_of, sample_of
from thinkctl.types import Finish, History, Request, Sample, Verdict

KINDS = [
    UCT(),
    UCT(6, 1, exploration=0.0, at_once=3),
    AdaptiveBranching(),
    AdaptiveBranching(8, "beta", per_token=False),
    AdaptiveBranching(8, models=("a", "b"), prices=(1.0, 20.0), at_once=4),
]
SEARCHES = [UCT, AdaptiveBranching]


@pytest.mark.parametrize("search", KINDS, ids=repr)
def test_it_conforms(search) -> None:
    check_strategy(search)


def tags(history: History) -> list[str]:
    return [sample.request.tag for sample in history.samples]


def shape(node: Node) -> dict[int, list[int]]:
    """The children of each node by index, -1 for the root."""
    found = {}
    for each in [node, *node.below()]:
        index = -1 if each.sample is None else each.sample.index
        found[index] = [child.sample.index for child in each.children if child.sample is not None]
    return found


def judged(*scores: float, tokens: int = 0):
    """Whole answers with these scores in launch order, and 0.1 from then on."""
    return lambda request, index: ended(
        str(index), scores[index] if index < len(scores) else 0.1, tokens=tokens
    )


# -- the tree ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "children"),
    [
        (["", "0", "0", "1"], {-1: [0], 0: [1, 2], 1: [3], 2: [], 3: []}),
        (["", "", "5", "x", "2", "-1", "1/0", "9" * 5000, "٣"], {-1: [0, 1, 2, 3, 5, 6, 7], 2: [4], 3: [8]}),
    ],
    ids=["revisions", "tags of others"],
)
def test_a_tag_names_the_sample_that_is_revised_and_any_other_tag_nothing(written, children) -> None:
    samples = [sample_of("4", index=index) for index in range(len(written))]
    told = [
        replace(each, request=replace(each.request, tag=tag))
        for each, tag in zip(samples, written, strict=True)
    ]
    found = shape(tree_of(told))
    assert {index: found[index] for index in children} == children


@given(st.integers(0, 10_000), st.sampled_from(KINDS))
def test_the_tree_is_found_again_from_the_samples_alone(seed, search) -> None:
    dice = random.Random(seed)
    history = grown(search, lambda request, index: ended("4", dice.random()), seed=seed)
    for sample in history.samples:
        messages = sample.request.messages
        if not sample.request.tag:
            assert messages == reason_first(history.problem)
            continue
        parent = history.samples[int(sample.request.tag)]
        assert parent.index < sample.index
        assert messages[-2].content == parent.text
        assert "report" in messages[-1].content
    assert history.bought == search.n


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        (Verdict(0.0, passed=False, feedback="3 != 4"), "A check of your answer failed. It says:\n\n3 != 4"),
        (Verdict(0.25), "A check rated your answer 0.25 of 1. Write a better one."),
        (Verdict(0.25, feedback=" too long "), "0.25 of 1. It says:\n\ntoo long\n\nWrite a better one."),
        (Verdict(), UNCHECKED),
        (None, UNCHECKED),
    ],
)
def test_a_revision_is_told_what_the_verifier_said(verdict, said) -> None:
    assert said in what_scored(replace(sample_of("4"), verdict=verdict))


# -- UCT ---------------------------------------------------------------------------------------------------------


def test_uct_widens_a_node_before_it_goes_down_and_goes_down_where_it_was_best() -> None:
    assert tags(grown(UCT(5, 3), judged(0.1, 0.9, 0.2, 0.8))) == ["", "", "", "1", "1"]


def test_without_exploration_it_follows_the_best_mean_and_with_much_of_it_all_branches() -> None:
    scores = judged(0.5, 0.4, *[0.45] * 20)
    greedy = tags(grown(UCT(10, 2, exploration=0.0), scores))
    assert greedy[2:4] == ["0", "0"]
    visits = Counter(tags(grown(UCT(10, 2, exploration=50.0), scores))[2:6])
    assert visits == {"0": 2, "1": 2}


def test_the_bound_is_that_of_the_paper() -> None:
    """Two drafts of 0.5 and 0.3, one revision of the first of 0.0: means 0.25 and 0.3, bounds with ln 3."""
    history = grown(UCT(3, 2, exploration=0.0), judged(0.5, 0.3, 0.0))
    assert tags(history) == ["", "", "0"]
    # 0.25 + 2 C sqrt(ln 3 / 2) < 0.3 + 2 C sqrt(ln 3 / 1) for every C; the mean alone decides the same here
    assert [request.tag for request in UCT(9, 2, exploration=1.0).propose(history)] == ["1"]
    again = grown(UCT(3, 2, exploration=0.0), judged(0.9, 0.3, 0.5))
    # 0.7 + 2 C 0.741 against 0.3 + 2 C 1.048: equal at C = 0.651
    assert [request.tag for request in UCT(9, 2, exploration=0.64).propose(again)] == ["0"]
    assert [request.tag for request in UCT(9, 2, exploration=0.66).propose(again)] == ["1"]


def test_samples_at_once_go_to_different_places() -> None:
    history = grown(UCT(3, 3), judged(0.5, 0.5, 0.5))
    assert [request.tag for request in UCT(12, 3, at_once=3).propose(history)] == ["0", "1", "2"]


@pytest.mark.parametrize("search", SEARCHES)
def test_nothing_is_revised_that_failed_or_still_grows(search) -> None:
    failed = replace(sample_of(None, finish=Finish.ERROR), text="half")
    history = history_of(failed, sample_of(None, finish=Finish.CUT), ...)
    for seed in range(30):
        asked = search(9, at_once=4).propose(replace(history, seed=seed))
        assert {request.tag for request in asked} <= {""}
    assert UCT(9, 3, at_once=4).propose(history) == [], "the root is full and no child can be revised"


# -- adaptive branching ------------------------------------------------------------------------------------------


def wide(search: AdaptiveBranching, history: History, draws: int = 300) -> float:
    """How often the next sample is a draft, over seeds."""
    asked = [search.propose(replace(history, seed=seed))[0] for seed in range(draws)]
    return sum(not request.tag for request in asked) / draws


@pytest.mark.parametrize("prior", ["beta", "normal"])
def test_it_goes_wider_where_drafts_scored_and_deeper_where_revisions_did(prior) -> None:
    def tree(drafts: float, revisions: float) -> History:
        first = [replace(ended(str(place), drafts), index=place) for place in range(4)]
        rest = [replace(ended(str(place), revisions), index=4 + place) for place in range(4)]
        revised = [
            replace(each, request=replace(each.request, tag=str(place))) for place, each in enumerate(rest)
        ]
        return history_of(*first, *revised)

    search = AdaptiveBranching(99, prior)
    assert wide(search, tree(0.9, 0.1)) > 0.8
    assert wide(search, tree(0.1, 0.9)) < 0.2


@pytest.mark.parametrize("prior", ["beta", "normal"])
def test_below_the_children_the_branch_that_scored_is_chosen(prior) -> None:
    first = [replace(ended(str(place), 0.1), index=place) for place in range(2)]
    rest = [ended("4", 0.95), ended("5", 0.05)] * 4
    revised = [
        replace(each, request=replace(each.request, tag=str(place % 2))) for place, each in enumerate(rest)
    ]
    history = history_of(*first, *revised)
    branch = {str(index): place % 2 for place, index in enumerate(range(2, 10))} | {"0": 0, "1": 1}
    asked = [AdaptiveBranching(99, prior).propose(replace(history, seed=seed))[0].tag for seed in range(200)]
    chosen = Counter(branch[tag] for tag in asked if tag)
    assert chosen[0] > 4 * chosen[1]


def models_asked(search: AdaptiveBranching, history: History, draws: int = 300) -> Counter[str | None]:
    return Counter(search.propose(replace(history, seed=seed))[0].model for seed in range(draws))


def of_models(*told: tuple[str, float, int]) -> History:
    """Drafts of these models with these scores and tokens."""
    samples = [
        replace(each, request=replace(each.request, model=model))
        for model, score, tokens in told
        for each in [ended("4", score, tokens=tokens)]
    ]
    return history_of(*samples)


def test_the_model_whose_samples_scored_is_asked_more_often() -> None:
    asked = models_asked(
        AdaptiveBranching(99, models=("a", "b")), of_models(*[("a", 0.9, 10), ("b", 0.2, 10)] * 6)
    )
    assert asked["a"] > 0.9 * 300


@pytest.mark.parametrize(
    ("tokens", "prices", "per_token", "cheaper"),
    [((10, 100), (), True, True), ((10, 10), (1.0, 20.0), True, True), ((10, 100), (), False, False)],
    ids=["fewer tokens", "a lower price", "samples alike"],
)
def test_by_the_token_a_cheap_model_is_worth_more_than_a_little_better_one(
    tokens, prices, per_token, cheaper
) -> None:
    told = [("a", 0.4, tokens[0]), ("b", 0.8, tokens[1])] * 8
    search = AdaptiveBranching(99, models=("a", "b"), prices=prices, per_token=per_token)
    asked = models_asked(search, of_models(*told))
    assert (asked["a"] > 0.9 * 300) is cheaper


def test_every_model_is_tried_before_anything_is_known() -> None:
    assert set(models_asked(AdaptiveBranching(9, models=("a", "b", "c")), history_of())) == {"a", "b", "c"}


@pytest.mark.parametrize("seed", range(20))
def test_a_sample_that_grows_counts_as_a_score_of_0(seed) -> None:
    """So several at once are drawn one after the other, each knowing of those before it."""
    search = AdaptiveBranching(9, at_once=3)
    history = history_of(seed=seed)
    asked = list(search.propose(history))
    for index, request in enumerate(asked):
        grows = replace(sample_of(..., index=index), request=request)
        history = history.received(grows)
        assert search.propose(history) == asked[index + 1 :]


# -- when it ends ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("search", SEARCHES)
def test_it_ends_at_the_first_answer_that_passes(search) -> None:
    def says(request: Request, index: int) -> Sample:
        return ended(str(index), 1.0 if index == 3 else 0.0, passed=index == 3)

    assert grown(search(50), says).bought == 4


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize("at_once", [1, 3])
def test_no_more_than_n_samples_are_taken_and_so_many_at_once(search, at_once) -> None:
    assert len(search(6, at_once=at_once).propose(history_of())) == at_once
    assert grown(search(6, at_once=at_once), judged()).bought == 6


@pytest.mark.parametrize(
    ("search", "knobs", "named"),
    [
        (UCT, {"n": 0}, "n=0"),
        (UCT, {"width": 0}, "width=0"),
        (UCT, {"at_once": 0}, "at_once=0"),
        (UCT, {"exploration": -1.0}, r"exploration=-1\.0"),
        (UCT, {"exploration": float("inf")}, "exploration=inf"),
        (AdaptiveBranching, {"n": 0}, "n=0"),
        (AdaptiveBranching, {"prior": "uniform"}, "prior='uniform'"),
        (AdaptiveBranching, {"models": ("a", "a")}, "names one twice"),
        (AdaptiveBranching, {"models": ("a", "")}, "names one twice"),
        (AdaptiveBranching, {"models": ("a",), "prices": (1.0, 2.0)}, "one for each"),
        (AdaptiveBranching, {"prices": (1.0,)}, "one for each"),
        (AdaptiveBranching, {"models": ("a",), "prices": (0.0,)}, "must be above 0"),
    ],
)
def test_what_makes_no_sense_is_refused(search, knobs, named) -> None:
    with pytest.raises(ConfigurationError, match=named):
        search(**knobs)


@pytest.mark.parametrize("search", SEARCHES)
def test_without_a_verifier_it_is_refused(search) -> None:
    with pytest.raises(ConfigurationError, match="needs scores"):
        Controller(ScriptedEngine(["4"]), search())


# -- through the loop --------------------------------------------------------------------------------------------


async def nearer_to_40(sample: Sample, engines: Engines) -> Verdict:
    """Score an answer by how near it is to 40, and say in which direction to go."""
    if sample.answer is None or not sample.answer.key.isdecimal():
        return Verdict(0.0, passed=False, feedback="no number")
    number = int(sample.answer.key)
    way = "too low" if number < 40 else "too high"
    return Verdict(max(0.0, 1 - abs(number - 40) / 40), number == 40, f"{number} is {way}")


def learns(number: int, prompt: str) -> Script:
    """A model that begins with 25 and goes 5 up when it is told that it is too low."""
    told = [
        int(word)
        for word, after in zip(prompt.split(), prompt.split()[2:], strict=False)
        if after == "too" and word.isdecimal()
    ]
    return Script(f"hm hm \\boxed{{{told[-1] + 5 if told else 25}}}")


@pytest.mark.parametrize(
    "search", [UCT(40, 2), AdaptiveBranching(40), UCT(40, 2, at_once=3), AdaptiveBranching(80, at_once=3)]
)
def test_a_chain_of_revisions_finds_what_no_draft_says(search) -> None:
    found = solve(ScriptedEngine(learns), search, verifier=Judges(nearer_to_40))
    assert (found.answer and found.answer.key) == "40"
    assert found.history.bought <= search.n


@given(
    search=st.sampled_from(SEARCHES),
    tokens=st.integers(1, 300),
    at_once=st.integers(1, 4),
    length=st.integers(0, 20),
    chunk=st.integers(1, 3),
    waste=st.integers(0, 1),
)
def test_no_budget_is_passed_and_there_is_an_answer_whenever_something_was_said(
    search, tokens, at_once, length, chunk, waste
) -> None:
    def says(number: int, prompt: str) -> Script:
        return Script(f"{'w ' * length}\\boxed{{{number}}}", chunk=chunk, conclusion=f"{number}}}")

    engine = ScriptedEngine(says, waste=waste)
    found = solve(engine, search(9, at_once=at_once), Budget(tokens=tokens), verifier=Judges(nearer_to_40))
    assert found.receipt.generated_tokens <= tokens
    assert found.receipt.overshoot_tokens == 0
    if tokens >= 64:
        assert found.answer is not None


@pytest.mark.parametrize("search", KINDS, ids=repr)
def test_the_same_seed_makes_the_same_search_and_another_seed_another(search) -> None:
    def history(seed: int) -> History:
        return grown(search, judged(0.5, 0.2, 0.7), seed=seed)

    assert history(3) == history(3)
    if isinstance(search, AdaptiveBranching):
        assert len({tuple(tags(history(seed))) for seed in range(9)}) > 1
