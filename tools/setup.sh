#!/usr/bin/env bash
# Create .venv and install thinkctl with all that its tests, its demo and its docs need.
# Does nothing when what it installed last still holds. PYTHON=... chooses the interpreter (3.11 to 3.13).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf 'setup: %s\n' "$*"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }

# The engine: vLLM for CUDA where there is a CUDA device, else its build for the processor.
engine=cpu
if command -v nvidia-smi >/dev/null 2>&1 && nvidia-smi >/dev/null 2>&1; then engine=vllm; fi

inputs=(pyproject.toml constraints.txt tools/excludes.txt tools/index.sh tools/setup.sh)
stamp=.venv/.thinkctl-stamp
wanted="$PWD $engine ${PYTHON:-} $(cat "${inputs[@]}" | cksum)"
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && .venv/bin/python -c 'import thinkctl' 2>/dev/null; then
    exit 0
fi
rm -f "$stamp"

# --- an interpreter -------------------------------------------------------------------------------------------
fits='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))'
python=
for candidate in ${PYTHON:-python3.11 python3.12 python3.13 python3}; do
    if "$candidate" -c "$fits" 2>/dev/null; then python=$candidate; break; fi
done
[ -n "$python" ] || [ -z "${PYTHON:-}" ] || die "PYTHON=$PYTHON does not run or is not Python 3.11, 3.12 or 3.13."
if [ -x .venv/bin/python ] && ! .venv/bin/python -c "$fits" 2>/dev/null; then
    die ".venv holds another Python or one that is gone. Remove it and run again: rm -rf .venv"
fi

# --- uv: from PATH when it is new enough, else into .venv with pip --------------------------------------------
knows_excludes() { [[ "$("$1" pip install --help 2>/dev/null || true)" == *--excludes* ]]; }
if knows_excludes uv; then
    uv=uv
    if [ ! -x .venv/bin/python ]; then
        say "creating .venv with $(uv --version)"
        uv venv --quiet --python "${python:-3.11}" .venv || die "could not create .venv; is Python 3.11 installed?"
    fi
else
    if [ ! -x .venv/bin/python ]; then
        [ -n "$python" ] || die "no Python 3.11, 3.12 or 3.13 found; install one or name it: PYTHON=/path/to/python"
        say "creating .venv with $("$python" --version)"
        "$python" -m venv .venv || die "'$python -m venv' failed; on Debian and Ubuntu install python3-venv."
    fi
    uv=.venv/bin/uv
    if ! knows_excludes "$uv"; then
        say "installing uv into .venv"
        .venv/bin/python -m pip --version >/dev/null 2>&1 || .venv/bin/python -m ensurepip >/dev/null \
            || die "neither uv nor pip is there; install one of them."
        .venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt uv \
            || die "pip could not install uv. Is the package index reachable?"
    fi
fi

# --- thinkctl ---------------------------------------------------------------------------------------------------
# shellcheck source=tools/index.sh
PYTHON_WITH_PIP=${python:-.venv/bin/python} . tools/index.sh
options=(--python .venv/bin/python --constraints constraints.txt)
if [ "$engine" = cpu ]; then
    # Built for CUDA only, and of no use or in the way here: docs/decisions/0002-excluded-dependencies.md
    options+=(--excludes tools/excludes.txt)
    # The CPU build of torch: from the find-links setting if there is one, else from torch's own index, which uv knows.
    [ -n "${UV_FIND_LINKS:-}" ] || options+=(--torch-backend cpu)
fi
[ -t 2 ] || options+=(--quiet)

say "installing thinkctl with the '$engine' engine into .venv (the first time this fetches about 2 GB)"
"$uv" pip install "${options[@]}" -e ".[$engine,transformers,openai,prices,math,typed,sql,evals,gym,dev,docs]" \
    || die "installing failed; the reason stands above. Is the package index reachable?"
.venv/bin/python -c 'import thinkctl' || die "thinkctl was installed but cannot be imported; the reason stands above."
# --- a sandbox for model-written code: a system package, and the one thing here that may be missing ------------
if ! command -v bwrap >/dev/null 2>&1 && command -v apt-get >/dev/null 2>&1; then
    as_root=(env DEBIAN_FRONTEND=noninteractive)
    [ "$(id -u)" = 0 ] || as_root=(sudo -n "${as_root[@]}")
    if "${as_root[@]}" true 2>/dev/null; then
        say "installing bubblewrap"
        "${as_root[@]}" apt-get install -y -q bubblewrap >/dev/null 2>&1 \
            || { "${as_root[@]}" apt-get update -q && "${as_root[@]}" apt-get install -y -q bubblewrap; } \
                >/dev/null 2>&1 || true
    fi
fi
if ! command -v bwrap >/dev/null 2>&1; then
    say "bubblewrap is not there and could not be installed: verifiers that run model-written code will refuse,"
    say "and their tests are skipped. To have them: apt-get install bubblewrap"
fi

printf '%s\n' "$wanted" >"$stamp"
say "ready"
