"""What another policy would have made of a recorded history, by the same ``decide`` that runs live.

Samples are taken one after the other, as a controller without speculation takes them as far as any decision
goes. Within a sample the policy is asked wherever the recording has a probe, and every few tokens where it has
token ids. What would need the model is not guessed: a thought that is closed where no probe was made abstains,
and is counted as unknown.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, final

from thinkctl.errors import ConfigurationError
from thinkctl.protocols import Selector, StoppingPolicy
from thinkctl.types import (
    Answer,
    Budget,
    Decision,
    Finish,
    History,
    Run,
    Sample,
    Segment,
    Shadow,
    Usage,
    needs_of,
    spec_of,
)

__all__ = ["Hindsight", "at_token", "hindsight", "shadow"]

_EVERY: Final = 32
_NOTHING: Final = Decision()


@final
@dataclass(frozen=True, slots=True)
class Hindsight:
    """How a recorded history would have ended.

    ``history`` has the samples that would have been taken, as they would have been. ``stopped`` says that the
    policy ended it, ``walled`` that the budget did; neither: the recording had no more. ``answer`` is the
    selector's. ``unknown`` is the number of thoughts that were closed where the recording does not tell what
    the model would have answered.
    """

    history: History
    answer: Answer | None
    stopped: bool = False
    unknown: int = 0
    decision: Decision = _NOTHING

    @property
    def walled(self) -> bool:
        """Whether the budget ended it."""
        return self.history.walled

    @property
    def samples(self) -> int:
        """How many samples would have been taken."""
        return self.history.bought

    @property
    def usage(self) -> Usage:
        """What they would have used, probes included."""
        return self.history.usage


def hindsight(
    policy: StoppingPolicy | None,
    recorded: History,
    selector: Selector,
    *,
    budget: Budget | None = None,
    every: int = _EVERY,
) -> Hindsight:
    """Return how a history would have ended under a policy (``None`` never stops), selector and budget.

    ``budget`` may limit tokens and requests, one request a sample; the sample that does not fit any more is
    not taken. ``every`` is how many tokens pass between two decisions within a sample. Where a policy stops in
    the middle of a sample, what that had generated is spent all the same. The samples are those that have
    finished; how they were given out in parallel makes no difference. A policy that needs no probes is not
    charged for those that were made.

    Raises:
        ConfigurationError: for a budget of seconds, dollars or thoughts: no recording tells what they buy.
    """
    limits = _checked(budget or Budget())
    history = replace(recorded, samples=(), walled=False, counted=None, budget=limits)
    probed = policy is not None and needs_of(policy).probes
    unknown, spent = 0, 0
    decision = _NOTHING if policy is None else policy.decide(history)
    if decision.stop:
        return Hindsight(history, None, stopped=True, decision=decision)
    for sample in recorded.samples:
        if not sample.finished:
            continue
        taken = _moved(sample if probed else _unprobed(sample), history.bought)
        grown, decision, closed = _grown(policy, history, taken, every, decision.thinking_tokens)
        cost = grown.usage.generated_tokens
        if _over(limits.tokens, spent + cost) or _over(limits.requests, history.bought + 1):
            walled = replace(history, walled=True)
            return Hindsight(walled, selector.select(walled), unknown=unknown)
        spent += cost
        unknown += closed
        history = replace(history.received(grown), elapsed=history.elapsed + _seconds(grown))
        if decision.stop:  # in the middle of this sample: it does not count
            history = replace(history, counted=grown.index)
        elif policy is not None:
            decision = policy.decide(history)
        if decision.stop:
            return Hindsight(history, selector.select(history), True, unknown, decision)
    return Hindsight(history, selector.select(history), unknown=unknown, decision=decision)


def shadow(policy: StoppingPolicy, run: Run, selector: Selector) -> Shadow:
    """Return what a policy that only watched would have made of a run. Whatever the policy raises is told."""
    try:
        seen = hindsight(policy, run.history, selector)
    except Exception as error:  # noqa: BLE001 - who only watches must not break what he watches
        return Shadow(spec_of(policy), error=f"{type(error).__name__}: {error}")
    tokens = seen.usage.generated_tokens
    return Shadow(
        policy=spec_of(policy),
        stopped=seen.stopped,
        samples=seen.samples,
        tokens=tokens,
        saved_tokens=run.history.usage.generated_tokens - tokens,
        answer=seen.answer,
        changed=_key(seen.answer) != _key(run.answer),
        unknown=seen.unknown,
        why=seen.decision.why,
    )


def at_token(sample: Sample, place: int) -> Sample:
    """Return a finished sample as it was when it had ``place`` tokens: growing, with the probes up to there.

    Its text is cut in proportion, since the text of single tokens is not recorded.
    """
    total = _length(sample)
    text = sample.text[: len(sample.text) * place // total] if total else ""
    thinking = min(place, sample.usage.thinking_tokens)
    kinds = Usage(thinking_tokens=thinking, answer_tokens=place - thinking)
    probes = tuple(probe for probe in sample.probes if probe.at <= place)
    return replace(
        sample,
        segments=tuple(_first(sample.segments, place)),
        text=text,
        thought_chars=min(sample.thought_chars, len(text)) if place > thinking else len(text),
        finish=None,
        ended=None,
        concluded=False,
        answer=None,
        verdict=None,
        probes=probes,
        usage=sum((probe.usage for probe in probes), _without_tokens(sample) + kinds),
    )


def _grown(
    policy: StoppingPolicy | None, before: History, sample: Sample, every: int, limit: int | None
) -> tuple[Sample, Decision, bool]:
    """Let a sample grow under a policy; return how it ended, what ended it, and whether its answer is unknown.

    ``limit`` is the cap on its thought that was decided before it began. A cap holds to the token, also between
    two decisions.
    """
    if policy is None:
        return sample, _NOTHING, False
    thought, decision = sample.usage.thinking_tokens, _NOTHING
    for place in _moments(sample, every):
        if limit is not None and limit < min(place, thought):
            break
        view = at_token(sample, place)
        decision = policy.decide(before.received(view))
        if decision.stop or sample.index in decision.cut:
            return replace(view, finish=Finish.CUT, ended=sample.ended), decision, False
        limit = decision.thinking_tokens
        if place < thought and (sample.index in decision.conclude or (limit is not None and place >= limit)):
            closed, known = _concluded(view, sample)
            return closed, decision, not known
    if limit is not None and limit < thought:
        closed, known = _concluded(at_token(sample, limit), sample)
        return closed, decision, not known
    return sample, _NOTHING, False


def _moments(sample: Sample, every: int) -> Iterator[int]:
    """Return after how many tokens to ask: at its probes, and every few tokens where it has token ids."""
    total = _length(sample)
    places = {probe.at for probe in sample.probes}
    if sample.segments:
        places |= set(range(every, total, every))
    yield from sorted(place for place in places if place < total)


def _concluded(view: Sample, sample: Sample) -> tuple[Sample, bool]:
    """Return a sample whose thought is closed here, with what its latest probe answered if that was here."""
    ended = replace(view, finish=Finish.STOP, concluded=True, ended=sample.ended)
    last = view.probes[-1] if view.probes else None
    if last is None or last.at != _length(view):
        return ended, False
    answer = None if last.answer is None else replace(last.answer, sample=view.index, concluded=True)
    conclusion = Usage(answer_tokens=last.usage.probe_tokens, forced_tokens=last.forced_tokens)
    return replace(ended, answer=answer, usage=ended.usage + conclusion), True


def _moved(sample: Sample, index: int) -> Sample:
    """Return a sample with another place in launch order."""
    if sample.index == index:
        return sample
    answer = None if sample.answer is None else replace(sample.answer, sample=index)
    return replace(sample, index=index, answer=answer)


def _length(sample: Sample) -> int:
    """Tokens after the prompt; of a sample without token ids those on its bill."""
    if sample.segments:
        return len(sample.token_ids)
    return sample.usage.thinking_tokens + sample.usage.answer_tokens


def _first(segments: tuple[Segment, ...], place: int) -> Iterator[Segment]:
    for segment in segments:
        if place <= 0:
            return
        logprobs = None if segment.logprobs is None else segment.logprobs[:place]
        yield Segment(segment.token_ids[:place], segment.origin, logprobs)
        place -= len(segment.token_ids)


def _unprobed(sample: Sample) -> Sample:
    """Return a sample as if nobody had probed it."""
    if not sample.probes:
        return sample
    used = sample.usage
    return replace(
        sample,
        probes=(),
        usage=_without_tokens(sample)
        + Usage(
            thinking_tokens=used.thinking_tokens,
            answer_tokens=used.answer_tokens,
            forced_tokens=used.forced_tokens,
            wasted_tokens=used.wasted_tokens - sum(probe.usage.wasted_tokens for probe in sample.probes),
        ),
    )


def _without_tokens(sample: Sample) -> Usage:
    """Return the requests and prompts of a sample's own streams: without its tokens, and without its probes."""
    probes = sum((probe.usage for probe in sample.probes), Usage())
    used, cached = sample.usage, probes.cached_tokens
    return Usage(
        requests=used.requests - probes.requests,
        prompt_tokens=used.prompt_tokens - probes.prompt_tokens,
        cached_tokens=None if used.cached_tokens is None or cached is None else used.cached_tokens - cached,
        estimated=used.estimated,
    )


def _checked(budget: Budget) -> Budget:
    for name in ("seconds", "dollars", "thinking_tokens"):
        if getattr(budget, name) is not None:
            raise ConfigurationError(
                f"a recording cannot tell what a budget of {name} buys; give tokens or requests, or run it live"
            )
    return budget


def _over(limit: int | None, value: int) -> bool:
    return limit is not None and value > limit


def _seconds(sample: Sample) -> float:
    return 0.0 if sample.ended is None else max(0.0, sample.ended - sample.started)


def _key(answer: Answer | None) -> str | None:
    return None if answer is None else answer.key
