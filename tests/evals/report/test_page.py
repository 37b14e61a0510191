"""The report: one page that loads nothing, in which whatever models wrote is text."""

from __future__ import annotations

import html.parser
import json
import re
from dataclasses import replace

import pytest

from thinkctl.errors import ConfigurationError
from thinkctl.evals.axes import Axis
from thinkctl.evals.report.explorer import explorer_of, json_for_html
from thinkctl.evals.report.source import readable
from thinkctl.evals.report.writing import write_report

HOSTILE = (
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "]]><svg onload=alert(2)>",
    "<img src=x onerror=alert(3)>",
    '" onmouseover="alert(4)',
    "a\x00b\x1b]0;title\x07",
    "\u202etfel ot thgir\u202c",
    "w" * 5000,
    "{{ 7 * 7 }}{% raw %}",
    "\u2028\u2029\ud800",
)


class Markup(html.parser.HTMLParser):
    """What a browser would make of a page: its elements, and the text of its data."""

    def __init__(self):
        super().__init__()
        self.tags, self.attributes, self.scripts, self._in = [], [], [], False

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]
        if tag == "script":
            self._in = True
            self.scripts.append("")

    def handle_endtag(self, tag):
        self._in = self._in and tag != "script"

    def handle_data(self, data):
        if self._in:
            self.scripts[-1] += data


def page_of(results, tmp_path, **options):
    text = write_report(results, tmp_path / "report.html", **options).read_text(encoding="utf-8")
    found = Markup()
    found.feed(text)
    return text, found


@pytest.fixture(scope="module")
def page(made, tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    return page_of(made.Results(tuple(made.usual(40, axes=tuple(Axis))), folder), folder)


# -- the whole page ------------------------------------------------------------------------------------------


def test_the_page_loads_nothing(page):
    text, markup = page
    addresses = re.findall(r"""(?:src|href|action|url)\s*[=(]\s*["']?([^"')\s>]+)""", text)
    assert {address for address in addresses if not address.startswith(("#", "var("))} == set()
    assert not {"link", "img", "iframe", "object", "embed", "form", "base"} & set(markup.tags)
    assert "@import" not in text
    assert "fetch(" not in text
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy is not None
    assert policy[1].startswith("default-src 'none';")
    assert "'unsafe-eval'" not in policy[1]
    assert "script-src 'sha256-" in policy[1].replace("&#39;", "'")


def test_the_policy_allows_the_page_s_own_script_and_no_other(page):
    import base64
    import hashlib

    text, markup = page
    data, script = markup.scripts
    allowed = re.findall(r"'(sha256-[^']+)'", text)
    assert allowed == [f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"]
    assert json.loads(data)["arms"][1] == "0.5B self-consistency"


def test_ids_are_there_once_and_all_that_is_pointed_at_is_there(page):
    text, _ = page
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', text)) <= set(ids)
    assert set(re.findall(r"url\(#([^)]+)\)", text)) <= set(ids)
    assert set(re.findall(r'\bfor="([^"]+)"', text)) <= set(ids)


def test_every_axis_has_its_figure_and_the_first_one_is_shown(page):
    text, _ = page
    switches = re.findall(
        r'<input type="radio" class="off" name="task0" id="task0-([a-z_]+)"( checked)?>', text
    )
    assert [name for name, _ in switches] == [axis.value for axis in Axis]
    assert [bool(checked) for _, checked in switches] == [True] + [False] * 7


def test_a_task_is_shown_first_on_the_axis_of_its_claim(made, tmp_path):
    study = made.Study(claims=(made.claim(axis="teraflops"),))
    results = made.Results(tuple(made.usual(20, axes=tuple(Axis))), tmp_path, study=study)
    text, _ = page_of(results, tmp_path)
    assert re.findall(r'id="task0-([a-z_]+)" checked', text) == ["teraflops"]


def test_it_says_the_verdict_in_words(page):
    text, _ = page
    assert "0.5B self-consistency reaches 1.5B zero-shot for fewer generated tokens on gsm8k" in text
    assert re.search(r'class="word">.*?(Reached|Not reached|Inconclusive)', text)


def test_figures_and_their_rows_are_written_beside_the_page(made, results, tmp_path):
    write_report(results, tmp_path / "out" / "report.html")
    names = {path.name for path in (tmp_path / "out" / "figures").iterdir()}
    assert {"forest.svg", "forest.csv", "hero-gsm8k-generated-tokens.svg"} <= names
    assert {name.rpartition(".")[0] for name in names if name.endswith(".svg")} == {
        name.rpartition(".")[0] for name in names if name.endswith(".csv")
    }


def test_the_same_results_give_the_same_page(results, tmp_path):
    one = write_report(results, tmp_path / "report.html").read_bytes()
    assert write_report(results, tmp_path / "report.html").read_bytes() == one


def test_a_study_without_points_is_an_error_that_says_what_to_do(made, tmp_path):
    with pytest.raises(ConfigurationError, match="no points yet; run its study first"):
        write_report(made.Results((), tmp_path), tmp_path / "report.html")


def test_a_study_without_a_claim_or_a_baseline_has_a_page(made, tmp_path):
    points = [point for point in made.usual(20) if point.arm != made.LARGE]
    text, _ = page_of(made.Results(tuple(points), tmp_path, made.Study(claims=())), tmp_path)
    assert "states no claim" in text


def test_the_study_file_and_its_identity_are_shown_and_escaped(made, results, tmp_path):
    (results.folder / "study.toml").write_text('title = "</pre><script>"\n', encoding="utf-8")
    (results.folder / "study.json").write_text('{"versions": {"thinkctl": "<b>1"}}', encoding="utf-8")
    text, markup = page_of(results, tmp_path)
    assert markup.tags.count("script") == 2
    assert "&lt;/pre&gt;&lt;script&gt;" in text
    assert "&lt;b&gt;1" in text
    assert "thinkctl eval" in text


# -- what models wrote ---------------------------------------------------------------------------------------


def test_whatever_a_model_wrote_is_text(made, tmp_path):
    text, markup = page_of(made.Results(tuple(made.usual(len(HOSTILE))), tmp_path, text=HOSTILE), tmp_path)
    assert markup.tags.count("script") == 2
    assert not {"img", "iframe"} & set(markup.tags)
    assert not any(name.startswith("on") for name in markup.attributes)
    assert not {"\x00", "\x1b", "\u202e"} & set(text)
    for said, question in zip(HOSTILE, json.loads(markup.scripts[0])["questions"], strict=True):
        assert question["arms"]["0"]["samples"][0][4].startswith(readable(said)[:1000])


def test_names_of_questions_tasks_and_arms_are_text_too(made, tmp_path):
    name = '</title><script>x</script>"><img src=x>a\x00b\u202e{{ x }}$y$'
    points = [
        replace(point, question_ids=(name, *point.question_ids[1:]), task=name, arm=f"{name} {point.arm}")
        for point in made.usual(6)
    ]
    text, markup = page_of(made.Results(tuple(points), tmp_path, made.Study(name, claims=())), tmp_path)
    assert markup.tags.count("script") == 2
    assert not {"img", "iframe"} & set(markup.tags)
    assert not {"\x00", "\x1b", "\u202e"} & set(text)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("plain", "plain"),
        ("a\nb\tc", "a\nb\tc"),
        ("a\x00b\x1b\r", "a␀b␛␍"),
        ("\u202eevil\u2066", "�evil�"),
        ("مرحبا 你好 é 👩‍👩‍👧", "مرحبا 你好 é 👩‍👩‍👧"),
    ],
)
def test_texts_are_shown_as_what_they_are(said, shown):
    assert readable(said) == shown


