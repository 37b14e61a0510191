"""Whatever was recorded, as histories: run files, pools of votes and recordings of probes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import final

from thinkctl.answers import form
from thinkctl.errors import ConfigurationError
from thinkctl.evals.gold import is_right
from thinkctl.evals.probes import is_probe_pool, read_probe_pool
from thinkctl.runfile import Pool, Recorded, is_run_file, read, read_pool
from thinkctl.types import Answer, Finish, History, Request, Run, Sample, Usage, Verdict

__all__ = ["Recordings", "histories_of", "open_recordings"]


@final
@dataclass(frozen=True, slots=True)
class Recordings:
    """Runs or histories; apart from them, by problem id, reference answers and verdicts of the recorded grader.

    ``kind`` says of what the file was in words.
    """

    runs: tuple[Run | History, ...]
    gold: Mapping[str, str]
    correct: Mapping[str, tuple[bool, ...]]
    kind: str

    @property
    def graded(self) -> bool:
        """Whether it is known of every recording what is right."""
        ids = {(one.history if isinstance(one, Run) else one).problem.id for one in self.runs}
        return ids <= {*self.gold, *self.correct}

    def is_right(self, history: History, answer: Answer) -> bool:
        """Say whether an answer is right: as the recorded grader said of its sample, else by the reference."""
        name = history.problem.id
        if name in self.correct:
            return self.correct[name][answer.sample]
        return name in self.gold and is_right(answer.text, self.gold[name], history.problem.form)


def open_recordings(
    path: str | Path,
    *,
    gold: Mapping[str, str] | None = None,
    answer_form: str | None = None,
    probe_tokens: int = 0,
) -> Recordings:
    """Read a run file, a pool or a recording of probes, whichever it is.

    ``gold`` are reference answers by id; they go before those of the file. ``answer_form`` is for pools, runs know
    their own (``boxed``, and ``choice`` for probes, where it is not given). ``probe_tokens`` is what each recorded
    probe is billed for, see ``read_probe_pool``.

    Raises:
        RunFileError: for a file that is broken or none of these.
        ConfigurationError: for a form of answers that runs do not need.
    """
    path = Path(path)
    if is_run_file(path):
        if answer_form is not None:
            raise ConfigurationError(
                f"{path}: runs know the form of their answers; leave out {answer_form!r}"
            )
        runs = tuple(read(path))
        return Recordings(runs, gold or {}, {}, "runs")
    if is_probe_pool(path):
        probed = read_probe_pool(path, probe_tokens=probe_tokens, form_name=answer_form or "choice")
        return Recordings(probed.histories, {**probed.gold, **(gold or {})}, {}, "probed thoughts")
    pool = read_pool(path)
    correct = {name: said for name, said in pool.correct.items() if name not in (gold or {})}
    known = {**pool.gold, **(gold or {})}
    return Recordings(histories_of(pool, answer_form), known, correct, "pool of samples")


def histories_of(pool: Pool, answer_form: str | None = None) -> tuple[History, ...]:
    """Return the problems of a pool as histories; all tokens of a sample are thinking tokens.

    Votes are counted on the key of ``answer_form``; without one, on the text as it was recorded. That the recorded
    grader found two spellings right does not make them one value: then the reference would vote.
    """
    return tuple(_history(recorded, answer_form) for recorded in pool)


def _history(recorded: Recorded, answer_form: str | None) -> History:
    problem = recorded.problem(answer_form or "boxed")
    key_of = form(problem.form).key
    samples: list[Sample] = []
    for index, one in enumerate(recorded.samples):
        key = one.answer
        if key is not None and answer_form is not None:
            key = key_of(key)
        samples.append(
            Sample(
                index=index,
                request=Request(problem.messages),
                text=one.text or "",
                thought_chars=len(one.text or ""),
                finish=Finish.LENGTH if one.truncated else Finish.STOP,
                answer=None if one.answer is None or key is None else Answer(one.answer, key, index),
                verdict=None if one.score is None else Verdict(one.score),
                usage=Usage(requests=1, thinking_tokens=one.tokens, estimated=one.estimated),
                ended=one.seconds,
            )
        )
    return History(problem, samples=tuple(samples))
