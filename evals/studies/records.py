"""The run files of a study: what is in them, whether they may be gone on with, and in which order they end."""

from __future__ import annotations

import contextlib
import fcntl
import json
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from thinkctl.errors import ConfigurationError, RunFileError
from thinkctl.evals.studies.grading import Grades
from thinkctl.evals.studies.planning import Recording
from thinkctl.runfile import Header, RunFile, TornLine, read, read_header, write
from thinkctl.types import ModelCard, Run

__all__ = [
    "RUNS",
    "Recorded",
    "appending",
    "check_identity",
    "locked",
    "packed",
    "read_cards",
    "recorded",
    "runs_of",
    "tidy",
    "write_cards",
]

RUNS: Final = "runs"
_CARDS: Final = "models.json"
_LOCK: Final = ".lock"
_SHOWN: Final = 160


def _path(folder: Path, recording: Recording) -> Path:
    return folder / RUNS / f"{recording.name}.jsonl"


def packed(folder: Path, recording: Recording) -> Path:
    """Return where the finished run file lies."""
    return folder / RUNS / f"{recording.name}.jsonl.gz"


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep the folder of a study for this process. Raises ``ConfigurationError`` while another one runs it."""
    (folder / RUNS).mkdir(parents=True, exist_ok=True)
    with (folder / _LOCK).open("w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ConfigurationError(
                f"{folder}: another process runs this study; wait for it, or give another folder with --out"
            ) from None
        yield  # the lock goes with the file, also when the process is killed


def _files(folder: Path, recording: Recording) -> list[Path]:
    """Return the files that hold runs: the packed one, and what was appended since."""
    both = (packed(folder, recording), _path(folder, recording))
    return [path for path in both if path.exists() and path.stat().st_size]


def runs_of(folder: Path, recording: Recording) -> Iterator[Run]:
    """Iterate over the runs of a recording in its order; those that the study does not ask for are left out."""
    found = _by_job(folder, recording)
    for problem, seed in recording.jobs():
        if (problem.id, seed) in found:
            yield found[problem.id, seed]


def _by_job(folder: Path, recording: Recording) -> dict[tuple[str, int], Run]:
    found: dict[tuple[str, int], Run] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TornLine)  # what was torn is run again, and the writer cuts it off
        for path in _files(folder, recording):
            for run in read(path):
                found.setdefault((run.history.problem.id, run.history.seed), run)
    return found


@final
@dataclass(frozen=True, slots=True)
class Recorded:
    """What is recorded of what a study asks for: ``jobs`` are questions (ids) with seeds.

    ``prompt_tokens`` and ``tokens`` (generated ones) are those on the bills, verifiers' included. So many runs have
    a known grade (``graded``), and so many of them are ``right``.
    """

    jobs: frozenset[tuple[str, int]] = frozenset()
    samples: int = 0
    prompt_tokens: int = 0
    tokens: int = 0
    graded: int = 0
    right: int = 0

    @property
    def runs(self) -> int:
        """How many runs are recorded."""
        return len(self.jobs)


def recorded(folder: Path, recording: Recording, grades: Grades) -> Recorded:
    """Return what is recorded of a recording in a study's folder."""
    runs = list(runs_of(folder, recording))
    usages = [run.receipt.usage for run in runs]
    said = [
        grades.known(recording.chosen, run.history.problem, None if run.answer is None else run.answer.text)
        for run in runs
    ]
    return Recorded(
        frozenset((run.history.problem.id, run.history.seed) for run in runs),
        sum(len(run.samples) for run in runs),
        sum(usage.prompt_tokens for usage in usages),
        sum(usage.generated_tokens for usage in usages),
        sum(each is not None for each in said),
        sum(bool(each) for each in said),
    )


def check_identity(folder: Path, recording: Recording) -> None:
    """Refuse to go on with what was recorded by another study.

    Raises ``ConfigurationError`` that says what differs and what to do now.
    """
    for path in _files(folder, recording):
        try:
            known = read_header(path).fields.get("identity")
        except RunFileError:
            if path.suffix == ".gz":
                raise
            continue  # a header that was torn: nothing was recorded after it
        if known is None:
            raise ConfigurationError(f"{path}: this run file belongs to no study; move it elsewhere")
        if not isinstance(known, dict) or known != recording.identity:
            raise ConfigurationError(
                f"{path} was recorded for something else: {_differences(known, recording.identity)}. Put the study "
                "back as it was, rename the arm, or give another folder with --out"
            )


def _differences(known: Any, wanted: Mapping[str, Any]) -> str:
    had = known if isinstance(known, dict) else {}
    said = [
        f"{path} was {_short(before)}, is now {_short(now)}"
        for path, before, now in _changes("", had, wanted)
    ]
    return "; ".join(said[:5])


def _changes(path: str, before: Any, now: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for name in {**before, **now}:
            yield from _changes(f"{path}.{name}".removeprefix("."), before.get(name), now.get(name))
    elif before != now:
        yield path, before, now


def _short(value: Any) -> str:
    text = "nothing" if value is None else json.dumps(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def appending(folder: Path, recording: Recording, card: ModelCard) -> RunFile:
    """Open a recording to append to it; a torn last line is cut off. Raises ``ConfigurationError`` for another card."""
    if (whole := packed(folder, recording)).exists() and read_header(whole).card != card:
        raise ConfigurationError(
            f"{whole} was recorded with another model card (another model, or other weights); give another folder "
            "with --out"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TornLine)
        return RunFile.open(_path(folder, recording), card=card, identity=dict(recording.identity))


def tidy(folder: Path, recording: Recording) -> None:
    """Write a complete recording in its own order to ``NAME.jsonl.gz`` in place of ``NAME.jsonl``."""
    file, whole = _path(folder, recording), packed(folder, recording)
    if not file.exists():
        return
    header: Header = read_header(whole if whole.exists() else file)
    found, wanted = _by_job(folder, recording), recording.jobs()
    places = {(problem.id, seed): place for place, (problem, seed) in enumerate(wanted)}
    ordered = sorted(
        found, key=lambda job: places.get(job, len(places))
    )  # runs of a larger study stay, at the end
    write(whole, (found[job] for job in ordered), card=header.card, **header.fields)
    file.unlink()


def write_cards(folder: Path, cards: Mapping[str, ModelCard]) -> None:
    """Keep the cards of models by the names that the study gives them; those that are there already stay."""
    kept = {**read_cards(folder), **cards}
    text = json.dumps({name: card.model_dump(mode="json") for name, card in sorted(kept.items())}, indent=2)
    draft = folder / f".{_CARDS}"
    draft.write_text(text + "\n", encoding="utf-8")
    draft.replace(folder / _CARDS)


def read_cards(folder: Path) -> dict[str, ModelCard]:
    """Return the cards of the models of a study, as far as they were opened."""
    path = folder / _CARDS
    if not path.exists():
        return {}
    return {
        name: ModelCard.model_validate(card) for name, card in json.loads(path.read_text("utf-8")).items()
    }
