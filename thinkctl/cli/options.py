"""What users write on the command line, read into values. Errors say what, which value and what now."""

from __future__ import annotations

import json
import sys
from typing import Final

from thinkctl import registry
from thinkctl.answers import form
from thinkctl.errors import ConfigurationError
from thinkctl.pricing import prices_for
from thinkctl.protocols import Selector, StoppingPolicy, Strategy, Verifier
from thinkctl.types import Budget, Prices, Problem

__all__ = [
    "NONE",
    "budget_from",
    "policy_from",
    "prices_from",
    "problem_from",
    "selector_from",
    "strategy_from",
    "verifier_from",
]

NONE: Final = "none"
"""What switches a budget or a policy off."""

_PRICES: Final = {
    "prompt": "dollars_per_million_prompt_tokens",
    "generated": "dollars_per_million_generated_tokens",
    "cached": "dollars_per_million_cached_tokens",
    "request": "dollars_per_request",
    "hour": "dollars_per_hour",
}

_GIVEN: Final = 'for instance \'{"numbers": [4, 4, 6, 8], "target": 24}\''

_LIST: Final = "genai:"
"""What stands before a name in the price list of genai-prices."""


def problem_from(question: str, form_name: str, given: str | None = None) -> Problem:
    """Make the problem of a question's text; ``-`` reads it from standard input.

    ``given`` is what a verifier may know besides, as a JSON object.
    """
    text = _standard_input() if question == "-" else question
    if not text.strip():
        raise ConfigurationError("the question is empty; write one, or - to read it from standard input")
    if any("\ud800" <= sign <= "\udfff" for sign in text):
        raise ConfigurationError("the question is not valid UTF-8; convert it first")
    return Problem.model_validate(
        {"messages": text.strip(), "form": form(form_name).name, "given": _object_from(given)}
    )


def _object_from(text: str | None) -> object:
    try:
        found = {} if text is None else json.loads(text)
    except ValueError as error:
        raise ConfigurationError(f"--given is not JSON: {error}; write {_GIVEN}") from None
    if not isinstance(found, dict):
        raise ConfigurationError(f"--given is a JSON {type(found).__name__}, not an object; write {_GIVEN}")
    return found


def _standard_input() -> str:
    try:
        return sys.stdin.read()
    except UnicodeDecodeError:
        raise ConfigurationError("standard input is not valid UTF-8; convert it first") from None


def budget_from(text: str) -> Budget:
    """Read ``tokens=300,seconds=10``; ``none`` is no limit."""
    return Budget() if text.strip() == NONE else Budget.parse(text)


def strategy_from(text: str) -> Strategy:
    """Read a strategy."""
    return registry.strategy(text)


def policy_from(text: str) -> StoppingPolicy | None:
    """Read a stopping policy; ``none`` never stops early."""
    return None if text.strip() == NONE else registry.policy(text)


def selector_from(text: str | None) -> Selector | None:
    """Read a selector; without one the strategy's own selects."""
    return None if text is None else registry.selector(text)


def verifier_from(text: str | None) -> Verifier | None:
    """Read a verifier; without one nothing is verified."""
    return None if text is None else registry.verifier(text)


def prices_from(text: str | None) -> Prices | None:
    """Read ``genai:PROVIDER/MODEL``, or ``prompt=0.1,generated=0.4``, dollars per million tokens.

    ``request`` is dollars each, ``hour`` dollars for the whole engine; with an hour tokens may be free.
    """
    if text is None:
        return None
    if text.strip().startswith(_LIST):
        return _listed(text.strip().removeprefix(_LIST).strip())
    given: dict[str, str] = {}
    for item in text.split(","):
        name, equals, value = (piece.strip() for piece in item.partition("="))
        if not equals or name not in _PRICES:
            raise ConfigurationError(
                f"price item {item.strip()!r} is not understood; write NAME=DOLLARS with one of {', '.join(_PRICES)}, "
                f"or {_LIST}PROVIDER/MODEL"
            )
        if name in given:
            raise ConfigurationError(f"the price names {name!r} twice; give it once")
        given[name] = value
    if "hour" in given and not {"prompt", "generated"} & given.keys():
        given |= {"prompt": "0", "generated": "0"}
    missing = [name for name in ("prompt", "generated") if name not in given]
    if missing:
        raise ConfigurationError(
            f"the price of {' and '.join(missing)} tokens is missing from {text!r}; "
            "write for instance prompt=0.1,generated=0.4"
        )
    return _checked(given)


def _listed(name: str) -> Prices:
    found = prices_for(name)
    if found is None:
        raise ConfigurationError(
            f"the price list has no prices for {name!r}; write PROVIDER/MODEL as genai-prices names them, "
            "or numbers, for instance prompt=0.1,generated=0.4"
        )
    return found


def _checked(given: dict[str, str]) -> Prices:
    for name, value in given.items():
        try:
            Prices.model_validate({**dict.fromkeys(list(_PRICES.values())[:2], "0"), _PRICES[name]: value})
        except ValueError:
            raise ConfigurationError(
                f"price {name}={value} is not understood; give dollars as a number, 0 or more"
            ) from None
    return Prices.model_validate({_PRICES[name]: value for name, value in given.items()})
