"""What runs in vLLM's worker, fed by hand: vLLM's own batch updates, and what the tally makes of its reports."""

# Parts that break a promise are handed in on purpose.
# pyright: reportArgumentType=false

from __future__ import annotations

import math
import os
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from thinkctl.engines.vllm._tally import Tally
from thinkctl.errors import ConfigurationError
from thinkctl.types import EngineCounters

pytestmark = pytest.mark.engine  # importing vLLM takes seconds

VOCABULARY = 8


@pytest.fixture
def worker():
    """The processor and the calls of a worker, with an empty batch."""
    pytest.importorskip("vllm")
    from thinkctl.engines.vllm import steer

    steer._watched.clear()
    steer._active.clear()
    extension = steer.WorkerExtension()
    unused: Any = None
    processor = steer.Steering(unused, unused, False)
    batch = SimpleNamespace(
        logitsprocs=SimpleNamespace(all=[processor]), num_computed_tokens_cpu=[0, 32, 64, 96]
    )
    discarded = np.zeros(4, dtype=bool)
    extension.model_runner = SimpleNamespace(
        input_batch=batch, discard_request_mask=SimpleNamespace(np=discarded)
    )
    assert extension.thinkctl_attach(os.getpid())
    return Worker(processor, extension, discarded)


class Worker:
    def __init__(self, processor, extension, discarded) -> None:
        self.processor = processor
        self.call = extension
        self.discarded = discarded

    def update(self, removed=(), added=(), moved=()) -> None:
        from vllm.v1.sample.logits_processor import BatchUpdate, MoveDirectionality

        kinds = {"swap": MoveDirectionality.SWAP, "move": MoveDirectionality.UNIDIRECTIONAL}
        entering: list[Any] = [(row, params(key, score), [1], output) for row, key, output, score in added]
        self.processor.update_state(
            BatchUpdate(
                batch_size=0,
                removed=removed,
                added=entering,
                moved=[(one, other, kinds[kind]) for one, other, kind in moved],
            )
        )

    def sample(self, *rows: int) -> list[int | None]:
        """Return what each row is forced to be; ``None`` where it is free."""
        import torch

        logits = self.processor.apply(torch.zeros(max(rows) + 1, VOCABULARY))
        return [int(logits[row].argmax()) if logits[row].isinf().any() else None for row in rows]


def params(key, score):
    extra = None if key is None else {"thinkctl_key": key} | ({"thinkctl_score": score} if score else {})
    return SimpleNamespace(extra_args=extra)


def test_it_counts_the_live_output_and_the_cached_prompt_of_each_stream(worker) -> None:
    one, two = [5], [6, 7]
    worker.update(added=[(0, "one", one, None), (1, "two", two, None), (2, None, [], None)])
    one.append(6)
    assert worker.call.thinkctl_settle(["one", "two", "three"]) == {"one": [2, 0], "two": [2, 32]}
    assert worker.call.thinkctl_settle(["one"]) == {}


def test_a_count_outlives_the_stream_and_a_comeback_with_another_list(worker) -> None:
    output = [1, 2, 3]
    worker.update(added=[(0, "one", output, None)])
    worker.update(removed=[0])
    output.append(4)  # not ours any more
    again = [1, 2, 3]
    worker.update(added=[(3, "one", again, None)])
    again.append(9)
    worker.update(removed=[3])
    assert worker.call.thinkctl_settle(["one"]) == {"one": [4, 0]}


def test_forced_tokens_come_one_a_step_and_then_the_row_is_free(worker) -> None:
    output = [1, 2]
    worker.update(added=[(0, "other", [], None), (1, "one", output, None)])
    assert worker.call.thinkctl_force("one", [4, 5]) == 2
    for expected in (4, 5):
        assert worker.sample(0, 1) == [None, expected]
        output.append(expected)
    assert worker.sample(0, 1) == [None, None]
    assert worker.call.thinkctl_force("one", [3]) == 4
    assert worker.call.thinkctl_force("nobody", [3]) is None


def test_forcing_again_before_the_first_is_out_queues_behind_it(worker) -> None:
    output: list[int] = []
    worker.update(added=[(0, "one", output, None)])
    assert worker.call.thinkctl_force("one", [4, 5]) == 0
    assert worker.sample(0) == [4]
    output.append(4)
    assert worker.call.thinkctl_force("one", [6]) == 2
    assert worker.sample(0) == [5]
    output.append(5)
    assert worker.sample(0) == [6]


