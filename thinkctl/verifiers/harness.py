"""What is put into the sandbox besides model-written code: our own part of the work there."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Final

from thinkctl.verifiers.sandbox.process import Plan

__all__ = ["LONGEST_CODE", "plan_of"]

LONGEST_CODE: Final = 100_000
"""Characters of code that is run at all."""
_PACKAGE: Final = "thinkctl.verifiers.inside"
_MAIN: Final = """import sys
sys.path.insert(0, __file__.rpartition("/")[0])
from thinkctl.verifiers.inside.{part} import main
main()
"""


def plan_of(
    part: str,
    *,
    args: Sequence[str] = (),
    files: Mapping[str, str] | None = None,
    stdin: str = "",
    descriptors: Sequence[int] = (),
    folders: Sequence[tuple[str, str]] = (),
) -> Plan:
    """Return the plan to start one of the modules of ``thinkctl.verifiers.inside``, with more files beside it."""
    ours = {f"{_PACKAGE.replace('.', '/')}/{name}.py": _source(name) for name in ("values", part)}
    return Plan(
        {**ours, **(files or {}), "main.py": _MAIN.format(part=part)}, stdin, args, descriptors, folders
    )


@functools.cache
def _source(name: str) -> str:
    return resources.files(_PACKAGE).joinpath(f"{name}.py").read_text(encoding="utf-8")
