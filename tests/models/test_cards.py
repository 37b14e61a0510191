"""What a local folder's own files say of its model."""

from __future__ import annotations

import json

import pytest

from thinkctl.models import BadModelFolder, card_for, entry_for
from thinkctl.models.parameters import Config, count, dimensions
from thinkctl.types.card import ThinkingMarks

LLAMA: dict[str, object] = {
    "model_type": "llama",
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "vocab_size": 10,
    "intermediate_size": 16,
    "max_position_embeddings": 64,
    "tie_word_embeddings": True,
}


def model(
    kind: str,
    layers: int,
    hidden: int,
    heads: int,
    key_value_heads: int,
    feed_forward: int,
    vocabulary: int,
    **more: object,
) -> dict[str, object]:
    return {
        "model_type": kind,
        "num_hidden_layers": layers,
        "hidden_size": hidden,
        "num_attention_heads": heads,
        "num_key_value_heads": key_value_heads,
        "intermediate_size": feed_forward,
        "vocab_size": vocabulary,
    } | more


LATENT = {"kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128}
PUBLISHED: dict[str, tuple[dict[str, object], int, int]] = {
    "Llama-3.1-8B": (model("llama", 32, 4096, 32, 8, 14336, 128256), 8_030_261_248, 8_030_261_248),
    "Qwen3-8B": (model("qwen3", 36, 4096, 32, 8, 12288, 151936, head_dim=128), 8_190_735_360, 8_190_735_360),
    "gemma-2-2b": (model("gemma2", 26, 2304, 8, 4, 9216, 256000, head_dim=256), 2_614_341_888, 2_614_341_888),
    "Mixtral-8x7B": (
        model("mixtral", 32, 4096, 32, 8, 14336, 32000, num_local_experts=8, num_experts_per_tok=2),
        46_702_792_704,
        12_879_925_248,
    ),
    "Qwen1.5-MoE-A2.7B": (
        model("qwen2_moe", 24, 2048, 16, 16, 5632, 151936, num_experts=60, num_experts_per_tok=4)
        | {"moe_intermediate_size": 1408, "shared_expert_intermediate_size": 5632},
        14_315_784_192,
        2_689_173_504,
    ),
    "Qwen3-30B-A3B": (
        model(
            "qwen3_moe", 48, 2048, 32, 4, 6144, 151936, head_dim=128, num_experts=128, num_experts_per_tok=8
        )
        | {"moe_intermediate_size": 768},
        30_532_122_624,
        3_353_032_704,
    ),
    "DeepSeek-V2-Lite": (
        model("deepseek_v2", 27, 2048, 16, 16, 10944, 102400, n_routed_experts=64, num_experts_per_tok=6)
        | {
            "moe_intermediate_size": 1408,
            "n_shared_experts": 2,
            "first_k_dense_replace": 1,
            "q_lora_rank": None,
        }
        | LATENT,
        15_706_484_224,
        2_661_150_208,
    ),
    "DeepSeek-V3": (
        model("deepseek_v3", 61, 7168, 128, 128, 18432, 129280, n_routed_experts=256, num_experts_per_tok=8)
        | {
            "moe_intermediate_size": 2048,
            "n_shared_experts": 1,
            "first_k_dense_replace": 3,
            "q_lora_rank": 1536,
        }
        | LATENT,
        671_026_404_352,
        37_552_282_624,
    ),
    "gpt-oss-20b": (
        model(
            "gpt_oss", 24, 2880, 64, 8, 2880, 201088, head_dim=64, num_local_experts=32, num_experts_per_tok=4
        ),
        20_914_757_184,
        4_187_440_704,
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_counted_exactly_as_published(name):
    raw, total, active = PUBLISHED[name]
    counted = count(Config.model_validate(raw))
    assert counted
    assert (counted.total, counted.active) == (total, active)


BUILT: dict[str, dict[str, object]] = {
    "llama": {},
    "llama with biases, tied": {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True},
    "granite": {},
    "smollm3": {"pad_token_id": 0},
    "mistral": {"head_dim": 32},
    "phi3": {"pad_token_id": 0},
    "mixtral": {"num_local_experts": 4, "num_experts_per_tok": 2},
    "qwen2": {"tie_word_embeddings": True},
    "qwen2_moe with dense layers": {
        "num_experts": 8,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 32,
        "shared_expert_intermediate_size": 48,
        "decoder_sparse_step": 2,
        "mlp_only_layers": [1],
    },
    "qwen3 with biases": {"head_dim": 32, "attention_bias": True},
    "qwen3_moe": {
        "head_dim": 32,
        "num_experts": 8,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 32,
        "mlp_only_layers": [0],
    },
    "gemma": {"head_dim": 32},
    "gemma2": {"head_dim": 32},
    "gemma3_text": {"head_dim": 32},
    "olmo2": {},
    "deepseek_v3 with biases": {
        "attention_bias": True,
        "q_lora_rank": 24,
        "kv_lora_rank": 16,
        "qk_nope_head_dim": 16,
        "qk_rope_head_dim": 8,
        "v_head_dim": 12,
        "n_routed_experts": 8,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 32,
        "n_shared_experts": 1,
        "first_k_dense_replace": 2,
        "n_group": 1,
        "topk_group": 1,
    },
    "gpt_oss": {"head_dim": 32, "num_local_experts": 4, "num_experts_per_tok": 2},
}


@pytest.mark.engine
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", BUILT)
def test_parameters_are_counted_exactly_as_transformers_builds_them(name):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    kind = name.split()[0]
    raw = model(kind, 4, 64, 4, 2, 96, 1000, max_position_embeddings=128) | BUILT[name]
    config = transformers.AutoConfig.for_model(**raw)
    with torch.device("meta"):
        built = transformers.AutoModelForCausalLM.from_config(config)
    counted = count(Config.model_validate(raw))
    assert counted
    assert counted.total == built.num_parameters()


def test_the_shape_of_a_mixture_tells_its_sparse_layers_and_its_experts():
    shape = dimensions(Config.model_validate(PUBLISHED["DeepSeek-V3"][0]))
    assert (shape.sparse_layers, shape.experts, shape.experts_per_token) == (58, 256, 8)
    assert (shape.expert_size, shape.shared_expert_size, shape.head_size) == (2048, 2048, 192)


@pytest.mark.parametrize(
    ("more", "context"),
    [
        ({}, 64),
        ({"max_position_embeddings": None}, None),
        ({"rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}}, 256),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}}, 64),
        (
            {"rope_scaling": {"rope_type": "llama3", "factor": 8.0, "original_max_position_embeddings": 64}},
            64,
        ),
    ],
)
def test_the_context_is_what_the_config_says_stretched_only_by_yarn(more, context, tmp_path, write_model):
    assert card_for(write_model(tmp_path, LLAMA | more)).context == context


def test_a_model_that_also_sees_has_its_language_part_read(tmp_path, write_model):
    text = {key: value for key, value in LLAMA.items() if key != "tie_word_embeddings"}
    nested = {"model_type": "sees", "tie_word_embeddings": True, "text_config": text}
    assert (
        card_for(write_model(tmp_path, nested)).parameters
        == card_for(write_model(tmp_path, LLAMA)).parameters
        == 744
    )


THINK = ThinkingMarks(start="<think>", end="</think>")
BOTH = [{"content": "<think>"}, {"content": "</think>"}]


@pytest.mark.parametrize(
    ("template", "tokens", "marks"),
    [
        ("{{ '<think>' }} ... {{ content.split('</think>') }}", [], THINK),
        ("{{ content.split('</think>')[-1] }}", BOTH, THINK),
        ("{{ content.split('</think>')[-1] }}", [], None),
        ("{{ content }}", BOTH, None),
        (None, BOTH, THINK),
        (None, [], None),
        ("[THINK]{{ thought }}[/THINK]", [], ThinkingMarks(start="[THINK]", end="[/THINK]")),
    ],
)
@pytest.mark.parametrize(
    "place", ["chat_template.jinja", "chat_template.json", "tokenizer_config.json", "a list"]
)
def test_thinking_marks_are_those_that_the_template_handles(
    place, template, tokens, marks, tmp_path, write_model
):
    write_model(tmp_path, LLAMA)
    (tmp_path / "tokenizer.json").write_text(json.dumps({"added_tokens": tokens}))
    if template and place.endswith("jinja"):
        (tmp_path / place).write_text(template)
    elif template and place == "a list":
        listed = [{"name": "default", "template": template}]
        (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": listed}))
    elif template:
        (tmp_path / place).write_text(json.dumps({"chat_template": template}))
    assert card_for(tmp_path).thinking == marks


@pytest.mark.parametrize(
    ("file", "listed"),
    [
        ("added_tokens.json", {"<think>": 1, "</think>": 2}),
        ("tokenizer_config.json", {"added_tokens_decoder": {"1": BOTH[0], "2": BOTH[1]}}),
    ],
)
def test_added_tokens_are_found_in_older_files_too(file, listed, tmp_path, write_model):
    (write_model(tmp_path, LLAMA) / file).write_text(json.dumps(listed))
    assert card_for(tmp_path).thinking == THINK


MOE = {"num_experts": 4, "num_experts_per_tok": 2}


@pytest.mark.parametrize(
    ("more", "parameters", "active", "shaped"),
    [
        ({"model_type": "new"}, 77, 77, True),
        ({"model_type": "new", **MOE}, None, None, True),
        ({"model_type": "new", "quantization_config": {"bits": 4}}, None, None, True),
        ({"model_type": "llama", "quantization_config": {"bits": 4}}, 744, 744, True),
        ({"model_type": "mamba", "num_attention_heads": None}, None, None, False),
    ],
    ids=[
        "read from the weights",
        "a mixture",
        "packed weights",
        "packed but known",
        "not even a transformer",
    ],
)
def test_of_an_unknown_architecture_only_what_is_certain_is_told(
    more, parameters, active, shaped, tmp_path, write_model
):
    card = card_for(write_model(tmp_path, LLAMA | more, numbers=77))
    assert (card.parameters, card.active_parameters, bool(card.dimensions)) == (parameters, active, shaped)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"hidden_size": None}, "field 'hidden_size': .* it is None"),
        ({"hidden_size": 0}, "field 'hidden_size': .*greater than 0, it is 0"),
        ({"hidden_size": "wide"}, "field 'hidden_size': .*it is 'wide'"),
        ({"hidden_size": 9}, "field 'hidden_size' is no multiple of 'num_attention_heads'"),
        ({"model_type": None}, "field 'model_type' must be a text, it is None"),
        ({"max_position_embeddings": -1}, "field 'max_position_embeddings'.* it is -1"),
        ({"text_config": "none"}, "field 'text_config' must be an object, not str"),
        ({"num_experts": 4}, "field 'num_experts_per_tok' is missing, but there are 4 experts"),
        ({"num_experts": 4, "num_experts_per_tok": 5}, "field 'num_experts_per_tok' is more than the 4"),
        ({"kv_lora_rank": 4, "qk_nope_head_dim": 4}, "field 'qk_rope_head_dim' is missing"),
    ],
)
def test_a_malformed_config_is_answered_with_its_path_and_field(more, said, tmp_path, write_model):
    folder = write_model(tmp_path / "mine", LLAMA | more)
    with pytest.raises(BadModelFolder, match=rf"mine/config\.json: {said}"):
        card_for(folder)


INDEX = {"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("config.json", None, "config.json is missing"),
        ("config.json", "{", r"config\.json: cannot be read as JSON"),
        ("config.json", "[]", "must be a JSON object, not list"),
        ("tokenizer.json", None, "no tokenizer"),
        ("model.safetensors", None, r"no \*\.safetensors"),
        ("model.safetensors.index.json", json.dumps(INDEX), r"one\.safetensors is missing"),
        ("model.safetensors.index.json", "{}", "field 'weight_map'"),
    ],
)
def test_an_incomplete_folder_is_refused(file, content, said, tmp_path, write_model):
    folder = write_model(tmp_path, LLAMA)
    (folder / file).unlink(missing_ok=True)
    if content:
        (folder / file).write_text(content)
    with pytest.raises(BadModelFolder, match=said):
        card_for(folder)


@pytest.mark.parametrize(
    "content", [b"", b"\xff" * 8, b"\x02\0\0\0\0\0\0\0[]", b"\x09\0\0\0\0\0\0\0" + b'{"w": {}}']
)
def test_weights_that_are_no_safetensors_are_named_where_they_must_be_counted(content, tmp_path, write_model):
    folder = write_model(tmp_path, LLAMA | {"model_type": "new"})
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(BadModelFolder, match=r"model\.safetensors: is no whole safetensors file"):
        card_for(folder)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(BadModelFolder, match="nowhere: there is no such folder"):
        card_for(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("folder", "name"),
    [("mine", "mine"), ("models--org--its-name/snapshots/0123abc", "org/its-name")],
)
def test_a_model_is_called_like_its_folder_or_like_on_the_hub(folder, name, tmp_path, write_model):
    assert card_for(write_model(tmp_path / folder, LLAMA)).name == name


def test_a_card_says_nothing_that_the_folder_does_not(tmp_path, write_model):
    card = card_for(write_model(tmp_path, LLAMA))
    assert card.prices is None
    assert card.answer_cue == entry_for("small").card.answer_cue
