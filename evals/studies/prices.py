"""The prices of a study's models, written as on the command line or as a table."""

from __future__ import annotations

from thinkctl.errors import ConfigurationError
from thinkctl.evals.studies.spec import ModelSpec
from thinkctl.pricing import prices_for
from thinkctl.types import Prices

__all__ = ["prices_of"]

_FIELDS = {
    "prompt": "dollars_per_million_prompt_tokens",
    "generated": "dollars_per_million_generated_tokens",
    "cached": "dollars_per_million_cached_tokens",
    "request": "dollars_per_request",
    "hour": "dollars_per_hour",
}


def prices_of(spec: ModelSpec) -> Prices | None:
    """Return the prices of a model: ``genai:PROVIDER/MODEL``, ``prompt=0.1,generated=0.4``, or a table of ``Prices``.

    ``None`` where the study gives none; then those of the model's card hold, if it has any.
    """
    if spec.prices is None or isinstance(spec.prices, Prices):
        return spec.prices
    text = spec.prices.strip()
    if text.startswith("genai:"):
        found = prices_for(text.removeprefix("genai:").strip())
        if found is None:
            raise ConfigurationError(f"the price list has no {text!r}; write PROVIDER/MODEL, or numbers")
        return found
    given: dict[str, str] = {}
    for item in text.split(","):
        name, equals, value = (piece.strip() for piece in item.partition("="))
        if not equals or name not in _FIELDS or _FIELDS[name] in given:
            raise ConfigurationError(
                f"prices {text!r}: {item.strip()!r} is not understood; write prompt=0.1,generated=0.4 with any of "
                f"{', '.join(_FIELDS)}, each once"
            )
        given[_FIELDS[name]] = value
    needed = [_FIELDS["prompt"], _FIELDS["generated"]]
    if _FIELDS["hour"] in given:
        given = dict.fromkeys(needed, "0") | given
    try:
        return Prices.model_validate(given)
    except ValueError:
        raise ConfigurationError(
            f"prices {text!r} are not understood; write dollars per million tokens, prompt=0.1,generated=0.4"
        ) from None
