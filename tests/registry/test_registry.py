"""Parts by name: what is read, what is refused and how."""

from __future__ import annotations

import json
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thinkctl import registry
from thinkctl.errors import ConfigurationError
from thinkctl.selectors import BestScore, Latest, Majority, WeightedMajority
from thinkctl.stopping import (
    AdaptiveConsistency,
    AllOf,
    AnyOf,
    CannotBeOvertaken,
    ThinkingCap,
    all_of,
    any_of,
)
from thinkctl.strategies import ChainOfThought, SelfConsistency, ZeroShot
from thinkctl.types import Sampling, name_of, spec_of

samplings = st.builds(
    Sampling,
    temperature=st.floats(0, 2),
    top_p=st.sampled_from([0.5, 1.0]),
    max_tokens=st.none() | st.integers(1, 99),
)
strategy_parts = (
    st.builds(ZeroShot, samplings)
    | st.builds(ChainOfThought, st.none() | st.integers(1, 999), st.integers(0, 3), samplings)
    | st.builds(SelfConsistency, st.integers(1, 99), st.sampled_from([None, "confidence"]), samplings)
)
rules = (
    st.builds(AdaptiveConsistency, st.floats(0.51, 0.999))
    | st.builds(CannotBeOvertaken, st.integers(1, 99))
    | st.builds(ThinkingCap, st.integers(0, 9999))
)
policy_parts = st.recursive(
    rules,
    lambda inner: st.lists(inner, min_size=1, max_size=3).flatmap(
        lambda parts: st.sampled_from([AnyOf(tuple(parts)), AllOf(tuple(parts))])
    ),
    max_leaves=5,
)
selector_parts = st.sampled_from(
    [Majority(), WeightedMajority("confidence"), WeightedMajority("score"), BestScore(), Latest()]
)
parts = strategy_parts | policy_parts | selector_parts


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("zero-shot", ZeroShot()),
        ("zero-shot()", ZeroShot()),
        ("self-consistency(32)", SelfConsistency(32)),
        (" self-consistency( n = 16 , weight='confidence' ) ", SelfConsistency(16, "confidence")),
        ('self-consistency(16, weight="confidence")', SelfConsistency(16, "confidence")),
        ("self-consistency(16, None)", SelfConsistency(16)),
        ("chain-of-thought(thinking-tokens=512)", ChainOfThought(512)),
        ("chain_of_thought(thinking_tokens=512)", ChainOfThought(512)),
        ("zero-shot(sampling=sampling(temperature=1, top_k=9))", ZeroShot(Sampling(temperature=1, top_k=9))),
        ("zero-shot(sampling(top_p=0.5))", ZeroShot(Sampling(top_p=0.5))),
        ("adaptive-consistency", AdaptiveConsistency()),
        ("adaptive-consistency(9e-1)", AdaptiveConsistency(0.9)),
        ("any-of(adaptive-consistency(0.9), thinking-cap(512))", any_of(AdaptiveConsistency(0.9), ThinkingCap(512))),
        ("any-of(adaptive-consistency)", any_of(AdaptiveConsistency())),
        ("all-of([thinking-cap(2), any-of(thinking-cap(1))])", all_of(ThinkingCap(2), any_of(ThinkingCap(1)))),
        ("all-of(policies=(adaptive-consistency,))", all_of(AdaptiveConsistency())),
        ("weighted-majority('score')", WeightedMajority("score")),
    ],
)  # fmt: skip
def test_a_text_is_read_as_it_looks(text, part) -> None:
    assert registry.parse(text) == registry.build(text) == part


@pytest.mark.parametrize(
    ("spec", "part"),
    [
        ({"name": "self-consistency", "n": 32}, SelfConsistency(32)),
        ({"name": "zero-shot", "sampling": {"temperature": 1}}, ZeroShot(Sampling(temperature=1))),
        (
            {"name": "any-of", "policies": [{"name": "thinking-cap", "tokens": 9}, {"name": "adaptive-consistency"}]},
            any_of(ThinkingCap(9), AdaptiveConsistency()),
        ),
    ],
)  # fmt: skip
def test_a_spec_is_built_with_its_nested_specs(spec, part) -> None:
    assert registry.build(spec) == part


@given(parts)
def test_a_part_comes_back_from_its_spec_and_the_spec_from_the_part(part) -> None:
    spec = json.loads(json.dumps(spec_of(part)))
    assert registry.build(spec) == part
    assert spec_of(registry.build(spec)) == spec


@given(parts)
def test_a_part_comes_back_from_its_text(part) -> None:
    assert registry.parse(registry.write(part)) == part