def test_forcing_follows_a_stream_through_the_batch(worker) -> None:
    one, two = [1], [2]
    worker.update(added=[(0, "one", one, None), (3, "two", two, None)])
    worker.call.thinkctl_force("one", [4])
    worker.call.thinkctl_force("two", [5])
    worker.update(moved=[(0, 3, "swap")])
    assert worker.sample(0, 3) == [5, 4]
    worker.update(removed=[0], moved=[(3, 0, "move")])
    assert worker.sample(0, 3) == [4, None]
    worker.update(removed=[0])
    assert worker.sample(0, 3) == [None, None]
    worker.update(added=[(2, "two", two, None)])
    assert worker.sample(0, 2) == [None, 5]


def test_a_row_that_is_given_to_another_stream_is_no_longer_forced(worker) -> None:
    worker.update(added=[(0, "one", [1], None)])
    worker.call.thinkctl_force("one", [4])
    worker.update(added=[(0, "two", [1], None)])
    assert worker.sample(0) == [None]
    worker.update(added=[(1, "one", [1], None), (0, "three", [], None)])
    assert worker.sample(0, 1) == [None, 4]


def test_it_counts_what_is_computed_again_without_a_token_and_no_chunk_of_a_prompt(worker) -> None:
    worker.update(added=[(0, "new", [], None), (1, "back", [1, 2], None), (2, "runs", [3], None)])
    worker.discarded[:2] = True
    worker.sample(0, 1, 2)
    worker.sample(0, 1, 2)
    worker.discarded[:] = False
    worker.sample(0, 1, 2)
    assert worker.call.thinkctl_again() == 2


def test_scores_are_read_off_the_logits(worker) -> None:
    worker.update(added=[(0, "other", [], None), (1, "one", [], [2, 5])])
    assert worker.sample(0, 1) == [None, None]
    scores = worker.call.thinkctl_scores("one")
    assert scores == pytest.approx([-math.log(VOCABULARY)] * 2)
    assert worker.call.thinkctl_scores("one") == []


def test_a_processor_for_forcing_must_also_run_for_greedy_streams(worker) -> None:
    assert worker.processor.is_argmax_invariant() is False


def test_streams_that_ended_by_themselves_are_forgotten_in_time_and_running_ones_never(worker) -> None:
    from thinkctl.engines.vllm import steer

    worker.update(added=[(3, "running", [1], None)])
    for place in range(steer._REMEMBERED + 50):
        worker.update(removed=[0] if place else [], added=[(0, f"{place}", [], None)])
    assert len(steer._watched) <= steer._REMEMBERED + 1
    assert worker.call.thinkctl_settle(["running", "0"]) == {"running": [1, 96]}


def test_a_renamed_field_of_vllm_is_one_clear_error(monkeypatch) -> None:
    pytest.importorskip("vllm")
    from thinkctl.engines.vllm import _adapter

    _adapter.check()
    monkeypatch.setattr(_adapter, "_NEEDED", {_adapter.SamplingParams: "max_tokens gone"})  # type: ignore[attr-defined]
    with pytest.raises(
        ConfigurationError, match=r"lacks what thinkctl relies on: SamplingParams\.gone; install vllm>="
    ):
        _adapter.check()


def step(prompt: int, requests: int, tokens: int) -> Any:
    return SimpleNamespace(
        num_ctx_tokens=prompt, num_generation_requests=requests, num_generation_tokens=tokens
    )


def test_the_tally_counts_first_tokens_decoded_ones_and_recomputed_prompts() -> None:
    tally = Tally()
    tally.admit(requests=2, cached_tokens=32)
    tally.add(step(prompt=50, requests=0, tokens=0))
    tally.add(step(prompt=20, requests=1, tokens=1))
    tally.add(
        step(prompt=0, requests=2, tokens=41)
    )  # one of them was preempted: its 40 tokens again, and one
    tally.barren += 1
    assert tally.counters(running=1) == EngineCounters(70 + 39, 32, 2 + 3 - 1, 1)
    assert tally.counters(running=0, again=1) == EngineCounters(70 + 40, 32, 2 + 3 - 2, 0)
