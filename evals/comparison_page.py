"""The page of a comparison: tables, figures, and the numbers beside each figure."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from thinkctl.evals.comparison import AGREEMENT, FAMILIES, Chosen, Comparison
from thinkctl.evals.comparison_figure import draw
from thinkctl.evals.replaying import Row

if TYPE_CHECKING:
    from thinkctl.evals.intervals import Estimate

__all__ = ["SOURCES", "write_page"]

PAGE: Final = "explanation/comparison-of-policies.md"
FIGURES: Final = "figures"
SOURCES: Final[Mapping[str, str]] = {
    "gsm8k_gpt4omini_1318x40": "GSM8K, GPT-4o-mini; LiuzLab/consol @ 20f6917, no licence stated",
    "last_letters_gpt35_500x40": "last letters, GPT-3.5; Yiwei98/ESC @ 799157a, no licence stated",
    "date_gpt35_369x40_raw": (
        "date understanding, GPT-3.5, answers as they were written; MurongYue/LLM_MoT_cascade @ 8db97e6, "
        "no licence stated"
    ),
    "date_gpt35_369x40_normalised": "the same, dates padded with zeros",
    "date_gpt35_cot1_369x20": "the same questions and repository, GPT-3.5, chain of thought",
    "date_gpt35_pot1_369x20": "the same questions and repository, GPT-3.5, program of thought",
    "date_gpt4_cot1_369x3": "the same questions and repository, GPT-4, chain of thought",
    "math100_r1_llama8b_100x16": (
        "MATH, DeepSeek-R1-Distill-Llama-8B; menik1126/Asynchronous-Test-Time-Scaling @ bedf81d, no licence stated"
    ),
    "math100_qwen25math_rm_100x8": "MATH, Qwen2.5-Math; QwenLM/Qwen2.5-Math @ a45202b, no licence stated",
    "game24_gpt4_cot_100x100": (
        "Game of 24, GPT-4; princeton-nlp/tree-of-thought-llm @ ab40034, MIT, (c) 2023 Shunyu Yao"
    ),
}
"""Where pools come from: data set, model, repository and licence."""
_HEAD: Final = """# Comparison of policies

Kinds of stopping policies and one allocation, replayed on samples that others recorded. One command makes this page,
its figures and the numbers beside them (`docs/figures/*.csv`):

```
{command}
```

**How.** Each pool's questions are split in two halves at random (seed {seed}). On the first half, each kind of policy
gets the threshold that takes the fewest samples and still gives the answer of all samples at least {agreement} of the
time. Tables and figures are of the **other** half. All are means of {permutations} shuffles of each question's samples,
the same shuffles for all. Intervals are 95 % and take the question as the unit. The majority answers, ties go to
the answer that was given first, samples without an answer abstain, and answers are compared as they were written.

**What this is not.** Replayed: nothing was generated, and nothing here says anything about latency. A pool is finite,
and "all samples" uses the same votes as the policies do, so agreement flatters policies that take nearly all of a pool.
"Cannot be overtaken" always gives the answer of all samples: its saving is free. "Flip probability" shares a total
among all questions, which takes a batch; the others decide on each question alone.

## Samples at equal fidelity

