"""Rendered faces as data: the splits of a recognition protocol, and labels that agree with ids."""

from pathlib import Path

import attrs
import pytest
import torch
from mtlkit_face.cli import RECIPES
from mtlkit_face.data.rendered import Rendered
from mtlkit_synthetic_faces.face_set import FaceSet
from mtlkit_synthetic_faces.plan import plan
from mtlkit_synthetic_faces.protocol import EXPRESSIONS

from mtlkit import load_catalog, load_recipe
from mtlkit.data import Categorical, Data, Loading
from mtlkit.plugins import DataError

SMALL = Rendered(
    subjects=3, test_subjects=2, images_per_subject=14, size=32, lights_per_geometry=2, sessions=2
)


@pytest.fixture(scope="module")
def data() -> Data:
    return SMALL.load(Loading(workers=1))


def test_faces_are_standardized_on_request(data):
    standardized = attrs.evolve(SMALL, standardize=True).load(Loading(workers=1)).input_specs
    assert standardized == attrs.evolve(data.input_specs, standardize=True)


def test_the_splits_have_the_planned_sizes(data):
    sizes = {name: len(split) for name, split in data.splits().items()}
    assert sizes == {"train": 3 * 13, "validation": 3 * 1, "test": 2 * 14}
    assert data.input_specs.shape == (1, 32, 32)


def test_nobody_is_both_trained_on_and_tested(data):
    people = {name: set(split.categorical("subject").values())
              for name, split in data.splits().items()}  # fmt: skip
    assert people["train"] == people["validation"] == {"0", "1", "2"}
    assert people["test"] == {"3", "4"}
    assert data.open_labels == {"subject"}


def test_no_image_is_in_two_splits(data):
    ids = [identifier for split in data.splits().values() for identifier in split.ids]
    assert len(ids) == len(set(ids))


def test_ids_say_what_the_labels_say(data):
    split = data.test
    for place, identifier in enumerate(split.ids):
        for column, shown in (("subject", "subject{}-"), ("session", "-session{}-"),
                              ("light", "-light{}-"), ("expression", "-{}")):  # fmt: skip
            assert shown.format(split.categorical(column).values()[place]) in identifier
        assert f"-yaw{int(split.categorical('yaw').values()[place]):+d}-" in identifier


def test_labels_have_the_vocabulary_in_its_natural_order(data):
    yaw = data.train.columns["yaw"]
    assert isinstance(yaw, Categorical)
    assert list(yaw.names) == sorted(yaw.names, key=int)
    assert data.train.categorical("expression").names[0] == "neutral"


def test_the_vocabulary_is_what_the_set_may_show_in_every_split(data):
    for split in data.splits().values():
        assert split.categorical("yaw").names == tuple(map(str, range(-90, 91, 15)))
        assert split.categorical("light").names == tuple(map(str, range(20)))
        assert split.categorical("session").names == ("0", "1")
        assert split.categorical("expression").names == EXPRESSIONS


def test_two_lights_of_the_demo_are_one_and_the_page_says_how_often():
    demo = load_recipe(RECIPES / "demo-p-cnn.yaml", load_catalog("face")).data
    page = " ".join((Path(__file__).parents[4] / "docs/explanation/faces.md").read_text().split())
    share = [[(plan(demo.faces(test=test)).light == light).mean() for light in (0, 19)]
             for test in (False, True)]  # fmt: skip
    (a, b), (c, d) = share
    assert (
        f"Of the images of the demo's training subjects {a + b:.1%} are of the two ({a:.1%} and "
        f"{b:.1%}), of its test images {c + d:.1%} ({c:.1%} and {d:.1%})"
    ) in page
    assert (
        f"a coin between these two ends at {1 - (c + d) / 2:.3f} of the test images, always saying "
        f"0 at {1 - d:.3f}"
    ) in page


def test_images_are_gathered_in_the_order_asked_for(data):
    inputs = data.train.inputs
    one, other = inputs[torch.tensor([4])], inputs[torch.tensor([7, 4])]
    assert one.dtype == torch.uint8
    assert torch.equal(one[0], other[1])
    assert not torch.equal(other[0], other[1])


def test_each_test_subject_has_its_gallery_image(data):
    split = data.test
    frontal = [
        subject
        for subject, yaw, light, expression, session in zip(
            *(split.categorical(name).values()
              for name in ("subject", "yaw", "light", "expression", "session")), strict=True
        )
        if (yaw, light, expression, session) == ("0", "0", "neutral", "0")
    ]  # fmt: skip
    assert sorted(frontal) == ["3", "4"]


def test_a_cache_gives_the_same_data(data, tmp_path):
    for _ in range(2):  # rendered into the cache, then read from it
        again = SMALL.load(Loading(cache=tmp_path, workers=1))
        everyone = torch.arange(len(data.test))
        assert torch.equal(again.test.inputs[everyone], data.test.inputs[everyone])


def test_the_options_are_those_of_the_renderer_and_five_more():
    own = {field.name for field in attrs.fields(Rendered)}
    assert own - {field.name for field in attrs.fields(FaceSet)} == {
        "test_subjects", "test_images_per_subject", "validation", "labels",
        "standardize",
    }  # fmt: skip
    test = attrs.evolve(SMALL, test_images_per_subject=6).faces(test=True)
    assert (test.first_subject, test.subjects, test.images_per_subject) == (3, 2, 6)


def test_progress_is_told():
    heard = []
    small = attrs.evolve(SMALL, subjects=1, test_subjects=1)
    small.load(Loading(workers=1, progress=lambda *event: heard.append(event)))
    assert heard[-1] == ("rendering test faces", 14, 14)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": 8}, "size"),
        ({"test_subjects": 0}, "test_subjects: expected a whole number of at least 1, got 0"),
        ({"validation": 1.0}, "validation: expected a number from 0 to 0.9, got 1.0"),
    ],
)
def test_options_are_checked(options, words):
    with pytest.raises(ValueError, match=words):
        Rendered(**options)


def test_a_table_gives_more_labels_by_the_ids_of_images(tmp_path, data):
    first, second = data.train.ids[:2]
    (tmp_path / "more.csv").write_text(f"file,glasses\n{first},yes\n{second},\n")
    found = attrs.evolve(SMALL, labels="more.csv").load(Loading(workers=1, base=tmp_path))
    glasses = found.train.categorical("glasses").values()
    assert glasses[0] == "yes"
    assert set(glasses[1:]) == {None}
    assert found.test.categorical("glasses").names == ("yes",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "data.labels: no such file: more.csv"),
        ("file,yaw\na,1\n", "rendered faces already have a label 'yaw'"),
    ],
)
def test_a_table_that_cannot_be_used_is_told(tmp_path, text, message):
    if text is not None:
        (tmp_path / "more.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        attrs.evolve(SMALL, labels="more.csv").load(Loading(workers=1, base=tmp_path))
