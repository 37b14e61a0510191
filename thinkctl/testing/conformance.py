"""What every engine must do: checks for ours and for those of other packages, against the engine itself.

``check_engine`` runs all of them; ``CHECKS`` names each, so that a test can have one case for every check::

    @pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
    def test_the_engine_conforms(engine, check):
        asyncio.run(check(Trial(engine)))

A check asks for nothing that the engine's capabilities exclude, and raises ``AssertionError`` that says which
promise was broken. The engine must not be used by others meanwhile: counters are compared.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final, TypeVar, final

from thinkctl.errors import ContextExceeded, RequestFailed, ThinkctlError
from thinkctl.protocols import Engine, Stream
from thinkctl.types import (
    Delta,
    EngineCounters,
    Finish,
    GenerationSpec,
    Message,
    StreamUsage,
    TokenLogprob,
)

__all__ = ["CHECKS", "Check", "Trial", "check_engine"]

T = TypeVar("T")

_QUESTION: Final = "Count slowly from one to one hundred and say why you like each number."
_PATIENCE: Final = 120.0
"""Seconds that any one step of a check may take before it counts as a hang."""
_CLOSE: Final = 1e-3
"""Log-probabilities of one token may differ by so much when computed in different batches."""


@final
@dataclass(frozen=True)
class Trial:
    """An engine on trial.

    ``prompt`` are the ids it is asked to continue (default: a chat question). ``tokens`` is how long
    generations are; the model must have that much to say with its end of turn ignored. ``repeats`` says that
    the same prompt at temperature 0 has the same continuation every time (not so for engines that play
    different samples, or compute in less than float32). ``at_once`` is how many streams run concurrently.
    """

    engine: Engine
    prompt: Sequence[int] = ()
    tokens: int = 24
    repeats: bool = True
    at_once: int = 16

    def __post_init__(self) -> None:
        if not self.prompt:
            ids = self.engine.tokenizer.chat([Message(role="user", content=_QUESTION)])
            object.__setattr__(self, "prompt", tuple(ids))

    def greedy(self, tokens: int | None = None, **changes: object) -> GenerationSpec:
        """Return a spec without randomness and without an end of its own."""
        spec = GenerationSpec(max_tokens=tokens or self.tokens, temperature=0.0, ignore_end=True)
        return replace(spec, **changes)  # type: ignore[arg-type]

    def stream(self, spec: GenerationSpec | None = None, after: Sequence[int] = ()) -> Stream:
        """Open a stream on the prompt and tokens after it."""
        return self.engine.stream([*self.prompt, *after], spec or self.greedy())


Check = Callable[[Trial], Awaitable[None]]


def _claim(truth: bool, message: str) -> None:
    if not truth:
        raise AssertionError(message)


async def _soon(work: Awaitable[T], what: str) -> T:
    """Await with patience. Raises ``AssertionError`` where it hangs."""
    try:
        return await asyncio.wait_for(work, _PATIENCE)
    except TimeoutError:
        raise AssertionError(f"{what} does not come back within {_PATIENCE:g} s") from None


@final
@dataclass
class _Read:
    """What was read of a stream."""

    deltas: list[Delta] = field(default_factory=list[Delta])

    @property
    def token_ids(self) -> list[int]:
        return [token for delta in self.deltas for token in delta.token_ids]

    @property
    def finish(self) -> Finish | None:
        return self.deltas[-1].finish if self.deltas else None

    @property
    def logprobs(self) -> list[TokenLogprob]:
        return [entry for delta in self.deltas for entry in delta.logprobs or ()]


async def _read(stream: Stream, least: int | None = None) -> _Read:
    """Read to the end, or until there are at least so many tokens."""
    read = _Read()

    async def follow() -> None:
        async for delta in stream:
            _claim(read.finish is None, "a delta came after the one with a finish")
            read.deltas.append(delta)
            if least is not None and len(read.token_ids) >= least:
                return

    if least != 0:
        await _soon(follow(), "a stream")
    return read


async def _close(stream: Stream) -> StreamUsage:
    usage = await _soon(stream.close(), "close()")
    _claim(
        0 <= usage.wasted_tokens <= usage.generated_tokens and usage.prompt_tokens >= 0,
        f"usage makes no sense: {usage}",
    )
    _claim(
        usage.cached_tokens is None or 0 <= usage.cached_tokens <= usage.prompt_tokens,
        f"more of the prompt is cached than there is: {usage}",
    )
    return usage


async def _run(trial: Trial, spec: GenerationSpec | None = None, after: Sequence[int] = ()) -> list[int]:
    stream = trial.stream(spec, after)
    read = await _read(stream)
    await _close(stream)
    return read.token_ids


async def _idle(trial: Trial) -> EngineCounters:
    """Return the counters of an engine that says it does nothing."""
    counters = await _soon(trial.engine.counters(), "counters()")
    _claim(counters.running in (0, None), f"{counters.running} streams run though all were closed")
    return counters


# ----------------------------------------------------------------------------------------------------- the checks
async def stopping_and_continuing_changes_nothing(trial: Trial) -> None:
    """Greedy: stop somewhere, continue from the tokens, and get what an uninterrupted stream says."""
    if not (trial.engine.caps.token_prompts and trial.repeats):
        return
    whole = await _run(trial)
    for least in (1, len(whole) // 2):
        stream = trial.stream()
        begun = (await _read(stream, least)).token_ids
        await _close(stream)
        rest = (
            await _run(trial, trial.greedy(trial.tokens - len(begun)), begun)
            if len(begun) < len(whole)
            else []
        )
        _claim(
            begun + rest == whole,
            f"stopped after {len(begun)} tokens and continued: {begun} + {rest}, uninterrupted: {whole}",
        )


async def no_more_tokens_than_granted(trial: Trial) -> None:
    """``max_tokens`` is reached exactly and never exceeded, and the finish says so."""
    for tokens in (1, 2, trial.tokens):
        stream = trial.stream(trial.greedy(tokens))
        read = await _read(stream)
        usage = await _close(stream)
        _claim(len(read.token_ids) == tokens, f"max_tokens={tokens} brought {len(read.token_ids)} tokens")
        _claim(read.finish is Finish.LENGTH, f"a stream that reached max_tokens ended with {read.finish}")
        _claim(usage.generated_tokens == tokens, f"max_tokens={tokens} is billed as {usage}")


async def a_stop_token_ends_and_comes_last(trial: Trial) -> None:
    """A stop token ends the stream with ``STOP`` and is the last id delivered."""
    if not trial.repeats:
        return
    said = await _run(trial)
    stop = next((token for place, token in enumerate(said) if place > 0 and token not in said[:place]), None)
    if stop is None:
        return
    stream = trial.stream(trial.greedy(stop_token_ids=(stop,)))
    read = await _read(stream)
    usage = await _close(stream)
    _claim(
        read.token_ids == said[: said.index(stop) + 1], f"stop token {stop} in {said} left {read.token_ids}"
    )
    _claim(read.finish is Finish.STOP, f"a stop token ended the stream with {read.finish}")
    overshoot = trial.engine.caps.overshoot
    _claim(
        overshoot is None or usage.wasted_tokens <= overshoot, f"a stream that ended wasted tokens: {usage}"
    )


async def a_close_ends_the_work_and_is_counted(trial: Trial) -> None:
    """After ``close`` nothing runs; the bill is what was delivered and what was wasted, within the grant."""
    for least in (1, 3):
        stream = trial.stream()
        read = await _read(stream, least)
        usage = await _close(stream)
        await _idle(trial)
        delivered = len(read.token_ids)
        _claim(
            usage.generated_tokens == delivered + usage.wasted_tokens,
            f"{delivered} tokens were delivered, but the bill is {usage}",
        )
        _claim(usage.generated_tokens <= trial.tokens, f"more was decoded than granted: {usage}")
        _claim(
            usage.prompt_tokens == len(trial.prompt), f"a prompt of {len(trial.prompt)} is billed as {usage}"
        )
        _claim(not (await _read(stream)).deltas, "a closed stream went on")


async def a_second_close_says_the_same(trial: Trial) -> None:
    """``close`` may be called again, also at once and after the end."""
    ended = trial.stream()
    await _read(ended)
    stopped = trial.stream()
    await _read(stopped, 1)
    for stream in (ended, stopped, trial.stream()):
        first, second = await _soon(asyncio.gather(stream.close(), stream.close()), "close()")
        _claim(first == second == await _close(stream), f"two closes gave {first} and {second}")


async def a_stream_nobody_awaited_costs_nothing(trial: Trial) -> None:
    """Nothing is sent before the first await."""
    before = await _idle(trial)
    stream = trial.stream()
    await asyncio.sleep(0)
    _claim(
        not await _soon(stream.force(list(trial.prompt[:1])), "force()"),
        "a stream that had not begun was forced",
    )
    _claim(await _close(stream) == StreamUsage(), "a stream that was never awaited is billed")
    _claim(await _idle(trial) == before, "a stream that was never awaited was counted")
    _claim(not (await _read(stream)).deltas, "a stream that was closed before it began went on")


async def a_reader_that_gives_up_loses_nothing(trial: Trial) -> None:
    """Waiting may be cancelled; the stream goes on where it was, and closing it leaves the engine idle."""
    whole = await _run(trial)
    stream = trial.stream()
    read = _Read()
    for _ in range(3):
        task = asyncio.ensure_future(anext(aiter(stream)))
        await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError, StopAsyncIteration):
            read.deltas.append(await _soon(task, "a cancelled wait"))
    read.deltas += (await _read(stream)).deltas
    usage = await _close(stream)
    if trial.repeats:
        _claim(read.token_ids == whole, f"cancelled waits changed {whole} into {read.token_ids}")
    _claim(usage.generated_tokens == len(read.token_ids) + usage.wasted_tokens, f"the bill is {usage}")


async def a_cancelled_consumer_leaves_nothing_behind(trial: Trial) -> None:
    """A task that is cancelled while it reads, and closes as it goes, leaves the engine idle and a right bill."""
    begun = asyncio.Event()
    delivered = 0
    bills: list[StreamUsage] = []
    before = await _idle(trial)

    async def consume() -> None:
        nonlocal delivered
        stream = trial.stream()
        try:
            async for delta in stream:
                delivered += len(delta.token_ids)
                begun.set()
        finally:
            bills.append(await stream.close())

    tasks = [asyncio.create_task(consume()) for _ in range(2)]
    await _soon(begun.wait(), "a stream")
    for task in tasks:
        task.cancel()
    await _soon(asyncio.gather(*tasks, return_exceptions=True), "a cancelled task")
    _reconcile(before, await _idle(trial), bills)
    _claim(
        sum(bill.generated_tokens - bill.wasted_tokens for bill in bills) == delivered,
        f"{delivered} tokens were delivered, but the bills are {bills}",
    )


async def another_task_may_close(trial: Trial) -> None:
    """Closing a stream that another task waits for ends that wait."""
    stream = trial.stream()
    await _read(stream, 1)
    reader = asyncio.create_task(_read(stream))
    await asyncio.sleep(0)
    usage = await _close(stream)
    read = await _soon(reader, "the reader of a closed stream")
    least = 1 + len(read.token_ids)
    _claim(
        usage.generated_tokens >= least, f"at least {least} tokens were delivered, but the bill is {usage}"
    )
    await _idle(trial)


async def a_repeated_prompt_is_cached(trial: Trial) -> None:
    """A prompt that was just computed is reported as cached, in whole blocks."""
    block = trial.engine.caps.block
    if not block:
        return
    prompt = [*trial.prompt] * (2 * block // len(trial.prompt) + 1)
    usages = []
    for _ in range(2):
        stream = trial.engine.stream(prompt, trial.greedy(1))
        await _read(stream)
        usages.append(await _close(stream))
    cached = usages[1].cached_tokens
    _claim(
        cached is not None and cached % block == 0 and block <= cached < len(prompt),
        f"the second time {cached} of {len(prompt)} prompt tokens were cached (blocks of {block})",
    )


async def logprobs_come_with_the_tokens(trial: Trial) -> None:
    """Each token has its log-probability and the best alternatives; greedy takes the best one."""
    most = trial.engine.caps.logprobs
    for wanted in {0, min(most, 3), most} if most >= 0 else ():
        stream = trial.stream(trial.greedy(min(4, trial.tokens), logprobs=wanted))
        read = await _read(stream)
        await _close(stream)
        entries = read.logprobs
        _claim(
            len(entries) == len(read.token_ids),
            f"{len(read.token_ids)} tokens came with {len(entries)} log-probabilities",
        )
        for entry in entries:
            _claim(len(entry.top) == wanted, f"{wanted} alternatives were asked for, {len(entry.top)} came")
            _claim(max(entry.sampled, *entry.top, -math.inf) <= _CLOSE, f"a probability above 1: {entry}")
            _claim(
                list(entry.top) == sorted(entry.top, reverse=True), f"alternatives are not in order: {entry}"
            )
            _claim(
                not entry.top or abs(entry.sampled - entry.top[0]) < _CLOSE,
                f"greedy, but not the best: {entry}",
            )


async def forced_tokens_come_out_and_are_marked(trial: Trial) -> None:
    """Where an engine says it forces, the tokens come next, whole, marked, and are billed as generated."""
    longest = trial.engine.caps.force
    if not longest:
        stream = trial.stream()
        await _read(stream, 1)
        _claim(
            not await _soon(stream.force(list(trial.prompt[:1])), "force()"), "forced though caps.force is 0"
        )
        await _close(stream)
        return
    forced = list(trial.prompt[: min(longest, len(trial.prompt), trial.tokens // 4)])
    stream = trial.stream()
    read = await _read(stream, 2)
    _claim(
        await _soon(stream.force(forced), "force()"),
        f"refused to force {len(forced)} tokens in a running stream",
    )
    read.deltas += (await _read(stream)).deltas
    usage = await _close(stream)
    marked = [token for delta in read.deltas if delta.forced for token in delta.token_ids]
    _claim(marked == forced, f"{forced} was forced, {marked} came out marked")
    first = next(place for place, delta in enumerate(read.deltas) if delta.forced)
    last = max(place for place, delta in enumerate(read.deltas) if delta.forced)
    _claim(
        all(delta.forced for delta in read.deltas[first : last + 1]),
        "sampled tokens came between forced ones",
    )
    _claim(
        usage.generated_tokens == len(read.token_ids) + usage.wasted_tokens,
        f"forced tokens are not on the bill: {usage} for {len(read.token_ids)} tokens",
    )
    _claim(len(read.token_ids) <= trial.tokens, "forcing went beyond max_tokens")
    stream = trial.stream()
    await _read(stream, 1)
    _claim(
        not await _soon(stream.force([trial.prompt[0]] * (longest + 1)), "force()"),
        f"forced more than caps.force={longest} tokens",
    )
    await _close(stream)


async def forcing_after_the_end_is_refused(trial: Trial) -> None:
    """A stream that ended or was closed cannot be forced."""
    token = [trial.prompt[0]]
    ended = trial.stream(trial.greedy(2))
    await _read(ended)
    _claim(not await _soon(ended.force(token), "force()"), "a stream that had ended was forced")
    await _close(ended)
    closed = trial.stream()
    await _read(closed, 1)
    await _close(closed)
    _claim(not await _soon(closed.force(token), "force()"), "a closed stream was forced")


async def many_streams_run_at_once(trial: Trial) -> None:
    """Concurrent streams do not disturb each other's tokens, and all of them end."""
    streams = [trial.stream() for _ in range(trial.at_once)]
    reads = await _soon(asyncio.gather(*(_read(stream) for stream in streams)), "a crowd of streams")
    for stream in streams:
        await _close(stream)
    lengths = [len(read.token_ids) for read in reads]
    _claim(lengths == [trial.tokens] * trial.at_once, f"streams of {trial.tokens} tokens brought {lengths}")
    if trial.repeats:
        alone = await _run(trial)
        _claim(
            all(read.token_ids == alone for read in reads),
            "a stream says something else in company than alone",
        )
    await _idle(trial)


