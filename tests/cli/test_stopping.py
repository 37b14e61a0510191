"""``thinkctl stopping explain``: boundary, needs, guarantees and operating characteristics of a policy."""

from __future__ import annotations

import json

import pytest


def test_it_prints_the_boundary_and_the_operating_characteristics(call, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    ran = call("stopping", "explain", "adaptive-consistency(0.95)")
    lines = [" ".join(line.split()) for line in ran.out.splitlines()]
    assert (ran.code, ran.err) == (0, "")
    assert lines[0] == "adaptive-consistency(confidence=0.95)"
    assert "needs votes alone" in lines
    assert "runner-up 0 1 2 3 4 5 6 7 8" in lines
    assert "leader 4 6 8 9 11 12 14 15 17" in lines
    assert "share wrong of all 40 mean votes stopped" in lines
    assert "0.6 12.44% 10.21% 24.2 62.4%" in lines
    assert "no bound on the error" in " ".join(lines)
    assert max(map(len, ran.out.splitlines())) <= 80


def test_json_has_the_same_numbers_unrounded(call):
    found = json.loads(call("stopping", "explain", "margin(3)", "--cap", "9", "--p", "0.5,1", "--json").out)
    assert found["policy"] == "margin(votes=3)"
    assert found["spec"] == {"name": "margin", "votes": 3}
    assert found["boundary"] == [3, 4, 5, 6, 7, 8, 9, 10, 11]
    assert (found["needs"], found["cap"], found["why_no_boundary"]) == ([], 9, None)
    fair, sure = found["characteristics"]
    assert (fair["share"], fair["wrong"], fair["wrong_of_all"]) == (
        0.5,
        pytest.approx(0.5),
        pytest.approx(0.5),
    )
    assert sure == {"share": 1.0, "wrong": 0.0, "wrong_of_all": 0.0, "votes": 3.0, "stopped": 1.0}


@pytest.mark.parametrize(
    ("spec", "needs", "why"),
    [
        ("window(5)", "votes alone", "it looks at more of the votes than two counts"),
        ("cges", "log-probabilities of every token", "it is no rule on votes alone"),
        ("threshold(0.9)", "a verifier's verdict on every sample", "it is no rule on votes alone"),
        ("value-of-computation(1000)", "votes alone", "the price of a vote is measured; give sample_tokens"),
        ("thinking-cap(99)", "votes alone", "it is no rule on votes alone"),
    ],
)
def test_a_policy_without_a_boundary_says_so_and_what_it_needs(call, monkeypatch, spec, needs, why):
    monkeypatch.setenv("COLUMNS", "200")
    out = call("stopping", "explain", spec).out
    assert f"needs       {needs}" in out
    assert f"boundary    none: {why}" in out


def test_rules_on_votes_have_characteristics_without_a_boundary_and_others_have_none(call):
    def of(spec):
        return json.loads(call("stopping", "explain", spec, "--json").out)["characteristics"]

    assert len(of("any-of(margin(4), cannot-be-overtaken(40))")) == 5
    assert of("any-of(margin(4), cges)") is None


def test_parameters_at_their_defaults_are_written_too(call):
    out = call("stopping", "explain", "any-of(e-value, cannot-be-overtaken(9))").out
    assert out.startswith("any-of(e-value(delta=0.05, rivals=1), cannot-be-overtaken(n=9))\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["margin(0)"], "error: votes=0 is no lead"),
        (["majority"], "error: there is no stopping policy 'majority'"),
        (["margin", "--p", "0.6;0.7"], "error: shares '0.6;0.7' are not understood"),
        (["margin", "--p", "0.3"], "error: share=0.3"),
        (["margin", "--cap", "0"], "error: cap=0"),
    ],
)
def test_what_cannot_be_explained_is_one_line_on_stderr(call, arguments, message):
    ran = call("stopping", "explain", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(message)
    assert ran.err.count("\n") == 1
