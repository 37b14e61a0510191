"""Whether recordings have what a policy reads: where they have not, it never acts, and seems to be safe."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import median
from typing import Any, Final, cast

from thinkctl.errors import ConfigurationError
from thinkctl.hindsight import Hindsight
from thinkctl.protocols import StoppingPolicy
from thinkctl.types import History, Run, Sample, StopReason, name_of, needs_of

__all__ = ["cautions_of", "check_signals"]

_NOT_PROBED: Final = (
    "thoughts were not probed to their end: what a policy would have seen later is not recorded; "
    "record with a threshold that nothing reaches"
)


def cautions_of(
    policy: StoppingPolicy, runs: Sequence[Run | History], careful: Sequence[Hindsight]
) -> tuple[str, ...]:
    """Say what about recordings makes a guarantee one of something else than it seems.

    ``careful`` is what the policy made of them at its most careful: probes are wanted as far as it thought, and
    no others are missed at thresholds that conclude earlier.

    Raises ``ConfigurationError`` where most of what the policy reads was not recorded.
    """
    stops = [one.stop for one in runs if isinstance(one, Run)]
    stopped = stops.count(StopReason.POLICY)
    ended = len(stops) - stopped - stops.count(StopReason.DONE)
    said: list[str] = []
    if stopped:
        said.append(
            f"{stopped:,} runs had been stopped by a policy: full thinking is what that one left of them"
        )
    if ended:
        said.append(
            f"{ended:,} runs had been ended by a wall or a failure: full thinking is what there was then"
        )
    if needs_of(policy).probes:
        said += _probe_cautions(policy, [sample for one in careful for sample in one.history.samples])
        apart = round(median([gap for one in runs for sample in one.samples for gap in _gaps(sample)]))
        if 1 in _grids_of(policy) and apart > 1:
            said.append(
                f"the recorded probes are about {apart:,} tokens apart: live, give every={apart}, not every=1"
            )
    return tuple(said)


def check_signals(policy: StoppingPolicy, histories: Sequence[History]) -> None:
    """Refuse recordings in which nothing can make a policy act: they would prove every threshold safe."""
    needs = needs_of(policy)
    samples = [sample for history in histories for sample in history.samples]
    lacking = [
        (what, how)
        for wanted, present, what, how in (
            (
                needs.probes,
                any(one.probes for one in samples),
                "probes",
                "let the policy watch (shadows=[...])",
            ),
            (
                needs.logprobs is not None,
                any(segment.logprobs for one in samples for segment in one.segments),
                "log-probabilities",
                "sample with logprobs",
            ),
            (needs.scores, any(one.verdict for one in samples), "verdicts", "run the verifier"),
        )
        if wanted and not present
    ]
    if lacking:
        what, how = lacking[0]
        raise ConfigurationError(
            f"{name_of(policy)} reads {what}, and the recordings have none; {how} while they are recorded"
        )


def _is_probed_to_the_end(sample: Sample) -> bool:
    """Whether after its last probe comes no more than twice the widest gap between them."""
    widest = max(_gaps(sample), default=None)
    return widest is None or sample.thinking_tokens - sample.probes[-1].at <= 2 * widest


def _places(sample: Sample, every: int) -> int:
    """Return how many probes a policy makes of a thought, one each ``every`` tokens."""
    return max(0, sample.thinking_tokens - 1) // every


def _missing(sample: Sample, every: int) -> int:
    """Return how many of them are missing; the last may be, since a thought can end before it is made."""
    there = sum(probe.at % every == 0 and probe.at < sample.thinking_tokens for probe in sample.probes)
    return max(0, _places(sample, every) - there - 1)


def _gaps(sample: Sample) -> list[int]:
    """Return the tokens from the beginning to the first probe, and from each to the next."""
    return [one - before for before, one in pairwise([0, *(probe.at for probe in sample.probes)])]


def _probe_cautions(policy: StoppingPolicy, samples: Sequence[Sample]) -> Iterator[str]:
    """Say where the policy would have seen, or would make, other probes than those that were recorded.

    Raises ``ConfigurationError`` where most of those that it reads are missing.
    """
    for every in sorted(set(_grids_of(policy)) - {1}):
        wanted = sum(_places(each, every) for each in samples)
        there = wanted - sum(_missing(each, every) for each in samples)
        if 4 * there < 3 * wanted:
            raise ConfigurationError(
                f"the recordings have {there:,} of the {wanted:,} probes that {name_of(policy)} reads, one each "
                f"{every} tokens; record with every={every}, or read those at any place with every=1"
            )
        if there < wanted:
            yield f"the recordings have {there / wanted:.0%} of the probes that a live run with every={every} makes"
    if 1 in _grids_of(policy):
        untold = sum(not _is_probed_to_the_end(sample) for sample in samples)
        if untold:
            yield f"{untold:,} {_NOT_PROBED}"


def _grids_of(part: Any) -> Iterator[int]:
    """Iterate over the distances between probes that a policy and the policies within it ask for."""
    if isinstance(part, tuple):
        for inner in part:
            yield from _grids_of(inner)
    elif isinstance(part, StoppingPolicy) and dataclasses.is_dataclass(part):
        every = getattr(part, "every", None)
        if isinstance(every, int) and not getattr(part, "marks", ()):
            yield every
        for field in dataclasses.fields(cast("Any", part)):
            yield from _grids_of(getattr(part, field.name))
