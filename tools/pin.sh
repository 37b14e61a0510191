#!/usr/bin/env bash
# Write constraints.txt anew from what .venv holds, and check that every supported Python can be served within it.
# To raise versions: uv pip install --upgrade what you want into .venv, run every check, then this.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tools/index.sh

# vLLM for CUDA and its CPU build ask for different releases of this one; each brings its own.
differs='^apache-tvm-ffi=='
new=$(mktemp)
trap 'rm -f "$new"' EXIT
{
    sed '/^#/!d' constraints.txt
    .venv/bin/uv pip freeze --python .venv/bin/python --exclude-editable | sed 's/+cpu$//' | grep -v "$differs"
} >"$new"
for version in 3.11.0 3.12 3.13; do
    .venv/bin/uv pip compile --quiet --python-version "$version" --python-platform x86_64-manylinux_2_28 \
        --constraints "$new" pyproject.toml --output-file /dev/null \
        --extra vllm --extra transformers --extra openai --extra prices --extra math --extra typed --extra sql --extra evals --extra gym --extra dev --extra docs
    echo "pin: Python $version can be served"
done
cat "$new" >constraints.txt