Mean samples of a question on the reporting half, at the threshold chosen on the other half; in brackets the agreement
with all samples on the reporting half, in percent. A star marks kinds of which no threshold reached {agreement} on the
tuning half. Thresholds are steps, so more than {agreement} may be reached: a kind with a finer step takes fewer samples
here without being better at the same agreement. The figures show all steps.
"""


_CAPTION: Final = (
    "Bands: 95 %, of the distance to all samples (dashed), paired by question; none where no answer changed. "
    "Circles: the chosen settings. Lines end at the first setting that changes no answer."
)


def write_page(found: Sequence[Comparison], out: Path, *, seed: int) -> None:
    """Write the page, and a figure and a table of numbers for each pool, into a folder of documentation."""
    (out / FIGURES).mkdir(parents=True, exist_ok=True)
    page = out / PAGE
    page.parent.mkdir(parents=True, exist_ok=True)
    for each in found:
        draw(each, out / FIGURES / f"comparison-{each.pool}.svg")
        _write_csv(each, out / FIGURES / f"comparison-{each.pool}.csv")
    page.write_text("\n".join(_lines(found, seed)) + "\n", encoding="utf-8")


def _lines(found: Sequence[Comparison], seed: int) -> list[str]:
    permutations = found[0].permutations
    pools = " \\\n    ".join(f"{each.pool}.jsonl.gz" for each in found)
    options = f"--permutations {permutations} --seed {seed} --out docs"
    command = f"python -m thinkctl.evals.comparison {options} \\\n    {pools}"
    head = _HEAD.format(
        command=command, seed=seed, agreement=f"{100 * AGREEMENT:.0f} %", permutations=permutations
    )
    lines = [head, "| pool | " + " | ".join(FAMILIES) + " |", "|---" * (len(FAMILIES) + 1) + "|"]
    for each in found:
        cells = [_cell(chosen) for chosen in each.chosen]
        lines.append(f"| {each.pool} | " + " | ".join(cells) + " |")
    for each in found:
        lines += ["", *_section(each)]
    return lines


def _cell(chosen: Chosen) -> str:
    row = chosen.reported
    star = "" if chosen.reached else "\\*"
    return f"{row.samples.value:.2f}{star} ({100 * row.agreement.value:.1f})"


def _section(found: Comparison) -> list[str]:
    tuning, reporting = found.questions
    tokens = "tokens (estimated)" if found.estimated else "tokens"
    rows = [*((chosen.family, chosen.reported) for chosen in found.chosen), ("all samples", found.full)]
    source = SOURCES.get(found.pool, "not told")
    split = f"chosen on {tuning} questions, reported on {reporting}"
    columns = ["kind", "setting", "accuracy, %", "beside all samples", "agreement, %", "samples", tokens]
    return [
        f"## {found.pool}",
        "",
        f"Source: {source}. {found.samples} samples a question; {split}.",
        "",
        f"![Accuracy against samples and tokens on {found.pool}](../{FIGURES}/comparison-{found.pool}.svg)",
        "",
        _CAPTION,
        "",
        "| " + " | ".join([*columns, "tokens per correct"]) + " |",
        "|---" * (len(columns) + 1) + "|",
        *(_line(family, row) for family, row in rows),
    ]


def _line(family: str, row: Row) -> str:
    setting = ", ".join(filter(None, [row.policy, row.budget]))
    change = "" if row.policy == family == "all samples" else _interval(row.change, 100, "+.1f")
    cells = [
        family,
        f"`{setting}`",
        _interval(row.accuracy, 100, ".1f"),
        change,
        _interval(row.agreement, 100, ".1f"),
        _interval(row.samples, 1, ".2f"),
        _interval(row.tokens, 1, ",.0f"),
        _interval(row.tokens_per_correct, 1, ",.0f"),
    ]
    return "| " + " | ".join(cells) + " |"


def _interval(found: Estimate | None, times: float, style: str) -> str:
    if found is None:
        return "unknown"
    value = f"{times * found.value:{style}}"
    if found.low is None or found.high is None or found.low == found.high:
        return value
    return f"{value} [{times * found.low:{style}}, {times * found.high:{style}}]"


_ESTIMATES: Final = ("accuracy", "change", "agreement", "samples", "tokens", "tokens_per_correct")


def _write_csv(found: Comparison, path: Path) -> None:
    """Write every point of the figure: shares in [0, 1], means of a question, with their 95 % intervals."""
    columns = [f"{name}{end}" for name in _ESTIMATES for end in ("", "_low", "_high")]
    chosen = {id(each.reported) for each in found.chosen}
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(
            ["pool", "kind", "policy", "budget", "chosen", "questions", "permutations", "replayed", *columns]
        )
        for family, rows in [*found.curves.items(), ("all samples", (found.full,))]:
            for row in rows:
                numbers = [number for name in _ESTIMATES for number in _numbers(getattr(row, name))]
                first = [found.pool, family, row.policy, row.budget, int(id(row) in chosen)]
                writer.writerow([*first, row.questions, row.permutations, int(row.replayed), *numbers])


def _numbers(found: Estimate | None) -> list[str]:
    if found is None:
        return ["", "", ""]
    return ["" if value is None else f"{value:.6g}" for value in (found.value, found.low, found.high)]
