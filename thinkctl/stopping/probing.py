"""What policies share that fork short answers from a running thought and conclude it on what these say."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Final, Protocol

from thinkctl.errors import ConfigurationError
from thinkctl.protocols import StoppingPolicy
from thinkctl.stopping.memo import remembered
from thinkctl.types import Decision, History, Origin, Probe, ProbeRequest, Sample

__all__ = [
    "Prober",
    "by_probes",
    "check_at_least",
    "grid_request",
    "length",
    "merged",
    "probes_all_the_same",
    "probes_on_grid",
    "thought_is_open",
]

_NO_GUARD: Final = Decision()
_FAR_BEHIND: Final = 64
"""Tokens: news comes every 32, and up to 31 late."""


class Prober(Protocol):
    """A policy that concludes a thought on what probes say of it. Hashable, for what is remembered of it."""

    @property
    def guard(self) -> StoppingPolicy | None:
        """What comes before it and may take samples away from it."""
        ...

    def reason(self, sample: Sample) -> str | None:
        """Return why the thought of a sample is to be concluded; ``None``: it is not."""
        ...

    def ask(self, sample: Sample) -> ProbeRequest | None:
        """Return the probe that is missing."""
        ...


def check_at_least(policy: object, least: int, **values: int) -> None:
    """Raise ``ConfigurationError`` for a number of tokens or probes that is too small."""
    for name, value in values.items():
        if value < least:
            raise ConfigurationError(
                f"{name}={value!r} of {type(policy).__name__} is too small; give {least} or more"
            )


def length(sample: Sample) -> int:
    """Return how many tokens a sample has after its prompt, wherever they come from."""
    return sum(len(segment.token_ids) for segment in sample.segments)


def thought_is_open(sample: Sample) -> bool:
    """Say whether a sample is still thinking, as far as its text was read."""
    return not sample.finished and not sample.concluded and sample.thought_chars == len(sample.text)


def probes_on_grid(sample: Sample, every: int, text: str) -> list[Probe]:
    """Return the probes after each ``every`` tokens, the oldest place first, of one place the last made.

    Probes elsewhere are another policy's, and so are those after another text than ``text``; without a text,
    any will do. A probe that says of no text what was forced may be anybody's.
    """
    places = {
        probe.at: probe
        for probe in sample.probes
        if probe.at % every == 0 and (not text or probe.forced in ("", text))
    }
    return [places[place] for place in sorted(places)]


def grid_request(sample: Sample, every: int, request: ProbeRequest) -> ProbeRequest | None:
    """Return ``request`` at the next multiple of ``every`` tokens after the last that was probed, if it is there.

    So places are probed one after the other and are the same however news comes in. One that is far behind the
    last multiple is let go, and so are those among tokens that a sample inherited.
    """
    tokens = length(sample)
    latest = tokens - tokens % every
    inherited = sum(
        len(segment.token_ids) for segment in sample.segments if segment.origin is Origin.INHERITED
    )
    probed = max((probe.at for probe in probes_on_grid(sample, every, request.text)), default=0)
    following = max(probed, inherited - inherited % every) + every
    if following > latest:
        return None
    at = following if latest - following <= max(every, _FAR_BEHIND) else latest
    return replace(request, at=at)


def by_probes(history: History, policy: Prober) -> Decision:
    """Return what to do with open thoughts: conclude those for which ``policy`` has a reason, probe others.

    What the guard takes is neither concluded nor probed.
    """
    guarded = policy.guard.decide(history) if policy.guard is not None else _NO_GUARD
    taken = {*guarded.cut, *guarded.conclude}
    conclude, probe, why = list(guarded.conclude), list[ProbeRequest](), [guarded.why] if guarded.why else []
    for sample in history.in_flight:
        if sample.index in taken or not thought_is_open(sample):
            continue
        reason, request = _looked_at(sample, policy)
        if reason is not None:
            conclude.append(sample.index)
            why.append(f"sample {sample.index} {reason}")
        elif request is not None:
            probe.append(request)
    return replace(guarded, conclude=tuple(conclude), probe=tuple(probe), why="; ".join(why))


@remembered
def _looked_at(sample: Sample, policy: Prober) -> tuple[str | None, ProbeRequest | None]:
    """Return why to conclude a sample, or else what to ask of it."""
    reason = policy.reason(sample)
    return reason, None if reason is not None else policy.ask(sample)


def probes_all_the_same(
    policy: StoppingPolicy, history: History, samples: Collection[int]
) -> tuple[ProbeRequest, ...]:
    """Return what a policy would ask of samples that it concludes and that go on nevertheless.

    It is shown their probes as if these had said nothing.
    """
    if not samples:
        return ()
    silent = tuple(
        replace(
            sample,
            probes=tuple(replace(probe, answer=None, logprobs=None, text="") for probe in sample.probes),
        )
        if sample.index in samples
        else sample
        for sample in history.samples
    )
    asked = policy.decide(replace(history, samples=silent)).probe
    return tuple(request for request in asked if request.sample in samples)


def merged(
    requests: Iterable[ProbeRequest], logprobs: int | None = None, without: Iterable[int] = ()
) -> tuple[ProbeRequest, ...]:
    """Return requests in the order first seen, those for one place and text as one that serves them all.

    Each asks for ``logprobs`` alternatives at least, so that it serves whoever reads it later. ``without`` are
    samples that need no probe any more.
    """
    gone = set(without)
    places: dict[tuple[int, str, int | None], ProbeRequest] = {}
    for request in requests:
        place = request.sample, request.text, request.at
        if request.sample not in gone:
            before = places.get(place, request)
            known = [count for count in (before.logprobs, request.logprobs, logprobs) if count is not None]
            places[place] = replace(
                before,
                max_tokens=max(before.max_tokens, request.max_tokens),
                logprobs=max(known, default=None),
            )
    return tuple(places.values())
