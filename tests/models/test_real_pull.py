"""The real thing: the smallest model, fetched, converted, and read back."""

from __future__ import annotations

import pytest

from thinkctl.models import ConversionFailed, card_for, entry_for, path, pull, verify
from thinkctl.models.convert import convert_gguf

pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def folder():
    return pull("test")


def test_the_smallest_model_is_pulled_whole_and_its_card_is_the_catalogue_s(folder):
    assert verify("test") == path("test") == folder
    assert card_for(folder) == entry_for("test").card


def test_its_tokenizer_renders_and_ends_a_turn_as_the_official_one(folder):
    transformers = pytest.importorskip("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    chat = entry_for("test").chat
    turn = [{"role": "user", "content": "hi"}]
    assert tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True) == chat.render(
        "hi"
    )
    assert tokenizer.encode("<|im_start|><|endoftext|><|im_end|>", add_special_tokens=False) == [1, 0, 2]
    assert (tokenizer.eos_token, tokenizer.eos_token_id) == ("<|im_end|>", 2)
    assert transformers.GenerationConfig.from_pretrained(folder).eos_token_id == 2


def test_a_file_that_is_no_gguf_ends_with_the_converter_s_own_words(tmp_path):
    (tmp_path / "model.gguf").write_bytes(b"GGUF, but no more")
    (tmp_path / "made").mkdir()
    with pytest.raises(ConversionFailed, match=r"smollm2-135m-instruct: converting .* failed \(exit 1\): ."):
        convert_gguf(entry_for("test"), tmp_path / "model.gguf", tmp_path / "made")
