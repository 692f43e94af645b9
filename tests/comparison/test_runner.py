"""The runner: every run made once, whoever works on it and whatever happens."""

import json
import shutil

import attrs
import pytest

from mtlkit.comparison.results.record import Budget, Stage, read_results
from mtlkit.comparison.results.store import StudyFolder
from mtlkit.data import Loading
from mtlkit.errors import DataError, InterruptedRunError, RecipeError, RunError
from mtlkit.runs.evaluate import evaluate

SMALL = """
problems: {plane: recipe.yaml}
weightings: [gls]
seeds: 1
without: {log: for speed, tuned: for speed, rlw: for speed, single-task: for speed}
"""


def results(folder):
    """What came of each run, but for what is measured by a clock."""
    found = read_results(folder.results)
    assert len({record.key for record in found}) == len(found)
    blank = {"seconds": 0.0, "peak_memory_bytes": 0, "folder": ""}
    return {record.key: attrs.evolve(record, **blank) for record in found}


def test_neither_workers_nor_interruptions_change_a_result(bench, made):
    comparison, (study, keys) = bench.load(), made
    whole = results(study)
    assert len(whole) == (2 + 2) * (2 + 1)
    assert all(record.error is None for record in whole.values())
    assert sorted(keys) == sorted(whole)
    many = bench.worker(4, seed=3)
    assert results(bench.run(comparison, "many", executor=many)) == whole
    assert many.most == 4
    broken = bench.worker(3, seed=5, interrupt_after=5)
    with pytest.raises(
        InterruptedRunError, match=r"stopped after \d+ runs; the same command continues"
    ):
        bench.run(comparison, "broken", executor=broken)
    rest = bench.worker(2, seed=6)
    assert results(bench.run(comparison, "broken", executor=rest)) == whole
    assert not set(broken.made) & set(rest.made)


def test_a_whole_study_is_left_as_it_is(bench, made):
    folder = shutil.copytree(made[0].path, bench.folder / "study")
    nobody = bench.worker(2)
    found = bench.run(bench.load(), executor=nobody)
    assert nobody.made == []
    assert found.path == folder
    assert found.results.read_bytes() == made[0].results.read_bytes()


def test_scores_are_in_units_of_equal_and_the_best_is_chosen(made):
    folder, found = made[0], results(made[0])
    assert found["plane/equal/trial0"].score == 1
    unit = json.loads(folder.units.read_text())["plane"]
    assert unit == {t: found["plane/equal/trial0"].validation[f"{t}/loss"] for t in unit}
    for record in found.values():
        tasks = [record.task] if record.task else list(unit)
        if record.stage is Stage.TRIAL:
            ratios = [record.validation[f"{task}/loss"] / unit[task] for task in tasks]
            assert record.score == pytest.approx(sum(ratios) / len(ratios))
            assert record.test == {}
        else:
            key = record.key.replace("epochs-seed3", "trial")
            best = min((found[f"{key}{n}"] for n in (0, 1)), key=lambda trial: trial.score)
            assert record.settings == best.settings
            assert set(record.test) >= {f"{task}/loss" for task in tasks}


def test_trials_never_read_the_test_split(bench):
    text = bench.file.replace("recipe.yaml", "{recipe: recipe.yaml, set: [data.poisoned=true]}")
    folder = bench.run(bench.load(text))
    for record in results(folder).values():
        if record.stage is Stage.TRIAL:
            assert record.error is None
            assert record.score is not None
        else:
            assert record.error == "RuntimeError: the test split was read"


def test_a_trial_that_is_evaluated_again_still_leaves_the_test_alone(bench, made, tiny):
    run = shutil.copytree(made[0].run("plane/equal/trial1"), bench.folder / "run")
    (run / "evaluation.json").unlink()
    evaluate(run, catalog=tiny.catalog(), loading=Loading())
    metrics = json.loads((run / "evaluation.json").read_text())["metrics"]
    assert any(name.startswith("validation/") for name in metrics)
    assert not any(name.startswith("test/") for name in metrics)


EXPLOSIVE = """
problems: {plane: recipe.yaml}
weightings: [{name: bad, weighting: {type: explosive, once: MARK}}]
seeds: 1
without: {log: for speed, tuned: for speed, rlw: for speed, single-task: for speed}
"""


def test_a_failed_run_is_recorded_and_can_be_made_again(bench):
    comparison = bench.load(EXPLOSIVE.replace("MARK", str(bench.folder / "mark")))
    found = results(bench.run(comparison))
    assert found["plane/bad/epochs-seed0"].error == "RuntimeError: it exploded"
    assert found["plane/equal/epochs-seed0"].error is None
    again = bench.worker(1)
    assert results(bench.run(comparison, executor=again)) == found
    assert again.made == []
    found = results(bench.run(comparison, executor=again, retry_failed=True))
    assert again.made == ["plane/bad/epochs-seed0"]
    assert found["plane/bad/epochs-seed0"].error is None


def test_a_run_whose_line_was_lost_gets_it_from_its_folder(bench, made):
    shutil.copytree(made[0].path, bench.folder / "study")
    folder = StudyFolder(bench.folder / "study")
    lines = folder.results.read_text().splitlines(keepends=True)
    folder.results.write_text("".join(lines[:3]) + lines[3][:40])  # cut off in the fourth
    folder.units.unlink()
    nobody = bench.worker(2)
    assert results(bench.run(bench.load(), executor=nobody)) == results(made[0])
    assert nobody.made == []


