"""Words of TOML and JSON where Python's are meant: nothing new is taken, and the error says what to write."""

from __future__ import annotations

import pytest

from thinkctl import registry
from thinkctl.errors import ConfigurationError


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("uct(200, think=false)", "False"),
        ("uct(200, think=FALSE)", "False"),
        ("uct(200, think=true)", "True"),
        ("self-consistency(8, weight=null)", "None"),
        ("self-consistency(8, weight=none)", "None"),
        ("any-of([margin(2), null])", "None"),
    ],
)
def test_a_word_of_toml_is_refused_with_what_to_write(text: str, meant: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"write {meant} \(Python's way\)") as raised:
        registry.build(text)
    assert "Known:" not in str(raised.value)


def test_another_unknown_word_is_answered_with_what_is_known() -> None:
    with pytest.raises(ConfigurationError, match="Known: "):
        registry.build("uct(200, think=maybe)")


def test_in_place_of_a_whole_part_the_word_is_an_unknown_name() -> None:
    with pytest.raises(ConfigurationError, match="there is no stopping policy 'none'"):
        registry.policy("none")


def test_a_part_of_others_that_is_named_so_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thinkctl.registry.parts.names", lambda kind: (*registry.names(kind), "null"))
    with pytest.raises(ConfigurationError, match="Known: "):
        registry.build("any-of([margin(2), null])")
