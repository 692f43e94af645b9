"""What a verdict says, word by word, and how often it is wrong."""

import re

import attrs
import numpy as np
import pytest

from mtlkit.comparison.analysis.baseline_tests import EVERY_PROBLEM
from mtlkit.comparison.analysis.evidence import StatementKind, gather
from mtlkit.comparison.analysis.verdict import headline, short_verdict, verdicts
from mtlkit.comparison.report.plugin_sections import searched_settings
from mtlkit.comparison.results.record import Budget, Record, Stage, TaskMetric
from mtlkit.comparison.results.study_results import StudyResults

NOISE = np.array([0.4, -0.3, 0.1, -0.5, 0.3, -0.2, 0.5, -0.1, 0.2, -0.4])


def study_of(gains, *, seeds=10, tasks=("a",), time_gains=None, without=None):
    """A study whose methods are better than equal by exact gains in percent.

    A gain is a number, to which noise of the seeds is added, turned for each method, or a mapping
    of tasks to numbers.
    """
    methods = ("equal", *gains)
    records = []
    budgets = [(Budget.EPOCHS, gains)]
    if time_gains is not None:
        budgets.append((Budget.TIME, time_gains))
    for budget, by_method in budgets:
        for place, method in enumerate(methods):
            gain = by_method.get(method, 0.0)
            noise = np.roll(NOISE, 3 * place) * (place > 0)
            for seed in range(seeds):
                metrics = {}
                for task in tasks:
                    mean = gain[task] if isinstance(gain, dict) else gain
                    metrics[f"{task}/accuracy"] = 0.5 * (1 + (mean + noise[seed]) / 100)
                records.append(
                    Record(
                        problem="faces",
                        method=method,
                        stage=Stage.FINAL,
                        seed=seed,
                        budget=budget,
                        test=metrics,
                    )
                )
    return StudyResults(
        name="s",
        methods=methods,
        problems=("faces",),
        seeds=tuple(range(seeds)),
        primary_metrics=tuple(
            TaskMetric(problem="faces", task=t, metric=f"{t}/accuracy", higher_is_better=True)
            for t in tasks
        ),
        records=tuple(records),
        budgets=tuple(budget for budget, _ in budgets),
        without=without or {},
    )


def said(study):
    """The headline and the sentences, with their moods."""
    evidence = gather(study)
    (verdict,) = verdicts(evidence)
    return headline(evidence), [(s.kind.value, s.text) for s in verdict.statements]


def test_a_clear_win():
    gains = {"famo": {"a": 6.0, "b": 0.0}, "tuned": 0.1, "rlw": 0.0}
    first, sentences = said(study_of(gains, tasks=("a", "b"), time_gains={"famo": 0.0}))
    assert first == "famo beats equal weights; famo beats tuned scalarization."
    assert sentences[0] == (
        "better",
        "famo is better than equal weights: +3.0% (95% interval +2.7 to +3.3; adjusted "
        "p < 0.001). It is better on a (+6.0%, +5.7 to +6.3); no difference shown on b. At equal "
        "training time this is not shown: 0.0% (\N{MINUS SIGN}0.3 to +0.3; p = 1).",
    )
    assert [mood for mood, _ in sentences] == [
        *("better", "undecided", "better", "undecided"),
        *("limit", "limit"),
    ]
    assert sentences[4] == ("limit", "Single-task training is not part of this study.")


def test_no_difference():
    first, sentences = said(study_of({"famo": 0.2, "mgda": 0.0, "rlw": 0.1}))
    assert first == "No method is shown to beat equal weights."
    assert sentences[0] == (
        "undecided",
        "No difference from equal weights shown for 3 methods: famo, rlw and mgda. Nearest to one "
        "is famo: +0.2% (\N{MINUS SIGN}0.1 to +0.5). If the true difference is what was seen, it "
        "takes about 35 seeds to show it, 25 more.",
    )
    assert sentences[-1] == (
        "limit",
        "With 10 seeds and 3 comparisons the smallest difference from equal weights that shows in "
        "four of five studies is about 0.4%; one of 1% takes about 5 seeds.",
    )


