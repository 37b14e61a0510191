"""Checks of engines: which tokens come, with which log-probabilities and scores, and what is refused."""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from typing import Final

from thinkctl.errors import ContextExceeded, RequestFailed, ThinkctlError
from thinkctl.testing.trial import Trial, claim, close, read, say, soon
from thinkctl.types import Finish

__all__ = [
    "a_repeated_prompt_is_cached",
    "a_score_is_a_log_probability",
    "a_stop_token_ends_and_comes_last",
    "an_empty_prompt_does_no_harm",
    "forced_tokens_come_out_and_are_marked",
    "forcing_after_the_end_is_refused",
    "logprobs_come_with_the_tokens",
    "no_more_tokens_than_granted",
    "scoring_leaves_other_streams_alone",
    "stopping_and_continuing_changes_nothing",
    "what_does_not_fit_the_context_is_refused",
]

_CLOSE: Final = 1e-3
"""Log-probabilities of one token may differ by so much when computed in different batches."""


async def stopping_and_continuing_changes_nothing(trial: Trial) -> None:
    """Greedy: stop somewhere, continue from the tokens, and get what an uninterrupted stream says."""
    if not (trial.engine.caps.token_prompts and trial.repeats):
        return
    whole = await say(trial)
    for least in (1, len(whole) // 2):
        stream = trial.stream()
        begun = (await read(stream, least)).token_ids
        await close(stream)
        rest = (
            await say(trial, trial.greedy(trial.tokens - len(begun)), begun)
            if len(begun) < len(whole)
            else []
        )
        claim(
            begun + rest == whole,
            f"stopped after {len(begun)} tokens and continued: {begun} + {rest}, uninterrupted: {whole}",
        )


async def no_more_tokens_than_granted(trial: Trial) -> None:
    """``max_tokens`` is reached exactly and never exceeded, and the finish says so."""
    for tokens in (1, 2, trial.tokens):
        stream = trial.stream(trial.greedy(tokens))
        got = await read(stream)
        usage = await close(stream)
        claim(len(got.token_ids) == tokens, f"max_tokens={tokens} brought {len(got.token_ids)} tokens")
        claim(got.finish is Finish.LENGTH, f"a stream that reached max_tokens ended with {got.finish}")
        claim(usage.generated_tokens == tokens, f"max_tokens={tokens} is billed as {usage}")


async def a_stop_token_ends_and_comes_last(trial: Trial) -> None:
    """A stop token ends the stream with ``STOP`` and is the last id delivered. Where text is spoken there are none."""
    if not (trial.repeats and trial.engine.caps.token_prompts):
        return
    said = await say(trial)
    stop = next((token for place, token in enumerate(said) if place > 0 and token not in said[:place]), None)
    if stop is None:
        return
    stream = trial.stream(trial.greedy(stop_token_ids=(stop,)))
    got = await read(stream)
    usage = await close(stream)
    claim(got.token_ids == said[: said.index(stop) + 1], f"stop token {stop} in {said} left {got.token_ids}")
    claim(got.finish is Finish.STOP, f"a stop token ended the stream with {got.finish}")
    overshoot = trial.engine.caps.overshoot
    claim(
        overshoot is None or usage.wasted_tokens <= overshoot, f"a stream that ended wasted tokens: {usage}"
    )


async def a_repeated_prompt_is_cached(trial: Trial) -> None:
    """A prompt that was just computed is reported as cached, in whole blocks."""
    block = trial.engine.caps.block
    if not block:
        return
    prompt = [*trial.prompt] * (2 * block // len(trial.prompt) + 1)
    usages = []
    for _ in range(2):
        stream = trial.engine.stream(prompt, trial.greedy(1))
        await read(stream)
        usages.append(await close(stream))
    cached = usages[1].cached_tokens
    claim(
        cached is not None and cached % block == 0 and block <= cached < len(prompt),
        f"the second time {cached} of {len(prompt)} prompt tokens were cached (blocks of {block})",
    )


async def logprobs_come_with_the_tokens(trial: Trial) -> None:
    """Each token has its log-probability and the best alternatives; greedy takes the best one."""
    most = trial.engine.caps.logprobs
    for wanted in {0, min(most, 3), most} if most >= 0 else ():
        stream = trial.stream(trial.greedy(min(4, trial.tokens), logprobs=wanted))
        got = await read(stream)
        await close(stream)
        entries = got.logprobs
        claim(
            len(entries) == len(got.token_ids),
            f"{len(got.token_ids)} tokens came with {len(entries)} log-probabilities",
        )
        for entry in entries:
            claim(len(entry.top) == wanted, f"{wanted} alternatives were asked for, {len(entry.top)} came")
            claim(max(entry.sampled, *entry.top, -math.inf) <= _CLOSE, f"a probability above 1: {entry}")
            claim(
                list(entry.top) == sorted(entry.top, reverse=True), f"alternatives are not in order: {entry}"
            )
            claim(
                not entry.top or abs(entry.sampled - entry.top[0]) < _CLOSE,
                f"greedy, but not the best: {entry}",
            )


async def forced_tokens_come_out_and_are_marked(trial: Trial) -> None:
    """Where an engine says it forces, the tokens come next, whole, marked, and are billed as generated."""
    longest = trial.engine.caps.force
    if not longest:
        stream = trial.stream()
        await read(stream, 1)
        claim(
            not await soon(stream.force(list(trial.prompt[:1])), "force()"), "forced though caps.force is 0"
        )
        await close(stream)
        return
    forced = list(trial.prompt[: min(longest, len(trial.prompt), trial.tokens // 4)])
    stream = trial.stream()
    got = await read(stream, 2)
    claim(
        await soon(stream.force(forced), "force()"),
        f"refused to force {len(forced)} tokens in a running stream",
    )
    got.deltas += (await read(stream)).deltas
    usage = await close(stream)
    marked = [token for delta in got.deltas if delta.forced for token in delta.token_ids]
    claim(marked == forced, f"{forced} was forced, {marked} came out marked")
    first = next(place for place, delta in enumerate(got.deltas) if delta.forced)
    last = max(place for place, delta in enumerate(got.deltas) if delta.forced)
    claim(
        all(delta.forced for delta in got.deltas[first : last + 1]),
        "sampled tokens came between forced ones",
    )
    claim(
        usage.generated_tokens == len(got.token_ids) + usage.wasted_tokens,
        f"forced tokens are not on the bill: {usage} for {len(got.token_ids)} tokens",
    )
    claim(len(got.token_ids) <= trial.tokens, "forcing went beyond max_tokens")
    stream = trial.stream()
    await read(stream, 1)
    claim(
        not await soon(stream.force([trial.prompt[0]] * (longest + 1)), "force()"),
        f"forced more than caps.force={longest} tokens",
    )
    await close(stream)


async def forcing_after_the_end_is_refused(trial: Trial) -> None:
    """A stream that ended or was closed cannot be forced."""
    token = [trial.prompt[0]]
    ended = trial.stream(trial.greedy(2))
    await read(ended)
    claim(not await soon(ended.force(token), "force()"), "a stream that had ended was forced")
    await close(ended)
    closed = trial.stream()
    await read(closed, 1)
    await close(closed)
    claim(not await soon(closed.force(token), "force()"), "a closed stream was forced")


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
            await read(stream)
        finally:
            await close(stream)
    claim(len(await say(trial, trial.greedy(1))) == 1, "after an empty prompt the engine generates no more")


async def a_score_is_a_log_probability(trial: Trial) -> None:
    """Scores are at most 0, the greedy token has the best one, and they agree with log-probabilities."""
    engine = trial.engine
    ids = list(dict.fromkeys([*(await say(trial, trial.greedy(2))), *trial.prompt[:8]]))
    try:
        scores = await soon(engine.score(trial.prompt, ids), "score()")
    except RequestFailed:
        return  # an engine that cannot score says so for this one request
    claim(set(scores) == set(ids), f"scores for {ids} were asked for, {sorted(scores)} came")
    total = sum(math.exp(score) for score in scores.values())
    claim(total <= 1 + _CLOSE, f"the probabilities of {len(ids)} different tokens add up to {total}")
    fake = len({round(score, 6) for score in scores.values()}) == 1  # says that all tokens are equally likely
    if engine.caps.logprobs >= 1 and trial.repeats and not fake:
        stream = trial.stream(trial.greedy(1, logprobs=1))
        (entry,) = (await read(stream)).logprobs
        await close(stream)
        claim(
            abs(entry.sampled - scores[ids[0]]) < 10 * _CLOSE,
            f"the next token has log-probability {entry.sampled}, but its score is {scores[ids[0]]}",
        )


async def scoring_leaves_other_streams_alone(trial: Trial) -> None:
    """Log-probabilities of a stream are the same whether others are scored in the same steps or not."""
    most = min(trial.engine.caps.logprobs, 3)
    if most < 1 or not trial.repeats:
        return
    spec = trial.greedy(min(8, trial.tokens), logprobs=most)
    alone = trial.stream(spec)
    expected = (await read(alone)).logprobs
    await close(alone)
    stream = trial.stream(spec)

    async def score() -> None:
        with suppress(RequestFailed):
            for length in range(1, 4):
                await trial.engine.score(trial.prompt, trial.prompt[:length])

    got, _ = await soon(asyncio.gather(read(stream), score()), "scoring beside a stream")
    await close(stream)
    for one, other in zip(expected, got.logprobs, strict=True):
        apart = max(
            abs(a - b) for a, b in zip((one.sampled, *one.top), (other.sampled, *other.top), strict=True)
        )
        claim(apart < 10 * _CLOSE, f"scoring changed the log-probabilities of another stream: {one}, {other}")
