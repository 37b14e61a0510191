"""Reference answers: what a file of them may hold, and what is right."""

from __future__ import annotations

import gzip

import pytest

from thinkctl.errors import RunFileError
from thinkctl.evals.gold import is_right, read_gold


def written(folder, *lines, name="gold.jsonl"):
    path = folder / name
    path.write_bytes(("\n".join(lines) + "\n").encode())
    return path


def test_answers_are_texts_and_numbers_by_id(tmp_path):
    path = written(
        tmp_path,
        '{"id": "a", "answer": " 18 ", "question": "?"}',
        '{"id": "b", "answer": 18.0}',
        "",
        '{"id": "c", "gold": 0.5}',
        '{"id": "a", "answer": "18"}',
    )
    assert read_gold(path) == {"a": "18", "b": "18", "c": "0.5"}


def test_a_packed_file_is_unpacked(tmp_path):
    path = tmp_path / "gold.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"id": "a", "answer": 7}\n'))
    assert read_gold(path) == {"a": "7"}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 2 is no reference answer"),
        ("[]", "expected an object, got list"),
        ('{"answer": "4"}', "id: expected a text, got None"),
        ('{"id": "", "answer": "4"}', "id: expected a text, got ''"),
        ('{"id": "b"}', "answer: expected a text or a number, got None"),
        ('{"id": "b", "answer": true}', "got True"),
        ('{"id": "b", "answer": NaN}', "got None"),
        ('{"id": "b", "answer": ["4"]}', "got ['4']"),
        ('{"id": "b", "answer": "  "}', "got '  '"),
        ('{"id": "a", "answer": "5"}', "the id 'a' had the answer '4' before"),
    ],
)
def test_what_is_wrong_with_a_line_is_said(tmp_path, line, said):
    path = written(tmp_path, '{"id": "a", "answer": "4"}', line)
    with pytest.raises(RunFileError) as error:
        read_gold(path)
    assert said in str(error.value)


def test_a_file_without_answers_is_refused(tmp_path):
    with pytest.raises(RunFileError, match="holds no reference answer"):
        read_gold(written(tmp_path))
    with pytest.raises(RunFileError, match="cannot be read"):
        read_gold(tmp_path / "missing.jsonl")


@pytest.mark.parametrize(
    ("answer", "gold", "form", "right"),
    [
        ("18", "18", "boxed", True),
        ("$18.00", "18", "boxed", True),
        ("1,800", "1800", "number", True),
        (r"\frac{1}{2}", "0.5", "boxed", True),
        ("x+1", "1 + x", "boxed", True),
        ("17", "18", "boxed", False),
        ("(B)", "B", "choice", True),
        ("B", "C", "choice", False),
        ("Paris", "paris", "text", True),
        ("", "18", "boxed", False),
        ("x = 5 or so", "5", "boxed", False),
    ],
)
def test_right_is_what_has_the_value_of_the_reference(answer, gold, form, right):
    assert is_right(answer, gold, form) is right
