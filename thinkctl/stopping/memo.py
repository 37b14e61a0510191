"""Remember what was computed of a sample for as long as the sample lives."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import update_wrapper
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from thinkctl.types import Sample

__all__ = ["remembered"]

P = ParamSpec("P")
R = TypeVar("R")

_CAN_BE_WATCHED: Final = bool(Sample.__weakrefoffset__)


def remembered(
    function: Callable[Concatenate[Sample, P], R],
) -> Callable[Concatenate[Sample, P], R]:
    """Return a pure function of a sample and of hashable arguments that computes each result once.

    A policy is asked about all samples in flight whenever one of them has news, and most are the same values as
    the time before. Results are found by the identity of the sample, which never changes, and go with it: no
    sample is kept alive, as long as no result holds it. Where a sample cannot be watched, everything is computed
    each time.
    """
    if not _CAN_BE_WATCHED:
        return function
    known: dict[int, tuple[weakref.ref[Sample], dict[Any, R]]] = {}

    def looked_up(sample: Sample, /, *args: P.args, **kwargs: P.kwargs) -> R:
        place = id(sample)
        entry = known.get(place)
        if entry is None or entry[0]() is not sample:
            entry = weakref.ref(sample, lambda _: known.pop(place, None)), {}
            known[place] = entry
        results, key = entry[1], (args, tuple(sorted(kwargs.items())))
        if key not in results:
            results[key] = function(sample, *args, **kwargs)
        return results[key]

    update_wrapper(looked_up, function)
    return looked_up
