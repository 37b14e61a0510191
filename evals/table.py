"""Recorded samples as a table of votes: a row a question, a column a sample, in launch order."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, final

from thinkctl.errors import ConfigurationError, MissingExtra
from thinkctl.evals.gold import is_right
from thinkctl.runfile import Recorded
from thinkctl.types import Answer, Finish, History, Request, Sample, Usage, Verdict

try:
    import numpy as np
    import numpy.typing as npt
except ImportError as error:
    raise MissingExtra("replay needs numpy: pip install 'thinkctl[evals]'") from error

__all__ = ["ABSTAINS", "KINDS", "Bools", "Floats", "Ints", "TableRow", "VoteTable", "kinds_of"]

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

ABSTAINS: Final = -1
"""The key of a sample without an answer, and of the places after a row's last sample."""
KINDS: Final = ("thinking", "answer", "probe", "forced", "wasted")
"""Kinds of generated tokens; every token is of exactly one."""


@final
@dataclass(frozen=True, slots=True)
class TableRow:
    """One question: its votes as numbers of ``names`` (the values' keys), which values are right, what was used.

    ``right`` is ``None`` where nobody knows. ``source`` is what the row was made of.
    """

    id: str
    keys: tuple[int, ...]
    names: tuple[str, ...]
    right: tuple[bool, ...] | None
    usages: tuple[Usage, ...]
    source: Recorded | History


