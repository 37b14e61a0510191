#!/usr/bin/env bash
# Run checks, each under its own heading: all of them, or those named: tools/check.sh lint unit
# All run even when one fails; the last line is pytest's closing line, added up over its runs.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ "$#" -gt 0 ] || set -- lint imports types docs unit evals worker pages engine wheel

python=$PWD/.venv/bin/python
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
pytest() { "$python" -m pytest "$@"; }

check_lint() {
    .venv/bin/ruff check . && .venv/bin/ruff format --check .
}
check_imports() {
    .venv/bin/lint-imports --no-logo --no-cache # its cache overlooks modules that came later
}
check_types() {
    local status=0
    .venv/bin/mypy thinkctl tests || status=1
    .venv/bin/pyright || status=1
    return "$status"
}
check_docs() {
    NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --strict --quiet
}
check_unit() {
    pytest --numprocesses 2 --dist worksteal -m "not engine and not gpu and not worker" --ignore=tests/pages \
        --ignore=tests/evals
}
check_evals() {
    pytest --numprocesses 2 --dist worksteal -m "not engine and not gpu and not worker" tests/evals
}
check_worker() {
    pytest --numprocesses 2 --dist worksteal -m worker
}
check_pages() {
    # Only modules that show something are imported: others may need a heavy library.
    local showing=()
    mapfile -t showing < <(grep -Rl --include='*.py' '>>> ' thinkctl)
    pytest -m "not engine and not gpu and not worker" --doctest-modules tests/pages "${showing[@]}"
}
check_engine() {
    pytest -m engine
}
check_wheel() {
    # Built from the source archive, so that what the archive lacks is noticed; installed without any extra; tested
    # from outside the checkout, so that nothing is imported from it by accident.
    # shellcheck source=tools/index.sh
    . tools/index.sh
    .venv/bin/uv build --quiet --out-dir "$scratch/dist" . &&
        .venv/bin/uv venv --quiet --python "$python" "$scratch/venv" &&
        .venv/bin/uv pip install --quiet --python "$scratch/venv/bin/python" --constraints constraints.txt \
            "$scratch"/dist/*.whl pytest &&
        cp -R tests/wheel "$scratch/tests" &&
        (cd "$scratch/tests" && env -u PYTHONPATH "$scratch/venv/bin/python" -m pytest -p no:cacheprovider .)
}

failed=()
for name in "$@"; do
    printf '\n==> %s\n' "$name"
    begun=$SECONDS
    if "check_$name" 2>&1 | tee "$scratch/$name.log"; then
        printf '    %s: ok, %d s\n' "$name" $((SECONDS - begun))
    else
        printf '    %s: FAILED, %d s\n' "$name" $((SECONDS - begun))
        failed+=("$name")
    fi
done

echo
for name in "$@"; do
    closing=$(grep -aE '(passed|failed|error|skipped|deselected|no tests ran).* in [0-9.]+s' "$scratch/$name.log" | tail -n 1)
    [ -z "$closing" ] || printf '%-8s%s\n' "$name" "$closing"
done | tee "$scratch/closing"
[ "${#failed[@]}" -eq 0 ] || echo "failed: ${failed[*]}"
awk '
    {
        for (i = 1; i < NF; i++) {
            word = $(i + 1); sub(/,$/, "", word); sub(/^(error|warning)$/, "&s", word)
            if ($i ~ /^[0-9]+$/ && word ~ /^[a-z]+$/) count[word] += $i
            if ($i == "in") { time = $(i + 1); sub(/s$/, "", time); seconds += time }
        }
    }
    END {
        n = split("failed passed skipped deselected xfailed xpassed warnings errors", order, " ")
        for (i = 1; i <= n; i++) if (count[order[i]]) {
            word = order[i]
            if (count[word] == 1) sub(/s$/, "", word)
            text = text (text ? ", " : "") count[order[i]] " " word
        }
        if (NR) printf "===== %s in %.2fs =====\n", (text ? text : "no tests ran"), seconds
    }
' "$scratch/closing"
[ "${#failed[@]}" -eq 0 ]