def _reconcile(before: EngineCounters, after: EngineCounters, bills: Sequence[StreamUsage]) -> None:
    """Compare the bills with the engine's own counters, as far as both know."""
    if any(bill.estimated for bill in bills):
        return
    if before.generated_tokens is not None and after.generated_tokens is not None:
        counted = after.generated_tokens - before.generated_tokens
        billed = sum(bill.generated_tokens for bill in bills)
        _claim(counted == billed, f"the engine decoded {counted} tokens, the bills say {billed}: {bills}")
    cached = [bill.cached_tokens for bill in bills]
    known = sum(amount for amount in cached if amount is not None)
    if None not in cached and before.cached_tokens is not None and after.cached_tokens is not None:
        counted = after.cached_tokens - before.cached_tokens
        _claim(counted == known, f"the engine had {counted} prompt tokens cached, the bills say {known}")
    if None not in cached and before.prompt_tokens is not None and after.prompt_tokens is not None:
        counted = after.prompt_tokens - before.prompt_tokens
        billed = sum(bill.prompt_tokens for bill in bills) - known
        _claim(
            counted == billed, f"the engine computed {counted} prompt tokens, the bills say {billed}: {bills}"
        )


async def the_bills_add_up_to_the_counters(trial: Trial) -> None:
    """Streams stopped at different places: all bills together are what the engine says it computed."""
    before = await _idle(trial)
    streams = [trial.stream() for _ in range(trial.at_once)]

    async def part(place: int, stream: Stream) -> StreamUsage:
        await _read(stream, 1 + place % trial.tokens)
        return await _close(stream)

    bills = await _soon(
        asyncio.gather(*(part(place, stream) for place, stream in enumerate(streams))), "a crowd of closes"
    )
    _reconcile(before, await _idle(trial), bills)
    overshoot = trial.engine.caps.overshoot
    _claim(overshoot != 0 or not any(bill.wasted_tokens for bill in bills), f"overshoot is 0, but: {bills}")


