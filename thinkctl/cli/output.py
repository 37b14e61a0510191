"""What a run came to: as one JSON object, or as a few lines for people."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from thinkctl.cli.text import amount, clean, dollars, one_line, plural, seconds
from thinkctl.types import Receipt, ReceiptLine, Run, Sample, Shadow, StopReason, Usage

if TYPE_CHECKING:
    from thinkctl.testing.reconcile import Reconciliation

__all__ = [
    "json_of",
    "lines_of",
    "part_in_words",
    "print_json",
    "print_run",
    "receipt_of",
    "reconciliation_of",
    "samples_of",
    "tokens_in_words",
]

_LABEL: Final = 12
"""Cells of the labels in front of a result's lines."""
_KINDS: Final = ("generated_tokens", "prompt_tokens", "cached_tokens")
_STOPPED: Final = {
    StopReason.DONE: "done",
    StopReason.POLICY: "by the policy",
    StopReason.TOKENS: "at the token wall",
    StopReason.SECONDS: "at the deadline",
    StopReason.DOLLARS: "at the dollar wall",
    StopReason.REQUESTS: "at the request wall",
    StopReason.CANCELLED: "cancelled",
    StopReason.ENGINE: "the engine died",
}

# -- JSON ----------------------------------------------------------------------------------------------------


def json_of(run: Run, model: str, *, texts: bool = False) -> dict[str, Any]:
    """Return a run as plain data. Dollars are exact decimals in text, ``None`` where the price is not known.

    ``texts`` adds to each sample what it said.
    """
    answer = run.answer
    return {
        "answer": None if answer is None else answer.text,
        "key": None if answer is None else answer.key,
        "confidence": run.confidence,
        "stop": run.stop.value,
        "why": run.why,
        "samples": samples_of(run, texts=texts),
        "votes": _votes(run),
        "receipt": receipt_of(run.receipt),
        "budget": run.history.budget.model_dump(mode="json"),
        "model": model,
        "strategy": run.strategy,
        "policy": run.policy,
        "selector": run.selector,
        "verifier": run.verifier,
        "prices": {each.model: each.prices.model_dump(mode="json") for each in run.prices},
        "shadows": [_shadow(shadow) for shadow in run.shadows],
    }


def _shadow(shadow: Shadow) -> dict[str, Any]:
    return {
        "policy": shadow.policy,
        "stopped": shadow.stopped,
        "samples": shadow.samples,
        "tokens": shadow.tokens,
        "saved_tokens": shadow.saved_tokens,
        "answer": None if shadow.answer is None else shadow.answer.text,
        "changed": shadow.changed,
        "unknown": shadow.unknown,
        "why": shadow.why,
        "error": shadow.error,
    }


def samples_of(run: Run, *, texts: bool) -> list[dict[str, Any]]:
    """Return the samples of a run as plain data, in launch order."""
    return [
        {
            "index": sample.index,
            "answer": None if sample.answer is None else sample.answer.text,
            "finish": None if sample.finish is None else sample.finish.value,
            "concluded": sample.concluded,
            "tokens": sample.usage.generated_tokens,
            "seconds": None if sample.ended is None else round(sample.ended - sample.started, 3),
            **({"text": sample.text} if texts else {}),
        }
        for sample in run.samples
    ]


def _votes(run: Run) -> list[dict[str, Any]]:
    texts = {answer.key: answer.text for answer in reversed(run.history.answers)}
    votes = Counter(answer.key for answer in run.history.answers)
    return [{"answer": texts[key], "key": key, "votes": number} for key, number in votes.most_common()]


def receipt_of(receipt: Receipt) -> dict[str, Any]:
    """Return a receipt as plain data."""
    return {
        "generated_tokens": receipt.generated_tokens,
        "thinking_tokens": receipt.thinking_tokens,
        "answer_tokens": receipt.answer_tokens,
        "probe_tokens": receipt.probe_tokens,
        "forced_tokens": receipt.forced_tokens,
        "verifier_tokens": receipt.verifier_tokens,
        "verifier_calls": receipt.verifier_calls,
        "verifier_seconds": receipt.verifier_seconds,
        "wasted_tokens": receipt.wasted_tokens,
        "overshoot_tokens": receipt.overshoot_tokens,
        "prompt_tokens": receipt.prompt_tokens,
        "cached_tokens": receipt.cached_tokens,
        "requests": receipt.requests,
        "estimated": receipt.usage.estimated,
        "seconds": round(receipt.seconds, 3),
        "dollars": None if receipt.dollars is None else f"{receipt.dollars:f}",
        "lines": [_line(line) for line in receipt.lines],
    }


def _line(line: ReceiptLine) -> dict[str, Any]:
    used = line.usage
    return {
        "role": line.role.value,
        "model": line.model,
        "generated_tokens": used.generated_tokens,
        "thinking_tokens": used.thinking_tokens,
        "answer_tokens": used.answer_tokens,
        "probe_tokens": used.probe_tokens,
        "forced_tokens": used.forced_tokens,
        "wasted_tokens": used.wasted_tokens,
        "prompt_tokens": used.prompt_tokens,
        "cached_tokens": used.cached_tokens,
        "requests": used.requests,
        "estimated": used.estimated,
        "dollars": None if line.dollars is None else f"{line.dollars:f}",
    }


def reconciliation_of(found: Reconciliation) -> dict[str, Any]:
    """Return a comparison of a receipt with the counters as plain data; ``None`` is what a side does not tell."""
    return {
        "exact": found.exact,
        "agrees": found.agrees,
        **{
            name: {"engine": row.counted, "receipt": row.billed, "difference": row.difference}
            for name, row in zip(_KINDS, found.rows, strict=True)
        },
    }


