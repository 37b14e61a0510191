"""Record samples of a real model: a run file that every policy, selector and budget can be replayed on.

Run: .venv/bin/python evals/runs/record.py QUESTIONS.jsonl OUT.jsonl.gz [--model NAME] [--problems N] [--samples N]

QUESTIONS has one JSON object a line with "id" and "question". Each of N questions, drawn with seed 0, gets the
same number of samples; nothing stops early. It may be interrupted: the same command goes on with the questions
that are not in OUT yet. What is right is not in the file: ``thinkctl replay OUT --gold QUESTIONS.jsonl`` reads it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import time
from pathlib import Path

from thinkctl import Budget, Controller, Problem, SelfConsistency, engine_from
from thinkctl.runfile import RunFile, read, read_header, write


async def record(arguments: argparse.Namespace) -> None:
    with arguments.questions.open(encoding="utf-8") as file:
        rows = [row for row in map(json.loads, file) if not row.get("label_issue")]
    drawn = random.Random(0).sample(rows, min(arguments.problems, len(rows)))
    plain = arguments.out.with_suffix("") if arguments.out.suffix == ".gz" else arguments.out
    done = {run.history.problem.id for run in read(plain)} if plain.exists() else set[str]()
    problems = [
        Problem.model_validate({"messages": row["question"], "id": row["id"]})
        for row in drawn
        if row["id"] not in done
    ]
    engine = engine_from(f"vllm:{arguments.model}")
    controller = Controller(engine, SelfConsistency(arguments.samples))
    began, tokens = time.monotonic(), 0
    try:
        with RunFile.open(plain, card=engine.card) as file:
            each = Budget(tokens=arguments.samples * 600)
            async for run in controller.solve_many(problems, each=each, at_once=arguments.at_once):
                file.append(run)
                tokens += run.receipt.usage.generated_tokens
                done.add(run.history.problem.id)
                speed = tokens / (time.monotonic() - began)
                print(
                    f"{len(done)}/{len(drawn)} {run.answer and run.answer.text} {speed:.0f} tokens/s",
                    file=sys.stderr,
                )
    finally:
        await engine.aclose()
    if plain != arguments.out:
        write(arguments.out, read(plain), **read_header(plain).fields, card=engine.card)
        plain.unlink()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("questions", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", default="qwen2.5-coder-0.5b-instruct")
    parser.add_argument("--problems", type=int, default=120)
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--at-once", type=int, default=6)
    asyncio.run(record(parser.parse_args()))
