"""Transforms of a sample commute with the labels of a rendered scene whose truth is known."""

import math

import attrs
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mtlkit.data import Mirror, Rotate, Scale
from mtlkit.errors import DataError
from mtlkit.targets.base import Target
from mtlkit.targets.class_map import ClassMapTarget
from mtlkit.targets.geometry import Box, crop_map, rotate_map
from mtlkit.targets.real_map import RealMapTarget
from mtlkit.targets.unit_vector_map import UnitVectorMapTarget
from mtlkit.targets.vector import VectorTarget
from mtlkit.transforms.draw import Draw
from mtlkit.transforms.sample import Sample
from tests.transforms.scene import Ball, Scene

SCENE = Scene()
SWAP = {"parts": {"left ball": "right ball"}}


class Fixed(Draw):
    """A draw whose numbers are all the same fraction of their range."""

    def __init__(self, fraction):
        super().__init__(0)
        self.fraction = fraction

    def chance(self, probability):
        return True

    def uniform(self, low, high):
        return low + self.fraction * (high - low)

    def integer(self, low, high):
        return round(low + self.fraction * (high - low))


def require_same(one, other, share=1.0):
    """Require equal labels for at least the `share` of the pixels that have one in `one`."""
    for task, target in one.targets.items():
        first, second = one.labels[task], other.labels[task]
        if isinstance(target, VectorTarget):
            assert torch.allclose(first, second, atol=1e-4), task
            continue
        present = target.present(first.unsqueeze(0))[0]
        close = (first - second).abs() < 1e-3 * (1 + second.abs()) * (1 if share == 1 else 40)
        close = close if close.dim() == present.dim() else close.all(dim=0)
        assert close[present].float().mean() >= share, task


def test_a_mirrored_scene_has_the_mirrored_labels_and_image():
    mirrored = Mirror(p=1.0, swap=SWAP).apply(SCENE.render(), Draw(0))
    expected = SCENE.mirrored().render()
    require_same(mirrored, expected)
    colors = mirrored.inputs[1], expected.inputs[1]  # others show classes and a light from the left
    assert torch.equal(*colors)


@pytest.mark.parametrize("degrees", [90.0, 180.0, -90.0])
def test_a_scene_turned_by_right_angles_has_exactly_the_turned_labels(degrees):
    turned = SCENE.render().rotate(degrees)
    expected = SCENE.rotated(degrees).render()
    require_same(turned, expected)
    assert (turned.inputs[1].int() - expected.inputs[1].int()).abs().max() <= 1


@settings(max_examples=15)
@given(st.floats(-180, 180))
def test_a_scene_turned_by_any_angle_has_the_turned_labels_away_from_edges(degrees):
    require_same(SCENE.render().rotate(degrees), SCENE.rotated(degrees).render(), share=0.9)


def test_maps_turn_as_torchvision_turns_images():
    from torchvision.transforms.v2 import functional

    values = torch.arange(35.0).reshape(1, 5, 7)
    for degrees in (13.0, 45.0, -100.0):
        expected = functional.rotate(values, degrees, fill=-1.0)
        assert torch.equal(rotate_map(values, degrees, -1.0), expected)


def test_a_plane_zoomed_by_one_and_a_half_is_so_much_nearer():
    plane = attrs.evolve(Scene(), balls=(), normal=(0.0, 0.0, -1.0), distance=3.0)
    sample = Scene.render(attrs.evolve(plane, balls=(Ball(0, 0, 2.9, 0.01, 1),
                                                     Ball(0, 0, 2.9, 0.01, 2),
                                                     Ball(0, 0, 2.9, 0.01, 3))))  # fmt: skip
    zoomed = Scale(low=1.5, high=1.5).apply(sample, Fixed(0.0))
    assert torch.allclose(zoomed.labels["depth"], torch.tensor(3 / 1.5))
    assert torch.allclose(zoomed.labels["disparity"], torch.tensor(1.5 / 3))
    value = RealMapTarget().crop(torch.ones(1, 6, 6), (6, 6), Box(0, 0, 4, 4), (6, 6), zoom=1.5)
    assert torch.equal(value, torch.ones(1, 6, 6))


def test_a_zoom_about_the_center_is_a_longer_lens():
    """The depth is that of the scene seen at that apparent distance; directions are those seen."""
    scene = attrs.evolve(SCENE, size=(48, 48))
    zoomed = Scale(low=2.0, high=2.0).apply(scene.render(), Fixed(0.5))
    seen = scene.render(focal=96.0)
    close = (zoomed.labels["parts"] == seen.labels["parts"]).float().mean()
    assert close > 0.95
    assert torch.allclose(zoomed.labels["points"], seen.labels["points"], atol=0.01)
    same = zoomed.labels["parts"] == seen.labels["parts"]
    error = (zoomed.labels["depth"] * 2 / seen.labels["depth"] - 1).abs()[0][same]
    assert error.mean() < 0.005


