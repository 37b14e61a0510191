"""What must be known of a model: its size, its marks, its prices."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from thinkctl.types.usage import EXACT

__all__ = ["Dimensions", "ModelCard", "Prices", "ThinkingMarks"]

Dollars = Annotated[Decimal, Field(ge=0)]


class Prices(BaseModel):
    """What a model costs. A price that is not known is ``None``, never 0.

    Cached prompt tokens cost ``dollars_per_million_cached_tokens`` where it is given, else the prompt price.
    ``dollars_per_hour`` is for the whole engine, all its GPUs together, and for every second of a run from the
    call to the answer, whether it generates or waits. ``source`` says where the numbers come from, and in which
    version; runs keep it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    dollars_per_million_prompt_tokens: Dollars
    dollars_per_million_generated_tokens: Dollars
    dollars_per_million_cached_tokens: Dollars | None = None
    dollars_per_request: Dollars = Decimal(0)
    dollars_per_hour: Dollars = Decimal(0)
    source: str = ""

    @classmethod
    def per_gpu_hour(cls, dollars: Decimal | int | str, *, gpus: int = 1) -> Self:
        """Return the prices of an engine of one's own on so many GPUs: tokens cost nothing beside the hours.

        ``dollars`` are for one GPU and hour. Raises a pydantic ``ValidationError`` for a negative price.
        """
        return cls(
            dollars_per_million_prompt_tokens=Decimal(0),
            dollars_per_million_generated_tokens=Decimal(0),
            dollars_per_hour=EXACT.multiply(Decimal(dollars), gpus),
        )


class ThinkingMarks(BaseModel):
    """The texts between which a reasoning model thinks, e.g. ``<think>`` and ``</think>``."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    start: str = Field(min_length=1)
    end: str = Field(min_length=1)


class Dimensions(BaseModel):
    """The shape of a decoder-only transformer, as its ``config.json`` gives it (all counts, no units)."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    layers: int = Field(gt=0)
    hidden_size: int = Field(gt=0)
    heads: int = Field(gt=0)
    key_value_heads: int = Field(gt=0)
    head_size: int = Field(gt=0)
    feed_forward_size: int = Field(gt=0)
    vocabulary: int = Field(gt=0)
    tied_embeddings: bool = False
    experts: int = Field(default=0, ge=0)
    experts_per_token: int = Field(default=0, ge=0)
    expert_size: int = Field(default=0, ge=0)
    shared_expert_size: int = Field(default=0, ge=0)
    sparse_layers: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _experts_go_together(self) -> Self:
        if self.experts_per_token > self.experts:
            raise ValueError(
                f"experts_per_token={self.experts_per_token} is more than experts={self.experts}; "
                "a token cannot visit more experts than there are"
            )
        return self


class ModelCard(BaseModel):
    r"""One model: its name, size, context, how it marks its thinking, and what it costs.

    ``answer_cue`` is the text that makes the model state its answer after a thought was closed; the answer
    form's own opening (``\boxed{``) follows it. ``active_parameters`` equals ``parameters`` except for
    mixtures of experts. ``context`` is in tokens, prompt and generation together.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    name: str = Field(min_length=1)
    parameters: int | None = Field(default=None, gt=0)
    active_parameters: int | None = Field(default=None, gt=0)
    dimensions: Dimensions | None = None
    context: int | None = Field(default=None, gt=0)
    thinking: ThinkingMarks | None = None
    answer_cue: str = "\n\nThe final answer is "
    prices: Prices | None = None
