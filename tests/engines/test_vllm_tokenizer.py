"""Thinking marks stay in texts, other special tokens do not, and a model without a chat template says so."""

from __future__ import annotations

import pytest

from thinkctl.engines.tokenizer import FolderTokenizer
from thinkctl.errors import ConfigurationError
from thinkctl.types import Message, ThinkingMarks

pytestmark = pytest.mark.engine  # importing transformers takes seconds

MARKS = ThinkingMarks(start="<think>", end="</think>")
TEMPLATE = (
    "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system turns') }}{% endif %}"
    "<|turn|>{{ m.content }}<|end|>{% endfor %}{% if add_generation_prompt %}<|turn|>{% endif %}"
)


@pytest.fixture(params=[True, False], ids=["special marks", "plain marks"])
def folder(request, tmp_path):
    """A byte tokenizer; its marks are special tokens or merely added ones, its turns are always special."""
    tokenizers = pytest.importorskip("tokenizers")
    transformers = pytest.importorskip("transformers")
    letters = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    inner = tokenizers.Tokenizer(tokenizers.models.BPE({letter: n for n, letter in enumerate(letters)}, []))
    inner.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = tokenizers.decoders.ByteLevel()
    inner.add_special_tokens(["<|turn|>", "<|end|>"])
    (inner.add_special_tokens if request.param else inner.add_tokens)([MARKS.start, MARKS.end])
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<|end|>")
    fast.chat_template = TEMPLATE
    fast.save_pretrained(tmp_path)
    return tmp_path


def test_marks_stay_and_other_special_tokens_go(folder) -> None:
    tokenizer = FolderTokenizer(str(folder), MARKS)
    ids = tokenizer.encode("<think>7 < 8 </think> yes<|end|>")
    assert len(ids) == 1 + len("7 < 8 ") + 1 + len(" yes") + 1, "a mark is one token"
    assert tokenizer.decode(ids) == "<think>7 < 8 </think> yes"


def test_ids_above_the_vocabulary_have_no_text(folder) -> None:
    tokenizer = FolderTokenizer(str(folder), MARKS)
    assert tokenizer.decode([*tokenizer.encode("ja"), 5000]) == "ja"


def test_a_chat_ends_where_the_model_begins(folder) -> None:
    tokenizer = FolderTokenizer(str(folder), MARKS)
    ids = tokenizer.chat([Message(role="user", content="hm")])
    assert ids == tokenizer.encode("<|turn|>hm<|end|><|turn|>")


def test_what_the_template_refuses_is_said(folder) -> None:
    tokenizer = FolderTokenizer(str(folder), MARKS)
    with pytest.raises(ConfigurationError, match="refuses these messages: no system turns"):
        tokenizer.chat([Message(role="system", content="be brief")])


def test_without_a_chat_template_the_error_says_what_to_do(folder) -> None:
    for file in folder.glob("chat_template*"):
        file.unlink()
    tokenizer = FolderTokenizer(str(folder), None)
    with pytest.raises(ConfigurationError, match="has no chat template; use an instruct model"):
        tokenizer.chat([Message(role="user", content="hm")])
