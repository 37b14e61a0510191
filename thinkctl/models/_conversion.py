"""The conversion itself, run as a script by ``convert.py``; it imports nothing of thinkctl.

Whatever is not as the catalogue says ends it with a message and exit code 1.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any


def main(job: dict[str, Any]) -> None:
    """Read the GGUF file, set right what GGUF loses, check it, and save model and tokenizer."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    gguf, folder = Path(job["gguf"]), Path(job["folder"])
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    end_ids = check_tokenizer(tokenizer, job)
    tokenizer.model_max_length = job["context"]
    model = load(AutoModelForCausalLM, gguf)
    if job["tied"] and not model.config.tie_word_embeddings:
        tie(model)
    if model.num_parameters() != job["parameters"]:
        sys.exit(f"the model has {model.num_parameters()} parameters, the catalogue says {job['parameters']}")
    if model.config.max_position_embeddings != job["context"]:
        sys.exit(
            f"its context is {model.config.max_position_embeddings}, the catalogue says {job['context']}"
        )
    set_ends(model, end_ids)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    for file in folder.iterdir():
        file.chmod(0o644)


def load(auto: Any, gguf: Path) -> Any:
    """The model in bfloat16; quantized weights become plain ones."""
    import torch
    from transformers import GgufConfig

    plain = GgufConfig(dequantize=True)
    return auto.from_pretrained(
        gguf.parent, gguf_file=gguf.name, dtype=torch.bfloat16, quantization_config=plain
    )


def check_tokenizer(tokenizer: Any, job: dict[str, Any]) -> list[int]:
    """Check the marks and the chat template; return the ids of the tokens that end a generation."""
    for mark in job["marks"]:
        ids = tokenizer.encode(mark, add_special_tokens=False)
        if len(ids) != 1 or tokenizer.convert_ids_to_tokens(ids[0]) != mark:
            sys.exit(f"the tokenizer cuts the mark {mark} into {ids}")
    turn = [{"role": "user", "content": job["user"]}]
    rendered = tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
    if rendered != job["rendered"]:
        sys.exit(f"the chat template renders {rendered!r} instead of {job['rendered']!r}")
    if tokenizer.eos_token != job["ends"][0]:
        sys.exit(f"the tokenizer's end of turn is {tokenizer.eos_token}, not {job['ends'][0]}")
    return [tokenizer.convert_tokens_to_ids(mark) for mark in job["ends"]]


def tie(model: Any) -> None:
    """Give the model one matrix for embedding and head, as the original has.

    The file stores two differently quantized copies of it. Quantizers give the head the finer one (here 8 against
    5 bits), so both become that: nearer to the original, and a quarter smaller.
    """
    embedding, head = model.get_input_embeddings().weight, model.get_output_embeddings().weight
    difference = float((embedding.float() - head.float()).norm() / head.float().norm())
    if difference > 0.1:
        sys.exit(f"embedding and head should be one matrix but differ by {difference:.0%}")
    embedding.data = head.data
    model.config.tie_word_embeddings = True
    model.tie_weights()


def set_ends(model: Any, end_ids: list[int]) -> None:
    """Say which tokens end a generation, as the original's generation_config.json does."""
    from transformers import GenerationConfig

    model.config.eos_token_id = end_ids[0]
    vars(model.config).pop("_model_name_or_path", None)  # the file's title, no path at all
    model.generation_config = GenerationConfig(
        bos_token_id=model.config.bos_token_id,
        eos_token_id=end_ids if len(end_ids) > 1 else end_ids[0],
        pad_token_id=model.config.pad_token_id,
    )


def end_with_parent() -> None:
    """End this process when the one that started it is gone: its end of the pipe closes."""

    def wait() -> None:
        os.read(0, 1)  # not sys.stdin: its lock would be held when the interpreter shuts down
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
    end_with_parent()
    main(json.loads(sys.argv[1]))
