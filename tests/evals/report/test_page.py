"""The report: one page that loads nothing, in which whatever models wrote is text."""

from __future__ import annotations

import html.parser
import json
import re
from dataclasses import replace

import pytest

from tests.evals.statistics.known import known
from thinkctl.errors import ConfigurationError
from thinkctl.evals.axes import Axis
from thinkctl.evals.points import Health
from thinkctl.evals.report.claims import Judged, claim_in_words, claimed_arms, compared_with, judge
from thinkctl.evals.report.explorer import explorer_of, json_for_html
from thinkctl.evals.report.health import cut_off, health_rows, warnings_of
from thinkctl.evals.report.page import _verdict
from thinkctl.evals.report.paired import against_baselines
from thinkctl.evals.report.source import readable, within
from thinkctl.evals.report.writing import write_report
from thinkctl.evals.statistics.paired import holm
from thinkctl.evals.statistics.verdicts import Judgement, Verdict, corrected
from thinkctl.evals.studies.sessions import Lost

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


# -- verdict and health --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("skills", "kind", "verdict"),
    [
        ((0.3, 0.9, 0.95), "iso-accuracy", "reached"),
        ((0.1, 0.12, 0.15), "iso-accuracy", "not reached"),
        ((0.3, 0.9, 0.95), "iso-compute", "reached"),
        ((0.1, 0.12, 0.15), "iso-compute", "not reached"),
        ((0.3, 0.6, 0.62), "non-inferior", "inconclusive"),
    ],
)
def test_a_claim_is_judged(made, skills, kind, verdict):
    points = [
        made.point(made.LARGE, 1, 0.62, 298, model="large"),
        *made.curve(made.SMALL, skills, first=40),
    ]
    (judged,) = judge(points, [made.claim(kind=kind)])
    assert judged.verdict == verdict
    assert judged.words.lower().startswith(verdict)


def test_a_claim_on_an_axis_that_nobody_measured_is_inconclusive_and_says_so(made):
    (judged,) = judge(made.usual(), [made.claim(axis=Axis.JOULES)])
    assert judged.verdict == "inconclusive"
    assert "joules" in judged.words
    assert "not measured" in judged.words


def test_a_claim_about_arms_that_are_not_there_is_an_error(made):
    with pytest.raises(ConfigurationError, match="no task in common"):
        judge(made.usual(), [made.claim(small="other")])


@pytest.mark.parametrize(
    ("claim", "words"),
    [
        ({}, "0.5B self-consistency reaches 1.5B zero-shot for fewer generated tokens on gsm8k"),
        (
            {"kind": "iso-compute", "axis": Axis.TERAFLOPS},
            "0.5B self-consistency is right more often than 1.5B zero-shot for as much TFLOP on gsm8k",
        ),
        (
            {"kind": "non-inferior", "margin": 2.0},
            "0.5B self-consistency is at most 2 percentage points less accurate than 1.5B zero-shot on gsm8k",
        ),
    ],
)
def test_a_claim_has_a_name_in_words(made, claim, words):
    assert claim_in_words(made.claim(task="gsm8k", **claim)) == words
    assert claim_in_words(made.claim(**claim), "gsm8k") == words


def four_tasks(made, last=(0.3, 0.55, 0.72)):
    """Make points of three tasks on which the small arm never comes near, and of one on which it is better."""
    skills = {"a": (0.1, 0.12, 0.15), "b": (0.1, 0.12, 0.15), "c": (0.1, 0.12, 0.15), "d": last}
    return [
        point
        for seed, (task, own) in enumerate(skills.items())
        for point in (
            made.point(made.LARGE, 1, 0.62, 298, model="large", task=task, seed=seed),
            *made.curve(made.SMALL, own, first=40, task=task, seed=seed),
        )
    ]


def test_claims_are_judged_by_themselves_and_together_by_holm(made):
    claims = [made.claim(task=task) for task in "abcd"]
    found = judge(four_tasks(made), claims)
    assert [each.task for each in found] == list("abcd")
    assert [each.verdict for each in found[:3]] == ["not reached"] * 3
    alone = [known(each.judgement.p_value) for each in found]
    assert [known(each.corrected).p_value for each in found] == list(holm(alone))
    assert {known(each.corrected).tests for each in found} == {4}
    (single,) = judge(four_tasks(made), claims[:1])
    assert single.corrected is None
    assert (single.words, single.stands) == (found[0].words, single.verdict)


def test_a_claim_on_every_task_is_as_many_tests_as_tasks(made):
    found = judge(four_tasks(made), [made.claim()])
    assert [known(each.corrected).tests for each in found] == [4] * 4


def test_a_page_says_of_several_claims_what_each_comes_to_by_itself_and_with_the_others(made, tmp_path):
    claims = tuple(made.claim(task=task) for task in "abcd")
    results = made.Results(tuple(four_tasks(made)), tmp_path, made.Study(claims=claims))
    text, _ = page_of(results, tmp_path)
    assert "4 claims are judged" in text
    assert text.count('<div class="verdict ') == 4
    assert text.count("Together with the others, 4 in all (Holm): ") == 4
    assert "not reached too (p = " in text
    for claim in claims:
        assert claim_in_words(claim) in text


