"""Histories made of answers, for tests of what reads histories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import EllipsisType
from typing import Final

from thinkctl.answers import form_of
from thinkctl.testing.script import spread
from thinkctl.testing.tokens import ScriptedTokenizer
from thinkctl.types import (
    Answer,
    Budget,
    Finish,
    History,
    Message,
    Origin,
    Problem,
    Request,
    Sample,
    Sampling,
    Segment,
    TokenLogprob,
    Usage,
    Verdict,
)

__all__ = ["Logprobs", "history_of", "sample_of"]

Logprobs = float | Sequence[float | TokenLogprob]
"""Of each sampled token: one value for all of them, or one after the other (the last goes on)."""

_ALTERNATIVES: Final = 5
_CUE: Final = " The answer is \\boxed{"
_PROBLEM: Final = Problem(messages=(Message(role="user", content="What is 17*23-4?"),))


def sample_of(
    answer: str | EllipsisType | None,
    *,
    index: int = 0,
    problem: Problem = _PROBLEM,
    thought: str = "Let me think.",
    score: float | None = None,
    logprobs: Logprobs | None = None,
    finish: Finish = Finish.STOP,
    concluded: bool = False,
    parent: int | None = None,
    started: float = 0.0,
    ended: float | None = None,
    model: str = "scripted",
    tokenizer: ScriptedTokenizer | None = None,
) -> Sample:
    r"""Return a sample that thought ``thought`` and answered ``\boxed{answer}``.

    ``None`` finished without an answer; ``...`` is still in flight, ``thought`` is what came so far. It ended
    ``index + 1`` seconds after the run began unless told. A concluded sample was made to answer: the cue is a
    forced segment. The answer's key is the canonical one of the problem's form.
    """
    tokens = tokenizer or ScriptedTokenizer()
    text = thought
    forced: list[int] = []
    rest: list[int] = []
    if isinstance(answer, str):
        text = f"{thought}{_CUE}{answer}}}"
        forced = tokens.encode(_CUE) if concluded else []
        rest = tokens.encode(text[len(thought) + len(_CUE) * concluded :])
    if answer is not ... and finish is Finish.STOP:
        rest = [*rest, tokens.end_of_turn]
    begin = tokens.encode(thought)
    parts = [(begin, Origin.SAMPLED), (forced, Origin.FORCED), (rest, Origin.SAMPLED)]
    if not forced:
        parts = [([*begin, *rest], Origin.SAMPLED)]
    prompt = tuple(tokens.chat(problem.messages))
    return Sample(
        index=index,
        request=Request(problem.messages, Sampling(logprobs=None if logprobs is None else 0), parent=parent),
        model=model,
        prompt_ids=prompt,
        segments=tuple(_segment(ids, origin, logprobs) for ids, origin in parts if ids),
        text=text,
        thought_chars=len(thought),
        finish=None if answer is ... else finish,
        concluded=concluded,
        answer=_answer(answer, problem, index, concluded) if isinstance(answer, str) else None,
        verdict=None if score is None else Verdict(score),
        usage=Usage(
            requests=1,
            prompt_tokens=len(prompt),
            thinking_tokens=len(begin),
            answer_tokens=len(rest),
            forced_tokens=len(forced),
        ),
        started=started,
        ended=None if answer is ... else index + 1.0 if ended is None else ended,
        error="the request failed" if finish is Finish.ERROR else "",
    )


def history_of(
    *answers: str | EllipsisType | Sample | None,
    scores: Sequence[float | None] = (),
    logprobs: Sequence[Logprobs | None] = (),
    thoughts: Sequence[str] = (),
    budget: Budget | None = None,
    problem: Problem | str = _PROBLEM,
    elapsed: float | None = None,
    seed: int = 0,
    walled: bool = False,
    counted: int | None = None,
) -> History:
    """Return a history whose samples answered these in launch order.

    ``None`` abstained, ``...`` is still in flight, a ``Sample`` is taken as it is but for its index.
    ``scores``, ``logprobs`` and ``thoughts`` are of the samples in the same order and may be shorter. It is
    the moment at which the last sample ended unless ``elapsed`` is given.
    """
    asked = _PROBLEM.of(problem)
    tokens = ScriptedTokenizer()
    samples: list[Sample] = []
    for index, answer in enumerate(answers):
        if isinstance(answer, Sample):
            own = None if answer.answer is None else replace(answer.answer, sample=index)
            samples.append(replace(answer, index=index, answer=own))
            continue
        samples.append(
            sample_of(
                answer,
                index=index,
                problem=asked,
                thought=thoughts[index] if index < len(thoughts) else f"Let me think, time {index + 1}.",
                score=scores[index] if index < len(scores) else None,
                logprobs=logprobs[index] if index < len(logprobs) else None,
                tokenizer=tokens,
            )
        )
    last = max((sample.ended or sample.started for sample in samples), default=0.0)
    return History(
        asked,
        budget or Budget(),
        tuple(samples),
        elapsed=last if elapsed is None else elapsed,
        seed=seed,
        walled=walled,
        counted=counted,
    )


def _answer(text: str, problem: Problem, index: int, concluded: bool) -> Answer:
    return Answer(text, form_of(problem).key(text), index, concluded)


def _segment(token_ids: list[int], origin: Origin, logprobs: Logprobs | None) -> Segment:
    if logprobs is None or origin is not Origin.SAMPLED:
        return Segment(tuple(token_ids), origin)
    values = [logprobs] if isinstance(logprobs, float | int) else list(logprobs)
    padded = [values[min(place, len(values) - 1)] for place in range(len(token_ids))]
    return Segment(
        tuple(token_ids),
        origin,
        tuple(
            value if isinstance(value, TokenLogprob) else TokenLogprob(value, spread(value, _ALTERNATIVES))
            for value in padded
        ),
    )
