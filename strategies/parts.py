"""What each part of a composed strategy sees: its own samples, as if it were alone.

Whose a sample is, is written on it: ``Request.tag`` begins with the name of the part that asked for it. So a history
can be divided again at any time, by anybody, also when it was read from a file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from thinkctl.protocols import Selector, Strategy
from thinkctl.types import Answer, History, Needs, Request, Sample, needs_of

__all__ = ["ask_as", "choose_in", "needs_of_all", "part_of", "whose"]

_WITHIN = "/"


def whose(tag: str, name: str) -> bool:
    """Whether a request with this tag was made by the part, or by a part of it."""
    return tag == name or tag.startswith(name + _WITHIN)


def part_of(history: History, name: str) -> History:
    """Return the history of one part: its samples alone, numbered from 0, with the tags that it gave them itself.

    What it has settled does not wait for samples of other parts.
    """
    own = _own(history.samples, name)
    places = {sample.index: place for place, sample in enumerate(own)}
    counted = None if history.counted is None else len(_own(history.samples[: history.counted], name))
    return replace(history, samples=tuple(_moved(sample, places, name) for sample in own), counted=counted)


def choose_in(name: str, selector: Selector, history: History) -> Answer | None:
    """Return what a selector chooses among the samples of one part that count in the whole."""
    own = part_of(history, name)
    if not history.walled and history.counted is None:
        own = replace(own, counted=len(_own(history.settled, name)))
    answer = selector.select(own)
    return None if answer is None else _own(history.samples, name)[answer.sample].answer


def ask_as(name: str, strategy: Strategy, history: History) -> list[Request]:
    """Return what a part asks for on its own samples of ``history``, as requests of the whole."""
    own = [sample.index for sample in _own(history.samples, name)]
    return [
        replace(
            request,
            parent=None if request.parent is None else own[request.parent],
            tag=name + _WITHIN + request.tag if request.tag else name,
        )
        for request in strategy.propose(part_of(history, name))
    ]


def needs_of_all(parts: Iterable[object], why: str) -> Needs:
    """Return what parts need together."""
    together = Needs()
    for part in parts:
        together = together | needs_of(part)
    return replace(together, why=f"{why}: {together.why}") if together.why else together


def _own(samples: Sequence[Sample], name: str) -> list[Sample]:
    return [sample for sample in samples if whose(sample.request.tag, name)]


def _moved(sample: Sample, places: Mapping[int, int], name: str) -> Sample:
    index = places[sample.index]
    request = sample.request
    parent = None if request.parent is None else places.get(request.parent)
    verdict = sample.verdict
    if verdict is not None:
        verdict = replace(verdict, answer=_at(verdict.answer, index))
    return replace(
        sample,
        index=index,
        request=replace(request, parent=parent, tag=request.tag[len(name) + 1 :]),
        answer=_at(sample.answer, index),
        verdict=verdict,
        probes=tuple(replace(probe, answer=_at(probe.answer, index)) for probe in sample.probes),
    )


def _at(answer: Answer | None, index: int) -> Answer | None:
    return None if answer is None else replace(answer, sample=index)
