"""Logs of Inspect: read as runs, written from runs, and what of them is refused."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from dataclasses import replace

import pytest

from thinkctl.errors import ConfigurationError, RunFileError
from thinkctl.evals.exchange import Limits, read_inspect, write_inspect
from thinkctl.evals.loading import open_table
from thinkctl.runfile import read
from thinkctl.types import Finish, Problem, Role, Verdict


def answered(one):
    return None if one.answer is None else one.answer.text


@pytest.mark.parametrize("name", ["log.eval", "log.json"])
def test_epochs_are_the_samples_of_one_run(inspect_log, epoch, name):
    epochs = [epoch("2+2", 3, "Hm, 5"), epoch("2+2", 1, "It is 4"), epoch("2+2", 2, "So 4"), epoch(7, 1, "4")]
    found = read_inspect(inspect_log(*epochs, name=name))
    first, second = found.runs
    assert [run.history.problem.id for run in found.runs] == ["2+2", "7"]
    assert [answered(sample) for sample in first.samples] == ["4", "4", "5"]
    assert (answered(first), first.confidence) == ("4", 2 / 3)
    assert (found.form, found.gold) == ("number", {"2+2": "4", "7": "4"})
    assert found.grades == {"2+2": (True, True, False), "7": (True,)}
    assert first.receipt.generated_tokens == 21
    assert first.samples[0].request.messages[0].content == "Be brief."
    assert first.samples[0].request.sampling.temperature == 0.5
    assert second.history.problem.text == "What is 7?"
    assert found.source.cautions == ()


@pytest.mark.parametrize(
    ("fields", "finish"),
    [
        ({"limit": {"type": "token", "limit": 10}}, Finish.LENGTH),
        ({"error": {"message": "boom"}}, Finish.ERROR),
        ({}, Finish.STOP),
    ],
)
def test_how_an_epoch_ended_is_kept(inspect_log, epoch, fields, finish):
    (run,) = read_inspect(inspect_log(epoch("a", 1, "It is 4", **fields))).runs
    assert run.samples[0].finish is finish
    assert (run.answer is None) == (finish is Finish.ERROR)


def test_tokens_are_those_of_the_model_and_graders_are_verifiers(inspect_log, epoch):
    usage = {
        "m": {"input_tokens": 5, "input_tokens_cache_read": 15, "output_tokens": 9, "reasoning_tokens": 6},
        "judge": {"input_tokens": 40, "output_tokens": 2},
    }
    (run,) = read_inspect(inspect_log(epoch("a", 1, "It is 4", model_usage=usage))).runs
    used = run.samples[0].usage
    assert (used.prompt_tokens, used.cached_tokens, used.thinking_tokens, used.answer_tokens) == (
        20,
        15,
        6,
        3,
    )
    assert [(line.role, line.model) for line in run.receipt.lines] == [
        (Role.SAMPLE, "m"),
        (Role.VERIFIER, "judge"),
    ]
    assert (run.receipt.verifier_tokens, used.estimated, run.receipt.dollars) == (2, False, None)


def test_tokens_that_are_not_told_are_estimated_and_it_says_so(inspect_log, epoch):
    found = read_inspect(inspect_log(epoch("a", 1, "It is 4.", model_usage={})))
    usage = found.runs[0].samples[0].usage
    assert (usage.thinking_tokens, usage.estimated, usage.cached_tokens) == (2, True, None)
    assert any("tell no tokens" in caution for caution in found.source.cautions)


def test_texts_kept_apart_and_reasoning_are_put_back(inspect_log, epoch):
    key = "0123456789abcdef0123456789abcdef"
    sample = epoch("a", 1, "x", attachments={key: "a long question"}, input=f"See attachment://{key}.")
    sample["output"]["choices"][0]["message"]["content"] = [
        {"type": "reasoning", "reasoning": "hm"},
        {"type": "text", "text": "It is 4"},
    ]
    (run,) = read_inspect(inspect_log(sample)).runs
    assert run.history.problem.text == "See a long question."
    assert run.samples[0].text == "<think>hm</think>\nIt is 4"
    assert run.samples[0].thought == "<think>hm</think>\n"


def test_what_a_log_leaves_open_is_said(inspect_log, epoch):
    bare = epoch("a", 1, "It is 4", scores={}, target=["4", "four"])
    header = {"version": 9, "status": "cancelled", "eval": {"task": "t", "model": "m"}}
    said = " | ".join(read_inspect(inspect_log(bare, **header)).source.cautions)
    for words in (
        "version 9 is not known",
        "ended as 'cancelled'",
        "have no score",
        "several references",
        "how tokens were drawn",
    ):
        assert words in said


def test_a_choice_is_compared_as_one(inspect_log, epoch):
    sample = epoch(
        "a", 1, "ANSWER: B", choices=["x", "y"], target="B", scores={"choice": {"value": 1, "answer": "B"}}
    )
    found = read_inspect(inspect_log(sample))
    assert (found.form, answered(found.runs[0]), found.grades) == ("choice", "B", {"a": (True,)})


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"id": None}, "id: expected"),
        ({"epoch": "one"}, "epoch: expected"),
        ({"input": ""}, "there is no text in it"),
        ({"input": [{"role": "user", "content": []}]}, "there is no text in it"),
    ],
)
def test_a_sample_without_what_it_takes_is_named(inspect_log, epoch, fields, said):
    with pytest.raises(RunFileError, match=said):
        read_inspect(inspect_log({**epoch("a", 1, "4"), **fields}, name="log.json"))


@pytest.mark.parametrize("value", [[], 3, {"eval": {}, "samples": []}, {"samples": "x"}, {"samples": [1]}])
def test_other_json_is_no_log(tmp_path, value):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(value), encoding="utf-8")
    with pytest.raises(RunFileError):
        read_inspect(path)


# -- archives that are not to be trusted ---------------------------------------------------------------------


def archive(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return path


@pytest.mark.parametrize(
    "name", ["../evil.json", "/etc/evil.json", "samples/../../evil.json", "a\\..\\b", "C:/x"]
)
def test_a_member_that_points_outside_is_refused(tmp_path, name):
    path = archive(tmp_path / "a.eval", {"header.json": "{}", name: "{}"})
    with pytest.raises(RunFileError, match="points outside"):
        read_inspect(path)


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (Limits(member_bytes=1_000), "unpacks to"),
        (Limits(total_bytes=1_000), "it unpacks to"),
        (Limits(members=1), "more than 1"),
    ],
)
def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path, limits, said):
    path = archive(tmp_path / "a.eval", {"header.json": "{}", "samples/a.json": b"[" + b" " * 100_000 + b"]"})
    assert path.stat().st_size < 1_000
    with pytest.raises(RunFileError, match=said):
        read_inspect(path, limits=limits)


def test_a_member_that_lies_about_its_size_is_refused(tmp_path):
    path = archive(tmp_path / "a.eval", {"header.json": b"{" + b" " * 100_000 + b"}"})
    data = path.read_bytes()
    real, told = (100_002).to_bytes(4, "little"), (10).to_bytes(4, "little")
    assert data.count(real) == 2
    path.write_bytes(data.replace(real, told))
    with pytest.raises(RunFileError, match=r"cannot be unpacked|not JSON"):
        read_inspect(path)


def test_json_that_is_huge_or_deep_is_refused(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("[" * 100_000, encoding="utf-8")
    with pytest.raises(RunFileError, match="nested too deeply"):
        read_inspect(path)
    with pytest.raises(RunFileError, match="more than 1,000 bytes"):
        read_inspect(path, limits=Limits(file_bytes=1_000))


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 and no more", b"\0" * 100])
def test_what_is_no_archive_is_an_error(tmp_path, data):
    path = tmp_path / "a.eval"
    path.write_bytes(data)
    with pytest.raises(RunFileError, match="not a whole zip archive"):
        read_inspect(path)


def test_members_packed_by_zstandard_are_read(tmp_path, inspect_log, epoch):
    zstandard = pytest.importorskip("zstandard")
    plain = inspect_log(epoch("a", 1, "It is 4"), epoch("a", 2, "It is 5"))
    packed = tmp_path / "packed.eval"
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(packed, "w") as target:
        for info in source.infolist():
            target.writestr(info.filename, zstandard.ZstdCompressor().compress(source.read(info)))
    data = bytearray(packed.read_bytes())
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(packed) as target:
        for (
            info
        ) in target.infolist():  # say what was really done: the method, and the size and sum of the content
            whole = source.getinfo(info.filename)
            place = data.rindex(b"PK\x01\x02", 0, data.rindex(info.filename.encode()))
            data[place + 10 : place + 12] = (93).to_bytes(2, "little")
            data[place + 16 : place + 20] = whole.CRC.to_bytes(4, "little")
            data[place + 24 : place + 28] = whole.file_size.to_bytes(4, "little")
    packed.write_bytes(data)
    assert read_inspect(packed).runs == read_inspect(plain).runs
    other = bytearray(data)
    other[other.rindex(b"PK\x01\x02") + 16] ^= 0xFF  # another checksum than that of the content
    packed.write_bytes(other)
    with pytest.raises(RunFileError, match="its checksum is wrong"):
        read_inspect(packed)
    with zipfile.ZipFile(packed) as target:
        info = target.infolist()[-1]
    body = info.header_offset + 30 + len(info.filename.encode())
    data[body + 20] ^= 0xFF
    packed.write_bytes(data)
    with pytest.raises(RunFileError, match="cannot be unpacked"):
        read_inspect(packed)


# -- there and back ------------------------------------------------------------------------------------------


def judged(run, *passed):
    samples = tuple(
        replace(sample, verdict=Verdict(float(each), passed=each, feedback="said"))
        for sample, each in zip(run.samples, passed, strict=True)
    )
    return replace(run, history=replace(run.history, samples=samples))


def test_runs_that_were_exported_come_back(recorded, run_of, tmp_path):
    first, second = judged(run_of("one?", "it is 4", "it is 5"), True, False), run_of("two?", "it is 7")
    path, gold = recorded(first, second), {first.history.problem.id: "4"}
    out = tmp_path / "a.eval"
    assert write_inspect(out, [path], gold) == 3
    found = read_inspect(out)
    assert (found.form, found.gold) == ("number", gold)
    assert found.grades == {first.history.problem.id: (True, False)}
    for before, after in zip((first, second), found.runs, strict=True):
        assert after.history.problem == before.history.problem
        assert after.receipt.generated_tokens == before.receipt.generated_tokens
        for old, new in zip(before.samples, after.samples, strict=True):
            assert (new.text, new.answer, new.finish) == (old.text, old.answer, old.finish)
            assert new.request.messages == old.request.messages
            assert new.verdict == old.verdict


def test_what_passed_a_public_check_is_not_thereby_right(recorded, run_of, tmp_path):
    write_inspect(tmp_path / "a.eval", [recorded(judged(run_of("one?", "it is 4"), True))], {})
    assert read_inspect(tmp_path / "a.eval").grades == {}


@pytest.mark.parametrize(
    "name", ["HumanEval/0", "../up", "/top", "a\\..\\b", "C:/x", "two words", "\x00\n", "..", "%2e"]
)
def test_any_id_comes_back(recorded, run_of, tmp_path, name):
    run = run_of(Problem(messages=Problem.of("one?").messages, form="number", id=name), "it is 4")
    write_inspect(tmp_path / "a.eval", [recorded(run)], {})
    (found,) = read_inspect(tmp_path / "a.eval").runs
    assert found.history.problem == run.history.problem


def test_the_same_runs_make_the_same_log(recorded, run_of, tmp_path):
    path = recorded(run_of("one?", "it is 4"), run_of("one?", "it is 5"))
    first, second = tmp_path / "a.eval", tmp_path / "b.eval"
    assert write_inspect(first, [path], {}) == write_inspect(second, [path], {}) == 2
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as log:
        assert sum(name.startswith("samples/") for name in log.namelist()) == 2


def test_models_are_not_mixed_in_one_log(recorded, run_of, tmp_path):
    run = run_of("one?", "it is 4")
    files = [recorded(run, name="a.jsonl"), recorded(run, name="b.jsonl", model="other")]
    with pytest.raises(ValueError, match="export each model's apart"):
        write_inspect(tmp_path / "a.eval", files, {})


def test_inspect_itself_opens_what_is_written(recorded, run_of, tmp_path):
    log = pytest.importorskip("inspect_ai.log")
    hostile = run_of("<b>two</b>?", "\x1b[2Jit is 7", "{{7*7}} ../ 7")
    slashed = run_of(Problem.of("a/b?").model_copy(update={"id": "HumanEval/0"}), "it is 4")
    path, out = recorded(judged(slashed, True), hostile), tmp_path / "a.eval"
    write_inspect(out, [path], {hostile.history.problem.id: "7"})
    found = log.read_eval_log(str(out))
    assert (found.status, found.eval.model, len(found.samples)) == ("success", "scripted", 3)
    by_id = {sample.id: sample for sample in found.samples}
    assert by_id["HumanEval/0"].scores["verifier"].value == "C"
    assert {sample.output.completion for sample in found.samples} >= {hostile.samples[0].text}
    assert {score.name: score.metrics["accuracy"].value for score in found.results.scores} == {
        "grader": 1.0,
        "verifier": 1.0,
    }
    assert len(log.read_eval_log_sample_summaries(str(out))) == 3
    assert log.read_eval_log_sample(str(out), id="HumanEval/0").id == "HumanEval/0"


WRITES_LOGS = """
import sys
from inspect_ai import Task, eval
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ModelOutput, ModelUsage, get_model
from inspect_ai.scorer import match

