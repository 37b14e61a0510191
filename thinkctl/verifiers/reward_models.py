"""Reward models: classifiers that were trained to say how good an answer, or each of its steps, is."""

from __future__ import annotations

import asyncio
import math
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from importlib import util
from typing import Final, Literal, Protocol, final

from thinkctl.errors import ConfigurationError, ContextExceeded, MissingExtra
from thinkctl.protocols import Engines
from thinkctl.types import History, Message, Sample, Usage, Verdict

__all__ = ["Classifier", "OutcomeRewardModel", "ProcessRewardModel", "Text", "Tokens", "unload_reward_models"]

Runtime = Literal["transformers", "vllm"]
Aggregate = Literal["last", "min", "prod"]

_EXTRAS: Final[dict[Runtime, str]] = {
    "transformers": "thinkctl[transformers]",
    "vllm": "thinkctl[vllm] or thinkctl[cpu]",
}
_AGGREGATES: Final[dict[Aggregate, Callable[[Sequence[float]], float]]] = {
    "last": lambda scores: scores[-1],
    "min": min,
    "prod": math.prod,
}


@final
@dataclass(frozen=True, slots=True)
class Text:
    """What a classifier reads: a problem and its answer in steps; ``tag`` is put after each, ``separator`` between."""

    messages: tuple[Message, ...]
    steps: tuple[str, ...]
    separator: str = "\n\n"
    tag: str = ""


@final
@dataclass(frozen=True, slots=True)
class Tokens:
    """A text as tokens, and the places at which it is scored: its end, or the end of each step."""

    ids: tuple[int, ...]
    places: tuple[int, ...]


class Classifier(Protocol):
    """A model that is loaded, used by one thread."""

    @property
    def context(self) -> int | None:
        """The most tokens of a text, where that is known."""
        ...

    def encode(self, text: Text) -> Tokens:
        """Return a text as the model reads it."""
        ...

    def logits(self, batch: Sequence[Tokens]) -> Sequence[Sequence[Sequence[float]]]:
        """Return the logits of all labels at each place of each text."""
        ...


@final
@dataclass(frozen=True)
class OutcomeRewardModel:
    """Score a whole solution by a sequence classifier that was trained for it.

    ``model`` is a local folder or the name on a hub of a model that ``AutoModelForSequenceClassification`` loads. With
    one label the score is the sigmoid of its logit, which keeps the order and is no probability unless the model was
    trained so; with two the probability of the second; with more say which ``label`` is meant. What it reads is the
    problem and the sample's text in its own chat template.

    ``runtime`` is ``"transformers"`` or ``"vllm"`` (a pooling model of its own beside the engine). The model is loaded
    when it is first asked, in a thread of its own, and stays until ``unload_reward_models()``; all verifiers with the
    same parameters share it. Samples that wait at the same time are scored together, up to ``batch``. The tokens it
    reads are on the bill as a verifier's prompt tokens of ``model``; ``Controller(prices={model: ...})`` prices them. A
    text longer than its context gets no verdict.

    Source: verifiers, Cobbe et al. 2021 (arXiv:2110.14168), section 4.
    """

    model: str
    label: int | None = None
    batch: int = 8
    device: str = "cpu"
    runtime: Runtime = "transformers"

    def __post_init__(self) -> None:
        _check(self.model, self.batch, self.runtime)

    async def judge(self, history: History, sample: Sample, engines: Engines) -> Verdict:
        if not sample.text.strip():
            return Verdict(0.0, feedback="There is no text.")
        text = Text(history.problem.messages, (sample.text,))
        used, (logits,) = await _loaded(False, self.model, self.batch, self.device, self.runtime).score(text)
        score = _probability(logits, self.label)
        return Verdict(
            score, usage=used, model=self.model, feedback=f"The reward model's score is {score:.3f}."
        )


@final
@dataclass(frozen=True)
class ProcessRewardModel:
    """Score a solution step by step, by a token classifier that was trained for it.

    Steps are what ``separator`` parts (an empty line); blank ones do not count. Each is scored at its last token or,
    where the model was trained with one, at the ``tag`` that is put after it. The score of the solution is that of its
    ``"last"`` step, the lowest (``"min"``), or the product (``"prod"``); the feedback names the weakest step. ``model``
    is one that ``AutoModelForTokenClassification`` loads; the rest is as in ``OutcomeRewardModel``.

    Source: process supervision, Lightman et al. 2023 (arXiv:2305.20050), product and minimum; last step, Snell et al.
    2024 (arXiv:2408.03314).
    """

    model: str
    aggregate: Aggregate = "last"
    separator: str = "\n\n"
    tag: str = ""
    label: int | None = None
    batch: int = 8
    device: str = "cpu"
    runtime: Runtime = "transformers"

    def __post_init__(self) -> None:
        _check(self.model, self.batch, self.runtime)
        if self.aggregate not in _AGGREGATES:
            known = ", ".join(map(repr, _AGGREGATES))
            raise ConfigurationError(f"aggregate={self.aggregate!r} is not known; use one of {known}")
        if not self.separator:
            raise ConfigurationError("separator='' parts nothing; give the text between steps")

    async def judge(self, history: History, sample: Sample, engines: Engines) -> Verdict:
        steps = tuple(step for step in sample.text.split(self.separator) if step.strip())
        if not steps:
            return Verdict(0.0, feedback="There is no text.")
        text = Text(history.problem.messages, steps, self.separator, self.tag)
        used, logits = await _loaded(True, self.model, self.batch, self.device, self.runtime).score(text)
        scores = [_probability(each, self.label) for each in logits]
        weakest = min(range(len(scores)), key=scores.__getitem__)
        return Verdict(
            _AGGREGATES[self.aggregate](scores),
            usage=used,
            model=self.model,
            feedback=f"Step {weakest + 1} of {len(scores)} is the weakest: {scores[weakest]:.3f}.",
        )