def test_the_placebo_is_as_good_as_the_best():
    first, sentences = said(study_of({"famo": 3.0, "mgda": 1.0, "rlw": 3.0}))
    assert first == "famo, mgda and rlw beat equal weights."
    assert [text for mood, text in sentences if mood == "warning"] == [
        "The placebo is as good as the best, as far as this study can tell: famo is not shown to "
        "be better than random weights (rlw), 0.0% (\N{MINUS SIGN}0.2 to +0.2; p = 1). What a "
        "ranking says here may be chance."
    ]
    _, clear = said(study_of({"famo": 5.0, "rlw": 1.0}))
    assert "warning" not in [mood for mood, _ in clear]


def test_a_loss():
    first, sentences = said(study_of({"mgda": -4.0, "rlw": -4.0}))
    assert first == "No method is shown to beat equal weights."
    mood, text = sentences[0]
    assert (mood, text[:38]) == ("worse", "Worse than equal weights: rlw (\N{MINUS SIGN}4.0%, ")


def test_too_few_seeds():
    first, sentences = said(study_of({"famo": 9.0, "rlw": 0.0}, seeds=1))
    assert first == "Nothing can be compared yet."
    assert sentences[-1] == (
        "limit",
        "One seed: there are no intervals and there is no verdict, for the difference between two "
        "runs may be chance. Give the comparison `seeds: 5` or more.",
    )
    _, three = said(study_of({"famo": 0.6, "rlw": 0.0}, seeds=3))
    assert "about 7 seeds to show it, 4 more" in three[0][1]


def test_seeds_that_make_no_difference():
    """A method that equals its baseline run for run is not declared better by a rounding."""
    study = study_of({"famo": 2.0})
    still = [attrs.evolve(r, test={"a/accuracy": 0.5 + 0.1 * (r.method == "famo")})
             for r in study.records]  # fmt: skip
    _, sentences = said(attrs.evolve(study, records=tuple(still)))
    assert sentences[0][1].endswith("The seeds do not differ, so chance cannot be estimated.")


def test_what_was_left_out_is_said():
    study = study_of({"famo": 3.0}, without={"rlw": "it is slow", "tuned": "no trials"})
    _, sentences = said(study)
    assert ("limit", "The placebo (random weights) was left out: it is slow.") in sentences
    assert ("limit", "Tuned scalarization is left out: no trials.") in sentences
    alone = attrs.evolve(study, methods=("famo",), without={"equal": "why not"})
    _, sentences = said(alone)
    assert ("limit", "Equal weights are left out: why not.") in sentences


def test_a_study_without_runs():
    study = attrs.evolve(study_of({"famo": 3.0}), records=())
    first, sentences = said(study)
    assert first == "Nothing can be compared yet."
    assert sentences[-1] == ("limit", "No method has a finished final run yet.")


def test_several_problems_have_a_mean(draw):
    study = draw(problems=("x", "y"), effects={"famo": 12.0}, seeds=6)
    evidence = gather(study)
    found = verdicts(evidence)
    assert [v.problem for v in found] == [EVERY_PROBLEM, "x", "y"]
    assert headline(evidence).startswith("famo (on x and y) beats equal weights")
    mean = evidence.family.of(EVERY_PROBLEM, "famo", "equal")
    each = [evidence.family.of(p, "famo", "equal") for p in ("x", "y")]
    assert mean.differences == pytest.approx(
        np.mean([c.differences for c in each], axis=0).tolist()
    )


def test_pairs_are_made_once(draw):
    """11 methods against equal, 10 against tuned, 9 against single-task."""
    family = gather(draw()).family
    assert len(family.comparisons) == 11 + 10 + 9
    pairs = {frozenset((c.method, c.reference)) for c in family.comparisons}
    assert len(pairs) == 30


@pytest.mark.parametrize("noise", ["normal", "unequal", "counted"])
def test_a_study_without_differences_rarely_shows_one(draw, noise):
    """At most 5% of studies in truth: 40 studies then have 7 or more in one case of 500."""
    shown = 0
    for seed in range(40):
        evidence = gather(draw(seed, noise=noise))
        shown += any(c.shown for c in evidence.family.comparisons)
    assert shown <= 6


