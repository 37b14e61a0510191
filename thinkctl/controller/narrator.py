"""Tells the outside what happens in a run: notes for the record, events for whoever listens."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

from thinkctl.controller.growing import Growing
from thinkctl.types import (
    Answer,
    AnswerImproved,
    Decided,
    Decision,
    Event,
    History,
    Note,
    Sample,
    SampleFinished,
    SampleStarted,
    Thought,
)

__all__ = ["Narrator"]


@final
class Narrator:
    """Keeps the notes of a run. Without a ``sink`` nothing is decoded or compared for telling alone."""

    def __init__(self, sink: Callable[[Event], None] | None) -> None:
        self._sink = sink
        self._shown: dict[int, int] = {}
        self._told: set[tuple[int, float | None]] = set()
        self._best: tuple[Answer, float | None] | None = None
        self.notes: list[Note] = []

    @property
    def listens(self) -> bool:
        """Whether anybody wants events."""
        return self._sink is not None

    def started(self, sample: Sample) -> None:
        """Tell that a sample was launched."""
        if self._sink is not None:
            self._sink(SampleStarted(sample))

    def grew(self, sample: Growing) -> None:
        """Tell the text that came, and the end where it has come."""
        if self._sink is None:
            return
        sample.said.refresh()
        text = sample.said.text
        shown = self._shown.get(sample.index, 0)
        if len(text) > shown:
            self._sink(Thought(sample.index, text[shown:]))
            self._shown[sample.index] = len(text)
        if sample.finish is not None and (sample.index, sample.ended) not in self._told:
            self._told.add((sample.index, sample.ended))
            self._sink(SampleFinished(sample.snapshot()))

    def decided(self, history: History, decision: Decision) -> None:
        """Keep a decision that differs from the last one."""
        if self.notes and self.notes[-1].decision == decision:
            return
        self.notes.append(Note(history.elapsed, len(history.settled), decision))
        if self._sink is not None:
            self._sink(Decided(self.notes[-1]))

    def leads(self, answer: Answer | None, confidence: float | None) -> None:
        """Tell which answer would be given now, if that is new."""
        if self._sink is None or answer is None or self._best == (answer, confidence):
            return
        self._best = (answer, confidence)
        self._sink(AnswerImproved(answer, confidence))