def test_a_long_text_keeps_its_ends_and_says_what_is_missing():
    text = readable("a" * 600 + "b" * 600, 400)
    assert text.startswith("a" * 300)
    assert text.endswith("b" * 100)
    assert "800 characters left out" in text


def test_json_in_a_page_has_no_sign_that_html_knows():
    value = {"text": "</script><!-- & \u2028", "more": [1, None, "é"]}
    told = json_for_html(value)
    assert not set("<>&\u2028") & set(told)
    assert told.isascii()
    assert json.loads(told) == value


# -- questions -----------------------------------------------------------------------------------------------


def test_the_explorer_has_samples_votes_decisions_and_why_it_stopped(made, results):
    arms, questions, data = explorer_of(results)
    assert arms == [made.LARGE, made.SMALL, "0.5B best-of-n"]
    assert len(questions) == len(data["questions"]) == 40
    run = data["questions"][0]["arms"]["1"]
    assert data["questions"][0]["prompt"] == "What is q0?"
    assert run["stop"] == "policy"
    assert run["why"] == "three of four agree"
    assert run["confidence"] == 0.75
    assert [number for _, number in run["votes"]] == [3, 1]
    assert run["notes"] == [[1.0, 3, "stop", 0.75, "three of four agree"]]
    assert [len(sample) for sample in run["samples"]] == [5] * 4


def test_with_little_room_the_answering_sample_is_shown_first(made, tmp_path):
    results = made.Results(tuple(made.usual(20)), tmp_path, samples=8, text="x" * 700)
    _, _, data = explorer_of(results, most=20 * 3 * 1600)
    samples = data["questions"][0]["arms"]["1"]["samples"]
    assert len(samples[0]) == 5
    assert len(samples) == 8
    assert len(samples[-1]) == 4


@pytest.mark.parametrize(("questions", "samples", "text"), [(30, 4, "short"), (60, 64, "y" * 4000)])
def test_the_explorer_keeps_to_its_bytes(made, tmp_path, questions, samples, text):
    results = made.Results(tuple(made.usual(questions)[:2]), tmp_path, samples=samples, text=text)
    _, _, data = explorer_of(results, most=400_000)
    assert len(json_for_html(data)) < 440_000
