"""A user's own file is a task; what is wrong in it is said with its line, and what stands in it is data."""

from __future__ import annotations

import gzip
import json
import sys
from asyncio import run
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thinkctl.errors import ConfigurationError, MissingExtra
from thinkctl.evals.tasks import task
from thinkctl.evals.tasks.hub import fetched

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


def lines(*rows: object) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_json_lines_and_csv_are_the_same_task(tmp_path: Path) -> None:
    rows = [{"id": "a", "question": "1 + 1?", "answer": 2}, {"id": "b", "question": "Half?", "answer": 0.5}]
    one = task(f"file:{written(tmp_path, 'mine.jsonl', lines(*rows))}")
    table = "id,question,answer\na,1 + 1?,2\nb,Half?,0.5\n"
    other = task(f"file:{written(tmp_path, 'mine.csv', table)}")
    zipped = task(f"file:{written(tmp_path, 'mine.jsonl.gz', gzip.compress(lines(*rows).encode()))}")
    listed = task(f"file:{written(tmp_path, 'mine.json', json.dumps(rows))}")
    assert one.problems == other.problems == zipped.problems == listed.problems
    assert one.name == "mine"
    assert [problem.form for problem in one.problems] == ["number", "number"]
    assert run(one.grades(list(zip(one.problems, ["2.0", "1/2"], strict=True)))) == [True, True]
    assert run(other.grades(list(zip(other.problems, ["3", None], strict=True)))) == [False, False]
    assert one.problems[1].model_dump(exclude_defaults=True).keys() == {"id", "form", "messages"}


@pytest.mark.parametrize(
    ("rows", "forms"),
    [
        ([{"question": "?", "answer": "7"}], ["number"]),
        ([{"question": "?", "answer": "7"}, {"question": "??", "answer": "x + 1"}], ["boxed", "boxed"]),
        (
            [{"question": "?", "answer": "Paris", "form": "text"}, {"question": "??", "answer": "1"}],
            ["text", "boxed"],
        ),
        (
            [{"question": "?", "answer": "B", "choices": ["1", "2"]}, {"question": "??", "answer": 3}],
            ["choice", "number"],
        ),
        ([{"question": "?", "answer": True}], ["boxed"]),
    ],
)
def test_the_form_is_the_row_s_or_follows_from_the_answers(
    tmp_path: Path, rows: list[dict[str, object]], forms: list[str]
) -> None:
    found = task(f"file:{written(tmp_path, 'x.jsonl', lines(*rows))}")
    assert [problem.form for problem in found.problems] == forms


def test_the_answer_of_a_choice_is_its_letter_or_its_text(tmp_path: Path) -> None:
    content = "question,answer,choices\nCapital?,Paris,Rome|Paris|Bonn\nLargest?,(C),a|b|c\n"
    found = task(f"file:{written(tmp_path, 'x.csv', content)}")
    assert found.problems[0].text == "Capital?\n(A) Rome\n(B) Paris\n(C) Bonn"
    right = run(found.grades(list(zip(found.problems, ["(B) Paris", "c"], strict=True))))
    wrong = run(found.grades(list(zip(found.problems, ["A", "B"], strict=True))))
    assert (right, wrong) == ([True, True], [False, False])
    assert found.chance == pytest.approx(1 / 3)


def test_columns_can_have_other_names_and_the_form_can_be_said(tmp_path: Path) -> None:
    path = written(tmp_path, "x.jsonl", lines({"problem": "?", "gold": [r"\frac12"], "level": 3, "key": 17}))
    found = task(
        f"file:{path}?question=problem&answer=gold&ids=key&form=math&name=my set&licence=CC0&public_since=2020"
    )
    (problem,) = found.problems
    assert (problem.id, problem.form, found.name, found.licence) == ("17", "math", "my-set", "CC0")
    assert "public since 2020" in found.card().contamination
    assert run(found.grade(problem, "0.5"))


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("x.jsonl", lines({"question": "?", "answer": 1}) + "{", "line 2: this is no JSON"),
        ("x.jsonl", "[1]\n", "line 1: expected an object, got list"),
        ("x.jsonl", "\n" + lines({"q": "?", "answer": 1}), "line 2: there is no column 'question'; the row has q"),
        ("x.jsonl", lines({"question": "?"}), "line 1: there is no column 'answer'; the row has question"),
        ("x.jsonl", lines({"question": " ", "answer": 1}), "line 1: question: expected a question, got an empty text"),
        ("x.jsonl", lines({"question": "?", "answer": {}}), "line 1: answer: expected an answer as text or"),
        ("x.jsonl", '{"question": "?", "answer": NaN}', "line 1: answer: nan is no answer"),
        ("x.jsonl", lines(*[{"id": "a", "question": "?", "answer": 1}] * 2), "line 2: the id 'a' stands in line 1 too"),
        ("x.jsonl", lines({"question": "?", "answer": 1, "form": "nmber"}), "form 'nmber' is not known; did you mean"),
        ("x.jsonl", lines({"question": "?", "answer": 1, "choices": ["a"]}), "line 1: choices: expected 2 to 10"),
        ("x.jsonl", lines({"question": "?", "answer": "x", "choices": ["a", "b"]}), "answer 'x' is none of the ch"),
        ("x.jsonl", lines({"question": "?", "answer": "A", "choices": ["B", "A"]}), "'A' is more than one of"),
        ("x.jsonl", '{"question": "' + "\\ud800" + '", "answer": 1}', "line 1: question: it holds half of a character"),
        ("x.jsonl", "[" * 100_000, "line 1: this is no JSON"),
        ("x.jsonl", b'{"question": "?"}\n\xff\xfe', "line 2: this is no UTF-8"),
        ("x.jsonl", "\n\n", "holds no row"),
        ("x.json", '{"a": 1}', "holds no list of problems"),
        ("x.csv", "question,answer\n?,1,2\n", "line 2: 3 cells, but the first line names 2 columns"),
        ("x.csv", 'question,answer\n"a\nb",1\n?\n', "line 4: 1 cells"),
        ("x.csv", 'question,answer\n"a"b,1\n', "line 2: "),
        ("x.csv", "question,question\n1,2\n", "line 1: a column is named twice"),
        ("x.txt", "?", "cannot be read as problems; give one of .jsonl"),
        ("x.jsonl.gz", b"no gzip", "cannot be read: "),
        ("x.parquet", b"no parquet", "is no Parquet file"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_line(
    tmp_path: Path, name: str, content: str | bytes, error: str
) -> None:
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    with pytest.raises(ConfigurationError, match=error) as caught:
        task(f"file:{written(tmp_path, name, content)}")
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "error"),
    [
        ("file:", "there is no file ''"),
        ("file:/nowhere.csv", "there is no file '/nowhere.csv'; write file:PATH.jsonl"),
        ("file:{}?form=prose", "form='prose' is not known; known: boxed"),
        ("file:{}?sha256=0123456789", "not sha256='0123456789'; is it the file that was meant"),
        ("file:{}?sha256=", None),
        ("file:{}?column=x", "task 'file' has no option 'column'; known: answer, choices"),
    ],
)
def test_what_cannot_be_asked_for_is_an_error(tmp_path: Path, spec: str, error: str | None) -> None:
    path = written(tmp_path, "x.jsonl", lines({"question": "?", "answer": 1}))
    if error is None:
        assert task(spec.format(path)).problems
        return
    with pytest.raises(ConfigurationError, match=error):
        task(spec.format(path))