def test_a_verdict_that_holm_takes_back_is_shown_as_inconclusive():
    alone = Judgement("iso-accuracy", Verdict.REACHED, "Reached: so.", 100, p_value=0.02)
    taken = Judged("gsm8k", "a reaches b", alone, corrected([alone] * 4)[0])
    shown = _verdict(taken)
    assert shown["kind"] == "inconclusive"
    assert shown["word"].startswith("Reached by itself, inconclusive together with the others: needs about ")
    assert taken.plain()["verdict"] == "reached"
    assert taken.plain()["holm"]["verdict"] == "inconclusive"


def test_arms_are_compared_with_that_of_the_first_claim_about_their_task(made):
    points = four_tasks(made)
    claims = [made.claim(large=made.SMALL, small=made.LARGE, task="b"), made.claim(task="d"), made.claim()]
    assert compared_with(points, claims) == {
        "a": made.LARGE,
        "b": made.SMALL,
        "c": made.LARGE,
        "d": made.LARGE,
    }
    assert claimed_arms(points, claims) == {
        "a": made.SMALL,
        "b": made.LARGE,
        "c": made.SMALL,
        "d": made.SMALL,
    }
    assert compared_with(points, claims[1:2]) == dict.fromkeys("abcd", made.LARGE)
    assert claimed_arms(points, claims[1:2]) == {"d": made.SMALL}


def test_without_claims_arms_are_compared_with_the_only_one_of_one_budget(made):
    points = made.usual()
    assert compared_with(points, []) == {"gsm8k": made.LARGE}
    assert compared_with(points[1:], []) == {}
    assert compared_with(points, [made.claim(large="gone")]) == {}


def test_each_arm_is_tested_against_the_baseline_and_holm_allows_for_all(made, tmp_path):
    points = made.usual(40)
    rows = against_baselines(points, {"gsm8k": made.LARGE})
    assert [row.second for row in rows] == [f"{made.SMALL} (16 samples)", "0.5B best-of-n (8 samples)"]
    assert [row.adjusted for row in rows] == list(holm([known(row.p_value) for row in rows]))
    assert against_baselines(points, {}) == ()
    text, _ = page_of(made.Results(tuple(points), tmp_path), tmp_path)
    table = text.partition('aria-label="Table of arms against the star"')[2].partition("</table>")[0]
    assert table.count("<tr>") == 3
    assert "p after Holm" in table


def test_what_went_wrong_is_warned_of(made):
    sick = Health(samples=100, truncated=20, unparsed=1, errors=6, estimated=True, overshoot_tokens=3)
    points = [made.point("a", 4, 0.5, 100, health=sick, questions=10, replayed=True)]
    told = {"gsm8k": {"card": {"contamination": "in every training set"}}}
    about = " | ".join(each.about for each in warnings_of(points, object(), told))
    for words in (
        "20 % truncated",
        "6 % errors",
        "estimated",
        "3 tokens of overshoot",
        "replayed: a",
        "10 questions",
    ):
        assert words in about
    assert "gsm8k: whether models have seen it" in about
    assert "tuned on test?" in about
    assert "unparsed" not in about
    (row,) = health_rows(points)
    assert (row.truncated, row.unparsed, row.errors) == (0.2, 0.01, 0.06)


def test_runs_that_were_cut_off_are_told():
    class Interrupted:
        lost = Lost(runs=2, tokens=340, killed=1)

    class Undisturbed:
        lost = Lost(runs=0, tokens=0, killed=0)

    (warned,) = cut_off(Interrupted())
    assert "2 runs were cut off" in warned.why
    assert "at least 340 tokens" in warned.why
    assert cut_off(Undisturbed()) == cut_off(object()) == []


def test_a_study_with_questions_to_tune_on_is_not_suspected(made):
    class Tuned:
        tune = 20

    healthy = [made.point("a", 4, 0.5, 100, health=Health(samples=100))]
    assert warnings_of(healthy, Tuned(), {}) == []


def test_shares_that_are_off_by_rounding_are_put_right(made):
    (point,) = within([replace(made.usual()[0], right=made.usual()[0].right * (1 + 3e-16))])
    assert point.right.max() == 1


def test_a_mark_stands_below_the_number_of_its_arm_also_where_an_arm_is_not_on_a_task(made, tmp_path):
    points = [
        *made.usual(6),
        made.point(made.LARGE, 1, 0.5, 300, task="other", questions=6),
        made.point("0.5B best-of-n", 1, 0.5, 300, task="other", questions=6),
    ]
    text, _ = page_of(made.Results(tuple(points), tmp_path), tmp_path)
    heads = text.partition('<p class="heads"')[2].partition("</p>")[0]
    assert re.findall(r'class="m">(\d+)<', heads) == ["1", "2", "3"]
    lines = re.findall(r'<summary><span class="id".*?</summary>', text)
    assert {line.count('class="m ') for line in lines} == {3}
    other = next(line for line in lines if "other: q0" in line)
    assert [kind == "gone" for kind in re.findall(r'class="m (\w+)"', other)] == [False, True, False]