async def closing_before_the_first_token_is_counted(trial: Trial) -> None:
    """Streams closed right after they began: whatever was computed is on the bill, and nothing goes on."""
    before = await _idle(trial)
    bills = []
    for turns in (0, 1, 5, 20):
        stream = trial.stream()
        reader = asyncio.create_task(_read(stream))
        for _ in range(turns + 1):
            await asyncio.sleep(0)
        bills.append(await _close(stream))
        read = await _soon(reader, "the reader of a closed stream")
        _claim(
            bills[-1].generated_tokens == len(read.token_ids) + bills[-1].wasted_tokens,
            f"{len(read.token_ids)} tokens were delivered, but the bill is {bills[-1]}",
        )
    _reconcile(before, await _idle(trial), bills)


async def what_does_not_fit_the_context_is_refused(trial: Trial) -> None:
    """A prompt and grant beyond the context are refused at once, with ``ContextExceeded``."""
    context = trial.engine.card.context
    if context is None:
        return
    try:
        trial.stream(trial.greedy(context))
    except ContextExceeded:
        return
    raise AssertionError(
        f"a prompt of {len(trial.prompt)} and max_tokens={context} fit a context of {context}"
    )


async def an_empty_prompt_does_no_harm(trial: Trial) -> None:
    """An engine may refuse an empty prompt, in our own words, or serve it; it must work on."""
    with suppress(ThinkctlError):
        stream = trial.engine.stream([], trial.greedy(1))
        try:
            await _read(stream)
        finally:
            await _close(stream)
    _claim(len(await _run(trial, trial.greedy(1))) == 1, "after an empty prompt the engine generates no more")