def test_a_reduced_frame_is_surrounded_by_pixels_without_labels():
    small = Scale(low=0.5, high=0.5).apply(SCENE.render(), Fixed(0.5))
    assert small.labels["depth"].shape == (1, 48, 48)
    assert small.labels["depth"].isnan().sum() == 48 * 48 - 24 * 24
    assert (small.labels["parts"] == -1).sum() == 48 * 48 - 24 * 24
    present = UnitVectorMapTarget().present(small.labels["normals"].unsqueeze(0))
    assert present.sum() == 24 * 24
    inside = small.labels["depth"][0, 12:36, 12:36]
    assert torch.allclose(inside.mean(), SCENE.render().labels["depth"].mean() * 2, rtol=0.01)


def test_a_normal_to_the_right_points_to_the_left_in_a_mirror():
    normals = torch.tensor([1.0, 0.0, 0.0]).reshape(3, 1, 1)
    assert UnitVectorMapTarget().flip(normals, (1, 1)).flatten().tolist() == [-1, 0, 0]
    up = UnitVectorMapTarget().rotate(normals, (1, 1), 90.0).flatten()
    assert torch.allclose(up, torch.tensor([0.0, -1.0, 0.0]), atol=1e-6)


def test_left_and_right_keypoints_swap_and_others_move():
    target = VectorTarget(names=("left_x", "left_y", "right_x", "right_y", "nose_x", "nose_y"))
    points = torch.tensor([1.0, 2.0, 7.0, 2.5, 4.0, 5.0])
    assert target.flip(points, (8, 10)).tolist() == [2.0, 2.5, 8.0, 2.0, 5.0, 5.0]
    gone = torch.tensor([math.nan, 2.0, 7.0, 2.5, 4.0, 5.0])
    assert target.flip(gone, (8, 10))[2].isnan()


def test_a_keypoint_of_one_side_only_has_no_mirror_image():
    target = VectorTarget(names=("left_x", "left_y"))
    with pytest.raises(DataError) as raised:
        target.flip(torch.zeros(2), (8, 8))
    assert str(raised.value) == (
        "transforms: a mirror exchanges 'left' with 'right', which the target lacks; name "
        "both points, or neither after a side"
    )


def test_a_keypoint_stays_on_its_pixel():
    """For whole pixels: the map of one pixel and its point move alike."""
    target, point = ClassMapTarget(names=("no", "yes")), VectorTarget(names=("dot_x", "dot_y"))
    spot = torch.zeros(9, 9).long()
    spot[2, 6] = 1
    place = torch.tensor([6.0, 2.0])
    frame, box = (9, 9), Box(1, 4, 3, 3)
    moved = [
        (target.flip(spot, frame), point.flip(place, frame)),
        (target.rotate(spot, frame, 90.0), point.rotate(place, frame, 90.0)),
        (target.crop(spot, frame, box, (9, 9)), point.crop(place, frame, box, (9, 9))),
    ]
    for labels, where in moved:
        hits = labels.nonzero().float().mean(dim=0).flip(0)  # x, y of the middle
        assert torch.allclose(hits, where, atol=1e-5)


def test_a_negated_number_changes_its_sign_only_in_the_mirror():
    from mtlkit.targets.number import NumberTarget

    targets = {"yaw": NumberTarget(), "pose": VectorTarget(names=("yaw", "pitch"))}
    labels = {"yaw": torch.tensor(30.0), "pose": torch.tensor([30.0, 10.0])}
    sample = Sample(torch.zeros(3, 4, 4), labels, targets)
    mirror = Mirror(p=1.0, negate=("yaw", "pose.yaw"))
    mirrored = mirror.apply(sample, Draw(0))
    assert mirrored.labels["yaw"] == -30
    assert mirrored.labels["pose"].tolist() == [-30, 10]
    assert attrs.evolve(mirror, p=0.0).apply(sample, Draw(0)) is sample
    assert labels["pose"].tolist() == [30, 10]


def test_a_crop_of_the_whole_frame_changes_nothing():
    values = torch.arange(12).reshape(3, 4)
    assert torch.equal(crop_map(values, Box.of((3, 4)), (3, 4), -1), values)


def test_a_rotation_by_nothing_changes_nothing():
    sample = SCENE.render()
    require_same(Rotate(degrees=0.0).apply(sample, Draw(1)), sample)


@attrs.frozen(kw_only=True)
class Boxes(Target):
    """A target with pixels and without rules."""

    shape, dims, dtype, default_head, missing = "(N, H, W)", 3, torch.float32, "", 0.0

    def present(self, labels):
        return labels != 0


@pytest.mark.parametrize("rule", ["flip", "crop", "rotate"])
def test_pixels_without_a_rule_are_refused(rule):
    arguments = {"flip": (), "crop": (Box(0, 0, 2, 2), (2, 2)), "rotate": (5.0,)}[rule]
    with pytest.raises(DataError) as raised:
        getattr(Boxes(), rule)(torch.zeros(4, 4), (4, 4), *arguments)
    assert str(raised.value) == (
        f"transforms: Boxes has no rule for its pixels; define Boxes.{rule}"
    )


def test_a_map_of_another_size_than_the_input_is_refused():
    sample = Sample(
        torch.zeros(3, 8, 8), {"depth": torch.zeros(1, 4, 4)}, {"depth": RealMapTarget()}
    )
    with pytest.raises(DataError) as raised:
        sample.flip()
    assert str(raised.value) == (
        "transforms: got a map of 4 x 4 labels for an input of 8 x 8 pixels, expected one label "
        "for each pixel; resize the maps of the data source"
    )
