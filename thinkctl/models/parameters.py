"""How many parameters a model has, counted from its ``config.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from thinkctl.types.card import Dimensions

__all__ = ["FAMILIES", "Config", "Count", "Family", "count", "dimensions"]

Size = Annotated[int, Field(gt=0)]
Number = Annotated[int, Field(ge=0)]


class Config(BaseModel):
    """What is read of a ``config.json``. Other keys are ignored; a wrong value is an error that names its key."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    model_type: str
    hidden_size: Size
    num_hidden_layers: Size
    num_attention_heads: Size
    vocab_size: Size
    intermediate_size: Size
    num_key_value_heads: Size | None = None
    head_dim: Size | None = None
    max_position_embeddings: Size | None = None
    tie_word_embeddings: bool | None = None
    attention_bias: bool = False
    mlp_bias: bool = False
    # mixtures of experts
    experts: Number | None = Field(
        None, validation_alias=AliasChoices("num_experts", "num_local_experts", "n_routed_experts")
    )
    num_experts_per_tok: Number | None = None
    moe_intermediate_size: Size | None = None
    shared_expert_intermediate_size: Number | None = None
    n_shared_experts: Number | None = None
    first_k_dense_replace: Number = 0
    moe_layer_freq: Size = 1
    decoder_sparse_step: Size = 1
    mlp_only_layers: tuple[Number, ...] | None = None
    # multi-head latent attention
    kv_lora_rank: Size | None = None
    q_lora_rank: Size | None = None
    qk_nope_head_dim: Size | None = None
    qk_rope_head_dim: Size | None = None
    v_head_dim: Size | None = None


@dataclass(frozen=True, slots=True)
class Family:
    """How the models of one ``model_type`` differ from Llama.

    ``query_bias``: queries, keys and values have biases, always or as ``attention_bias`` says. ``output_bias``: so
    does the output. ``query_norm``: queries and keys are normalized for each head or as a whole. ``norms``: weights
    of the size of the hidden state in each layer. ``tied``: what holds where the config does not say.
    ``shared_gate``: the shared expert has a gate. ``sinks``: each head has a sink. ``biased_experts``: router and
    experts have biases.
    """

    query_bias: Literal["always", "said", "never"] = "said"
    output_bias: Literal["always", "said", "never"] = "said"
    query_norm: Literal["head", "whole", "none"] = "none"
    norms: int = 2
    tied: bool = False
    shared_gate: bool = False
    sinks: bool = False
    biased_experts: bool = False


_PLAIN = Family(query_bias="never", output_bias="never")
FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        "llama": Family(),
        "granite": Family(),
        "smollm3": Family(tied=True),
        "mistral": _PLAIN,
        "phi3": _PLAIN,
        "mixtral": _PLAIN,
        "qwen2": Family(query_bias="always", output_bias="never"),
        "qwen2_5_vl_text": Family(query_bias="always", output_bias="never"),
        "qwen2_moe": Family(query_bias="always", output_bias="never", shared_gate=True),
        "qwen3": Family(query_norm="head"),
        "qwen3_moe": Family(query_norm="head"),
        "gemma": Family(tied=True),
        "gemma2": Family(norms=4, tied=True),
        "gemma3_text": Family(query_norm="head", norms=4, tied=True),
        "olmo2": Family(query_norm="whole"),
        "deepseek_v2": Family(),
        "deepseek_v3": Family(),
        "gpt_oss": Family(query_bias="always", output_bias="always", sinks=True, biased_experts=True),
    }
)


@dataclass(frozen=True, slots=True)
class Count:
    """``total`` parameters, of which one token visits ``active``; embeddings and head belong to both."""

    total: int
    active: int


