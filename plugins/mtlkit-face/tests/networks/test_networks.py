"""The networks in Python and the shipped recipes are the same values, and small ones train."""

from pathlib import Path

import attrs
import mtlkit_face
import pytest
from mtlkit_face.data.rendered import Rendered
from mtlkit_face.networks.yin_liu import m_cnn, p_cnn, s_cnn

from mtlkit import load_catalog, load_recipe
from mtlkit.routers import BlockBranch

RECIPES = Path(mtlkit_face.__file__).parent / "recipes"
FULL = Rendered(subjects=200, test_subjects=137, images_per_subject=None, size=100)
IN_PYTHON = {
    "s-cnn": s_cnn(FULL),
    "m-cnn": m_cnn(FULL),
    "p-cnn": p_cnn(FULL),
    "p-cnn-block": p_cnn(FULL, branch=BlockBranch()),
}


@pytest.mark.parametrize("name", sorted(IN_PYTHON))
def test_recipe_and_python_agree(name):
    assert load_recipe(RECIPES / f"{name}.yaml", load_catalog("face")) == IN_PYTHON[name]


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_recipe_reads(path):
    recipe = load_recipe(path, load_catalog("face"))
    assert recipe.problems() == []
    assert recipe.check() is recipe


def test_the_demo_networks_differ_in_tasks_routing_weighting_and_what_is_asked_only():
    first, second = (
        load_recipe(RECIPES / f"demo-{name}.yaml", load_catalog("face"))
        for name in ("s-cnn", "p-cnn")
    )
    parts = ("tasks", "router", "weighting", "evaluators")
    assert attrs.evolve(first, **{part: getattr(second, part) for part in parts}) == second


def test_the_papers_groups_are_four_five_and_four():
    groups = IN_PYTHON["p-cnn"].router.groups
    assert [len(members) for members in groups.values()] == [4, 5, 4]
    assert sorted(yaw for members in groups.values() for yaw in members) == list(range(-90, 91, 15))


def test_the_main_losses_are_two_in_the_pose_directed_network():
    names = [term.name for term in IN_PYTHON["p-cnn"].terms()]
    assert names == ["identity", "pose", "illumination", "expression", "identity.branches"]
