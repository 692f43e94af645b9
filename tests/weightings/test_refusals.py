"""What a weighting cannot do is said when the recipe is read, or at the first step."""

import attrs
import pytest
import torch

from mtlkit.errors import RunError
from mtlkit.recipe import Recipe
from mtlkit.routers import BlockBranch, Grouped, LinearBranch, Shared
from mtlkit.task import Task, loss_terms
from mtlkit.task_types import Role
from mtlkit.training.gradients.batch import UpdateInfo
from mtlkit.weightings import (
    CRMOGM,
    DBMTL,
    MGDA,
    AutoLambda,
    Dynamic,
    Equal,
    ExcessMTL,
    GradientLocation,
    GradientWeighting,
    HarderFirst,
    HeadGradients,
    MoCo,
    MoDo,
    PCGrad,
    SDMGrad,
    Uncertainty,
)
from mtlkit.weightings.base import pairing_problems

TASKS = {"who": Task(role=Role.MAIN), "pose": Task(), "light": Task()}
TERMS = loss_terms(TASKS)


def problems(weighting, terms=TERMS, **router):
    return [str(problem) for problem in pairing_problems(weighting, terms, **router)]


def test_every_scheme_takes_tasks_that_fit(scheme):
    named = attrs.evolve(TERMS[2], name="age", task="age")
    branches = attrs.evolve(TERMS[0], name="who.branches")  # a second main loss, for `gate_main`
    assert problems(scheme, (*TERMS[:2], named, branches)) == []


def test_one_task_is_said_to_be_too_few(scheme):
    found = problems(scheme, TERMS[:1])
    if scheme.min_tasks == 1:
        return
    assert len(found) == 1
    name = type(scheme).__name__
    assert f"weighting: got 1 ('who'), expected at least 2 losses for {name}" in found[0]
    assert "use `equal` for one task" in found[0]


def test_what_takes_one_task_is_what_needs_no_other(scheme):
    alone = isinstance(scheme, Equal | Uncertainty | Dynamic | HarderFirst)
    simple = type(scheme).__name__ in ("Fixed", "BoundedUncertainty")
    assert (scheme.min_tasks == 1) == (alone or simple)


@pytest.mark.parametrize(
    "own", [Dynamic(), HarderFirst(), AutoLambda()], ids=lambda w: type(w).__name__
)
def test_a_main_task_that_is_missing_is_asked_for(own):
    (found,) = problems(own, TERMS[1:])
    assert found.startswith("weighting: ")
    assert "got no main task, expected at least 1" in found


def test_without_shared_features_only_what_needs_none_goes(scheme):
    found = [p for p in problems(scheme, shared_features=False) if "shared features" in p]
    needs = scheme.reads_features or (
        isinstance(scheme, GradientWeighting) and scheme.at is GradientLocation.FEATURES
    )
    assert bool(found) == needs
    if needs:
        name = type(scheme).__name__
        assert f"{name} reads the shared features" in found[0]
        remedy = "use another weighting" if scheme.reads_features else "use `at: parameters`"
        assert remedy in found[0]


@pytest.mark.parametrize(
    "own",
    [
        MoCo(at=GradientLocation.FEATURES),
        ExcessMTL(at=GradientLocation.FEATURES),
        DBMTL(momentum=0.5),
        MoDo(at=GradientLocation.FEATURES),
        SDMGrad(at=GradientLocation.FEATURES),
        AutoLambda(at=GradientLocation.FEATURES),
    ],
    ids=lambda w: type(w).__name__,
)
def test_gradients_of_different_samples_are_not_compared_at_the_features(own):
    found = problems(own)
    name = type(own).__name__
    assert any(f"weighting.at: {name} compares the gradients of different" in p for p in found)
    assert all("use `at: parameters`" in p for p in found)


@pytest.mark.parametrize(
    "own",
    [
        MoCo(at=GradientLocation.LAST_SHARED_LAYER),
        ExcessMTL(at=GradientLocation.LAST_SHARED_LAYER),
        DBMTL(momentum=0.5, at=GradientLocation.LAST_SHARED_LAYER),
        AutoLambda(at=GradientLocation.LAST_SHARED_LAYER),
    ],
    ids=lambda w: type(w).__name__,
)
def test_a_direction_at_the_last_layer_is_none(own):
    (found,) = problems(own)
    assert found.startswith("weighting.at: ")
    assert found.endswith("use `at: parameters`")


