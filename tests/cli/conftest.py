"""The command as a user calls it, and recordings for it to replay."""

from __future__ import annotations

import asyncio
import io
import sys
from dataclasses import dataclass

import pytest

from thinkctl import Controller, SelfConsistency
from thinkctl.cli import main
from thinkctl.runfile import RunFile
from thinkctl.testing import ScriptedEngine


@dataclass
class Called:
    code: int
    out: str
    err: str


@pytest.fixture
def call(capsys, monkeypatch):
    """Return ``call(*arguments, stdin=b"")``: run the command in this process."""

    def run(*arguments, stdin=b""):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8"))
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        code = ended.value.code
        return Called(code if isinstance(code, int) else 0, out, err)

    return run


@pytest.fixture
def record(tmp_path):
    """Return ``record(*scripts, n=16)``: the spec of a recording of samples that say so in turn."""

    def make(*scripts, n=16, question="What is 17*23-4?"):
        engine = ScriptedEngine(scripts)
        path = tmp_path / "recorded.jsonl"
        with RunFile.open(path, card=engine.card) as file:
            file.append(asyncio.run(Controller(engine, SelfConsistency(n)).solve(question)))
        return f"replay:{path}"

    return make


@pytest.fixture
def play(monkeypatch):
    """Return ``play(engine)``: whatever ``--model`` says, this engine answers."""

    def use(engine):
        for command in ("ask", "demo"):
            monkeypatch.setattr(f"thinkctl.cli.{command}.open_engine", lambda spec, seed=0: engine)
        return engine

    return use
