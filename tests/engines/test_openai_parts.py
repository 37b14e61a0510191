"""What the engine for servers is made of, without a server."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkctl.engines import engine_from
from thinkctl.engines.openai import OpenAIEngine
from thinkctl.engines.openai._metrics import counters_from
from thinkctl.engines.openai._overlap import Overlap
from thinkctl.engines.openai._pieces import PieceTokenizer
from thinkctl.engines.openai._reading import ChatReader, TokenReader
from thinkctl.engines.openai._routes import Completions, Generate, Settings
from thinkctl.errors import ConfigurationError, RequestFailed
from thinkctl.types import Constraint, EngineCounters, Finish, GenerationSpec, Message


@pytest.mark.parametrize(
    ("before", "said", "new"),
    [
        ("The final answer is \\boxed{", "407}", "407}"),
        ("The final answer is \\boxed{", "\\boxed{407}", "407}"),
        ("The final answer is \\boxed{", "The final answer is \\boxed{407}", "407}"),
        ("The final answer is \\boxed{", " answer is \\boxed{407}", "407}"),
        ("so we get", " 12 apples", " 12 apples"),
        ("", "anything", "anything"),
        ("ends with a", "apple", "apple"),
    ],
)
def test_what_is_said_again_is_left_out(before, said, new) -> None:
    for size in (1, 3, len(said)):
        overlap = Overlap(before)
        parts = [overlap.take(said[place : place + size]) for place in range(0, len(said), size)]
        assert "".join(parts) + overlap.rest() == new


def test_a_continuation_that_is_all_repetition_is_given_back_at_the_end() -> None:
    overlap = Overlap("The final answer is")
    assert overlap.take("The final") == ""
    assert overlap.rest() == "The final"


@given(st.text())
def test_pieces_are_the_text(text) -> None:
    tokenizer = PieceTokenizer()
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.decode(tokenizer.pieces(text, 7)) == text


@given(st.lists(st.text(), min_size=1, max_size=3))
def test_a_conversation_is_found_again_and_never_counted_too_short(texts) -> None:
    tokenizer = PieceTokenizer()
    messages = [Message(role="user", content=text) for text in texts]
    ids = tokenizer.chat(messages)
    assert tokenizer.chat(messages) == ids
    assert len(ids) >= sum(len(text.encode(errors="surrogatepass")) for text in texts)
    found, said = tokenizer.conversation([*ids, *tokenizer.encode("and so")])
    assert (list(found), said) == (messages, "and so")


def test_ids_of_somebody_else_are_refused() -> None:
    tokenizer = PieceTokenizer()
    with pytest.raises(ConfigurationError, match="does not begin with one"):
        tokenizer.conversation([5, 6])
    with pytest.raises(ConfigurationError, match="none of this engine's"):
        tokenizer.decode([10**6])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["choices", "usage", "delta", "content", "token_ids", "logprobs", "top_logprobs", "finish_reason",
         "completion_tokens", "reasoning_content", "error", "index", "token_logprobs"]), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(st.lists(JSON, max_size=4))
def test_whatever_a_server_sends_is_read_or_refused_and_nothing_else(chunks) -> None:
    spec = GenerationSpec(8, logprobs=2)
    for reader in (TokenReader(spec), ChatReader(spec, PieceTokenizer(), None, "before")):
        total = 0
        try:
            for chunk in chunks:
                piece = reader.read(chunk)
                total += 0 if piece is None else len(piece.token_ids)
        except RequestFailed:
            pass
        assert total == reader.arrived or reader.arrived < total + 9


def chunk(ids, counted, finish=None):
    return {
        "choices": [{"index": 0, "token_ids": ids, "finish_reason": finish}],
        "usage": {"completion_tokens": counted},
    }


def test_a_chunk_that_comes_twice_is_noticed_by_the_server_s_own_count() -> None:
    reader = TokenReader(GenerationSpec(8))
    assert reader.read(chunk([5], 1)).token_ids == (5,)  # type: ignore[union-attr]
    assert reader.read(chunk([6], 2, "stop")).finish is Finish.STOP  # type: ignore[union-attr]
    with pytest.raises(RequestFailed, match="came twice"):
        reader.read(chunk([6], 2))


def test_text_without_ids_on_a_token_route_is_refused() -> None:
    reader = TokenReader(GenerationSpec(8))
    with pytest.raises(RequestFailed, match="without token ids"):
        reader.read({"choices": [{"index": 0, "text": "hello"}]})


def test_a_server_s_counters_are_read_for_one_model() -> None:
    page = """
