"""What an engine can do, is asked to do, and delivers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Capabilities", "Constraint", "Delta", "Finish", "GenerationSpec", "TokenLogprob"]


class Finish(StrEnum):
    """Why a sample has no more tokens.

    ``STOP``: the model ended it. ``LENGTH``: truncated, its limit was reached before it concluded.
    ``CUT``: aborted, what came is kept. ``ERROR``: its request failed. ``STEP``: it was asked for one step of a
    chain, and the step is complete; no engine says that.
    """

    STOP = "stop"
    LENGTH = "length"
    CUT = "cut"
    ERROR = "error"
    STEP = "step"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine honours.

    ``token_prompts``: prompts are token ids and continuation is exact. ``overshoot``: tokens decoded after a
    stream was closed but never delivered, at most (``None``: unknown). ``force``: the longest text in tokens
    that a running stream can be made to emit next (0: none). ``logprobs``: most alternatives per token (-1:
    none at all); ``probe_logprobs`` those of a probe's tokens where that differs. ``seeds``: a request may
    carry its own seed. ``streams``: how many streams run at once without queueing. ``block``: tokens per block
    of the prefix cache (0: no cache). ``counters``: it can tell what it computed. ``constraints``: it can hold
    the answer to a grammar. ``scores``: it gives the log-probabilities of chosen next tokens (``Engine.score``).
    """

    token_prompts: bool = True
    overshoot: int | None = 0
    force: int = 0
    logprobs: int = -1
    seeds: bool = False
    streams: int = 64
    block: int = 0
    counters: bool = True
    constraints: bool = False
    probe_logprobs: int | None = None
    scores: bool = True


@dataclass(frozen=True, slots=True)
class Constraint:
    """What all of the generated text must be: ``regex`` matches it as a whole, without look-around or back-references.

    ``json_schema`` says of it the same, as a JSON schema's text, for servers that take nothing else; it is empty
    where the text is no JSON.
    """

    regex: str
    json_schema: str = ""


@dataclass(frozen=True, slots=True)
class GenerationSpec:
    """One generation, as an engine is asked for it.

    ``max_tokens`` is the grant: the engine must not decode more. ``stop_token_ids`` end it besides the
    model's own end of turn (which ``ignore_end`` switches off). ``priority``: lower is earlier, where the
    engine can. ``thinking_tokens`` is a hint how long the thought may get: an engine that can end it there saves
    a request, none is trusted to. ``attempts`` bounds how often the request is sent (``None``: as the engine
    likes). ``constraint`` holds all that is generated to a grammar, where the engine's ``caps.constraints`` say so.
    """

    max_tokens: int
    temperature: float = 0.7
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    seed: int | None = None
    stop_token_ids: tuple[int, ...] = ()
    ignore_end: bool = False
    logprobs: int | None = None
    priority: int = 0
    thinking_tokens: int | None = None
    attempts: int | None = None
    constraint: Constraint | None = None


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """Natural-log probability of the sampled token, and of the most likely ones in descending order."""

    sampled: float
    top: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Delta:
    """Tokens that arrived together. All of them are forced or none is.

    ``finish`` is set on the last delta of a stream that ended by itself: ``STOP`` (end of turn or a stop
    token, which is then the last of ``token_ids``) or ``LENGTH`` (``max_tokens`` reached).
    ``logprobs`` has one entry for each token id where they were asked for.
    """

    token_ids: tuple[int, ...]
    logprobs: tuple[TokenLogprob, ...] | None = None
    finish: Finish | None = None
    forced: bool = False
