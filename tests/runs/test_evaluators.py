"""What is wrong with an evaluator is found before training; two never overwrite each other."""

import attrs
import pytest

from mtlkit.component import Problem
from mtlkit.errors import AssemblyError, DataError, RecipeError
from mtlkit.evaluators import EvaluationResult, Evaluator, TaskMetrics
from mtlkit.plugins.registry import Origin
from mtlkit.runs.evaluate import evaluate, load_trained
from mtlkit.runs.fit import fit
from mtlkit.training.loop import Training


@attrs.frozen(kw_only=True)
class Asks(Evaluator):
    """Gives the metric it is told to."""

    metric: str = "mine"
    task: str = "who"
    label: str = "who"
    number: int = 0

    def problems(self, terms):
        if self.task not in {term.task for term in terms}:
            yield Problem(("task",), f"no task named {self.task!r}")

    def check(self, data):
        data.train.column(self.label)

    def evaluate(self, trained):
        return EvaluationResult(metrics={self.metric: 0.5})


@pytest.fixture
def catalog(points):
    from mtlkit.plugins.families import Registrar

    found = points.catalog()
    own = Registrar(found, "", Origin("asks", "0", __file__))
    own.evaluators.add("asks", Asks, "a question")
    own.commit()
    return found


@pytest.fixture
def start(points, catalog, tmp_path):
    def run(*evaluators):
        recipe = attrs.evolve(points.PLAIN, evaluators=evaluators)
        return fit(recipe, tmp_path / "run", catalog=catalog, quiet=True)

    return run


@pytest.fixture
def untrained(monkeypatch):
    """Training that must not begin."""

    def run(self):
        raise AssertionError("training began")

    monkeypatch.setattr(Training, "run", run)


def test_every_evaluator_may_be_asked_without_a_check_of_its_own(points):
    assert not list(TaskMetrics().problems(points.PLAIN.terms()))
    assert TaskMetrics().prefix == ""


def test_a_problem_of_an_evaluator_is_one_of_the_recipe(start, untrained, tmp_path):
    with pytest.raises(RecipeError) as caught:
        start(TaskMetrics(), Asks(task="whom"))
    assert caught.value.lines == ("evaluators.1.task: no task named 'whom'",)
    assert not (tmp_path / "run").exists()


def test_it_comes_with_those_of_other_parts(points):
    recipe = attrs.evolve(points.PLAIN, evaluators=(Asks(task="x"), Asks(task="y", number=1)))
    assert [problem.path for problem in recipe.problems()] == [
        ("evaluators", "0", "task"),
        ("evaluators", "1", "task"),
    ]


def test_the_data_is_looked_at_before_training(start, untrained, tmp_path):
    with pytest.raises(DataError, match="the data has no label 'nose'"):
        start(Asks(), Asks(label="nose"))
    assert not (tmp_path / "run").exists()


def test_the_same_evaluator_twice_is_refused(points):
    recipe = attrs.evolve(points.PLAIN, evaluators=(Asks(), TaskMetrics(), Asks()))
    (problem,) = recipe.problems()
    assert str(problem) == (
        "evaluators.2: returns metrics of the same names as evaluators.0; remove one"
    )


@pytest.mark.parametrize(
    ("evaluators", "owners"),
    [
        ((Asks(), Asks(number=1)), "'mine': 'Asks' and 'Asks, number 1'"),
        ((Asks(metric="train/who/loss"),), "'train/who/loss': 'TaskMetrics' and 'Asks, metric "),
    ],
)
def test_a_metric_of_two_owners_is_refused_and_nothing_is_lost(
    start, tmp_path, catalog, evaluators, owners
):
    with pytest.raises(AssemblyError, match=f"two evaluators give the metric {owners}"):
        start(*evaluators)
    assert (tmp_path / "run" / "model.safetensors").exists()
    assert not (tmp_path / "run" / "evaluation.json").exists()


def test_metrics_of_other_names_stand_side_by_side(start, catalog):
    from mtlkit.data import Loading

    run = start(Asks(), Asks(metric="yours"))
    assert (run.metrics["mine"], run.metrics["yours"]) == (0.5, 0.5)
    evaluate(run.path, catalog=catalog, loading=Loading(cache=run.path / "cache"))
    assert run.metrics["yours"] == 0.5


def test_a_finished_run_can_be_asked_another_question(start, catalog):
    from mtlkit.data import Loading

    run = start(Asks())
    before = {path.name: path.read_bytes() for path in run.path.iterdir() if path.is_file()}
    trained = load_trained(run.path, Loading(cache=run.path / "cache"), catalog)
    found = TaskMetrics().evaluate(trained).metrics
    assert found == {name: run.metrics[name] for name in found}
    assert {name: (run.path / name).read_bytes() for name in before} == before  # nothing is written