def test_a_part_is_written_without_its_defaults() -> None:
    assert registry.write(SelfConsistency(32)) == "self-consistency(n=32)"
    assert registry.write(any_of(AdaptiveConsistency(), ThinkingCap(9))) == (
        "any-of(policies=[adaptive-consistency(), thinking-cap(tokens=9)])"
    )
    assert registry.write(ZeroShot(Sampling())) == "zero-shot(sampling=sampling())"


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (registry.strategy, "self-consistency"),
        (registry.policy, "adaptive-consistency"),
        (registry.selector, "majority"),
    ],
)
def test_each_kind_reads_its_own_parts_only(read, text) -> None:
    assert name_of(read(text)) == text
    others = {registry.strategy, registry.policy, registry.selector, registry.verifier} - {read}
    for other in others:
        with pytest.raises(ConfigurationError, match="there is no"):
            other(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("adaptive-consistancy(0.9)", "'adaptive-consistancy'; did you mean 'adaptive-consistency'? Known: "),
        ("SelfConsistency(3)", "did you mean 'self-consistency'?"),
        ("banana", "there is no part 'banana'. Known: adaptive-branching, "),
        ("self-consistency(samples=3)", "unexpected keyword argument 'samples'; it takes n=8, weight=None, sampling="),
        ("self-consistency(3, n=4)", "multiple values for argument 'n'"),
        ("self-consistency(1, None, sampling(), 4)", "too many positional arguments; it takes n=8"),
        ("thinking-cap", "missing a required argument: 'tokens'; it takes tokens"),
        ("majority(3)", "too many positional arguments; it takes no parameters"),
        ("self-consistency('many')", "self-consistency cannot take n='many': Input should be a valid integer"),
        ("self-consistency(1.5)", "n=1.5"),
        ("self-consistency(0)", "n=0 samples cannot vote"),
        ("self-consistency(weight=confidence)", "there is no part 'confidence'"),
        ("self-consistency(weight='length')", "cannot take weight='length': Input should be 'confidence'"),
        ("zero-shot(sampling=sampling(temperature=-1))", "zero-shot cannot take sampling.temperature=-1"),
        ("zero-shot(sampling=sampling(tempratur=1))", "sampling.tempratur=1: Extra inputs are not permitted"),
        ("zero-shot(sampling=sampling(1))", "sampling takes named values only"),
        ("any-of()", "missing a required argument: 'policies'"),
        ("any-of(majority)", "there is no stopping policy 'majority'"),
        ("any-of(3)", "any-of cannot take policies.0=3"),
        ("thinking-cap(-5)", "tokens=-5"),
        ("thinking-cap(1e999)", "tokens=inf"),
        ("thinking-cap(tokens=1, tokens=2)", "each parameter once"),
        ("self-consistency(32", "was never closed"),
        ("self-consistency 32", "cannot read"),
        ("", "cannot read ''"),
        ("3", "it names no part"),
        ("'zero-shot'", "it names no part"),
        ("[zero-shot]", "it names no part"),
    ],
)  # fmt: skip
def test_an_error_says_what_which_value_and_what_now(text, message) -> None:
    with pytest.raises(ConfigurationError) as raised:
        registry.parse(text)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "thinking-cap(__import__('os'))",
        "thinking-cap(tokens=(lambda: 3)())",
        "thinking-cap(2**999)",
        "thinking-cap(1+1)",
        "thinking-cap([3 for _ in 'x'])",
        "thinking-cap(*[3])",
        "thinking-cap(**{'tokens': 3})",
        "thinking-cap(f'{3}')",
        "thinking-cap(b'3')",
        "thinking-cap(3j)",
        "thinking-cap(...)",
        "thinking-cap(x := 3)",
        "thinking-cap(--3)",
        "thinking-cap(3).decide",
        "thinking-cap\x00(3)",
        "any-of(" * 199 + ")" * 199,
        "thinking-cap(" + "+".join("1" * 400) + ")",
        "thinking-cap(" + "9" * 5000 + ")",
        "x" * 10_000,
        "zero-shot; zero-shot",
    ],
)
def test_nothing_but_parts_and_plain_values_is_read_and_nothing_is_evaluated(text) -> None:
    with pytest.raises(ConfigurationError):
        registry.parse(text)


@settings(deadline=None)  # an unknown name is looked for in every installed package
@given(st.text(alphabet="abz-_(),='\"[]1.5eE \\#\n", max_size=60))
def test_any_text_is_read_or_refused_and_nothing_else(text) -> None:
    try:
        registry.parse(text)
    except ConfigurationError:
        return


@pytest.mark.parametrize("spec", [{}, {"n": 3}, {"name": 3}, {"name": None}])
def test_a_spec_without_a_name_is_refused(spec) -> None:
    with pytest.raises(ConfigurationError, match="has no name"):
        registry.build(spec)


def test_an_unknown_parameter_of_a_spec_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="'m'; it takes n=8"):
        registry.build({"name": "self-consistency", "m": 32})


@pytest.mark.parametrize("kind", registry.KINDS)
def test_what_is_listed_is_there_under_its_name(kind) -> None:
    assert list(registry.names(kind)) == sorted(registry.names(kind))
    for name in registry.names(kind):
        assert name_of(registry.load(kind, name)) == name


def test_every_part_of_ours_is_registered() -> None:
    from thinkctl import agreement, selectors, stopping, strategies, verifiers

    modules: dict[registry.Kind, tuple[tuple[ModuleType, ...], str]] = {
        "strategies": ((strategies,), "propose"),
        "stopping": ((stopping,), "decide"),
        "selectors": ((selectors, agreement, strategies), "select"),
        "allocations": ((stopping,), "priority"),
        "verifiers": ((verifiers,), "judge"),
    }
    for kind, (where, method) in modules.items():
        things = [vars(module).get(name) for module in where for name in module.__all__]
        parts = [thing for thing in things if isinstance(thing, type)]
        classes = {
            name_of(part)
            for part in parts
            if hasattr(part, method) and not getattr(part, "_is_protocol", False)
        }
        assert classes == set(registry.names(kind))


def test_a_description_has_the_first_line_and_the_parameters_with_their_defaults() -> None:
    described = {part.name: part for part in registry.describe("strategies")}
    found = described["self-consistency"]
    assert found.summary == "Ask for ``n`` independent samples and let them vote."
    assert found.parameters == {"n": "8", "weight": "None", "sampling": "sampling()"}
    assert found.source == "thinkctl"
    (cap,) = [part for part in registry.describe("stopping") if part.name == "thinking-cap"]
    assert cap.parameters == {"tokens": None}
    assert all(
        part.summary.endswith((".", ":")) for kind in registry.KINDS for part in registry.describe(kind)
    )