def dimensions(config: Config) -> Dimensions:
    """The model's shape. With latent attention, ``head_size`` is that of queries and keys."""
    experts = config.experts or 0
    expert = (config.moe_intermediate_size or config.intermediate_size) if experts else 0
    family = FAMILIES.get(config.model_type, Family())
    shared = config.shared_expert_intermediate_size or (config.n_shared_experts or 0) * expert
    return Dimensions(
        layers=config.num_hidden_layers,
        hidden_size=config.hidden_size,
        heads=config.num_attention_heads,
        key_value_heads=config.num_key_value_heads or config.num_attention_heads,
        head_size=_head_size(config),
        feed_forward_size=config.intermediate_size,
        vocabulary=config.vocab_size,
        tied_embeddings=family.tied if config.tie_word_embeddings is None else config.tie_word_embeddings,
        experts=experts,
        experts_per_token=(config.num_experts_per_tok or 0) if experts else 0,
        expert_size=expert,
        shared_expert_size=shared if experts else 0,
        sparse_layers=sum(_is_sparse(config, layer) for layer in range(config.num_hidden_layers)),
    )


def count(config: Config) -> Count | None:
    """Count the parameters, exactly for the ``FAMILIES``; ``None`` for a ``model_type`` that is not among them.

    Only the language model is counted: no vision tower, and no extra layers for predicting several tokens.
    """
    family = FAMILIES.get(config.model_type)
    if family is None:
        return None
    shape = dimensions(config)
    hidden = shape.hidden_size
    outside = shape.vocabulary * hidden * (1 if shape.tied_embeddings else 2) + hidden
    layer = _attention(config, family, shape) + family.norms * hidden
    dense = 3 * hidden * shape.feed_forward_size
    if config.mlp_bias:
        dense += 2 * shape.feed_forward_size + hidden
    expert = 3 * hidden * shape.expert_size
    router = shape.experts * hidden
    if family.biased_experts:
        expert += 2 * shape.expert_size + hidden
        router += shape.experts
    shared = 3 * hidden * shape.shared_expert_size + (hidden if family.shared_gate else 0)
    always = outside + shape.layers * layer + (shape.layers - shape.sparse_layers) * dense
    always += shape.sparse_layers * (router + shared)
    return Count(
        total=always + shape.sparse_layers * shape.experts * expert,
        active=always + shape.sparse_layers * shape.experts_per_token * expert,
    )


def _head_size(config: Config) -> int:
    if config.kv_lora_rank:
        return (config.qk_nope_head_dim or 0) + (config.qk_rope_head_dim or 0)
    return config.head_dim or config.hidden_size // config.num_attention_heads


def _is_sparse(config: Config, layer: int) -> bool:
    if not config.experts or layer < config.first_k_dense_replace or layer in (config.mlp_only_layers or ()):
        return False
    return (layer + 1) % config.decoder_sparse_step == 0 and layer % config.moe_layer_freq == 0


def _attention(config: Config, family: Family, shape: Dimensions) -> int:
    if config.kv_lora_rank:
        return _latent_attention(config, shape)
    hidden = shape.hidden_size
    queries, keys = shape.heads * shape.head_size, shape.key_value_heads * shape.head_size
    total = 2 * hidden * queries + 2 * hidden * keys
    if family.query_bias == "always" or (family.query_bias == "said" and config.attention_bias):
        total += queries + 2 * keys
    if family.output_bias == "always" or (family.output_bias == "said" and config.attention_bias):
        total += hidden
    if family.query_norm == "head":
        total += 2 * shape.head_size
    elif family.query_norm == "whole":
        total += queries + keys
    return total + (shape.heads if family.sinks else 0)


def _latent_attention(config: Config, shape: Dimensions) -> int:
    """DeepSeek's attention: keys and values, and mostly queries too, go through a narrow common space."""
    hidden, heads, narrow = shape.hidden_size, shape.heads, config.kv_lora_rank or 0
    plain, rotated, value = config.qk_nope_head_dim or 0, config.qk_rope_head_dim or 0, config.v_head_dim or 0
    queries = heads * (plain + rotated)
    down = narrow + rotated
    total = hidden * down + narrow + narrow * heads * (plain + value) + heads * value * hidden
    if config.q_lora_rank:
        total += hidden * config.q_lora_rank + config.q_lora_rank + config.q_lora_rank * queries
    else:
        total += hidden * queries
    if config.attention_bias:
        total += down + hidden + (config.q_lora_rank or 0)
    return total
