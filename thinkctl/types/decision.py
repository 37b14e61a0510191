"""What a stopping policy may decide."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Decision", "Needs", "ProbeRequest", "needs_of"]


@dataclass(frozen=True, slots=True)
class ProbeRequest:
    """Fork ``sample`` after its first ``at`` tokens, force ``text``, and generate at most ``max_tokens`` greedily.

    ``at=None`` forks where the sample is when the probe begins; a number makes the probe the same however the
    news came in, and one that can be found again in a recording. No ``text`` stands for the text that closes
    the thought and asks for the answer. ``logprobs`` asks for so many alternatives of each token.
    """

    sample: int
    text: str = ""
    max_tokens: int = 16
    logprobs: int | None = None
    at: int | None = None


@dataclass(frozen=True, slots=True)
class Needs:
    """What a policy cannot do without; a controller arranges it or refuses the policy when it is made.

    ``logprobs``: so many most likely alternatives of every token that a sample draws (0: of the drawn token
    alone; ``None``: none). ``probes``: short answers forked from samples in flight, with ``probe_logprobs``
    alternatives of each token. ``scores``: a verifier's verdict on every sample. ``why`` names who needs it.
    """

    logprobs: int | None = None
    probes: bool = False
    probe_logprobs: int | None = None
    scores: bool = False
    why: str = ""

    def __or__(self, other: Needs) -> Needs:
        """Return what serves both."""
        return Needs(
            _more(self.logprobs, other.logprobs),
            self.probes or other.probes,
            _more(self.probe_logprobs, other.probe_logprobs),
            self.scores or other.scores,
            ", ".join(dict.fromkeys(filter(None, [self.why, other.why]))),
        )


def needs_of(policy: object) -> Needs:
    """Return what a policy needs: its ``needs``, or nothing where it has none."""
    needs = getattr(policy, "needs", None)
    return needs if isinstance(needs, Needs) else Needs()


def _more(one: int | None, other: int | None) -> int | None:
    known = [value for value in (one, other) if value is not None]
    return max(known, default=None)


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with a run now.

    ``stop`` ends it. ``cut`` aborts samples in flight (by launch index) and keeps what came. ``conclude``
    closes their thoughts and asks for the answer. ``probe`` forks short answers from them. ``more`` is the
    fewest further votes after which the policy could stop: that many run at once for free (``None``: it
    sets no bound, everything proposed may run). ``thinking_tokens`` caps the thought of every sample, to the
    token. ``think=False`` starts further samples without a thought. ``confidence`` is in [0, 1], for the
    answer that leads now. ``why`` is for people.
    """

    stop: bool = False
    cut: tuple[int, ...] = ()
    conclude: tuple[int, ...] = ()
    probe: tuple[ProbeRequest, ...] = ()
    more: int | None = None
    thinking_tokens: int | None = None
    confidence: float | None = None
    why: str = ""
    think: bool = True
