"""A pull in a process of its own, for tests that kill it or let two of them meet.

Run as ``puller.py ENTRY_JSON MODE``; ``conftest.py`` reads the same helpers from here.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from thinkctl.models import CatalogueEntry, Progress, pull

CONFIG = {
    "model_type": "llama",
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "vocab_size": 10,
    "intermediate_size": 16,
    "max_position_embeddings": 64,
    "tie_word_embeddings": True,
}


def write_model(
    folder: Path, config: Mapping[str, object] = CONFIG, weights: bytes = b"", numbers: int = 0
) -> Path:
    """The smallest folder that counts as a model; its one safetensors file holds ``numbers`` numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "tokenizer.json").write_text(json.dumps({"added_tokens": []}), encoding="utf-8")
    header = json.dumps(
        {"w": {"dtype": "BF16", "shape": [numbers], "data_offsets": [0, len(weights)]}}
    ).encode()
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + weights)
    return folder


def fake_convert(entry: CatalogueEntry, gguf: Path, folder: Path) -> Mapping[str, str]:
    """Wrap the file's bytes as weights: quick, and without torch."""
    write_model(folder, weights=gguf.read_bytes())
    return {"fake": entry.name}


def main(entry: CatalogueEntry, mode: str) -> None:
    """Pull ``entry`` in one of three ways.

    ``die:STAGE`` is killed there, ``meet:FIFO`` lets one process convert only when another waits for it.
    """
    action, _, where = mode.partition(":")

    def report(news: Progress) -> None:
        if action == "die" and where == news.stage == "checking":
            os.kill(os.getpid(), signal.SIGKILL)
        if action == "meet" and news.stage == "waiting":
            Path(where).write_text("here I wait")

    def convert(entry: CatalogueEntry, gguf: Path, folder: Path) -> Mapping[str, str]:
        if action == "meet":
            Path(where).read_text()
            sys.stdout.write("converted\n")
        converter = fake_convert(entry, gguf, folder)
        if action == "die" and where == "converting":
            os.kill(os.getpid(), signal.SIGKILL)
        return converter

    if action == "die" and where == "fetching":
        threading.Thread(target=die_once_there, args=("part-01.bin",), daemon=True).start()
    pull(entry, progress=report, convert=convert)


def die_once_there(name: str) -> None:
    """Die as soon as a file called ``name`` is in the cache."""
    while not list(Path(os.environ["THINKCTL_CACHE"]).glob(f"partial/*/{name}")):
        os.sched_yield()
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(CatalogueEntry.model_validate_json(sys.argv[1]), sys.argv[2])
