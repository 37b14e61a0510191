"""Parts of other packages: named, read and described like ours, and named when they are broken."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from thinkctl import registry
from thinkctl.errors import ConfigurationError, MissingExtra
from thinkctl.selectors import WeightedMajority
from thinkctl.stopping import AdaptiveConsistency, any_of
from thinkctl.types import spec_of

THEIR_MODULE = '''
from __future__ import annotations
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict
from thinkctl.protocols import Selector, StoppingPolicy
from thinkctl.selectors import Majority
from thinkctl.types import Decision
if TYPE_CHECKING:
    from nowhere import Something

@dataclass(frozen=True)
class Hesitant:
    """Wait for a rule to say stop this many times."""
    policy: StoppingPolicy
    times: int = 2
    def decide(self, history): return Decision()

@dataclass(frozen=True)
class Waterfall:
    """Ask a small model first."""
    selector: Selector = Majority()
    hint: Something = None
    def propose(self, history): return ()

class NoParameters:
    """Nothing to set."""
    def select(self, history): return None

class Fields(TypedDict):
    size: int

@dataclass(frozen=True)
class Odd:
    """Has a type of its own."""
    fields: Fields
    def select(self, history): return None

class NotASelector:
    """Lacks select."""

@dataclass(frozen=True)
class Majority2:
    """Not called what it is registered as."""
    def select(self, history): return None
'''
THEIR_POINTS = """
[thinkctl.stopping]
hesitant = their_parts:Hesitant
adaptive-consistency = their_parts:Hesitant
gone = their_parts:Gone
absent = no_such_module_anywhere:Part
[thinkctl.strategies]
waterfall = their_parts:Waterfall
[thinkctl.selectors]
no-parameters = their_parts:NoParameters
odd = their_parts:Odd
heavy = their_heavy:Part
not-a-selector = their_parts:NotASelector
misnamed = their_parts:Majority2
"""


def install(folder: Path, name: str, points: str) -> None:
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(points, encoding="utf-8")


@pytest.fixture
def theirs(tmp_path: Path, monkeypatch) -> Path:
    (tmp_path / "their_parts.py").write_text(THEIR_MODULE, encoding="utf-8")
    heavy = "from thinkctl.errors import MissingExtra\nraise MissingExtra('install their-package[heavy]')\n"
    (tmp_path / "their_heavy.py").write_text(heavy, encoding="utf-8")
    install(tmp_path, "their-package", THEIR_POINTS)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "their_parts", raising=False)
    return tmp_path


@pytest.mark.usefixtures("theirs")
def test_parts_of_other_packages_are_named_read_and_described_like_ours() -> None:
    assert "hesitant" in registry.names("stopping")
    part = registry.parse("hesitant(any-of(adaptive-consistency(0.9)), times=3)")
    assert (part.policy, part.times) == (any_of(AdaptiveConsistency(0.9)), 3)
    assert registry.build(spec_of(part)) == registry.parse(registry.write(part)) == part
    described = {one.name: one for one in registry.describe("stopping")}
    assert described["hesitant"].source == "their-package"
    assert described["hesitant"].parameters == {"policy": None, "times": "2"}
    assert registry.parse("no-parameters") is not None


@pytest.mark.usefixtures("theirs")
def test_types_that_only_a_type_checker_sees_are_not_checked() -> None:
    part = registry.parse("waterfall(selector=weighted-majority('score'), hint='anything')")
    assert (part.selector, part.hint) == (WeightedMajority("score"), "anything")
    assert registry.build(spec_of(part)) == part


@pytest.mark.usefixtures("theirs")
def test_listing_names_loads_nothing() -> None:
    assert "hesitant" in registry.names("stopping")
    assert "their_parts" not in sys.modules


@pytest.mark.usefixtures("theirs")
def test_a_type_that_cannot_be_checked_is_taken_as_it_is() -> None:
    assert registry.build({"name": "odd", "fields": {"size": 3}}).fields == {"size": 3}


@pytest.mark.usefixtures("theirs")
def test_a_missing_extra_is_named_and_still_listed() -> None:
    with pytest.raises(MissingExtra, match="install their-package"):
        registry.parse("heavy")
    assert "install their-package[heavy]" in [part.summary for part in registry.describe("selectors")]


@pytest.mark.usefixtures("theirs")
def test_our_names_cannot_be_taken_over() -> None:
    assert registry.policy("adaptive-consistency") == AdaptiveConsistency()


@pytest.mark.usefixtures("theirs")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gone", "'gone' of their-package cannot be loaded"),
        ("absent", "cannot be loaded: No module named 'no_such_module_anywhere'"),
        ("misnamed", "no class of that name"),
        ("not-a-selector", "is registered as a selector but is none"),
    ],
)
def test_a_broken_part_of_another_package_says_whose_it_is(text, message) -> None:
    with pytest.raises(ConfigurationError, match=message):
        registry.parse(text)


@pytest.mark.usefixtures("theirs")
def test_a_broken_part_does_not_break_the_list() -> None:
    described = {one.name: one.summary for one in registry.describe("stopping")}
    assert "cannot be loaded" in described["gone"]


def test_two_packages_with_the_same_name_are_told_apart_by_uninstalling_one(theirs) -> None:
    install(theirs, "another-package", "[thinkctl.stopping]\nhesitant = somewhere:Hesitant\n")
    with pytest.raises(
        ConfigurationError, match="comes from another-package and their-package; uninstall one"
    ):
        registry.parse("hesitant(adaptive-consistency)")


def test_a_name_of_several_kinds_needs_the_kind(theirs) -> None:
    install(theirs, "third-package", "[thinkctl.selectors]\nhesitant = somewhere:Hesitant\n")
    with pytest.raises(ConfigurationError, match="stopping policy and a selector; give the kind"):
        registry.parse("hesitant")
    assert registry.parse("hesitant(thinking-cap(1))", "stopping").times == 2