def test_branches_that_leave_early_have_no_last_shared_layer():
    grouped = Grouped(task="who", by="pose", groups={"a": (0,), "b": (1,)})
    for branch, expected in ((LinearBranch(), 0), (BlockBranch(), 1)):
        router = attrs.evolve(grouped, branch=branch)
        found = problems(
            MGDA(at=GradientLocation.LAST_SHARED_LAYER),
            router.terms(TERMS),
            shared_features=router.shared_features,
            shared_last_layer=router.shared_last_layer,
        )
        assert len(found) == expected
    assert "expected a last layer that all share" in found[0]


def test_only_weights_can_be_averaged():
    assert problems(CRMOGM(of=PCGrad())) == []
    for inner in (MoCo(), DBMTL(momentum=0.5), MoDo()):
        (found,) = problems(CRMOGM(of=inner))
        assert found.startswith(f"weighting.of: got {type(inner).__name__}, expected a weighting")
    for option in ({"at": GradientLocation.PARAMETERS}, {"heads": HeadGradients.WEIGHTED}):
        (found,) = problems(CRMOGM(of=MGDA(**option)))
        (name,) = option
        assert f"weighting.of.{name}: CRMOGM ignores `{name}`" in found
        assert f"set `{name}` next to `of`" in found


def test_a_recipe_asks_its_router_and_its_weighting(points_recipe):
    @attrs.frozen(kw_only=True)
    class Apart(Shared):
        @property
        def shared_features(self):
            return False

    recipe = attrs.evolve(points_recipe, weighting=MGDA(), router=Apart())
    (found,) = recipe.problems()
    assert str(found).startswith("weighting.at: MGDA reads the shared features")
    at_parameters = attrs.evolve(recipe, weighting=MGDA(at=GradientLocation.PARAMETERS))
    assert at_parameters.problems() == []


@pytest.fixture
def points_recipe():
    from mtlkit.backbones import MLP
    from mtlkit.data import Images

    return Recipe(
        data=Images(folder="faces", size=32, pattern="{who}_{pose}_{light}.png"),
        backbone=MLP(),
        tasks=TASKS,
    )


@pytest.mark.parametrize("own", [Dynamic(), HarderFirst()], ids=lambda w: type(w).__name__)
def test_a_gate_of_one_side_task_is_noted_as_constant(points_recipe, own):
    name = type(own).__name__
    recipe = attrs.evolve(points_recipe, weighting=own)
    assert recipe.notes() == []
    recipe = attrs.evolve(recipe, tasks={task: TASKS[task] for task in ("who", "pose")})
    assert recipe.problems() == []
    (note,) = recipe.notes()
    assert str(note) == (
        f"weighting: {name} divides `total` among the side tasks, and 'pose' is the only one, so "
        f"its weight is constant; use `equal` with a `total`, or add a side task"
    )


@pytest.mark.parametrize("own", [Dynamic, Equal])
def test_a_main_task_lighter_than_its_side_tasks_is_noted(points_recipe, own):
    assert attrs.evolve(points_recipe, weighting=own(total=0.1)).notes() == []
    (note,) = attrs.evolve(points_recipe, weighting=own(total=1.0)).notes()
    assert str(note).startswith(
        "weighting.total: the side tasks share the weight 1, and who has 1. A main task whose "
        "classes have few samples may stay near chance level; compare with the `total` of 0.1"
    )
    assert attrs.evolve(points_recipe, weighting=Equal()).notes() == []


def test_options_of_gradients_belong_to_weightings_of_gradients():
    with pytest.raises(TypeError, match="unexpected keyword argument 'at'"):
        Equal(at=GradientLocation.PARAMETERS)
    with pytest.raises(ValueError, match=r"at: expected a GradientLocation \(features, last"):
        MGDA(at="parameters")


def test_projections_and_means_stay_within_their_bounds():
    for wrong, words in (
        (lambda: DBMTL(momentum=1.0), "momentum: expected a number from 0 to below 1"),
        (lambda: MoCo(tracking=0), "tracking: expected a number from 0.001 to 1"),
        (lambda: SDMGrad(steps=0), "steps: expected a whole number of at least 1"),
        (lambda: AutoLambda(start=-1), "start: expected a number above 0"),
    ):
        with pytest.raises(ValueError, match=words):
            wrong()


@pytest.mark.parametrize(
    ("weights", "shape"),
    [
        (torch.ones(3), r"\(3,\)"),
        (torch.ones(1), r"\(1,\)"),
        (torch.ones(2, 1), r"\(2, 1\)"),
        (torch.tensor(1.0), r"\(\)"),
        ("a text", "str"),
    ],
)
def test_weights_of_another_shape(weights, shape):
    update = UpdateInfo(torch.ones(4), torch.tensor([0, 2]))
    with pytest.raises(RunError, match=rf"weights of shape {shape}, expected .* \(2,\)"):
        update.scatter(weights)
