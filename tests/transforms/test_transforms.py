"""Transforms of colors, sizes and pairs, their options, and lists of them in a recipe."""

import attrs
import pytest
import torch

from mtlkit.data import (
    CenterCrop,
    ClassMapTarget,
    ClassTarget,
    ColorJitter,
    Crop,
    Draw,
    Erase,
    Gray,
    Mirror,
    Mixup,
    MultiLabelTarget,
    NumberTarget,
    RealMapTarget,
    Resize,
    ResizedCrop,
    Sample,
    Scale,
    VectorTarget,
)
from mtlkit.errors import DataError
from mtlkit.recipe import Transforms
from mtlkit.recipe_io import dump_recipe, parse_recipe
from mtlkit.testing import small_recipe

SIDE = ClassTarget(names=("left", "front", "right"))


def sample_of(target, labels, size=(8, 10), channels=3):
    image = torch.arange(channels * size[0] * size[1]).reshape(channels, *size) % 251
    return Sample(image.to(torch.uint8), {"task": torch.as_tensor(labels)}, {"task": target})


def error(function, *arguments):
    with pytest.raises((DataError, ValueError)) as raised:
        function(*arguments)
    return str(raised.value)


def test_classes_named_for_a_side_swap_in_a_mirror():
    mirror = Mirror(p=1.0, swap={"task": {"left": "right"}})
    for code, mirrored in ((0, 2), (1, 1), (2, 0), (-1, -1)):
        assert mirror.apply(sample_of(SIDE, code), Draw(0)).labels["task"] == mirrored
    kept = Mirror(p=1.0, swap={"task": {}}).apply(sample_of(SIDE, 0), Draw(0))
    assert kept.labels["task"] == 0


def test_classes_of_pixels_swap_and_move():
    target = ClassMapTarget(names=("left arm", "right arm", "none"))
    codes = torch.tensor([[0, 2, 2, 1, -1]])
    sample = sample_of(target, codes, size=(1, 5))
    mirrored = Mirror(p=1.0, swap={"task": {"left arm": "right arm"}}).apply(sample, Draw(0))
    assert mirrored.labels["task"].tolist() == [[-1, 0, 2, 2, 1]]


def test_labels_of_two_sides_swap_their_columns():
    target = MultiLabelTarget(names=("left eye open", "smile", "right eye open"))
    mirror = Mirror(p=1.0, swap={"task": {"left eye open": "right eye open"}})
    labels = mirror.apply(sample_of(target, [1, -1, 0]), Draw(0)).labels["task"]
    assert labels.tolist() == [0, -1, 1]


@pytest.mark.parametrize(
    ("mirror", "target", "message"),
    [
        (
            Mirror(p=1.0),
            SIDE,
            "transforms: mirror: got the classes 'left' and 'right' of the task 'task'; add "
            "`swap: {task: {left: right}}`, or `swap: {task: {}}` if a mirror does not exchange "
            "them",
        ),
        (
            Mirror(p=1.0, swap={"task": {"left": "rigth"}}),
            SIDE,
            "transforms: mirror: swap.task: got 'rigth', expected a class of the task; did you "
            "mean 'right'?",
        ),
        (
            Mirror(p=1.0, negate=("task",), swap={"task": {}}),
            SIDE,
            "transforms: mirror: negate: got 'task', which has classes, expected a task with "
            "numbers; use `swap`",
        ),
        (
            Mirror(p=1.0, negate=("task.jaw",)),
            VectorTarget(names=("yaw", "pitch")),
            "transforms: mirror: negate: got task.jaw, expected a component of the task: yaw, "
            "pitch",
        ),
    ],
)
def test_a_mirror_that_does_not_fit_the_labels_is_refused(mirror, target, message):
    labels = torch.zeros(2) if isinstance(target, VectorTarget) else 0
    assert error(mirror.apply, sample_of(target, labels), Draw(0)) == message


def test_crops_need_room():
    sample = sample_of(SIDE, 0)
    assert error(Crop(size=9).apply, sample, Draw(0)) == (
        "transforms: crop: got an input of 8 x 10 pixels, expected at least 9 x 9; use a smaller "
        "size, or `resize` first"
    )
    assert Crop(size=9, padding=1).apply(sample, Draw(0)).frame == (9, 9)


def test_a_center_crop_is_the_middle():
    sample = sample_of(SIDE, 0)
    middle = CenterCrop(size=(4, 6)).apply(sample, Draw(0)).inputs
    assert torch.equal(middle, sample.inputs[:, 2:6, 2:8])


def test_a_resized_crop_is_inside_the_frame_and_zooms():
    depth = RealMapTarget(quantity="depth")
    sample = sample_of(depth, torch.ones(1, 24, 32), size=(24, 32))
    zooms = set()
    for seed in range(50):
        result = ResizedCrop(size=16, min_area=0.2).apply(sample, Draw(seed))
        assert result.frame == (16, 16)
        zoom = 1 / result.labels["task"]
        assert not zoom.isnan().any()  # nothing from outside
        assert zoom.min() == zoom.max()
        zooms.add(round(zoom.min().item(), 3))
    assert 1 <= min(zooms) < 1.1
    assert 1.8 < max(zooms) <= 5**0.5 + 0.1


def test_a_change_of_resolution_is_no_change_of_distance():
    depth = RealMapTarget(quantity="depth")
    resized = Resize(size=(4, 5)).apply(sample_of(depth, torch.full((1, 8, 10), 3.0)), Draw(0))
    assert torch.equal(resized.labels["task"], torch.full((1, 4, 5), 3.0))


