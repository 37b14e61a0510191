"""A vote on each field of an answer that has fields."""

# JSON of any shape: what an isinstance finds has no known parts.
# pyright: standard

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

from thinkctl.answers import form_of
from thinkctl.selectors.votes import Majority
from thinkctl.types import Answer, History

__all__ = ["FieldwiseMajority"]

_MISSING: Final = object()
"""What an object says of a field that it does not have."""
_DEEPEST: Final = 60


@final
@dataclass(frozen=True)
class FieldwiseMajority:
    """The JSON object that says of each field what most answers say of it; ties go to the first launched.

    Fields within fields are voted on in the same way, by the answers that have an object there; lists are one value
    each. A field is left out where most leave it out. ``Answer.sample`` is the sample that agrees with most fields of
    what comes out, the first of several. Where answers are no objects, or the winners together are not of the
    answer's type, the majority of whole answers wins. No sample need have said what wins, so the share of votes for
    it, the run's confidence without a policy, can be 0.

    Source: self-consistency, Wang et al. 2023 (arXiv:2203.11171), section 2, unweighted sum. Deviation: a sum for each
    field.
    """

    def select(self, history: History) -> Answer | None:
        form = form_of(history.problem)
        read = [(answer, form.value(answer.text)) for answer in history.answers]
        votes = [(answer, value) for answer, value in read if isinstance(value, dict)]
        whole = Majority().select(history)
        if len(votes) <= len(read) / 2:  # most are no objects
            return whole
        composed = _composed([value for _, value in votes], 0)
        text = json.dumps(composed, ensure_ascii=False)
        key = form.key(text)
        same = next((answer for answer, _ in votes if answer.key == key), None)
        if same is not None or form.value(text) is None:
            return same or whole
        nearest = max(votes, key=lambda vote: _agreement(vote[1], composed))[0]
        return Answer(text, key, nearest.sample, nearest.concluded)


def _composed(values: Sequence[Mapping[str, Any]], depth: int) -> dict[str, Any]:
    names = dict.fromkeys(name for value in values for name in value)
    composed: dict[str, Any] = {}
    for name in names:
        said = [value.get(name, _MISSING) for value in values]
        winner = _winner(said, depth)
        if winner is not _MISSING:
            composed[name] = winner
    return composed


def _winner(said: Sequence[Any], depth: int) -> Any:
    """Return what most say; all objects are one candidate, within which there is a further vote."""
    written = ["object" if isinstance(one, dict) else _written(one) for one in said]
    most = max(written, key=written.count)  # the first of those with the most votes
    first = said[written.index(most)]
    if most != "object" or depth > _DEEPEST:
        return first
    return _composed([one for one in said if isinstance(one, dict)], depth + 1)


def _written(value: Any) -> str:
    return "missing" if value is _MISSING else json.dumps(_plain(value), sort_keys=True)


def _plain(value: Any) -> Any:
    """Make numbers of one value alike: 1.0 is 1, and True is not."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _agreement(value: Any, composed: Any) -> int:
    """Count the fields, innermost ones, of which two objects say the same."""
    if isinstance(value, dict) and isinstance(composed, dict):
        return sum(_agreement(value.get(name, _MISSING), item) for name, item in composed.items())
    return int(_written(value) == _written(composed))