def unload_reward_models() -> None:
    """Forget every reward model that was loaded; those in use go when they have answered."""
    _loaded.cache_clear()


def _check(model: str, batch: int, runtime: Runtime) -> None:
    if not model:
        raise ConfigurationError("model='' names no reward model; give a folder or a name on a hub")
    if batch < 1:
        raise ConfigurationError(f"batch={batch!r} scores nothing; give 1 or more")
    if runtime not in _EXTRAS:
        raise ConfigurationError(f"runtime={runtime!r} is not known; use 'transformers' or 'vllm'")
    if util.find_spec(runtime) is None:
        raise MissingExtra(f"this reward model needs {runtime}: pip install {_EXTRAS[runtime]!r}")


def _probability(logits: Sequence[float], label: int | None) -> float:
    """Return the score in [0, 1] that the logits of all labels mean."""
    if len(logits) == 1 and label in (None, 0):
        return 1 / (1 + math.exp(-logits[0])) if logits[0] >= 0 else 1 - 1 / (1 + math.exp(logits[0]))
    wanted = 1 if label is None and len(logits) == 2 else label
    if wanted is None or not 0 <= wanted < len(logits):
        raise ConfigurationError(
            f"the reward model has {len(logits)} labels, and label={label!r} names none of them; give label=0 to "
            f"{len(logits) - 1}"
        )
    most = max(logits)
    masses = [math.exp(logit - most) for logit in logits]
    return masses[wanted] / math.fsum(masses)


@cache
def _loaded(tokens: bool, model: str, batch: int, device: str, runtime: Runtime) -> _Scorer:
    def load() -> Classifier:
        if runtime == "vllm":
            from thinkctl.verifiers.reward_models_vllm import VllmClassifier

            return VllmClassifier(model, tokens=tokens)
        from thinkctl.verifiers.reward_models_torch import TorchClassifier

        return TorchClassifier(model, tokens=tokens, device=device)

    return _Scorer(load, batch)


Scored = tuple[Usage, Sequence[Sequence[float]]]


@final
@dataclass(slots=True)
class _Queue:
    """Texts of one event loop that wait; at most one batch of them is with the model."""

    waiting: list[tuple[Text, asyncio.Future[Scored]]] = field(
        default_factory=list[tuple[Text, "asyncio.Future[Scored]"]]
    )
    busy: bool = False


@final
class _Scorer:
    """A classifier in its own thread. What waits when the thread is free is scored together."""

    def __init__(self, load: Callable[[], Classifier], batch: int) -> None:
        self._load = load
        self._batch = batch
        self._classifier: Classifier | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="thinkctl-reward-model")
        self._queues: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Queue] = (
            weakref.WeakKeyDictionary()
        )

    async def score(self, text: Text) -> Scored:
        """Return what it used and the logits at each place."""
        loop = asyncio.get_running_loop()
        queue = self._queues.setdefault(loop, _Queue())
        answer: asyncio.Future[Scored] = loop.create_future()
        queue.waiting.append((text, answer))
        if not queue.busy:
            queue.busy = True
            loop.call_soon(self._send, loop, queue)  # after all that is asked for in this moment
        return await answer

    def _send(self, loop: asyncio.AbstractEventLoop, queue: _Queue) -> None:
        queue.waiting = [(text, answer) for text, answer in queue.waiting if not answer.done()]
        batch, queue.waiting = queue.waiting[: self._batch], queue.waiting[self._batch :]
        queue.busy = bool(batch)
        if not batch:
            return
        computing = loop.run_in_executor(self._thread, self._compute, [text for text, _ in batch])

        def deliver(computed: asyncio.Future[list[Scored | Exception]]) -> None:
            failure = asyncio.CancelledError() if computed.cancelled() else computed.exception()
            found = [failure] * len(batch) if failure is not None else computed.result()
            for (_, answer), each in zip(batch, found, strict=True):
                if answer.done():
                    continue
                if isinstance(each, BaseException):
                    answer.set_exception(each)
                else:
                    answer.set_result(each)
            self._send(loop, queue)

        computing.add_done_callback(deliver)

    def _compute(self, texts: Sequence[Text]) -> list[Scored | Exception]:
        """Score texts, in the thread; a text that cannot be read is an error of its own."""
        if self._classifier is None:
            self._classifier = self._load()
        found: list[Scored | Exception] = []
        readable: list[tuple[int, Tokens]] = []
        for place, text in enumerate(texts):
            tokens = self._classifier.encode(text)
            most = self._classifier.context
            if most is not None and len(tokens.ids) > most:
                found.append(
                    ContextExceeded(
                        f"the reward model reads at most {most} tokens; this has {len(tokens.ids)}"
                    )
                )
                continue
            found.append((Usage(requests=1, prompt_tokens=len(tokens.ids)), ()))
            readable.append((place, tokens))
        batch = [tokens for _, tokens in readable]
        logits: Sequence[Sequence[Sequence[float]]] = self._classifier.logits(batch) if batch else ()
        for (place, tokens), each in zip(readable, logits, strict=True):
            found[place] = (Usage(requests=1, prompt_tokens=len(tokens.ids)), each)
        return found