def test_one_recipe_is_trained_once_and_recorded_for_all_who_asked(bench):
    text = """
    problems: {plane: recipe.yaml}
    weightings: [{name: same, weighting: equal}]
    seeds: 1
    without: {log: speed, tuned: speed, rlw: speed, single-task: speed}
    budgets: [epochs, time]
    """
    executor = bench.worker(3)
    folder = bench.run(bench.load(text), executor=executor)
    assert executor.made[0] == "plane/equal/epochs-seed0"
    found = {record.key: record for record in read_results(folder.results)}
    first = found["plane/equal/epochs-seed0"]
    timed = found["plane/equal/time-seed0"]
    assert (timed.budget, timed.folder, timed.test) == (Budget.TIME, first.folder, first.test)
    assert found["plane/same/epochs-seed0"].folder == first.folder
    assert len(executor.made) == len({record.folder for record in found.values()})


def test_a_study_can_grow_but_not_change(bench):
    before = results(bench.run(bench.load(SMALL)))
    grown = SMALL.replace("seeds: 1", "seeds: 2")
    more = results(bench.run(bench.load(grown)))
    assert {key: more[key] for key in before} == before
    assert len(more) == 2 * len(before) == 4
    tuned = "tuning: {trials: 3, search: {optimizer.lr: {low: 0.1, high: 0.2}}}\n"
    with pytest.raises(RunError, match="another tuning; choose another folder"):
        bench.run(bench.load(grown + tuned))
    other = bench.load(SMALL.replace("recipe.yaml", "{recipe: recipe.yaml, set: [seed=3]}"))
    with pytest.raises(RunError, match="another problem 'plane' and another list of seeds;"):
        bench.run(other)
    (bench.folder / "full").mkdir()
    (bench.folder / "full" / "letter.txt").touch()
    with pytest.raises(RunError, match="is not empty; expected a new or empty folder"):
        bench.run(other, "full")


def test_two_comparisons_in_one_folder_are_refused(bench):
    with (
        StudyFolder(bench.folder / "study").locked(),
        pytest.raises(RunError, match=r"another process .* is working on this study"),
    ):
        bench.run(bench.load())


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"{}"])
def test_a_study_whose_recipe_is_damaged_is_refused(bench, made, content):
    study = shutil.copytree(made[0].path, bench.folder / "damaged")
    recipe = next((study / "recipes").iterdir())
    recipe.unlink() if content is None else recipe.write_bytes(content)
    with pytest.raises(RunError, match="holds a study with another problem 'plane'"):
        bench.run(bench.load(), "damaged")


def test_data_that_will_not_do_is_told_before_anything_is_run(bench):
    problem = "{recipe: recipe.yaml, set: [data.undivided=true]}"
    with pytest.raises(DataError, match=r"problems.plane: the trials of a search are judged on"):
        bench.run(bench.load(bench.file.replace("recipe.yaml", problem)))
    assert not (bench.folder / "study" / "study.json").exists()
    untuned = bench.load(SMALL.replace("recipe.yaml", problem))
    assert all(r.error is None for r in results(bench.run(untuned, "untuned")).values())


def test_what_the_study_says_of_itself(bench, made):
    folder = made[0]
    study = json.loads(folder.study.read_text())
    size, sign = sorted(study["primary_metrics"], key=lambda metric: metric["higher_is_better"])
    assert (sign["metric"], sign["task"], size["metric"]) == ("sign/accuracy", "sign", "size/mae")
    assert 0.5 <= sign["chance_level"] <= 0.8
    assert size["chance_level"] > 0
    (other,) = study["other_metrics"]  # without R², which may be negative
    assert (other["metric"], other["task"]) == ("size/rmse", "size")
    assert not other["higher_is_better"]
    assert study["methods"] == ["single-task", "equal", "gls"]
    assert study["reference"] == {"single-task": "single-task", "equal": "equal"}
    assert study["without"] == dict.fromkeys(("log", "tuned", "rlw"), "for speed")
    assert "test split" in study["selection"]
    assert str(folder.path) not in folder.study.read_text() + folder.comparison.read_text()
    again = bench.load(folder.comparison.read_text().replace("recipes/plane.yaml", "recipe.yaml"))
    assert [method.name for method in again.methods] == study["methods"]


def test_a_task_with_unseen_test_values_needs_another_metric(bench):
    problem = "{recipe: recipe.yaml, set: [data.open=true]}"
    comparison = bench.load(SMALL.replace("recipe.yaml", problem))
    with pytest.raises(DataError, match="'sign' of the task 'sign' has test values unseen in"):
        bench.run(comparison)
    judged = problem.replace("]}", "], primary_metrics: {sign: sign/accuracy}}")
    folder = bench.run(bench.load(SMALL.replace("recipe.yaml", judged)))
    assert all(record.error is None for record in results(folder).values())
    wrong = problem.replace("]}", "], primary_metrics: {sign: sign/acuracy}}")
    with pytest.raises(
        RecipeError, match=r"sign: no metric named 'acuracy'; did you mean 'accuracy'\?"
    ):
        bench.run(bench.load(SMALL.replace("recipe.yaml", wrong)))
