"""What the repetition guard takes for a loop: in recorded samples, and in ordinary text, where it should find none.

Run: .venv/bin/python tests/benchmarks/loops.py [RUNFILE ...] [--text FOLDER ...]

Of each recorded sample it is told whether the guard would have cut it while it grew, and after how many tokens. Of text
files every window of 2,048 words, and of 2,048 characters, stands for a sample.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from thinkctl.hindsight import at_token
from thinkctl.runfile import read
from thinkctl.stopping import RepetitionGuard
from thinkctl.testing import sample_of
from thinkctl.types import Sample, Segment

GUARD = RepetitionGuard()
STEP = 32
WINDOW = 2048


def caught_after(sample: Sample) -> int | None:
    """Return after how many tokens a sample would have been cut."""
    for place in range(STEP, len(sample.token_ids) + 1, STEP):
        if GUARD.loops(at_token(sample, place)):
            return place
    return None


def samples_of(items: Sequence[object]) -> Iterator[Sample]:
    """Yield the stretches of a text as samples, each of its words or characters a token."""
    ids: dict[object, int] = {}
    numbers = [ids.setdefault(item, len(ids)) for item in items]
    for start in range(0, max(1, len(numbers) - WINDOW // 2), WINDOW // 2):
        yield replace(sample_of(...), segments=(Segment(tuple(numbers[start : start + WINDOW])),))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="*", type=Path)
    parser.add_argument("--text", nargs="*", type=Path, default=[])
    arguments = parser.parse_args()
    for path in arguments.runs:
        samples = [sample for run in read(path) for sample in run.samples]
        caught = {sample: after for sample in samples if (after := caught_after(sample)) is not None}
        print(
            f"{path.name}: {len(samples)} samples, longest {max(len(each.token_ids) for each in samples)} tokens"
        )
        for sample, after in caught.items():
            print(f"  caught after {after} of {len(sample.token_ids)} tokens: ...{sample.text[-60:]!r}")
    files = [
        file
        for folder in arguments.text
        for file in sorted(folder.rglob("*"))
        if file.suffix in {".md", ".py", ".toml", ".txt", ".csv", ".json", ".jsonl"} and file.is_file()
    ]
    characters = caught_windows = 0
    for file in files:
        text = file.read_text(encoding="utf-8", errors="replace")
        characters += len(text)
        for kind, items in (("words", text.split()), ("characters", text)):
            for sample in samples_of(items):
                if GUARD.loops(sample):
                    caught_windows += 1
                    print(f"  {file} by {kind}: a loop")
    if files:
        print(f"{len(files)} files, {characters:,} characters: {caught_windows} windows taken for a loop")


if __name__ == "__main__":
    main()