def test_a_file_is_known_by_its_checksum_and_a_pinned_one_may_not_change(tmp_path: Path) -> None:
    path = written(tmp_path, "x.jsonl", lines({"question": "?", "answer": 1}))
    version = task(f"file:{path}").version
    pinned = f"file:{path}?sha256={version.removeprefix('sha256 ')}"
    assert task(pinned).version == version
    written(tmp_path, "x.jsonl", lines({"question": "?", "answer": 2}))
    with pytest.raises(ConfigurationError, match="is it the file that was meant"):
        task(pinned)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.text(min_size=1), st.text(min_size=1)), min_size=1, max_size=5))
def test_hostile_content_is_asked_as_it_is_or_refused(tmp_path_factory, rows: list[tuple[str, str]]) -> None:
    path = tmp_path_factory.mktemp("hostile") / "x.jsonl"
    path.write_text(
        lines(*({"question": question, "answer": answer} for question, answer in rows)), encoding="utf-8"
    )
    try:
        found = task(f"file:{path}?form=text")
    except ConfigurationError:
        assert not all(question.strip() and answer.strip() for question, answer in rows)
        return
    assert [problem.text for problem in found.problems] == [question.strip("\n") for question, _ in rows]
    assert all(run(found.grades([(each, rows[at][1].strip()) for at, each in enumerate(found.problems)])))


def test_text_that_looks_like_a_template_or_a_mark_stays_text(tmp_path: Path) -> None:
    question = "{0} {} %s ${x} <think></think> <|im_end|> __import__('os').system('touch x')"
    path = written(tmp_path, "x.jsonl", lines({"question": question, "answer": "{}"}))
    assert task(f"file:{path}").problems[0].text == question


def test_parquet_is_read(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pyarrow.table({"question": ["1 + 1?", "?"], "answer": ["2", "A"], "choices": [None, ["x", "y"]]})
    parquet.write_table(table, tmp_path / "x.parquet")
    found = task(f"file:{tmp_path / 'x.parquet'}")
    assert [problem.text for problem in found.problems] == ["1 + 1?", "?\n(A) x\n(B) y"]


@pytest.mark.parametrize(
    ("what", "error"),
    [
        ("owner/repo", "is no file of a hub; write OWNER/REPO@COMMIT/PATH"),
        ("owner/repo@main/test.jsonl", "'main' is no commit: a branch may be another tomorrow"),
        (f"owner/repo@{COMMIT[:12]}/test.jsonl", "is no commit"),
    ],
)
def test_a_file_of_the_hub_is_of_a_commit(what: str, error: str) -> None:
    with pytest.raises(ConfigurationError, match=error):
        task(f"hub:{what}")


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub's own cache, with nothing behind it."""
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path


def test_a_file_that_was_fetched_is_read_without_a_network(hub_cache: Path) -> None:
    folder = hub_cache / "datasets--owner--repo" / "snapshots" / COMMIT
    folder.mkdir(parents=True)
    written(folder, "test.jsonl", lines({"problem": "1 + 1?", "answer": "2"}))
    address = f"owner/repo@{COMMIT}/test.jsonl"
    found = task(f"hub:{address}?question=problem")
    assert (found.name, found.source) == ("repo", f"huggingface.co/datasets/{address}")
    assert found.problems[0].text == "1 + 1?"
    assert task(f"math500?hub={address}").problems[0].text == "1 + 1?"


def test_what_cannot_be_fetched_says_what_to_do(hub_cache: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"test\.jsonl cannot be fetched: .*fetch it by hand"):
        task(f"hub:owner/repo@{COMMIT}/test.jsonl")


def test_without_the_hub_s_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtra, match=r"thinkctl\[evals\]"):
        fetched(f"owner/repo@{COMMIT}/test.jsonl")