def test_a_large_difference_is_shown(draw):
    """96% of studies of 5 seeds show 6 deviations, so 20 have 16 or more almost always."""
    found = [gather(draw(s, effects={"famo": 6.0})).family for s in range(20)]
    assert sum(f.of("faces", "famo", "equal").better for f in found) >= 16
    assert all(f.of("faces", "famo", "equal").differences for f in found)


def test_sentences_and_tests_agree(draw):
    """Nobody is called better or worse whom the family does not show to be."""
    for seed in range(3):
        evidence = gather(draw(seed, effects={"famo": 5.0, "mgda": -5.0}))
        (verdict,) = verdicts(evidence)
        text = " ".join(s.text for s in verdict.statements if s.kind is StatementKind.BETTER)
        for comparison in evidence.family.against("faces", "equal"):
            claim = f"{comparison.method} is better than equal weights"
            assert (claim in text) == comparison.better


def below_zero(study, *methods):
    """The study, but for the task `a` of these methods: its metric is negative."""
    records = [
        attrs.evolve(r, test={**r.test, "a/accuracy": -0.1}) if r.method in methods else r
        for r in study.records
    ]
    return attrs.evolve(study, records=tuple(records))


NO_SHARE = "No delta-m against {}: its mean of a is 0 or below; judge it by another metric."


def test_a_baseline_that_is_zero_or_below_is_told():
    study = study_of({"famo": 6.0, "tuned": 0.1, "rlw": 0.0}, tasks=("a", "b"))
    _, sentences = said(below_zero(study, "equal", "tuned"))
    told = [text for _, text in sentences]
    assert told[:2] == [NO_SHARE.format("equal"), NO_SHARE.format("tuned")]
    assert not any("seeds in common" in text for text in told)
    _, sentences = said(below_zero(study, "equal"))
    told = [text for _, text in sentences]
    assert told[0] == NO_SHARE.format("equal")
    assert told[1].startswith("famo is better than tuned scalarization")
    _, sentences = said(below_zero(study, "rlw"))
    assert NO_SHARE.format("rlw") in [text for _, text in sentences]
    _, sentences = said(below_zero(study_of({"famo": {"a": 1, "b": 1}}, tasks=("a", "b")), "famo"))
    assert not any("No delta-m" in text for _, text in sentences)


def test_the_short_verdict_has_five_lines_at_most_and_agrees_with_the_tests(draw):
    for seed, problems in ((0, ("faces",)), (1, ("x", "y"))):
        evidence = gather(draw(seed, problems=problems, effects={"famo": 8.0, "mgda": -8.0}))
        lines = short_verdict(evidence)
        assert 3 <= len(lines) <= 5
        problem = EVERY_PROBLEM if len(problems) > 1 else problems[0]
        better = [c.method for c in evidence.family.against(problem, "equal") if c.better]
        (text,) = [s.text for s in lines if s.text.startswith("Better than equal weights")]
        named = re.findall(r"([\w-]+) \+", text)
        assert "famo" in named
        assert sorted(named) == sorted(better)
        assert lines[-1].kind in (StatementKind.LIMIT, StatementKind.WARNING)


def test_the_short_verdict_of_a_study_without_tests_says_why(draw):
    lines = short_verdict(gather(draw(seeds=1)))
    assert 1 <= len(lines) <= 5
    assert any("One seed" in s.text for s in lines)


def test_the_settings_that_a_search_changed_are_those_that_differ_from_the_first_trial():
    study = study_of({"famo": 1.0}, seeds=2)
    trial = Record(problem="faces", method="equal", stage=Stage.TRIAL, seed=0, trial=0)
    first = {"optimizer.lr": 0.1, "train.batch": 8}
    chosen = {"equal": {**first, "optimizer.lr": 0.2}, "famo": first}
    study = attrs.evolve(
        study,
        records=(
            *(attrs.evolve(trial, method=method, settings=first) for method in chosen),
            *(attrs.evolve(record, settings=chosen[record.method]) for record in study.records),
        ),
    )
    assert searched_settings(study, "faces") == {"equal": ("optimizer.lr",)}


def test_without_trials_no_setting_is_searched():
    study = study_of({"famo": 1.0}, seeds=2)
    records = (attrs.evolve(r, settings={"optimizer.lr": 0.1}) for r in study.records)
    assert searched_settings(attrs.evolve(study, records=tuple(records)), "faces") == {}
