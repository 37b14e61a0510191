"""What a controller is made of; the same for all its runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import or_
from typing import Final, final

from thinkctl.controller.ledger import Ledger
from thinkctl.controller.transcript import PROMPT_TAIL
from thinkctl.errors import ConfigurationError
from thinkctl.protocols import Engine, Selector, StoppingPolicy, Strategy, Verifier
from thinkctl.types import Decision, Needs, Prices, Request, name_of, needs_of

__all__ = ["Setup", "arranged", "check_needs", "least", "thinking_limit"]

_THOUGHT: Final = "Okay, I think I have finished thinking."


@final
@dataclass(frozen=True, slots=True)
class Setup:
    """Engines by model name, the parts, and the knobs of the loop."""

    engines: Mapping[str, Engine]
    strategy: Strategy
    policy: StoppingPolicy | None
    selector: Selector
    verifier: Verifier | None
    prices: Mapping[str, Prices | None]
    speculate: int
    decide_every: int
    usual_tokens: int
    shadows: tuple[StoppingPolicy, ...] = ()
    needs: Needs = Needs()
    verifier_prices: Mapping[str, Prices] = field(default_factory=dict[str, Prices])

    @property
    def watchers(self) -> tuple[StoppingPolicy, ...]:
        """The policies that only watch, and need probes for it."""
        return tuple(policy for policy in self.shadows if needs_of(policy).probes)

    @property
    def default_model(self) -> str:
        """The model of a request that names none."""
        return next(iter(self.engines))


def check_needs(parts: Sequence[object], engines: Mapping[str, Engine], verifier: Verifier | None) -> Needs:
    """Return what a strategy and policies need together.

    Raises ``ConfigurationError`` where an engine or the controller cannot give it, as far as that is known.
    """
    for part in parts:
        needs, who = needs_of(part), needs_of(part).why or name_of(part)
        if needs.scores and verifier is None:
            raise ConfigurationError(
                f"{who} needs scores and nothing gives any; give Controller(verifier=...)"
            )
        for model, engine in engines.items():
            caps = engine.caps
            of_probes = caps.logprobs if caps.probe_logprobs is None else caps.probe_logprobs
            for what, wanted, most in (
                ("each token", needs.logprobs, caps.logprobs),
                ("a probe", needs.probe_logprobs, of_probes),
            ):
                if wanted is not None and wanted > most:
                    raise ConfigurationError(_too_few(who, what, wanted, model, most))
    return reduce(or_, map(needs_of, parts), Needs())


def _too_few(who: str, what: str, wanted: int, model: str, most: int) -> str:
    named = "no log-probabilities" if most < 0 else f"at most {most} alternatives"
    return (
        f"{who} needs log-probabilities of {what} with {wanted} alternatives, and the engine of {model!r} gives "
        f"{named}; take an engine that gives them, or a policy that reads answers alone"
    )


def arranged(
    request: Request, needs: Needs, decision: Decision, engine: Engine, prompt: Sequence[int]
) -> Request:
    """Return a request with what the policy needs to see, and without a thought where it decided so.

    A model that marks its thoughts is told, in its own words, that it has thought; another one's thought is
    closed before it begins, by :func:`thinking_limit`.

    Source: NoThinking, Ma et al. 2025 (arXiv:2504.09858), section 2.
    """
    asked = request.sampling.logprobs
    if needs.logprobs is not None and (asked is None or asked < needs.logprobs):
        sampling = request.sampling.model_copy(update={"logprobs": needs.logprobs})
        request = replace(request, sampling=sampling)
    marks = engine.card.thinking
    if not decision.think and request.think and request.parent is None and marks is not None:
        opened = marks.start in engine.tokenizer.decode(prompt[-PROMPT_TAIL:])
        start = "" if opened else f"{marks.start}\n"
        thought = f"{start}{_THOUGHT}\n{marks.end}\n\n"
        request = replace(request, think=False, extend=thought + request.extend)
    return request


def least(*limits: int | None) -> int | None:
    """Return the smallest of the limits that are set."""
    known = [limit for limit in limits if limit is not None]
    return min(known) if known else None


def thinking_limit(request: Request, ledger: Ledger, decision: Decision) -> int | None:
    """Return how many tokens a sample's thought may have, by its request, the budgets and the policy."""
    skipped = None if decision.think else 0
    return least(decision.thinking_tokens, skipped, ledger.thinking_tokens, request.sampling.thinking_tokens)
