"""Runs as an arm saw them: of a pool, the samples that the arm would have taken, and what it would have answered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from thinkctl.errors import ConfigurationError
from thinkctl.evals.report.source import Results
from thinkctl.evals.studies import Study
from thinkctl.evals.studies.arms import Arm, build_arm
from thinkctl.hindsight import Hindsight, hindsight
from thinkctl.types import Budget, Note, Receipt, ReceiptLine, Role, Run, StopReason, Usage

__all__ = ["seen_runs"]


def seen_runs(results: Results, task: str, arm: str) -> Iterator[Run]:
    """Iterate over the runs of an arm on a task, at its largest budget.

    A replayed arm has a pool, which was drawn without its policy and may be larger than its budget. Here its runs are
    replayed in the recorded order: they have the samples, the answer, the last decision and the usage that the arm
    would have had, with its part of what the pool's verifier used, and no price.
    """
    runs = results.runs(task, arm)
    built = _pooled(results, arm)
    yield from runs if built is None else (_seen(run, built) for run in runs)


def _pooled(results: Results, name: str) -> Arm | None:
    study = results.study
    if not isinstance(study, Study):
        return None
    place = next((place for place, each in enumerate(study.arms) if each.name == name), None)
    if place is None:
        raise ConfigurationError(f"{results.folder}: its study has no arm {name!r}; run the study again")
    built = build_arm(study, place)
    return built if built.pooled else None


def _seen(run: Run, arm: Arm) -> Run:
    rung = arm.rungs[-1]
    budget = Budget() if rung.samples is not None else Budget(tokens=rung.budget)
    finished = tuple(sample for sample in run.samples if sample.finished)
    recorded = replace(run.history, samples=finished[: rung.samples])
    found = hindsight(arm.policy, recorded, arm.selector, budget=budget)
    part = found.samples / max(1, len(finished))
    confidence = found.decision.confidence
    return replace(
        run,
        history=found.history,
        answer=found.answer,
        confidence=_share_of_votes(found) if confidence is None else confidence,
        stop=_stop_of(found),
        why=found.decision.why if found.stopped else "",
        receipt=Receipt((*_lines(found), *_of_verifier(run, part))),
        notes=() if arm.policy is None else (_note(found),),
    )


def _stop_of(found: Hindsight) -> StopReason:
    if found.stopped:
        return StopReason.POLICY
    return StopReason.TOKENS if found.walled else StopReason.DONE


def _note(found: Hindsight) -> Note:
    return Note(found.history.elapsed, found.samples, found.decision)


def _share_of_votes(found: Hindsight) -> float | None:
    answers = found.history.answers
    if found.answer is None or not answers:
        return None
    return sum(answer.key == found.answer.key for answer in answers) / len(answers)


def _lines(found: Hindsight) -> Iterator[ReceiptLine]:
    samples = found.history.samples
    for model in dict.fromkeys(sample.model for sample in samples):
        used = sum((sample.usage for sample in samples if sample.model == model), Usage())
        yield ReceiptLine(Role.SAMPLE, model, used, None)


def _of_verifier(run: Run, part: float) -> Iterator[ReceiptLine]:
    for line in run.receipt.lines:
        if line.role is Role.VERIFIER:
            used = line.usage
            yield replace(
                line,
                usage=replace(
                    used,
                    requests=round(part * used.requests),
                    prompt_tokens=round(part * used.prompt_tokens),
                    cached_tokens=None if used.cached_tokens is None else round(part * used.cached_tokens),
                    thinking_tokens=round(part * used.thinking_tokens),
                    answer_tokens=round(part * used.answer_tokens),
                    probe_tokens=round(part * used.probe_tokens),
                    forced_tokens=round(part * used.forced_tokens),
                    wasted_tokens=round(part * used.wasted_tokens),
                ),
                dollars=None,
            )