def test_colors_change_but_labels_do_not():
    sample = sample_of(SIDE, 0)
    for transform in (ColorJitter(), Gray(p=1.0), Erase(p=1.0)):
        changed = transform.apply(sample, Draw(1))
        assert changed.labels is sample.labels
        assert not torch.equal(changed.inputs, sample.inputs)
    gray = Gray(p=1.0).apply(sample, Draw(0)).inputs
    assert torch.equal(gray[0], gray[1])
    nothing = ColorJitter(brightness=0.0, contrast=0.0, saturation=0.0, hue=0.0)
    difference = nothing.apply(sample, Draw(0)).inputs.int() - sample.inputs.int()
    assert difference.abs().max() <= 2  # of rounding between color spaces


def test_an_erased_rectangle_has_one_color_and_the_stated_area():
    sample = sample_of(SIDE, 0, size=(40, 40))
    for seed in range(20):
        erased = Erase(p=1.0, min_area=0.1, max_area=0.2).apply(sample, Draw(seed)).inputs
        mean = sample.inputs.float().mean(dim=(1, 2)).to(torch.uint8)
        share = (erased == mean.reshape(3, 1, 1)).all(dim=0).float().mean()
        assert 0.08 < share < 0.22


@pytest.mark.parametrize("transform", [ColorJitter(), Gray(p=1.0)])
def test_colors_of_other_inputs_are_refused(transform):
    sample = Sample(torch.zeros(2, 4, 4), {}, {})
    name = {ColorJitter: "color-jitter", Gray: "gray"}[type(transform)]
    assert error(transform.apply, sample, Draw(0)) == (
        f"transforms: {name}: got float32 of shape (2, 4, 4), expected an 8-bit image of 1 or 3 "
        f"channels; leave it out"
    )


def test_inputs_that_are_not_images_are_refused():
    sample = Sample({"ids": torch.zeros(5)}, {"task": torch.tensor(0)}, {"task": SIDE})
    assert error(Mirror(p=1.0).apply, sample, Draw(0)) == (
        "transforms: got inputs of shape (5,), expected images (C, H, W) of one size; leave out "
        "the transforms of images, or resize in the data source"
    )


def test_all_images_of_a_sample_move_together_and_other_inputs_stay():
    image = torch.arange(12.0).reshape(1, 3, 4)
    inputs = {"left": image, "right": image + 1, "ids": torch.arange(3)}
    sample = Sample(inputs, {"task": torch.tensor(1.0)}, {"task": NumberTarget()})
    mirrored = Mirror(p=1.0).apply(sample, Draw(0)).inputs
    assert torch.equal(mirrored["left"], image.flip(-1))
    assert torch.equal(mirrored["right"], image.flip(-1) + 1)
    assert mirrored["ids"] is inputs["ids"]


def test_mixup_mixes_inputs_and_chooses_labels_by_the_same_weight():
    one = Sample(torch.zeros(1, 2, 2), {"task": torch.tensor(0)}, {"task": SIDE})
    two = Sample(torch.ones(1, 2, 2), {"task": torch.tensor(2)}, {"task": SIDE})
    results = [Mixup(alpha=1.0).apply(one, Draw(seed, lambda _: two)) for seed in range(2000)]
    weights = torch.stack([1 - result.inputs.mean() for result in results])
    kept = torch.stack([result.labels["task"] == 0 for result in results]).float()
    assert weights.mean().item() == pytest.approx(0.5, abs=0.03)
    for low in (0.0, 0.25, 0.5, 0.75):  # the share of kept labels is the weight
        near = (weights >= low) & (weights < low + 0.25)
        assert kept[near].mean().item() == pytest.approx(weights[near].mean().item(), abs=0.08)


def test_mixup_of_numbers_is_refused():
    sample = sample_of(NumberTarget(), 1.0)
    assert error(Mixup().apply, sample, Draw(0, lambda _: sample)) == (
        "transforms: mixup: the task 'task' predicts a number, expected classes or several "
        "labels of each sample; leave it out"
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Scale(low=2.0, high=1.0), "high: expected at least `low`, 2.0, got 1.0"),
        (
            lambda: Erase(min_area=0.5, max_area=0.2),
            "max_area: expected at least `min_area`, 0.5, got 0.2",
        ),
        (
            lambda: Resize(size=(1, 2, 3)),
            "size: expected one number, or height and width, got (1, 2, 3)",
        ),
    ],
)
def test_options_that_contradict_each_other_are_refused(make, message):
    assert error(make) == message


def test_transforms_are_written_and_read_by_name(catalog):
    text = (
        "data: {type: table, file: a.csv, labels: [age]}\nbackbone: mlp\ntasks: {age: {}}\n"
        "transforms:\n  train: [{type: crop, size: [8, 6], padding: 1}, mirror]\n"
        "  test: [{type: center-crop, size: 8}]\n"
    )
    recipe = parse_recipe(text, "recipe.yaml", catalog)
    assert recipe.transforms == Transforms(
        train=(Crop(size=(8, 6), padding=1), Mirror()), test=(CenterCrop(size=8),)
    )
    assert parse_recipe(dump_recipe(recipe, catalog), "again", catalog) == recipe


def test_random_transforms_in_evaluation_and_unknown_tasks_are_problems_of_the_recipe():
    transforms = Transforms(train=(Mirror(negate=("siz",), swap={"kid": {}}),), test=(Gray(),))
    recipe = attrs.evolve(small_recipe(), transforms=transforms)
    assert [str(problem) for problem in recipe.problems()] == [
        "transforms.train.0.negate: no task named 'siz'; did you mean 'size'?",
        "transforms.train.0.swap: no task named 'kid'; did you mean 'kind'?",
        "transforms.test.0: Gray is random; list it under `transforms.train`",
    ]
