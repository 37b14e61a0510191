"""Every generator of reasoning-gym: is its own answer right, and what else does its verifier let pass?

``python tests/benchmarks/gym_generators.py [PROBLEMS]`` (a minute for 5 of each) prints the exceptions.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any, Final

from thinkctl.errors import ConfigurationError
from thinkctl.evals.tasks import gym, task

_NONSENSE: Final = "certainly not this"


async def look_at(name: str, size: int) -> dict[str, Any]:
    """Return how many of a generator's own answers are right, and how many that are something else."""
    try:
        found = task(f"reasoning-gym:{name}?size={size}")
    except ConfigurationError as error:
        return {"name": name, "error": str(error)}
    asked = json.dumps({"size": size, "seed": 0})
    own = gym._ask("make", {"name": name, "config": asked}, 300)["answers"]
    if None in own:
        return {"name": name, "reference": "none"}
    pairs = list(zip(found.problems, own, strict=True))
    others = [
        (problem, own[place - 1]) for place, (problem, answer) in enumerate(pairs) if own[place - 1] != answer
    ]
    return {
        "name": name,
        "own": sum(await found.grades(pairs)),
        "followed_by_more": sum(await found.grades([(each, f"{answer} and more") for each, answer in pairs])),
        "of_another": sum(await found.grades(others)),
        "nonsense": sum(await found.grades([(each, _NONSENSE) for each, _ in pairs])),
    }


def main() -> None:
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    began, usual = time.perf_counter(), {"own": size, "followed_by_more": 0, "of_another": 0, "nonsense": 0}
    every = sorted(gym.generators())
    rows = [asyncio.run(look_at(name, size)) for name in every]
    for row in rows:
        if {key: value for key, value in row.items() if key != "name"} != usual:
            print(json.dumps(row))
    print(f"{len(every)} generators, {size} problems each, in {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
