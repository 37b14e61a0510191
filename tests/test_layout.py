"""The layout: what the wheel contains, what the links promise, what an import costs, what no file may say."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
MAPPED = {"thinkctl.strategies": "strategies", "thinkctl.evals": "evals"}
HEAVY = ("gguf", "matplotlib", "numpy", "openai", "outlines", "scipy", "torch", "transformers", "vllm")


def folder_of(package: str) -> Path:
    return ROOT / MAPPED.get(package, package.replace(".", "/"))


def packages_in_folders() -> set[str]:
    found = {
        ".".join(init.parent.relative_to(ROOT).parts) for init in (ROOT / "thinkctl").rglob("__init__.py")
    }
    for package, folder in MAPPED.items():
        inits = (ROOT / folder).rglob("__init__.py")
        found |= {".".join([package, *init.parent.relative_to(ROOT / folder).parts]) for init in inits}
    return found


def modules() -> list[Path]:
    return sorted(file for package in packages_in_folders() for file in folder_of(package).glob("*.py"))


def files_in_git() -> list[Path]:
    """Committed files and those that the next commit would take; links and deleted files left out."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
        text=True,
    )
    if listing.returncode != 0:
        pytest.skip("not a git checkout")
    paths = (ROOT / name for name in listing.stdout.split("\0") if name)
    return [path for path in paths if path.is_file() and not path.is_symlink()]


def test_the_wheel_lists_exactly_the_packages_there_are() -> None:
    assert set(PYPROJECT["tool"]["setuptools"]["packages"]) == packages_in_folders()


def test_the_wheel_takes_every_data_file_along() -> None:
    told = PYPROJECT["tool"]["setuptools"]["package-data"]
    left_behind = [
        path.relative_to(ROOT).as_posix()
        for package in packages_in_folders()
        for path in folder_of(package).iterdir()
        if path.is_file() and path.suffix not in {".py", ".pyc", ".md"}
        if not any(path.match(pattern) for pattern in told.get(package, ()))
    ]
    assert not left_behind


def test_the_mapping_and_the_links_name_the_same_folders() -> None:
    assert PYPROJECT["tool"]["setuptools"]["package-dir"] == MAPPED
    for package, folder in MAPPED.items():
        link = ROOT / package.replace(".", "/")
        assert link.is_symlink(), f"{link} must be a link; git writes a text file without core.symlinks"
        assert link.readlink() == Path("..") / folder
        assert (link / "__init__.py").is_file()


def test_the_import_finds_the_files_of_the_top_level_folders() -> None:
    import thinkctl.evals
    import thinkctl.strategies

    assert Path(thinkctl.strategies.__file__).resolve() == ROOT / "strategies" / "__init__.py"
    assert Path(thinkctl.evals.__file__).resolve() == ROOT / "evals" / "__init__.py"


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), "a module begins with its subject"


# The patterns are put together from parts, so that this file does not hold what it looks for.
REGISTRY = r"\b(?:{})\b".format(
    "|".join(
        re.escape(".".join(parts))
        for parts in (
            ("pypi", "org"),
            ("pythonhosted", "org"),
            ("download", "pytorch", "org"),
            ("conda", "anaconda", "org"),
            ("registry", "npmjs", "org"),
            ("deb", "debian", "org"),
        )
    )
)
MACHINE = r"(?<![\w.~$}>-])/(?:work|opt|root|home|farm|mnt|tmp|Users)/" + r"(?!(?:me|you)\b)\w"


@pytest.mark.parametrize(
    ("pattern", "what"),
    [(REGISTRY, "a package registry's host"), (MACHINE, "a path of one machine")],
    ids=["registry", "path"],
)
def test_no_file_names_a_place_that_others_do_not_have(pattern: str, what: str) -> None:
    finder, found = re.compile(pattern), []
    for path in files_in_git():
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        found += [
            f"{path.relative_to(ROOT)}:{n}: {line.strip()[:80]}"
            for n, line in enumerate(lines, 1)
            if finder.search(line)
        ]
    assert not found, f"{what}: {found}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("see https://" + "pypi" + ".org/simple", True),
        ("pip install pypi-simple", False),
        ("open('/" + "work/main/x')", True),
        ("the network/work/balance", False),
        ("HOME=/" + "home/me/notes", False),
        ("~/" + "home/x and $X/opt/y", False),
    ],
)
def test_the_search_for_places_finds_them_and_nothing_else(text: str, said: bool) -> None:
    assert bool(re.search(f"{REGISTRY}|{MACHINE}", text)) is said


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True, text=True)
    return done.stdout


def test_importing_thinkctl_loads_no_heavy_library() -> None:
    loaded = set(
        run("import sys, thinkctl; print(*{name.partition('.')[0] for name in sys.modules})").split()
    )
    assert loaded.isdisjoint(HEAVY)
    assert "thinkctl" in loaded


def test_importing_thinkctl_takes_less_than_a_quarter_of_a_second() -> None:
    # Processor time, and the best of several runs: a busy machine must not fail this test.
    code = "import time; begun = time.process_time(); import thinkctl; print(time.process_time() - begun)"
    tried: list[float] = []
    while len(tried) < 20 and min(tried, default=1.0) >= 0.250:
        tried.append(float(run(code)))
    assert min(tried) < 0.250
