"""What stopping does on the real engine: samples, tokens and seconds, and what comes after a decision.

Run: .venv/bin/python tests/benchmarks/live_stopping.py [within|across] [MODEL] [PROBLEMS]
     (default: both, qwen2.5-coder-0.5b-instruct, 4)

Across samples: the same problems under Adaptive-Consistency, once with one sample at a time and once with as many
at a time as the rule allows (``speculate=0``). In both, hindsight must find that exactly the samples were taken at
which the rule stops. Within samples: one problem, sixteen samples in flight, under each policy that probes, cuts or
concludes; told are how many tokens a sample still had after the policy had decided to end it.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from dataclasses import dataclass, field, replace

from thinkctl import AdaptiveConsistency, Budget, Controller, Run, Sampling, SelfConsistency, engine_from
from thinkctl.hindsight import hindsight
from thinkctl.protocols import Engine, StoppingPolicy
from thinkctl.selectors import Majority
from thinkctl.stopping import AnswerConfidence, AnswerStable, EntropyAfterThinking, LowConfidence
from thinkctl.types import Decision, History, Needs, Origin, needs_of

SAMPLES = 16
QUESTIONS = [
    f"A baker makes {a} trays with {b} rolls each. He sells {c} rolls and packs the rest in bags of {d}. How many full "
    "bags does he get?"
    for a, b, c, d in [(6, 12, 20, 4), (9, 8, 30, 5), (7, 15, 41, 6), (12, 9, 60, 8), (5, 24, 33, 7), (8, 11, 25, 9),
                       (10, 14, 77, 3), (4, 18, 19, 5)]
]  # fmt: skip
WITHIN: dict[str, StoppingPolicy | None] = {
    "none": None,
    "answer-confidence(0.95, every=32)": AnswerConfidence(0.95, every=32),
    "entropy-after-thinking(0.01, 0.8, every=32)": EntropyAfterThinking(0.01, alpha=0.8, every=32),
    "answer-stable(2, every=32)": AnswerStable(k=2, every=32),
    "low-confidence(50, window=32, warm_up=4)": LowConfidence(eta=50, window=32, warm_up=4),
}


@dataclass(frozen=True)
class OneAtATime:
    """A policy that lets one further sample run, as a program without free parallelism would."""

    inner: StoppingPolicy

    def decide(self, history: History) -> Decision:
        return replace(self.inner.decide(history), more=1)


@dataclass
class Noting:
    """A policy that notes how long each sample was, as it saw it, when it first decided to end it."""

    inner: StoppingPolicy
    seen: dict[int, int] = field(default_factory=dict[int, int])

    @property
    def needs(self) -> Needs:
        return needs_of(self.inner)

    def decide(self, history: History) -> Decision:
        decision = self.inner.decide(history)
        for index in (*decision.cut, *decision.conclude):
            self.seen.setdefault(index, len(history.samples[index].token_ids))
        return decision


async def across(engine: Engine, questions: list[str]) -> None:
    rule = AdaptiveConsistency(0.95)
    ways: dict[str, StoppingPolicy] = {"one at a time": OneAtATime(rule), "speculate=0": rule}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    runs: dict[str, list[Run]] = {name: [] for name in ways}
    for question in questions:
        for name, policy in ways.items():
            controller = Controller(engine, SelfConsistency(SAMPLES), policy=policy)
            began = time.perf_counter()
            runs[name].append(await controller.solve(question, Budget(tokens=8_000)))
            seconds[name].append(time.perf_counter() - began)
    for name in ways:
        taken = [run.history.bought for run in runs[name]]
        rule_s = [hindsight(rule, run.history, Majority()).samples for run in runs[name]]
        tokens = sum(run.receipt.generated_tokens for run in runs[name])
        print(
            f"{name:14} {sum(taken):4} samples {tokens:6} tokens {sum(seconds[name]):6.1f} s"
            f"  exactly the rule's samples: {taken == rule_s}"
        )
    each = [
        (slow / one.receipt.generated_tokens) / (fast / two.receipt.generated_tokens)
        for slow, fast, one, two in zip(*seconds.values(), *runs.values(), strict=True)
    ]
    print(f"seconds for a token, one at a time / speculate=0: median {statistics.median(each):.2f}")


async def within(engine: Engine, question: str) -> None:
    for name, policy in WITHIN.items():
        noting = None if policy is None else Noting(policy)
        first = policy.warm_up if isinstance(policy, LowConfidence) else 0
        strategy = SelfConsistency(SAMPLES + first, sampling=Sampling(max_tokens=400))
        before = await engine.counters()
        run = await Controller(engine, strategy, policy=noting).solve(question)
        counted = ((await engine.counters()).generated_tokens or 0) - (before.generated_tokens or 0)
        after = [
            _own(run, index) - seen + run.samples[index].usage.wasted_tokens
            for index, seen in (noting.seen.items() if noting is not None else ())
        ]
        used = run.receipt.usage
        print(
            f"{name:44} {len(run.samples):2} samples {used.generated_tokens:6} tokens "
            f"({used.probe_tokens} of probes, {used.wasted_tokens} wasted), counted {counted}; ended {len(after):2}, "
            f"tokens after the decision: mean {statistics.mean(after or [0]):.1f} most {max(after, default=0)}; "
            f"{run.seconds:.1f} s; {run.answer and run.answer.text}"
        )


def _own(run: Run, index: int) -> int:
    """Return how many tokens a sample had before its thought was closed."""
    own = 0
    for segment in run.samples[index].segments:
        if segment.origin is Origin.FORCED:
            break
        own += len(segment.token_ids)
    return own


async def main() -> None:
    given = sys.argv[1:]
    parts = {given.pop(0)} if given and given[0] in {"within", "across"} else {"within", "across"}
    model = given[0] if given else "qwen2.5-coder-0.5b-instruct"
    problems = int(given[1]) if len(given) > 1 else 4
    engine = engine_from(f"vllm:{model}", context=2048, streams=2 * SAMPLES)
    try:
        await engine.start()
        await Controller(engine, SelfConsistency(2)).solve(QUESTIONS[0])  # warms up
        if "within" in parts:
            await within(engine, QUESTIONS[0])
        if "across" in parts:
            await across(engine, QUESTIONS[:problems])
    finally:
        await engine.aclose()


if __name__ == "__main__":
    asyncio.run(main())