def output(text, tokens, stop="stop"):
    made = ModelOutput.from_content("mockllm/model", text, stop_reason=stop)
    made.usage = ModelUsage(input_tokens=30, output_tokens=tokens, total_tokens=30 + tokens)
    return made

outputs = [output("It is 4", 7), output("Hm", 99, "max_tokens"), output("I think 5", 4)]
question = Sample(id="q", input="What is 2+2?" + " Well?" * 50, target="4")
task = Task(dataset=MemoryDataset([question]), scorer=match(), epochs=3)
for kind in ("eval", "json"):
    model = get_model("mockllm/model", custom_outputs=list(outputs))
    eval(task, model=model, log_dir=sys.argv[1], log_format=kind, display="none", temperature=0.3)
"""


def test_what_inspect_itself_writes_is_read(tmp_path):
    pytest.importorskip("inspect_ai")
    subprocess.run([sys.executable, "-c", WRITES_LOGS, tmp_path], check=True, cwd=tmp_path)
    logs = [path for path in tmp_path.iterdir() if path.suffix in {".eval", ".json"}]
    assert len(logs) == 2
    for path in logs:
        found = read_inspect(path)
        (run,) = found.runs
        assert run.history.problem.text.startswith("What is 2+2? Well?")
        assert sorted(sample.usage.generated_tokens for sample in run.samples) == [4, 7, 99]
        assert {sample.finish for sample in run.samples} == {Finish.STOP, Finish.LENGTH}
        assert (found.gold, sorted(map(str, found.grades["q"]))) == ({"q": "4"}, ["False", "False", "True"])
        assert run.samples[0].request.sampling.temperature == 0.3
        assert found.source.cautions == ()


def test_a_saved_log_can_be_replayed(inspect_log, epoch, tmp_path):
    found = read_inspect(
        inspect_log(epoch("a", 1, "It is 4"), epoch("a", 2, "It is 5"), epoch("b", 1, "It is 4"))
    )
    written = found.save(tmp_path / "runs.jsonl")
    assert [path.name for path in written] == ["runs.jsonl", "runs.gold.jsonl", "runs.grades.jsonl"]
    assert list(read(written[0])) == list(found.runs)
    table = open_table(written[0], gold={"a": "4", "b": "4"})
    assert (table.graded, table.sizes.tolist()) == (True, [2, 1])


def test_an_import_replaces_an_import_and_nothing_else(inspect_log, epoch, recorded, run_of, tmp_path):
    graded = read_inspect(inspect_log(epoch("a", 1, "It is 4")))
    bare = read_inspect(inspect_log(epoch("a", 1, "It is 4", target="", scores={}), name="bare.eval"))
    assert len(graded.save(tmp_path / "runs.jsonl")) == 3
    assert bare.save(tmp_path / "runs.jsonl") == (tmp_path / "runs.jsonl",)
    assert not (tmp_path / "runs.gold.jsonl").exists()
    (tmp_path / "mine.gold.jsonl").write_text("mine", encoding="utf-8")
    for path in (
        recorded(run_of("one?", "it is 4"), name="own.jsonl"),
        tmp_path / "mine.jsonl",
        inspect_log(),
    ):
        before = {each.name: each.read_bytes() for each in tmp_path.iterdir() if each.is_file()}
        with pytest.raises(ConfigurationError, match="write to another file"):
            graded.save(path)
        assert before == {each.name: each.read_bytes() for each in tmp_path.iterdir() if each.is_file()}