@final
@dataclass(frozen=True)
class VoteTable:
    """Questions in rows, their recorded samples in columns; rows may have different numbers of samples.

    ``keys`` are the votes: equal numbers in a row are one value, ``ABSTAINS`` is none. ``names`` are the keys'
    texts, row by row, by number. ``right`` says by row and number whether a value is right, ``None`` where
    nobody knows. ``tokens`` are what each sample generated, by kind (first axis, ``KINDS``): without probes,
    which only a policy that needs them is charged for. ``groups`` numbers the questions from 0 on: rows with one
    number are runs of one question. ``estimated`` says that tokens were not counted. ``ordered`` says that samples
    build on others, so that no other order of them could have been. ``gold`` are reference answers by id. ``cautions``
    say what about the recordings makes "all samples" something else than it seems.
    """

    name: str
    ids: tuple[str, ...]
    keys: Ints
    sizes: Ints
    tokens: Ints
    names: tuple[tuple[str, ...], ...]
    right: tuple[tuple[bool, ...] | None, ...]
    groups: Ints
    sources: tuple[Recorded | History, ...]
    estimated: bool = False
    ordered: bool = False
    gold: Mapping[str, str] = field(default_factory=dict[str, str])
    cautions: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def width(self) -> int:
        """The largest number of samples in a row."""
        return int(self.keys.shape[1])

    @property
    def graded(self) -> bool:
        """Whether it is known of every value that was given whether it is right."""
        return all(known is not None for known in self.right)

    @classmethod
    def of(
        cls,
        name: str,
        rows: Sequence[TableRow],
        *,
        gold: Mapping[str, str],
        ordered: bool = False,
        cautions: tuple[str, ...] = (),
    ) -> VoteTable:
        """Make a table of its rows."""
        width = max((len(row.keys) for row in rows), default=0)
        if width == 0:
            raise ConfigurationError(
                f"{name}: none of its questions has a finished sample; there is nothing to replay"
            )
        keys = np.full((len(rows), width), ABSTAINS, dtype=np.int64)
        tokens = np.zeros((len(KINDS), len(rows), width), dtype=np.int64)
        for place, row in enumerate(rows):
            keys[place, : len(row.keys)] = row.keys
            for sample, used in enumerate(row.usages):
                tokens[:, place, sample] = kinds_of(used)
        numbers: dict[str, int] = {}
        return cls(
            name=name,
            ids=tuple(row.id for row in rows),
            keys=keys,
            sizes=np.array([len(row.keys) for row in rows], dtype=np.int64),
            tokens=tokens,
            names=tuple(row.names for row in rows),
            right=tuple(row.right for row in rows),
            groups=np.array([numbers.setdefault(row.id, len(numbers)) for row in rows], dtype=np.int64),
            sources=tuple(row.source for row in rows),
            estimated=any(used.estimated for row in rows for used in row.usages),
            ordered=ordered,
            gold=gold,
            cautions=cautions,
        )

    def rows(self, chosen: Sequence[int] | Ints) -> VoteTable:
        """Return the table of some of its rows, in this order."""
        at = np.asarray(chosen, dtype=np.int64)
        return replace(
            self,
            ids=tuple(self.ids[row] for row in at),
            keys=self.keys[at],
            sizes=self.sizes[at],
            tokens=self.tokens[:, at],
            names=tuple(self.names[row] for row in at),
            right=tuple(self.right[row] for row in at),
            groups=np.unique(self.groups[at], return_inverse=True)[1].reshape(-1),
            sources=tuple(self.sources[row] for row in at),
        )

    def orders(self, permutations: int | None, *, seed: int = 0) -> Iterator[Ints]:
        """Yield arrangements of each row's samples: the recorded one for ``None``, else so many shuffled ones.

        The n-th shuffle of a seed is the same however many are asked for.
        """
        if permutations is None:
            yield np.broadcast_to(np.arange(self.width), self.keys.shape)
            return
        if permutations < 1:
            raise ConfigurationError(f"permutations={permutations!r} shuffles nothing; give at least 1")
        if self.ordered:
            raise ConfigurationError(
                f"{self.name}: samples build on others, so they came in one order only; replay it as recorded"
            )
        beyond = np.arange(self.width) >= self.sizes[:, None]
        for number in range(permutations):
            drawn = np.random.default_rng([seed, number]).random(self.keys.shape)
            yield np.argsort(np.where(beyond, np.inf, drawn), axis=1, kind="stable")

    def rightness(self) -> Bools | None:
        """Return by row and number of a value whether it is right, and a last column, ``False``, for ``ABSTAINS``.

        ``None`` where that is not known of all rows.
        """
        if not self.graded:
            return None
        found = np.zeros((len(self), max(len(names) for names in self.names) + 1), dtype=np.bool_)
        for row, known in enumerate(self.right):
            found[row, : len(known or ())] = known
        return found

    def is_right(self, row: int, answer: Answer | None) -> bool | None:
        """Say whether an answer to a row's question is right; ``None`` if nobody knows. No answer is not right.

        Also of an answer that no sample of the table gave, such as a probe's, where there is a reference answer.
        """
        if answer is None:
            return False
        known, names = self.right[row], self.names[row]
        if known is not None and answer.key in names:
            return known[names.index(answer.key)]
        source, gold = self.sources[row], self.gold.get(self.ids[row])
        if gold is None or isinstance(source, Recorded):
            return None
        return is_right(answer.text, gold, source.problem.form)

    def history(self, row: int) -> History:
        """Return a row as a history, so that any policy and selector can be asked about it.

        Of a pool, all of a sample's tokens are its thought. Scores become verdicts; where a question has scores
        outside of [0, 1] they are mapped into it by 1 / (1 + exp(-score)), which keeps their order.
        """
        source = self.sources[row]
        if isinstance(source, History):
            return replace(source, samples=tuple(sample for sample in source.samples if sample.finished))
        problem = source.problem()
        scores = [sample.score for sample in source.samples if sample.score is not None]
        squashed = any(not 0 <= score <= 1 for score in scores)
        samples: list[Sample] = []
        for index, recorded in enumerate(source.samples):
            number, score = int(self.keys[row, index]), recorded.score
            key = None if number == ABSTAINS else self.names[row][number]
            sample = Sample(
                index=index,
                request=Request(problem.messages),
                finish=Finish.LENGTH if recorded.truncated else Finish.STOP,
                answer=None if key is None else Answer(recorded.answer or key, key, index),
                verdict=None if score is None else Verdict(_logistic(score) if squashed else score),
                usage=Usage(1, thinking_tokens=recorded.tokens, estimated=recorded.estimated),
                ended=recorded.seconds,
            )
            samples.append(sample)
        return History(problem, samples=tuple(samples))


def kinds_of(used: Usage) -> tuple[int, ...]:
    """Return the generated tokens of a usage by kind, in the order of ``KINDS``."""
    return (
        used.thinking_tokens,
        used.answer_tokens,
        used.probe_tokens,
        used.forced_tokens,
        used.wasted_tokens,
    )


def _logistic(score: float) -> float:
    return 1 / (1 + math.exp(-score)) if score >= 0 else math.exp(score) / (1 + math.exp(score))