async def a_score_is_a_log_probability(trial: Trial) -> None:
    """Scores are at most 0, the greedy token has the best one, and they agree with log-probabilities."""
    engine = trial.engine
    ids = list(dict.fromkeys([*(await _run(trial, trial.greedy(2))), *trial.prompt[:8]]))
    try:
        scores = await _soon(engine.score(trial.prompt, ids), "score()")
    except RequestFailed:
        return  # an engine that cannot score says so for this one request
    _claim(set(scores) == set(ids), f"scores for {ids} were asked for, {sorted(scores)} came")
    total = sum(math.exp(score) for score in scores.values())
    _claim(total <= 1 + _CLOSE, f"the probabilities of {len(ids)} different tokens add up to {total}")
    if engine.caps.logprobs >= 1 and trial.repeats and await _scores_are_of_the_model(trial, scores):
        stream = trial.stream(trial.greedy(1, logprobs=1))
        (entry,) = (await _read(stream)).logprobs
        await _close(stream)
        _claim(
            abs(entry.sampled - scores[ids[0]]) < 10 * _CLOSE,
            f"the next token has log-probability {entry.sampled}, but its score is {scores[ids[0]]}",
        )


async def _scores_are_of_the_model(trial: Trial, scores: Mapping[int, float]) -> bool:
    """Say whether scores tell tokens apart; fakes give all of them the same."""
    return len({round(score, 6) for score in scores.values()}) > 1


