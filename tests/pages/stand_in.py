r"""What a page's model says when the page is run as a test.

A page says ``engine_from("vllm:small")``, as its reader does. In the tests of the pages this module's
``engine_from`` stands in for thinkctl's: instead of vLLM it makes a scripted engine that knows the pages'
questions; every other kind of engine is the real one. A page that prints what such an engine said tells its
reader so, and ``test_pages`` looks whether it does.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from thinkctl import engines, models
from thinkctl.protocols import Engine
from thinkctl.testing import Script, ScriptedEngine, VirtualLoop
from thinkctl.types import ModelCard

__all__ = ["NOTICE", "engine_from"]

NOTICE: Final = "printed by a scripted engine"
"""What a page must say that shows output and names a vLLM engine."""

_RIGHT: Final = (
    r"17*23 is 17*20 + 17*3, that is 340 + 51 = 391. Take away 4: 391 - 4 = 387. So it is \boxed{387}."
)
_SHORT: Final = r"17 times 23 makes 391, and 391 minus 4 makes \boxed{387}."
_LONG: Final = (
    "First the product. 10 times 23 is 230, and 7 times 23 is 161. Together they make 230 + 161 = 391. Now the "
    r"difference. 391 minus 1 is 390, minus 3 more is 387. The answer is \boxed{387}."
)
_WRONG: Final = r"17*23 is 340 + 51, which is 391. The answer is \boxed{391}."
_TRAIN: Final = (
    r"45 minutes is 3/4 of an hour, so the speed is 60 / 0.75 = 80 km per hour. In 3 hours: \boxed{240}."
)
_TRAIN_WRONG: Final = r"60 km per hour for 3 hours is \boxed{180}."

_SAYS: Final[Mapping[str, Sequence[str]]] = {
    "17*23-4": (_RIGHT, _SHORT, _WRONG, _LONG, _RIGHT, _SHORT, _RIGHT, _LONG),
    "12*12": (r"12*12 is 12*10 + 12*2, which is 120 + 24 = \boxed{144}.",),
    "7*8+5": (r"7*8 is 56, and 5 more is \boxed{61}.", r"56 + 5 = \boxed{61}."),
    "4 pens": (r"One pen costs 3 dollars, so 4 pens cost 4 * 3 dollars, and that is \boxed{12}.",),
    "train": (_TRAIN, _TRAIN_WRONG, _TRAIN, _TRAIN),
}
_ELSE: Final = (r"Let me see. That is \boxed{42}.",)
_AFTER_WAIT: Final = r" let me check that. 17*23 = 391 and 391 - 4 = 387, so it stays \boxed{387}."


def engine_from(spec: str, **options: Any) -> Engine:
    """Make an engine as ``thinkctl.engine_from`` does, and a scripted one in the place of vLLM."""
    kind, _, what = spec.partition(":")
    if kind not in {"vllm", "vllm-lockstep"}:
        return engines.engine_from(spec, **options)
    card: ModelCard = models.entry_for(what).card
    return ScriptedEngine(_scripts(), card=card, waste=1, force=32, block=16)


def _scripts() -> Callable[[int, str], Script]:
    """Return a function that gives each question its next text, from the first on again after the last."""
    asked: Counter[str] = Counter()

    def say(_: int, prompt: str) -> Script:
        about = next((name for name in _SAYS if name in prompt), "")
        texts = _SAYS.get(about, _ELSE)
        text = texts[asked[about] % len(texts)]
        asked[about] += 1
        first, seconds_per_token = _pace()
        return Script(text, seconds_per_token, first, conclusion=_conclusion(text))

    return say


def _pace() -> tuple[float, float]:
    """Seconds to the first token, and for each. They pass only where time is virtual, so that nobody waits."""
    return (0.1, 0.02) if isinstance(asyncio.get_running_loop(), VirtualLoop) else (0.0, 0.0)


def _conclusion(text: str) -> Callable[[str, int], str]:
    def conclude(forced: str, at: int) -> str:
        return _AFTER_WAIT if "Wait" in forced else Script(text).concluding(forced, at)

    return conclude
