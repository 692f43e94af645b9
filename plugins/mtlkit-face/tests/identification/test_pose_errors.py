"""Best and expected routing under wrong pose estimates."""

import attrs
import pytest
import torch
from mtlkit_face.data.rendered import Rendered
from mtlkit_face.identification.evaluator import Identification
from mtlkit_face.identification.pose_errors import PoseErrors, corrupted
from mtlkit_face.networks.yin_liu import m_cnn, p_cnn

from mtlkit.assembly import assembly_of
from mtlkit.data import Loading
from mtlkit.evaluators.trained_model import TrainedModel
from mtlkit.model import assemble

SET = Rendered(
    subjects=3, test_subjects=4, images_per_subject=14, size=32, lights_per_geometry=2, sessions=2
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    recipe = p_cnn(SET, width=0.1)
    data = SET.load(Loading(cache=tmp_path_factory.mktemp("cache")))
    torch.manual_seed(0)
    found = assembly_of(data, recipe.tasks)
    model = assemble(recipe.backbone, recipe.router, recipe.tasks, found)
    return TrainedModel(model, data, recipe.tasks, torch.device("cpu"))


def test_without_errors_the_ways_of_routing_are_those_of_identification(trained):
    found = PoseErrors().evaluate(trained).metrics
    known = Identification().evaluate(trained).metrics
    for way in ("best", "expected"):
        assert found[f"face/pose-errors/0/{way}/rank1"] == known[f"face/{way}/rank1"]


def test_every_share_and_way_is_measured_and_drawn(trained):
    found = PoseErrors(shares=(0.0, 0.25, 1.0)).evaluate(trained)
    assert len(found.metrics) == 6
    (section,) = found.sections
    assert section.blocks[1].series["best"].x == (0.0, 0.25, 1.0)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_the_share_of_images_and_no_other_gets_the_estimate_of_another_group(share):
    before = torch.randn(40, 3, generator=torch.Generator().manual_seed(0)).softmax(dim=1)
    after = corrupted(before, share, seed=3)
    moved = before.argmax(dim=1) != after.argmax(dim=1)
    assert moved.sum() == round(share * 40)
    assert torch.equal(before[~moved], after[~moved])
    assert all((before == row).all(dim=1).any() for row in after)  # estimates as they are
    assert torch.equal(after, corrupted(before, share, seed=3))


def test_a_network_without_branches_is_refused_before_it_is_trained():
    recipe = attrs.evolve(m_cnn(SET), evaluators=(PoseErrors(),))
    (problem,) = recipe.problems()
    assert problem.path == ("evaluators", "0", "task")
    assert "'identity' has no branches that a pose could choose" in problem.message


@pytest.mark.parametrize("shares", [(), (0.1, 0.1), (1.5,)])
def test_shares_are_different_parts_of_one(shares):
    with pytest.raises(ValueError, match=r"shares: got .*, expected different numbers from 0 to 1"):
        PoseErrors(shares=shares)
