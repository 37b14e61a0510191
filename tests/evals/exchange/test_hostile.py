"""Whatever stands in a log, reading it gives runs or says what is wrong with it."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from thinkctl.errors import ConfigurationError, RunFileError
from thinkctl.evals.exchange import read_inspect, read_lm_eval
from thinkctl.runfile import read

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)


def places(value, path=()):
    """All paths into a JSON value."""
    found = [path]
    for step, item in (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    ):
        found += places(item, (*path, step))
    return found


def changed(value, path, item):
    if not path:
        return item
    value = copy.copy(value)
    value[path[0]] = changed(value[path[0]], path[1:], item)
    return value


def reads(reader, path, out):
    """Whether the log can be read; if it can, it can be saved, and what was saved can be read."""
    try:
        found = reader(path)
    except (RunFileError, ConfigurationError):
        return False
    for each in out.parent.glob("out*"):
        each.unlink()
    found.save(out)
    assert list(read(out)) == list(found.runs)
    return True


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.data())
def test_a_log_of_inspect_with_anything_anywhere(inspect_log, epoch, tmp_path, data):
    path = inspect_log(epoch("a", 1, "It is 4"), epoch("a", 2, "It is 5", choices=["x"]), name="log.json")
    log = json.loads(path.read_text(encoding="utf-8"))
    place = data.draw(st.sampled_from(places(log)))
    path.write_text(json.dumps(changed(log, place, data.draw(VALUES))), encoding="utf-8")
    reads(read_inspect, path, tmp_path / "out.jsonl")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.data())
def test_a_log_of_lm_eval_with_anything_anywhere(lm_eval_log, line, tmp_path, data):
    log = [line(0, "It is 4", "It is 5"), line(1, "It is 5")]
    place = data.draw(st.sampled_from(places(log)[1:]))
    path = lm_eval_log(*changed(log, place, data.draw(VALUES)))
    reads(read_lm_eval, path, tmp_path / "out.jsonl")


@pytest.mark.parametrize("name", ["log.json", "log.eval"])
def test_a_log_that_is_whole_is_read(inspect_log, epoch, lm_eval_log, line, tmp_path, name):
    assert reads(read_inspect, inspect_log(epoch("a", 1, "It is 4"), name=name), tmp_path / "out.jsonl")
    assert reads(read_lm_eval, lm_eval_log(line(0, "It is 4")), tmp_path / "out.jsonl")