def print_json(value: Mapping[str, Any] | list[Any]) -> None:
    """Write one JSON value on stdout, in ASCII, so that no terminal or locale can spoil it."""
    print(json.dumps(value, indent=2, allow_nan=False))  # noqa: T201 - this is the command line


# -- for people ----------------------------------------------------------------------------------------------


def lines_of(run: Run) -> list[tuple[str, str]]:
    """Return what there is to say of a run besides its answer: labels and words."""
    receipt, budget = run.receipt, run.history.budget
    allowed = run.strategy.get("n")
    counted = len(run.history.answers)
    voted = f", {plural(counted, 'vote')} counted" if len(run.samples) > 1 else ""
    of_samples = f" of {amount(allowed)} allowed" if isinstance(allowed, int) else ""
    of_tokens = f" of {amount(budget.tokens)}" if budget.tokens is not None else ", no limit"
    of_time = f" of {budget.seconds:g} s" if budget.seconds is not None else ", no limit"
    of_price = f" of ${budget.dollars:f}" if budget.dollars is not None else ""
    sure = "unknown" if run.confidence is None else f"{run.confidence:.1%}"
    return [
        ("confidence", sure),
        ("stopped", f"{_STOPPED[run.stop]}: {one_line(run.why)}"),
        ("samples", f"{len(run.samples)}{of_samples}{voted}"),
        *_checked(run),
        ("tokens", f"{amount(receipt.generated_tokens)}{of_tokens} ({tokens_in_words(receipt.usage)})"),
        (
            "prompts",
            f"{amount(receipt.prompt_tokens)} tokens, {amount(receipt.cached_tokens)} of them cached",
        ),
        ("time", f"{seconds(receipt.seconds)}{of_time}"),
        ("price", f"{dollars(receipt.dollars)}{of_price}{_priced_by(run)}"),
        *(("shadow", _shadow_in_words(shadow)) for shadow in run.shadows),
    ]


def _checked(run: Run) -> list[tuple[str, str]]:
    """Say how many samples passed the verifier, where it says of any whether it did."""
    said = [sample.verdict.passed for sample in run.samples if sample.verdict is not None]
    told = [passed for passed in said if passed is not None]
    if not told:
        return []
    by = one_line(str((run.verifier or {}).get("name", "the verifier")))
    none = "" if any(told) else "; the answer did not pass either"
    return [("checked", f"{sum(told)} of {plural(len(told), 'sample')} passed {by}{none}")]


def part_in_words(spec: object) -> str:
    """Return a spec as parts are written: ``best-of-n(n=8)``; parameters that are none are left out."""
    if isinstance(spec, Mapping) and "name" in spec:
        given = [(name, value) for name, value in spec.items() if name != "name" and value is not None]
        return f"{spec['name']}({', '.join(f'{name}={part_in_words(value)}' for name, value in given)})"
    if isinstance(spec, list | tuple):
        return f"[{', '.join(map(part_in_words, spec))}]"
    return repr(spec)


def _shadow_in_words(shadow: Shadow) -> str:
    """Say what a policy that only watched would have done."""
    name = one_line(part_in_words(shadow.policy))
    if shadow.error:
        return f"{name}: failed, {one_line(shadow.error)}"
    answer = "no answer" if shadow.answer is None else f"answer {one_line(shadow.answer.text)}"
    unknown = f", {plural(shadow.unknown, 'thought')} of unknown answer" if shadow.unknown else ""
    less = (
        f"{amount(shadow.saved_tokens)} tokens less"
        if shadow.saved_tokens >= 0
        else f"{amount(-shadow.saved_tokens)} tokens more"
    )
    kind = "changed" if shadow.changed else "the same"
    return f"{name}: {plural(shadow.samples, 'sample')}, {less}, {answer} ({kind}){unknown}"


def _priced_by(run: Run) -> str:
    """Return whose prices they are, in brackets; nothing where the price is not known."""
    sources = dict.fromkeys(each.prices.source for each in run.prices if each.prices.source)
    return f" ({one_line('; '.join(sources))})" if sources and run.receipt.dollars is not None else ""


def tokens_in_words(usage: Usage) -> str:
    """Return generated tokens by kind, kinds without any left out."""
    kinds = {
        "thinking": usage.thinking_tokens,
        "answer": usage.answer_tokens,
        "probes": usage.probe_tokens,
        "forced": usage.forced_tokens,
        "wasted": usage.wasted_tokens,
    }
    words = [f"{name} {amount(number)}" for name, number in kinds.items() if number]
    return ", ".join([*(words or ["none"]), *(["estimated"] if usage.estimated else [])])


def print_run(run: Run, *, thoughts: bool = False) -> None:
    """Write the answer on stdout, then what it took; with ``thoughts`` also what each sample said."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    answer = "no answer" if run.answer is None else clean(run.answer.text)
    console.print(Text(answer, style="bold" if run.answer is not None else "yellow"))
    for label, words in lines_of(run):
        console.print(Text.assemble((f"{label:<{_LABEL}}", "cyan"), words))
    for sample in run.samples if thoughts else ():
        console.print(Text(f"\n-- {_heading(sample)}", style="bold"))
        console.print(Text(clean(sample.text.strip())))


def _heading(sample: Sample) -> str:
    answer = "no answer" if sample.answer is None else one_line(sample.answer.text)
    finish = "in flight" if sample.finish is None else sample.finish.value
    made = ", made to conclude" if sample.concluded else ""
    return (
        f"sample {sample.index}: {answer} ({plural(sample.usage.generated_tokens, 'token')}, {finish}{made})"
    )
