"""Who gets how many tokens: grants, renewals, and what is kept back for concluding.

Every sample that thinks carries a reservation for its own conclusion. As long as no sample has answered, at
least one such reservation exists, so the run can always conclude.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Final, final

from thinkctl.controller.growing import Growing
from thinkctl.controller.ledger import Grant, Ledger, Need
from thinkctl.pricing import worst_case
from thinkctl.types import Prices, StopReason
from thinkctl.types.usage import EXACT

__all__ = ["Admission"]

_SMALLEST_RENEWAL: Final = 16
"""A continuation shorter than this is not worth its prefill; the thought is concluded instead."""
_SHARE_FOR_ANSWER: Final = 4
"""For concluding, at most one part in this many is kept: of what a run may have, of a sample's, of a context."""
_AHEAD: Final = 2
"""A grant is at least so many times what a sample is expected to need, where there is that much."""
_ANY: Final = 2**31
"""More tokens than any stream can have: no limit."""


@final
@dataclass(slots=True)
class Admission:
    """Reserves tokens for the samples of one run.

    ``usual`` is how many tokens a sample is expected to need as long as none has finished. ``wall`` is the
    currency that the last refusal was for, ``blocked_above`` whether a budget around this one was too small
    for it. ``answer_reserve`` is how many tokens are kept back for concluding: at most a quarter of what the
    run could have when it began, be it a purse's or its share of a batch. ``memo`` is what verifiers keep for the
    length of the run.
    """

    ledger: Ledger
    prices: Mapping[str, Prices | None]
    usual: int
    answer_reserve: int = 0
    wall: StopReason | None = None
    answered: bool = False
    blocked_above: bool = False
    memo: dict[object, object] = field(default_factory=dict[object, object])
    _spare: Grant | None = None
    _admitted: int = 0
    _carriers: int = 0
    _finished: int = 0
    _finished_tokens: int = 0

    # -- how much -------------------------------------------------------------------------------------------

    @property
    def expected(self) -> int:
        """Tokens that a sample is expected to need: the mean of those that finished, or the usual number."""
        return max(1, self._finished_tokens // self._finished) if self._finished else self.usual

    @property
    def attempts(self) -> int | None:
        """How often a request may be sent: once where requests are limited, else as its engine likes."""
        return None if self.ledger.left().requests is None else 1

    def longest(self, sample: Growing, closing: int) -> int:
        """Return how many tokens the next stream of a sample may have, were there no budget.

        ``closing`` is the length of the text that would close its thought: the context keeps room for it.
        """
        used = sample.context_used
        reserve = self.answer_reserve if sample.thinking else 0
        rooms = [_ANY]
        if (context := sample.engine.card.context) is not None:
            kept = min(reserve, max(0, context - len(sample.said.prompt_ids)) // _SHARE_FOR_ANSWER)
            rooms.append(context - used - (kept + closing if sample.thinking else 0))
        if (limit := sample.request.sampling.max_tokens) is not None:
            kept = 0 if sample.request.until is not None else min(reserve, limit // _SHARE_FOR_ANSWER)
            rooms.append(limit - kept - sample.sampled)
        if sample.thinking and sample.thinking_limit is not None:
            rooms.append(sample.thinking_limit - sample.thinking_tokens())
        return min(rooms)

    def plan(self, sample: Growing, closing: int, wanted: int, in_flight: int) -> tuple[int, int]:
        """Return how many of ``wanted`` samples like this one to start now, and how many tokens each may get.

        A sample is started when there is enough for what it is expected to need; the first one always, and
        the last one also with half of that, since nothing else is left to wait for, or with a few tokens if
        nothing was answered yet.
        """
        prompt, model, reserve = sample.context_used, sample.model, self.answer_reserve
        with self.ledger.lock, _Lent(self._spare):
            conclusion = self._conclusion(prompt + closing, model)
            requests = self.ledger.left(fair=True).requests
            if requests is not None:
                wanted = min(wanted, max(1, requests - conclusion.requests))
            room = self._room(prompt, conclusion, model, fair=True)
            if room is None:
                return wanted, _ANY
            number = min(wanted, max(0, room + reserve) // (self.expected + reserve))
            if number:
                return number, max(1, self._portion((room + reserve) // number - reserve))
            least = self.expected / 2 if self.answered else min(self.expected / 2, _SMALLEST_RENEWAL)
            if in_flight == 0 and (not self._admitted or room >= least):
                if room < 1:  # nothing is left for concluding: see admit
                    room = self._room(prompt, Need(), model, fair=True)
                return min(wanted, 1), _ANY if room is None else max(1, room)
            conclusion = self._conclusion(prompt + self.expected + closing, model)
            self._blocked(Need.stream(prompt, self.expected, self.prices[model]) + conclusion, fair=True)
            return 0, 0

    def _portion(self, part: int) -> int:
        """Return how much of its equal part a sample is granted at once.

        Half of it, and twice what a sample is expected to need: the rest is there for probes, verifiers and
        other calls in the same purse, which would starve beside a grant that is hardly going to be used.
        """
        return min(part, max(_AHEAD * self.expected, part // 2))

    # -- grants ---------------------------------------------------------------------------------------------

    def open(self, *, spare: bool = True) -> None:
        """Settle how much is kept back for concluding; with ``spare`` keep it back before the first sample."""
        left = self.ledger.left(fair=True)
        dearest = max(
            (each.dollars_per_million_generated_tokens for each in self.prices.values() if each), default=0
        )
        most = [self.ledger.answer_tokens]
        if left.tokens is not None:
            most.append(left.tokens // _SHARE_FOR_ANSWER)
        if left.dollars is not None and dearest:
            each_token = EXACT.scaleb(Decimal(dearest), -6)
            most.append(int(EXACT.divide_int(left.dollars, each_token)) // _SHARE_FOR_ANSWER)
        self.answer_reserve = max(0, min(most))
        if spare:
            self._keep_spare()

    def _keep_spare(self) -> None:
        """Keep back the run's own conclusion reserve; its price is added when a prompt is known."""
        for requests in (1, 0):
            self._spare = self.ledger.reserve(Need(self.answer_reserve, Decimal(0), requests))
            if self._spare is not None:
                return

    def close(self) -> None:
        """Give the run's own reserve back."""
        if self._spare is not None:
            self._spare.release()
            self._spare = None

    def admit(self, sample: Growing, most: int, closing: int) -> Grant | None:
        """Reserve up to ``most`` tokens for the first stream of a sample, and its conclusion besides.

        The first sample of a run is admitted even where nothing is left for concluding.
        """
        with self.ledger.lock:
            with _Lent(self._spare) as lent:
                grant = self._fit(sample, most, closing, least=1)
                if grant is None and not self._finished and not self._carriers:
                    grant = self._fit(sample, most, closing, least=1, conclude=False)
                lent.keep = grant is not None
            if lent.keep:
                self._spare = None
                self._admitted += 1
            return grant

    def admit_conclusion(self, sample: Growing, closing: int) -> bool:
        """Reserve nothing but the conclusion of a sample, and a request for it."""
        need = Need.stream(sample.context_used + closing, self.answer_reserve, self.prices[sample.model])
        with self.ledger.lock, _Lent(self._spare) as lent:
            fair = self._admitted > 0
            if self.ledger.wall(need, fair=fair) is None:
                sample.carry = self.ledger.reserve(need)
            if sample.carry is None:
                self._blocked(need, fair=fair)
                return False
            self._admitted += 1
            self._carriers += 1
            self._spare, lent.keep = None, True
            return True

    def renew(self, sample: Growing, most: int, closing: int, sharing: int) -> Grant | None:
        """Reserve more tokens for a sample that filled its grant; ``sharing`` samples may want some too."""
        least = min(most, _SMALLEST_RENEWAL)
        with self.ledger.lock, _Lent(sample.carry) as lent:
            grant = self._fit(
                sample, most, closing, least=least, sharing=sharing, conclude=lent.lends, fair=True
            )
            lent.keep = grant is not None and lent.lends
            if grant is not None and lent.lends:
                self._carriers -= 1
            return grant

    def reserve(self, prompt: int, tokens: int, model: str) -> Grant | None:
        """Reserve for a probe or a verifier: from the pool alone, and from this run's part of it."""
        need = Need.stream(prompt, tokens, self.prices[model])
        with self.ledger.lock:
            return None if self.ledger.wall(need, fair=True) else self.ledger.reserve(need)

    def for_conclusion(self, sample: Growing, tokens: int, closing: int = 0) -> Grant | None:
        """Turn what a sample carries, or the run's own reserve, into the grant of its concluding stream.

        ``closing`` tokens are going to be appended to the prompt. Where less than ``tokens`` is left of the
        reserve, because a conclusion was broken off before, the rest of it is granted.
        """
        prompt = sample.context_used + closing
        with self.ledger.lock:
            self._uncarry(sample)
            if not self.answered:
                self.close()
            room = self._room(prompt, Need(), sample.model)
            if room is not None and room < tokens:
                tokens = max(1, room)
            need = Need.stream(prompt, tokens, self.prices[sample.model])
            grant = self.ledger.reserve(need)
            if grant is None:
                self._blocked(need)
            return grant

    def finished(self, sample: Growing) -> None:
        """Take back what a finished sample carried; keep it for the run while nothing was answered."""
        self.answered = self.answered or sample.answer is not None
        if not sample.error:
            self._finished += 1
            self._finished_tokens += sample.sampled
        with self.ledger.lock:
            self._uncarry(sample)
            if self.answered:
                self.close()
            elif self._spare is None and not self._carriers:
                self._keep_spare()

    def _uncarry(self, sample: Growing) -> None:
        if sample.carry is not None:
            sample.carry.release()
            sample.carry = None
            self._carriers -= 1

    def _conclusion(self, prompt: int, model: str) -> Need:
        """What concluding can cost; once something was answered it need not have a request kept for it."""
        if not self.answer_reserve:
            return Need()
        need = Need.stream(prompt, self.answer_reserve, self.prices[model])
        return replace(need, requests=0) if self.answered else need

    def _room(self, prompt: int, conclusion: Need, model: str, *, fair: bool = False) -> int | None:
        prices = self.prices[model]
        each = Decimal(0)
        if prices is not None:  # a token is generated once, and read again by the conclusion
            each = worst_case(1 if conclusion.tokens else 0, 1, 0, prices) or each
        return self.ledger.affordable(Need.stream(prompt, 0, prices) + conclusion, each, fair=fair)

    def _fit(
        self,
        sample: Growing,
        most: int,
        closing: int,
        *,
        least: int,
        sharing: int = 1,
        conclude: bool = True,
        fair: bool = False,
    ) -> Grant | None:
        prompt = sample.context_used
        prices = self.prices[sample.model]
        conclusion = self._conclusion(prompt + closing, sample.model) if conclude else Need()
        room = self._room(prompt, conclusion, sample.model, fair=fair)
        tokens = most if room is None else min(most, room, max(least, self._portion(room // sharing)))
        if tokens < least:
            self._blocked(Need.stream(prompt, least, prices) + conclusion, fair=fair)
            return None
        grant = self.ledger.reserve(Need.stream(prompt, tokens, prices))
        if grant is not None and conclusion.tokens:
            sample.carry = self.ledger.reserve(self._conclusion(prompt + tokens + closing, sample.model))
            self._carriers += sample.carry is not None
        return grant

    def _blocked(self, need: Need, *, fair: bool = False) -> None:
        self.wall = self.ledger.wall(need, fair=fair) or self.wall
        above = self.ledger.parent
        self.blocked_above = above is not None and above.wall(need) is not None


@final
class _Lent:
    """Gives a reservation back for the time of a ``with``, and takes it again unless ``keep`` was set."""

    def __init__(self, grant: Grant | None) -> None:
        self._grant = grant
        self.lends = grant is not None
        self.keep = False

    def __enter__(self) -> _Lent:
        if self._grant is not None:
            self._grant.lend()
        return self

    def __exit__(self, *_: object) -> None:
        if self._grant is not None and not self.keep:
            self._grant.take_back()
