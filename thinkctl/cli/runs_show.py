"""``thinkctl runs show``: one run for people to read, or as JSON. What a model said stays text."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from thinkctl.cli.output import (
    json_of,
    lines_of,
    part_in_words,
    print_json,
    samples_of,
    tokens_in_words,
)
from thinkctl.cli.runs_list import wide_console
from thinkctl.cli.text import amount, dollars, plural, shortened
from thinkctl.errors import ConfigurationError
from thinkctl.types import Note, Run, Sample

__all__ = ["show", "visible"]

_LABEL: Final = 12
_NOTES: Final = 12
_QUESTION: Final = 60
_PICTURES: Final = 0x2400
_DELETE: Final = 0x7F


def visible(text: str) -> str:
    """Return a text in which every character can be seen: escapes, control and direction characters are spelt out.

    Lines and tabs stay. ``ESC`` is ``␛``; what has no picture is written by its number in hexadecimal digits.
    """
    return "".join(_shown(sign) for sign in text)


def _shown(sign: str) -> str:
    code = ord(sign)
    if sign in "\n\t" or (sign.isprintable() and unicodedata.category(sign) != "Cf"):
        return sign
    if code < ord(" "):
        return chr(_PICTURES + code)
    if code == _DELETE:
        return "\N{SYMBOL FOR DELETE}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _line(text: str, most: int = 200) -> str:
    """Return the beginning of a text on one line, all of it visible."""
    return shortened(visible(" ".join(text.split())), most)


def show(file: Path, *, problem: str | None, sample: int | None, chars: int, as_json: bool) -> None:
    """Print the runs of a problem, or the list of all problems where there are several and none was named."""
    from thinkctl.runfile import read

    runs = list(read(file))
    chosen = [run for run in runs if problem is None or run.history.problem.id == problem]
    if not runs:
        raise ConfigurationError(f"{file} holds no run yet; record one with thinkctl ask --save {file}")
    if not chosen:
        known = ", ".join(dict.fromkeys(run.history.problem.id for run in runs[:5]))
        raise ConfigurationError(
            f"{file} has no problem {problem!r}; it has {known}, ...: see thinkctl runs show {file}"
        )
    if problem is None and len(chosen) > 1:
        if sample is not None:
            raise ConfigurationError(f"{file} has {len(runs)} runs; say which problem's sample: --problem ID")
        _print_list(file, chosen, as_json=as_json)
        return
    for run in chosen:
        if sample is not None and sample >= len(run.samples):
            raise ConfigurationError(
                f"the run has {plural(len(run.samples), 'sample')}, from 0; there is no {sample}"
            )
    if as_json:
        found = [_json_of(run, sample) for run in chosen]
        print_json(found[0] if len(found) == 1 else found)
        return
    console = wide_console()
    for place, run in enumerate(chosen):
        if place:
            console.rule()
        for text in _lines(run, sample, chars):
            console.print(text, soft_wrap=True)


# -- JSON ----------------------------------------------------------------------------------------------------


def _json_of(run: Run, sample: int | None) -> dict[str, Any]:
    problem = run.history.problem
    model = next((line.model for line in run.receipt.lines), "")
    plain = json_of(run, model, texts=True)
    samples = [
        {**row, "verdict": _verdict(each), "parent": each.request.parent, "error": each.error}
        for row, each in zip(samples_of(run, texts=True), run.samples, strict=True)
    ]
    return {
        "problem": {
            "id": problem.id,
            "form": problem.form,
            "messages": [{"role": turn.role, "content": turn.content} for turn in problem.messages],
        },
        **plain,
        "decisions": [_note(note) for note in run.notes],
        "samples": samples if sample is None else samples[sample : sample + 1],
    }


def _verdict(sample: Sample) -> dict[str, Any] | None:
    verdict = sample.verdict
    if verdict is None:
        return None
    told = {"score": verdict.score, "passed": verdict.passed, "feedback": verdict.feedback}
    return {**told, "void": verdict.void, "marks": list(verdict.marks)}


def _note(note: Note) -> dict[str, Any]:
    decision = note.decision
    return {
        "seconds": round(note.elapsed, 3),
        "settled": note.settled,
        "stop": decision.stop,
        "cut": list(decision.cut),
        "conclude": list(decision.conclude),
        "probes": len(decision.probe),
        "more": decision.more,
        "confidence": decision.confidence,
        "why": decision.why,
    }


# -- for people ----------------------------------------------------------------------------------------------


def _print_list(file: Path, runs: Sequence[Run], *, as_json: bool) -> None:
    if as_json:
        print_json([_summary(run) for run in runs])
        return
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("problem", "question", "answer"):
        table.add_column(name, overflow="fold")
    for name in ("confidence", "samples", "tokens", "stopped"):
        table.add_column(name, justify="right", no_wrap=True)
    for run in runs:
        problem, sure = run.history.problem, run.confidence
        cells = (
            _line(problem.id, 40),
            _line(problem.text, _QUESTION),
            "none" if run.answer is None else _line(run.answer.text, 24),
            "unknown" if sure is None else f"{sure:.0%}",
            amount(len(run.samples)),
            amount(run.receipt.generated_tokens),
            run.stop.value,
        )
        table.add_row(*map(Text, cells))
    console = wide_console()
    console.print(table)
    console.print(
        Text(f"{plural(len(runs), 'run')}. One of them: thinkctl runs show {_line(str(file))} --problem ID")
    )


def _summary(run: Run) -> dict[str, Any]:
    return {
        "problem_id": run.history.problem.id,
        "question": run.history.problem.text,
        "answer": None if run.answer is None else run.answer.text,
        "confidence": run.confidence,
        "stop": run.stop.value,
        "samples": len(run.samples),
        "generated_tokens": run.receipt.generated_tokens,
    }


def _lines(run: Run, sample: int | None, chars: int) -> Iterator[Any]:
    """Return what there is to say of a run as lines of rich, in which nothing is markup."""
    from rich.text import Text

    if sample is not None:
        yield from _sample_lines(run.samples[sample], 0)
        return
    problem = run.history.problem
    yield Text(f"problem {_line(problem.id)}", style="bold")
    for turn in problem.messages:
        yield _labelled(turn.role, _capped(turn.content, chars, "--chars 0 shows all"))
    answer = "none" if run.answer is None else _capped(run.answer.text, chars, "--chars 0 shows all")
    yield _labelled("answer", answer, style="bold")
    for label, words in _parts(run):
        yield _labelled(label, _line(words))
    for label, words in lines_of(run):
        yield _labelled(label, visible(words))
    yield from _votes(run)
    yield from _decisions(run.notes)
    for each in run.samples:
        yield ""
        yield from _sample_lines(each, chars)
    yield ""
    yield from _receipt(run)


def _parts(run: Run) -> Iterator[tuple[str, str]]:
    """Iterate over the parts that made a run; a verifier that it does not name is told by its verdicts."""
    for label in ("strategy", "policy", "selector", "verifier"):
        if spec := getattr(run, label):
            yield label, part_in_words(spec)
    if run.verifier is None and (told := _told(run)):
        yield "verifier", f"not recorded; by its verdicts: {', '.join(told)}"


def _told(run: Run) -> list[str]:
    from thinkctl.evals.exchange.checks import shown_by

    verdicts = [each.verdict for each in run.samples if each.verdict is not None]
    shown = dict.fromkeys(shown_by(run.history.problem, each) for each in verdicts)
    return [words for words in shown if words] or (["unknown"] if shown else [])


def _labelled(label: str, words: str, style: str = "") -> Any:
    from rich.text import Text

    lines = words.split("\n")
    indented = "\n".join([lines[0], *(f"{'':<{_LABEL}}{line}" for line in lines[1:])])
    return Text.assemble((f"{label:<{_LABEL}}", "cyan"), (indented, style))


def _capped(text: str, chars: int, more: str) -> str:
    if not chars or len(text) <= chars:
        return visible(text.strip())
    return f"{visible(text[:chars].strip())} … [{plural(len(text) - chars, 'more character')}; {more}]"


def _votes(run: Run) -> Iterator[Any]:
    votes = Counter(answer.key for answer in run.history.answers)
    if len(run.samples) < 2 or not votes:
        return
    texts = {answer.key: answer.text for answer in reversed(run.history.answers)}
    told = [f"{number} × {_line(texts[key], 60)}" for key, number in votes.most_common(8)]
    hidden = len(votes) - len(told)
    abstained = len(run.history.settled) - sum(votes.values())
    told += [f"{plural(hidden, 'other value')}"] if hidden > 0 else []
    told += [f"{abstained} × no answer"] if abstained else []
    yield _labelled("votes", "\n".join(told))


def _decisions(notes: Sequence[Note]) -> Iterator[Any]:
    if not notes:
        return
    left_out = len(notes) - _NOTES
    told = [f"({plural(left_out, 'earlier one')} left out; --json has all)"] if left_out > 0 else []
    for note in notes[-_NOTES:]:
        decision = note.decision
        did = [
            "stop" if decision.stop else "go on",
            *([f"cut {_numbers(decision.cut)}"] if decision.cut else []),
            *([f"conclude {_numbers(decision.conclude)}"] if decision.conclude else []),
            *([plural(len(decision.probe), "probe")] if decision.probe else []),
        ]
        sure = "" if decision.confidence is None else f", sure {decision.confidence:.1%}"
        why = f": {_line(decision.why)}" if decision.why else ""
        told.append(f"{note.elapsed:.1f} s, {plural(note.settled, 'vote')}: {', '.join(did)}{sure}{why}")
    yield _labelled("decisions", "\n".join(told))


def _numbers(indices: Sequence[int]) -> str:
    return ", ".join(map(str, indices))


def _sample_lines(sample: Sample, chars: int) -> Iterator[Any]:
    from rich.text import Text

    finish = "in flight" if sample.finish is None else sample.finish.value
    answer = "no answer" if sample.answer is None else _line(sample.answer.text, 60)
    made = ", made to conclude" if sample.concluded else ""
    parent = f", goes on from sample {sample.request.parent}" if sample.request.parent is not None else ""
    tokens = f"{plural(sample.usage.generated_tokens, 'token')} ({tokens_in_words(sample.usage)})"
    yield Text(f"sample {sample.index}: {answer}", style="bold")
    yield Text(f"{tokens}, {finish}{made}{parent}", style="dim")
    verdict = sample.verdict
    if verdict is not None:
        said = {True: "passed", False: "failed", None: "no verdict"}[verdict.passed]
        score = "" if verdict.score is None else f", score {verdict.score:.3g}"
        feedback = f": {_line(verdict.feedback)}" if verdict.feedback else ""
        yield _labelled("verdict", f"{said}{score}{feedback}")
    if sample.error:
        yield _labelled("error", _line(sample.error))
    yield Text(_capped(sample.text, chars, f"--sample {sample.index} shows all") or "(no text)")


def _receipt(run: Run) -> Iterator[Any]:
    told = [
        f"{line.role.value}, {_line(line.model)}: {amount(line.usage.generated_tokens)} generated, "
        f"{amount(line.usage.prompt_tokens)} prompt tokens in {plural(line.usage.requests, 'request')}, "
        f"{dollars(line.dollars)}"
        for line in run.receipt.lines
    ]
    if run.receipt.verifier_calls:
        told.append(
            f"verifier: {plural(run.receipt.verifier_calls, 'call')}, {run.receipt.verifier_seconds:.1f} s"
        )
    told.append(f"overshoot: {plural(run.receipt.overshoot_tokens, 'token')} beyond a grant")
    yield _labelled("receipt", "\n".join(told))
