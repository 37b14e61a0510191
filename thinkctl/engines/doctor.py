"""What an engine really honours: each thing asked for, and counted."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol, final, runtime_checkable

from thinkctl.errors import ThinkctlError
from thinkctl.protocols import Engine
from thinkctl.types import EngineCounters, Finish, GenerationSpec, Message, StreamUsage

__all__ = ["Finding", "examine"]

Verdict = Literal["yes", "no", "partly", "unknown"]

_QUESTION: Final = "Count from one to fifty, in words, one after the other."
_LONG: Final = "The quick brown fox jumps over the lazy dog near the river bank. "
_MOST: Final = 60.0
"""Seconds that one thing may take."""
_SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {"answer": {"type": "integer"}},
    "required": ["answer"],
    "additionalProperties": False,
}


@final
@dataclass(frozen=True, slots=True)
class Finding:
    """One thing: whether it is honoured, what was seen, and what follows for whoever uses the engine."""

    name: str
    verdict: Verdict
    seen: str
    advice: str = ""


@runtime_checkable
class Answers(Protocol):
    """A server that can be asked for something that streams do not show."""

    async def answer(self, messages: Sequence[Message], **fields: Any) -> Mapping[str, Any]:
        """Return the whole answer to a conversation, as the server sent it."""
        ...


@final
@dataclass(frozen=True, slots=True)
class _Heard:
    """What one stream brought."""

    token_ids: tuple[int, ...]
    logprobs: int
    finish: Finish | None
    used: StreamUsage


async def examine(engine: Engine, *, told: Callable[[str], None] | None = None) -> tuple[Finding, ...]:
    """Ask a started engine for each thing and count what comes; ``told`` hears what is being looked at.

    About fifteen short generations. Nobody else should use the engine meanwhile: its counters are compared.
    A thing that fails or takes more than a minute is a finding too. Raises what ``engine.start`` raises.
    """
    await engine.start()
    prompt = engine.tokenizer.chat([Message(role="user", content=_QUESTION)])
    findings: list[Finding] = []
    for name, look in _LOOKS.items():
        if told is not None:
            told(name)
        try:
            findings.append(await asyncio.wait_for(look(engine, prompt), _MOST))
        except ThinkctlError as error:
            findings.append(Finding(name, "no", f"it failed: {error}"))
        except TimeoutError:
            findings.append(Finding(name, "no", f"no answer within {_MOST:.0f} s"))
    return tuple(findings)


async def _hear(
    engine: Engine, prompt: Sequence[int], spec: GenerationSpec, least: int | None = None
) -> _Heard:
    """Read a stream to its end, or close it after ``least`` tokens."""
    stream = engine.stream(prompt, spec)
    ids: list[int] = []
    logprobs, finish = 0, None
    try:
        async for part in stream:
            ids += part.token_ids
            logprobs += len(part.logprobs or ())
            finish = part.finish
            if least is not None and len(ids) >= least:
                break
    finally:
        used = await stream.close()
    return _Heard(tuple(ids), logprobs, finish, used)


def _greedy(tokens: int, **more: Any) -> GenerationSpec:
    return GenerationSpec(tokens, temperature=0.0, **more)


def _all_of(engine: Engine, tokens: int) -> GenerationSpec:
    """Ask for so many tokens whether the model ends its turn or not, where that can be said."""
    return _greedy(tokens, ignore_end=engine.caps.token_prompts)


# -- what every engine is asked ----------------------------------------------------------------------------------


async def _usage(engine: Engine, prompt: Sequence[int]) -> Finding:
    heard = await _hear(engine, prompt, _greedy(8))
    used = heard.used
    seen = f"{len(heard.token_ids)} tokens came, {used.generated_tokens} are on the bill"
    if used.estimated:
        advice = "Receipts are marked as estimated. Give tokenizer=FOLDER, or use a server that sends usage."
        return Finding("usage in streams", "no", f"{seen}, counted by us", advice)
    return Finding("usage in streams", "yes", f"{seen}, prompt {used.prompt_tokens}")


async def _limit(engine: Engine, prompt: Sequence[int]) -> Finding:
    heard = await _hear(engine, prompt, _greedy(5))
    seen = f"5 tokens were allowed, {heard.used.generated_tokens} generated, end: {heard.finish or 'none'}"
    if heard.used.generated_tokens <= 5 and heard.finish is not None:
        return Finding("max_tokens", "yes", seen)
    return Finding(
        "max_tokens", "no", seen, "Token budgets are cut by us, at the price of what came too much."
    )


async def _continuation(engine: Engine, prompt: Sequence[int]) -> Finding:
    whole = await _hear(engine, prompt, _all_of(engine, 16))
    begun = await _hear(engine, prompt, _all_of(engine, 16), least=6)
    room = 16 - len(begun.token_ids)
    rest = await _hear(engine, [*prompt, *begun.token_ids], _all_of(engine, room)) if room > 0 else None
    joined = begun.token_ids + (() if rest is None else rest.token_ids)
    said, once = engine.tokenizer.decode(joined), engine.tokenizer.decode(whole.token_ids)
    if engine.caps.token_prompts and joined == whole.token_ids:
        return Finding(
            "continuation", "yes", "stopped and continued, token for token what an uninterrupted one says"
        )
    advice = "Closed thoughts go on nearly, not exactly, where they stopped. A vLLM server with a tokenizer is exact."
    if not engine.caps.token_prompts:
        same = "the same text" if said == once else f"{said!r}, uninterrupted {once!r}"
        return Finding("continuation", "partly", f"by text: {same}", advice)
    return Finding("continuation", "no", f"continued: {said!r}, uninterrupted: {once!r}", advice)


async def _logprobs(engine: Engine, prompt: Sequence[int]) -> Finding:
    most = engine.caps.logprobs
    if most < 0:
        return Finding("logprobs", "no", "it has none", "Use policies that count votes, not confidences.")
    heard = await _hear(engine, prompt, _greedy(4, logprobs=min(most, 2)))
    if heard.logprobs == len(heard.token_ids) > 0:
        return Finding(
            "logprobs", "yes", f"{heard.logprobs} for {len(heard.token_ids)} tokens, up to {most} a token"
        )
    seen = f"{heard.logprobs} for {len(heard.token_ids)} tokens"
    return Finding("logprobs", "no", seen, "Use policies that count votes, not confidences.")


async def _abort(engine: Engine, prompt: Sequence[int]) -> Finding:
    before = await engine.counters()
    heard = await _hear(engine, prompt, _all_of(engine, 200), least=3)
    after = await engine.counters()
    if after.generated_tokens is None or before.generated_tokens is None:
        seen = f"{len(heard.token_ids)} of 200 tokens were read; it does not tell what it computed"
        return Finding(
            "abort when left", "unknown", seen, "Watch its own metrics: some servers generate to the end."
        )
    counted = after.generated_tokens - before.generated_tokens
    seen = f"closed after {len(heard.token_ids)} of 200 tokens: it counted {counted}, {after.running or 0} still run"
    if counted < 200 and not after.running:
        exact = counted == heard.used.generated_tokens
        return Finding(
            "abort when left", "yes", seen + (", as billed" if exact else f", billed {_bill(heard)}")
        )
    return Finding(
        "abort when left", "no", seen, "Stopping early saves nothing here: it generates to the end."
    )


def _bill(heard: _Heard) -> str:
    return f"{heard.used.generated_tokens}{' (estimated)' if heard.used.estimated else ''}"


async def _counters(engine: Engine, prompt: Sequence[int]) -> Finding:
    before = await engine.counters()
    heard = await _hear(engine, prompt, _greedy(6))
    after = await engine.counters()
    if before == EngineCounters() or after.generated_tokens is None or before.generated_tokens is None:
        return Finding("counters", "no", "it has none to compare with", "The bill cannot be reconciled here.")
    counted = after.generated_tokens - before.generated_tokens
    seen = f"it counted {counted} tokens, {heard.used.generated_tokens} are on the bill"
    return Finding("counters", "yes" if counted == heard.used.generated_tokens else "no", seen)


async def _cache(engine: Engine, _: Sequence[int]) -> Finding:
    text = _LONG * 40
    chat = engine.tokenizer.chat([Message(role="user", content=f"{text}How often is the fox named?")])
    context = engine.card.context
    if context is not None and len(chat) + 8 > context and engine.caps.token_prompts:
        return Finding("prefix cache", "unknown", f"its context of {context} is too small to try")
    used = [(await _hear(engine, chat, _greedy(1))).used for _ in range(2)]
    cached = used[1].cached_tokens
    if cached is None:
        advice = "Cached tokens are billed as uncached. vLLM tells with --enable-prompt-tokens-details."
        return Finding("prefix cache", "unknown", "it does not tell", advice)
    seen = f"asked twice: {cached} of {used[1].prompt_tokens} prompt tokens came from the cache"
    advice = "" if cached else "Every sample pays for the whole prompt again: prefer fewer, longer samples."
    return Finding("prefix cache", "yes" if cached else "no", seen, advice)


async def _force(engine: Engine, prompt: Sequence[int]) -> Finding:
    advice = "A thought is closed by stopping and continuing: one more request, its prompt mostly cached."
    if not engine.caps.force:
        return Finding("force in flight", "no", "it cannot", advice)
    forced = engine.tokenizer.encode(" and so on")[: engine.caps.force]
    stream = engine.stream(prompt, _greedy(24, ignore_end=True))
    marked: list[int] = []
    taken = False
    try:
        async for part in stream:
            marked += part.token_ids if part.forced else ()
            taken = taken or await stream.force(forced)
    finally:
        await stream.close()
    if taken and marked[: len(forced)] == forced:
        return Finding("force in flight", "yes", f"{len(forced)} tokens were forced into a running stream")
    return Finding("force in flight", "no", f"{forced} was asked for, {marked} came", advice)


async def _seeds(engine: Engine, prompt: Sequence[int]) -> Finding:
    if not engine.caps.seeds:
        return Finding(
            "seeds", "no", "a request cannot carry one", "Runs differ from time to time; record them."
        )
    said = [
        (await _hear(engine, prompt, GenerationSpec(12, temperature=1.0, seed=5))).token_ids for _ in range(2)
    ]
    same = said[0] == said[1]
    return Finding(
        "seeds", "yes" if same else "no", "the same seed said " + ("the same" if same else "something else")
    )


async def _at_once(engine: Engine, prompt: Sequence[int]) -> Finding:
    clock = asyncio.get_running_loop().time
    began = clock()
    await _hear(engine, prompt, _all_of(engine, 16))
    alone = clock() - began
    began = clock()
    await asyncio.gather(*(_hear(engine, prompt, _all_of(engine, 16)) for _ in range(4)))
    together = clock() - began
    seen = f"one takes {alone:.2f} s, four at once {together:.2f} s"
    if together < 3 * alone:
        return Finding("many at once", "yes", seen)
    return Finding(
        "many at once", "no", seen, "Samples queue: budgets in seconds buy fewer of them than tokens would."
    )


# -- what only servers are asked ---------------------------------------------------------------------------------


async def _choices(engine: Engine, _: Sequence[int]) -> Finding:
    if not isinstance(engine, Answers):
        return Finding("n", "unknown", "not asked for in process: one stream is one sample")
    said = await engine.answer([Message(role="user", content="Say hello.")], n=2, max_tokens=4)
    came = len(said.get("choices") or ())
    advice = (
        "" if came == 2 else "thinkctl never asks for n > 1; other clients get fewer samples than they think."
    )
    return Finding("n", "yes" if came == 2 else "no", f"n=2 brought {came}", advice)


_HELD: Final = re.compile(r'\s*\{\s*"answer"\s*(:\s*(-?\d+\s*(\}\s*)?|-)?)?')
"""What the schema allows, whole or cut: between its parts a model may write blanks until its tokens are spent."""


async def _constraints(engine: Engine, _: Sequence[int]) -> Finding:
    if not isinstance(engine, Answers):
        return Finding("constraints", "yes" if engine.caps.constraints else "no", "by its capabilities")
    form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": dict(_SCHEMA), "strict": True}}
    said = await engine.answer(
        [Message(role="user", content="Tell me a story.")], response_format=form, max_tokens=120
    )
    text = _content(said)
    held = _HELD.fullmatch(text) is not None
    advice = (
        "" if held else "Typed answers are checked after the fact here: one that is not of its type abstains."
    )
    return Finding(
        "constraints", "yes" if held else "no", f"a JSON schema was asked for, {text[:60]!r} came", advice
    )


async def _thinking_budget(engine: Engine, _: Sequence[int]) -> Finding:
    name = "thinking budget"
    closing = "Thoughts are closed by us, to the token."
    if engine.card.thinking is None and not isinstance(engine, Answers):
        return Finding(name, "unknown", "the model marks no thoughts", closing)
    if not isinstance(engine, Answers):
        return Finding(
            name, "yes" if engine.caps.force else "no", "by closing the thought in flight", closing
        )
    ask = [Message(role="user", content="What is 17 * 23?")]
    said = await engine.answer(ask, thinking_token_budget=4, max_tokens=64)
    usage = said.get("usage")
    details = usage.get("completion_tokens_details") if isinstance(usage, Mapping) else None
    counted = details.get("reasoning_tokens") if isinstance(details, Mapping) else None
    if not isinstance(counted, int):
        return Finding(name, "unknown", "it took the field and does not count thoughts", closing)
    return Finding(name, "yes" if counted <= 8 else "no", f"4 were allowed, {counted} thought", closing)


def _content(said: Mapping[str, Any]) -> str:
    choices = said.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    message = first.get("message") if isinstance(first, Mapping) else None
    content = message.get("content") if isinstance(message, Mapping) else None
    return content if isinstance(content, str) else ""


_LOOKS: Final[Mapping[str, Callable[[Engine, Sequence[int]], Awaitable[Finding]]]] = {
    "usage in streams": _usage,
    "max_tokens": _limit,
    "continuation": _continuation,
    "logprobs": _logprobs,
    "abort when left": _abort,
    "counters": _counters,
    "prefix cache": _cache,
    "force in flight": _force,
    "thinking budget": _thinking_budget,
    "constraints": _constraints,
    "seeds": _seeds,
    "many at once": _at_once,
    "n": _choices,
}
