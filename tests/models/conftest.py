"""A package index on disk with tiny wheels, a cache of its own, and a model that is in those wheels."""

from __future__ import annotations

import hashlib
import os
import random
import runpy
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from thinkctl.models import CatalogueEntry, entry_for
from thinkctl.models.cache import install, staging_folder, write_manifest

HELPERS = runpy.run_path(str(Path(__file__).with_name("puller.py")))
PAYLOAD = random.Random(17).randbytes(200_001)


class Index:
    """A folder of wheels, as pip's ``--find-links`` reads it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, entry: CatalogueEntry, payload: bytes = PAYLOAD) -> None:
        """Cut ``payload`` into the entry's wheels."""
        assert entry.wheels
        size = -(-len(payload) // entry.wheels.parts)
        for part in range(1, entry.wheels.parts + 1):
            data = payload[(part - 1) * size : part * size]
            self.add_wheel(entry.wheels.requirement(part), entry.wheels.member(part), data)

    def add_wheel(self, requirement: str, member: str, data: bytes) -> None:
        package, _, version = requirement.partition("==")
        stem = f"{package.replace('-', '_')}-{version}"
        with zipfile.ZipFile(self.folder / f"{stem}-py3-none-any.whl", "w") as wheel:
            wheel.writestr(member, data)
            wheel.writestr(
                f"{stem}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n"
            )
            wheel.writestr(
                f"{stem}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            )
            wheel.writestr(f"{stem}.dist-info/RECORD", "")

    def drop(self, part: int) -> None:
        """Part ``part`` can be had no more."""
        for wheel in self.folder.glob(f"*part{part}-*.whl"):
            wheel.unlink()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache that nothing else uses."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("THINKCTL_CACHE", str(folder))
    return folder


@pytest.fixture
def index(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Index:
    """The only index that pip sees; the model hub is off."""
    folder = tmp_path / "index"
    folder.mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    for name, value in {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(folder),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "HF_HUB_OFFLINE": "1",
    }.items():
        monkeypatch.setenv(name, value)
    return Index(folder)


@pytest.fixture
def entry() -> CatalogueEntry:
    """A model of two wheels."""
    return make_entry()


@pytest.fixture(name="entry_of")
def entry_of_fixture() -> Callable[..., CatalogueEntry]:
    """Make one that differs in some fields."""
    return make_entry


def make_entry(payload: bytes = PAYLOAD, **changes: Any) -> CatalogueEntry:
    known = entry_for("test").model_dump()
    wheels = {
        "package": "tiny-part{part}",
        "version": "1.0",
        "file": "tiny_part{part}/data/{part:02}.bin",
        "parts": 2,
    }
    own = {
        "name": "tiny",
        "aliases": (),
        "card": known["card"] | {"name": "tiny"},
        "bytes": len(payload),
        "sha256": hashlib.sha256(payload).hexdigest(),
        "wheels": wheels,
        "hub": None,
    }
    return CatalogueEntry.model_validate(known | own | changes)


@pytest.fixture
def fake_convert() -> Any:
    return HELPERS["fake_convert"]


@pytest.fixture
def write_model() -> Any:
    return HELPERS["write_model"]


@pytest.fixture
def pulled(cache: Path) -> Callable[[str], Path]:
    """Put a whole, if empty, model of the catalogue into the cache."""

    def put(name: str) -> Path:
        entry = entry_for(name)
        staging = staging_folder(entry)
        HELPERS["write_model"](staging)
        write_manifest(staging, entry, {"fake": "1"})
        return install(entry)

    return put


@pytest.fixture
def payload() -> bytes:
    return PAYLOAD