async def scoring_leaves_other_streams_alone(trial: Trial) -> None:
    """Log-probabilities of a stream are the same whether others are scored in the same steps or not."""
    most = min(trial.engine.caps.logprobs, 3)
    if most < 1 or not trial.repeats:
        return
    spec = trial.greedy(min(8, trial.tokens), logprobs=most)
    alone = trial.stream(spec)
    expected = (await _read(alone)).logprobs
    await _close(alone)
    stream = trial.stream(spec)

    async def score() -> None:
        with suppress(RequestFailed):
            for length in range(1, 4):
                await trial.engine.score(trial.prompt, trial.prompt[:length])

    read, _ = await _soon(asyncio.gather(_read(stream), score()), "scoring beside a stream")
    await _close(stream)
    for one, other in zip(expected, read.logprobs, strict=True):
        apart = max(
            abs(a - b) for a, b in zip((one.sampled, *one.top), (other.sampled, *other.top), strict=True)
        )
        _claim(
            apart < 10 * _CLOSE, f"scoring changed the log-probabilities of another stream: {one}, {other}"
        )


CHECKS: Final[Mapping[str, Check]] = MappingProxyType(
    {
        check.__name__.replace("_", " "): check
        for check in (
            stopping_and_continuing_changes_nothing,
            no_more_tokens_than_granted,
            a_stop_token_ends_and_comes_last,
            a_close_ends_the_work_and_is_counted,
            a_second_close_says_the_same,
            a_stream_nobody_awaited_costs_nothing,
            a_reader_that_gives_up_loses_nothing,
            a_cancelled_consumer_leaves_nothing_behind,
            another_task_may_close,
            a_repeated_prompt_is_cached,
            logprobs_come_with_the_tokens,
            forced_tokens_come_out_and_are_marked,
            forcing_after_the_end_is_refused,
            many_streams_run_at_once,
            the_bills_add_up_to_the_counters,
            closing_before_the_first_token_is_counted,
            what_does_not_fit_the_context_is_refused,
            an_empty_prompt_does_no_harm,
            a_score_is_a_log_probability,
            scoring_leaves_other_streams_alone,
        )
    }
)
"""Every check by its sentence."""


async def check_engine(
    engine: Engine, *, prompt: Sequence[int] = (), tokens: int = 24, repeats: bool = True, at_once: int = 16
) -> None:
    """Run every check on an engine. Raises ``AssertionError`` with the check's sentence and what it found.

    The arguments are those of ``Trial``.
    """
    trial = Trial(engine, prompt, tokens, repeats, at_once)
    for sentence, check in CHECKS.items():
        try:
            await check(trial)
        except AssertionError as error:
            raise AssertionError(f"{sentence}: {error}") from error
