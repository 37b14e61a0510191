"""Think once, and on request think again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

from thinkctl.errors import ConfigurationError
from thinkctl.protocols import Selector
from thinkctl.selectors import Latest
from thinkctl.strategies.prompts import reason_first
from thinkctl.types import Finish, History, Request, Sampling

__all__ = ["ChainOfThought"]

_WAIT: Final = "\nWait,"


@final
@dataclass(frozen=True)
class ChainOfThought:
    """Think, then answer, once; with ``waits``, reopen the thought that often and go on after "Wait,".

    ``thinking_tokens`` bounds the whole thought, over all its extensions; ``None`` leaves that to the budget.
    A thought is extended only where the model ended it itself: one that was closed or cut stays as it is.

    Source: Wei et al. 2022 (arXiv:2201.11903), greedy; for ``waits`` budget forcing, Muennighoff et al. 2025
    (arXiv:2501.19393), section 3.1. Deviation: every extension is answered, so there is an answer after each.
    """

    thinking_tokens: int | None = None
    waits: int = 0
    sampling: Sampling = Sampling(temperature=0)

    def __post_init__(self) -> None:
        if self.waits < 0:
            raise ConfigurationError(f"waits={self.waits!r} extensions cannot be; give 0 (none) or more")
        if self.thinking_tokens is not None and self.thinking_tokens < 1:
            raise ConfigurationError(
                f"thinking_tokens={self.thinking_tokens!r} leaves no thought; give 1 or more, or zero-shot"
            )
        if self.thinking_tokens is not None and self.sampling.thinking_tokens is not None:
            raise ConfigurationError(
                f"thinking_tokens={self.thinking_tokens!r} and sampling.thinking_tokens="
                f"{self.sampling.thinking_tokens!r} bound the same thought; give one of them"
            )

    @property
    def selector(self) -> Selector:
        return Latest()

    def propose(self, history: History) -> Sequence[Request]:
        if not history.bought:
            return [Request(reason_first(history.problem), self._sampling(history))]
        last = history.samples[-1]
        forced = last.concluded and (last.answer is None or last.answer.concluded)
        ended_by_itself = last.finish is Finish.STOP and not forced
        sampling = self._sampling(history)
        if not ended_by_itself or history.bought > self.waits or sampling.thinking_tokens == 0:
            return ()
        messages = last.request.messages
        return [Request(messages, sampling, parent=last.index, reopen=True, extend=_WAIT)]

    def _sampling(self, history: History) -> Sampling:
        """Return the sampling with what is left of the thought's bound."""
        bound = self.sampling.thinking_tokens if self.thinking_tokens is None else self.thinking_tokens
        if bound is None:
            return self.sampling
        left = max(0, bound - sum(sample.thinking_tokens for sample in history.samples))
        return self.sampling.model_copy(update={"thinking_tokens": left})