# TYPE vllm:generation_tokens counter
vllm:generation_tokens_total{engine="0",model_name="small"} 12.0
vllm:generation_tokens_total{engine="0",model_name="other"} 99.0
# TYPE vllm:prompt_tokens_by_source counter
vllm:prompt_tokens_by_source_total{model_name="small",source="local_compute"} 30.0
vllm:prompt_tokens_by_source_total{model_name="small",source="local_cache_hit"} 32.0
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{model_name="small"} 2.0
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{model_name="small"} 1.0
"""
    assert counters_from(page, "small") == EngineCounters(30, 32, 12, 3)
    assert counters_from("", "small") == EngineCounters()


@pytest.mark.parametrize(
    ("spec", "model", "url"),
    [
        ("openai:http://127.0.0.1:8000/v1", None, "http://127.0.0.1:8000/v1"),
        ("openai:small@http://127.0.0.1:8000/v1", "small", "http://127.0.0.1:8000/v1"),
        ("openai:gpt-4o-mini", "gpt-4o-mini", "https://api.openai.com/v1"),
    ],
)
def test_a_spec_names_model_and_address(spec, model, url, monkeypatch) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    engine = engine_from(spec)
    assert isinstance(engine, OpenAIEngine)
    assert (engine._model, engine._url) == (model, url)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"base_url": "nowhere"}, "is no address"),
        ({"base_url": "ftp://x/v1"}, "is no address"),
        ({"route": "telepathy"}, "use one of auto, generate, completions, chat"),
        ({"attempts": 0}, "at least once"),
    ],
)
def test_bad_settings_are_refused_at_once(options, says) -> None:
    with pytest.raises(ConfigurationError, match=says):
        OpenAIEngine(**options)


SCHEMA = '{"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}'
STRICT = SCHEMA[:-1] + ', "additionalProperties": false}'


@pytest.mark.parametrize(
    ("holds", "schema", "asked"),
    [
        ("regex", SCHEMA, {"structured_outputs": {"regex": "x"}}),
        ("regex", "", {"structured_outputs": {"regex": "x"}}),
        ("json-schema", "", {}),
        ("json-schema", '{"type": "array"}', {}),
        (None, SCHEMA, {}),
    ],
)
def test_an_answer_is_held_to_its_type_as_far_as_a_server_can(holds, schema, asked) -> None:
    spec = GenerationSpec(9, constraint=Constraint("x", schema))
    for route in (Completions, Generate):
        body, _ = route(Settings("m", usage_in_chunks=False, holds=holds)).ask([1], spec, "key")
        told = body.get("sampling_params", body)
        assert {
            name: told[name] for name in ("structured_outputs", "response_format") if name in told
        } == asked


@pytest.mark.parametrize(("schema", "strict"), [(SCHEMA, False), (STRICT, True)])
def test_a_server_is_strict_only_about_objects_that_name_all_they_have(schema: str, strict: bool) -> None:
    spec = GenerationSpec(9, constraint=Constraint("x", schema))
    body, _ = Completions(Settings("m", usage_in_chunks=False, holds="json-schema")).ask([1], spec, "key")
    told = body["response_format"]["json_schema"]
    assert (told["name"], told["schema"]["type"], "strict" in told) == ("answer", "object", strict)


def test_what_a_server_can_hold_to_is_said_or_guessed() -> None:
    engines = [
        OpenAIEngine("m", base_url="https://api.openai.com/v1"),
        OpenAIEngine("m", base_url="http://localhost/v1"),
    ]
    assert [engine.caps.constraints for engine in engines] == [True, False]
    assert OpenAIEngine("m", base_url="http://localhost/v1", holds="regex").caps.constraints
    assert not OpenAIEngine("m", base_url="https://api.openai.com/v1", holds="nothing").caps.constraints
    with pytest.raises(ConfigurationError, match="use regex, json-schema or nothing"):
        OpenAIEngine("m", base_url="http://localhost/v1", holds="grammar")  # type: ignore[arg-type]
