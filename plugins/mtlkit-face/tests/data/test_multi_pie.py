"""Multi-PIE: the published counts follow from the settings; a rendered tree is read as such."""

import attrs
import numpy as np
import pytest
import torch
from mtlkit_face.cli import RECIPES
from mtlkit_face.data.multi_pie.completeness import Shortfall, count
from mtlkit_face.data.multi_pie.names import CAMERAS, EXPRESSIONS, RECORDED, PictureName, parse_name
from mtlkit_face.data.multi_pie.settings import SESSION_SUBJECTS, SETTINGS
from mtlkit_face.data.multi_pie.source import MultiPie
from mtlkit_face.data.multi_pie.tree import PictureTable, parse_tree
from mtlkit_face.data.rendered import Rendered
from mtlkit_face.identification.evaluator import Identification
from mtlkit_synthetic_faces import FaceSet, render_set
from mtlkit_synthetic_faces.protocol import POSES
from PIL import Image

from mtlkit import fit, load_catalog, load_recipe
from mtlkit.data import Loading
from mtlkit.plugins import DataError

# who came to which session: 337 subjects in the published sizes, 200 of them numbered 1 to 200
FIRST = [*range(1, 251)]
FIRST.remove(213)
SECOND = [*range(1, 131), *range(251, 324)]
THIRD = [*range(1, 144), *range(201, 213), *range(264, 339)]
FOURTH = [*range(1, 149), *range(248, 339)]
ROSTER = {1: FIRST, 2: SECOND, 3: THIRD, 4: FOURTH}


def everything():
    """What all 754,200 pictures show."""
    tables = []
    for session, people in ROSTER.items():
        axes = (people, [session], range(1, len(RECORDED[session]) + 1), range(15), range(20))
        grid = np.meshgrid(*(np.array([*axis]) for axis in axes), indexing="ij")
        tables.append(np.stack([axis.ravel() for axis in grid], 1))
    table = np.concatenate(tables).astype(np.int16)
    return PictureTable.of(table[np.lexsort(table.T[::-1])])


@pytest.fixture(scope="module")
def whole():
    return everything()


def test_the_roster_is_the_published_one():
    assert {session: len(people) for session, people in ROSTER.items()} == SESSION_SUBJECTS
    assert len({person for people in ROSTER.values() for person in people}) == 337


@pytest.mark.parametrize("name", SETTINGS)
def test_the_counts_of_the_paper_follow_from_the_settings(whole, name):
    setting = SETTINGS[name]
    chosen = whole.take(whole.chosen(setting, 0))
    assert count(chosen, setting, 0) == setting.counts
    assert len(chosen) == setting.counts.images
    assert Shortfall.of(chosen, setting, 0).recordings == []


def test_the_totals_are_those_of_the_table():
    totals = {name: setting.counts.images for name, setting in SETTINGS.items()}
    assert totals == {
        "I": 8_120, "II": 34_860, "III": 74_700, "IV": 208_800, "V": 301_600, "full": 754_200,
    }  # fmt: skip


def test_what_is_missing_is_named(whole):
    setting = SETTINGS["II"]
    chosen = whole.take(whole.chosen(setting, 0))
    gone = (chosen.subject == 7) | (
        (chosen.subject == 150) & (chosen.light > 17) & (chosen.camera == 6)
    )
    left = chosen.take(np.flatnonzero(~gone))
    shortfall = Shortfall.of(left, setting, 0)
    assert shortfall.counts == [
        "training subjects: 99 of 100", "training images: 13,860 of 14,000",
        "probes: 20,709 of 20,711",
    ]  # fmt: skip
    assert shortfall.recordings == [
        "session 01: 248 of 249 subjects",
        "session 01, subject 150, recording 01: 138 of 140 pictures (camera 051)",
    ]


def test_a_name_says_what_is_shown():
    shown = parse_name("001_04_03_191_19.png")
    assert shown == PictureName(subject=1, session=4, recording=3, camera="191", light=19)
    assert shown.expression == "scream"
    assert CAMERAS[shown.camera] == 45
    assert f"{shown.folder}/{shown.name}" == ("session04/multiview/001/03/19_1/001_04_03_191_19")
    for other in ("labels.csv", "001_01_01.JPG", "001_01_01_051_07.png.part", "1_1_1_051_7.png"):
        assert parse_name(other) is None


def test_there_are_13_yaws_and_each_expression():
    assert sorted(set(CAMERAS.values())) == list(range(-90, 91, 15))
    assert {name for names in RECORDED.values() for name in names} == set(EXPRESSIONS)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("001_05_01_051_07.png", "got session 05, expected 01 to 04"),
        ("001_01_03_051_07.png", "got recording 03 of session 01, expected 01 to 02"),
        ("001_01_01_999_07.png", "got camera 999, expected one of 010, 041, 050"),
        ("001_01_01_051_20.png", "got light 20, expected 00 to 19"),
    ],
)
def test_a_name_that_no_picture_has(tmp_path, name, message):
    with pytest.raises(DataError) as caught:
        parse_tree(tmp_path, [f"a/{name}"])
    assert str(caught.value).startswith(f"{tmp_path}/a/{name}: {message}")


def test_a_picture_that_is_there_twice(tmp_path):
    with pytest.raises(DataError) as caught:
        parse_tree(tmp_path, ["a/001_01_01_051_07.png", "b/001_01_01_051_07.jpg"])
    assert str(caught.value) == (
        f"{tmp_path}: got 1 duplicate pictures, such as a/001_01_01_051_07.png and "
        f"b/001_01_01_051_07.jpg; keep one of the two"
    )


# -- a small rendered tree: four subjects, two of them to train on, three pictures of each camera

NUMBERS = (1, 2, 201, 202)
SHOT = (0, 7, 19)
SESSIONS = {1: (1, 2), 4: (1, 2, 3)}
YAW_OF_POSE = [camera.yaw for camera in POSES]


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """The official layout; the fourth session is that of the first and the last subject."""
    folder = tmp_path_factory.mktemp("Multi-Pie") / "data"
    faces = FaceSet(subjects=4, sessions=1, poses=15, lights=2, size=32, supersampling=1)
    rendered = render_set(faces, cache=None, workers=1)
    rows = rendered.rows
    place = {key: i for i, key in enumerate(zip(rows.subject.tolist(), rows.pose.tolist(),
             rows.light.tolist(), rows.expression.tolist(), strict=True))}  # fmt: skip
    for person, number in enumerate(NUMBERS):
        for session, recordings in SESSIONS.items():
            if session == 4 and number in (2, 201):
                continue
            for recording in recordings:
                for pose, camera in enumerate(CAMERAS):
                    for light in SHOT:
                        shown = PictureName(number, session, recording, camera, light)
                        expression = EXPRESSIONS.index(shown.expression)
                        image = rendered.images[place[person, pose, light % 19, expression]]
                        (folder / shown.folder).mkdir(parents=True, exist_ok=True)
                        path = folder / shown.folder / f"{shown.name}.png"
                        Image.fromarray(image[0]).save(path)
    (folder / "session01/highres/001/01").mkdir(parents=True)
    (folder / "session01/highres/001/01/001_01_01.JPG").write_bytes(b"of the big camera")
    return folder


def small(tree, **options):
    return MultiPie(folder=tree, size=32, incomplete=True, **options)


def load(source, **circumstances):
    return source.load(Loading(workers=1, **circumstances))


def shipped(setting):
    number = "full" if setting == "full" else str([*SETTINGS].index(setting) + 1)
    return load_recipe(RECIPES / f"multi-pie-{number}.yaml", load_catalog("face"))


def test_the_cameras_stand_where_those_of_the_renderer_do():
    assert list(CAMERAS.values()) == YAW_OF_POSE


@pytest.mark.parametrize(
    ("setting", "train", "test"),
    [
        # recordings x cameras x pictures of each subject
        ("I", (1 + 2) * 7 + 1 * 7, 1 * 7 + (1 + 2) * 7),
        ("II", 2 * 7 * 3, 2 * 7 * 3),
        ("III", 2 * 15 * 3, 2 * 15 * 3),
        ("IV", (3 + 1) * 9 * 3, (3 + 1) * 9 * 3),
        ("V", (3 + 1) * 13 * 3, (3 + 1) * 13 * 3),
        ("full", (5 + 2) * 15 * 3, (5 + 2) * 15 * 3),
    ],
)
def test_each_setting_takes_its_own(tree, setting, train, test):
    data = load(small(tree, setting=setting))
    assert (len(data.train), len(data.test)) == (train, test)
    assert data.open_labels == {"subject"}
    assert set(data.train.categorical("subject").values()) == {"001", "002"}
    assert set(data.test.categorical("subject").values()) == {"201", "202"}


def test_pictures_are_standardized_on_request(tree):
    assert load(small(tree, standardize=True)).input_specs.standardize
    assert not load(small(tree)).input_specs.standardize


def test_labels_say_what_names_say(tree):
    split = load(small(tree)).test
    assert split.categorical("light").names == tuple(map(str, range(19)))
    assert split.categorical("yaw").names == tuple(map(str, range(-90, 91, 15)))
    assert split.categorical("expression").names == EXPRESSIONS
    values = {name: column.values() for name, column in split.columns.items()}
    for place, name in enumerate(split.ids):
        shown = parse_name(f"{name}.png")
        assert {label: values[label][place] for label in values} == {
            "subject": f"{shown.subject:03d}", "session": str(shown.session),
            "recording": str(shown.recording), "camera": shown.camera,
            "yaw": str(CAMERAS[shown.camera]), "light": str(shown.light % 19),
            "neutral_light": "yes" if shown.light == 0 else "no", "expression": shown.expression,
        }  # fmt: skip


def test_the_pictures_are_those_of_the_files(tree):
    split = load(small(tree)).test
    place = split.ids.index("202_04_03_240_07")
    with Image.open(tree / "session04/multiview/202/03/24_0/202_04_03_240_07.png") as image:
        pixels = torch.from_numpy(np.asarray(image).copy())
    assert torch.equal(split.inputs[torch.tensor([place])][0, 0], pixels)


@pytest.mark.parametrize("light", SHOT)
@pytest.mark.parametrize("name", SETTINGS)
def test_the_gallery_of_a_shipped_recipe_is_frontal_neutral_and_under_the_neutral_light(
    tree, name, light
):
    (evaluator,) = shipped(name).evaluators
    data = load(small(tree, setting=name, neutral_light=light))
    evaluator.check(data)
    split, trial = evaluator.arrange(data)
    first = [f"{number}_01_01_051_{light:02d}" for number in (201, 202)]
    assert [split.ids[i] for i in trial.gallery] == first
    assert len(trial.probes) == len(split) - 2


RULE = {"yaw": 0, "expression": "neutral"}


@pytest.mark.parametrize(
    ("light", "rule", "taken"),
    [
        (0, RULE, 0),
        (0, {**RULE, "light": 0}, 0),
        (7, {**RULE, "light": 7}, 7),
        (0, {**RULE, "light": 7, "neutral_light": "no"}, 7),
        (19, {**RULE, "light": 0, "neutral_light": "yes"}, 19),
        (0, {**RULE, "light": 7}, None),
        (7, RULE, None),
        (7, {**RULE, "light": 0}, None),
        (19, {**RULE, "light": 0}, None),
    ],
)
def test_a_gallery_under_another_light_is_refused_unless_it_is_asked_for(tree, light, rule, taken):
    data = load(small(tree, setting="II", neutral_light=light))
    asked = Identification(gallery=rule)
    if taken is not None:
        split, trial = asked.arrange(data)
        assert [split.ids[i][-2:] for i in trial.gallery] == [f"{taken:02d}"] * 2
        return
    with pytest.raises(DataError) as caught:
        asked.check(data)
    found = ", ".join(f"{label} {value}" for label, value in rule.items())
    wrong = rule.get("light", 0)
    assert str(caught.value) == (
        f"identification: the gallery images of 2 of 2 subjects ({found}) are not under the data's "
        f"neutral light, such as '201_01_01_051_{wrong:02d}'; add `neutral_light: yes` to the "
        f"option `gallery`, or `neutral_light: no` to use another light"
    )


def test_an_incomplete_tree_is_refused_or_counted(tree):
    with pytest.raises(DataError) as caught:
        load(attrs.evolve(small(tree, setting="II"), incomplete=False))
    lines = str(caught.value).splitlines()
    assert lines[:7] == [
        f"{tree}: is incomplete for setting II of Multi-PIE:",
        "  training subjects: 2 of 100",
        "  training images: 42 of 14,000",
        "  gallery images: 2 of 149",
        "  probes: 40 of 20,711",
        "  session 01: 4 of 249 subjects",
        "  session 01, subject 001, recording 01: 21 of 140 pictures (camera 080, 130, 140 and 4 "
        "more)",
    ]
    assert lines[-1].startswith(
        "add the missing pictures, or accept the tree with `incomplete: true`"
    )
    summary = load(small(tree, setting="II")).summary
    assert summary["incomplete, not comparable"] == (
        "training subjects: 2 of 100; training images: 42 of 14,000; gallery images: 2 of 149; "
        "probes: 40 of 20,711"
    )
    assert summary["other files"] == ("1, such as session01/highres/001/01/001_01_01.JPG")


def test_a_test_subject_without_a_gallery_image_is_counted(tree, tmp_path):
    import shutil

    copy = tmp_path / "data"
    shutil.copytree(tree / "session01/multiview", copy)
    (copy / "201/01/05_1/201_01_01_051_00.png").unlink()
    data = load(small(copy, setting="II"))
    assert set(data.test.categorical("subject").values()) == {"202"}
    assert data.summary["test subjects skipped, without a gallery image"] == "1, such as 201"


def test_training_subjects_are_held_out_to_develop(tree):
    data = load(small(tree, setting="II", development=1))
    assert set(data.train.categorical("subject").values()) == {"001"}
    assert set(data.test.categorical("subject").values()) == {"002"}
    with pytest.raises(DataError) as caught:
        load(small(tree, setting="II", development=2))
    assert str(caught.value) == (
        "data.development: got 2, expected fewer than the 2 training subjects"
    )


def test_another_neutral_light(tree):
    split = load(small(tree, setting="I", neutral_light=7)).train
    assert {name[-2:] for name in split.ids} == {"07"}
    assert split.categorical("light").names == ("7",)
    with pytest.raises(ValueError, match="neutral_light: got 3, expected 0 or 19 "):
        MultiPie(folder=tree, neutral_light=3)


def test_raw_photographs_are_to_be_aligned_first(tree, tmp_path):
    folder = tmp_path / "session01/multiview/001/01/05_1"
    folder.mkdir(parents=True)
    Image.new("RGB", (64, 48)).save(folder / "001_01_01_051_00.png")
    with pytest.raises(DataError) as caught:
        load(small(tmp_path))
    assert "is 64 x 48 pixels; expected a square, aligned face (`mtlkit face align`)" in str(
        caught.value
    )


def test_folders_that_hold_no_multi_pie(tmp_path):
    with pytest.raises(DataError, match="contains no picture of Multi-PIE; expected files such as"):
        load(small(tmp_path))


def test_rank_1_by_yaw_comes_of_a_shipped_recipe(tree, tmp_path):
    small = ("data.incomplete=true", "data.size=32", f"data.folder={tree}", "backbone.width=0.1",
             "train.epochs=1", "train.device=cpu", "train.precision=fp32")  # fmt: skip
    recipe = load_recipe(RECIPES / "multi-pie-3.yaml", load_catalog("face"), small)
    run = fit(recipe, tmp_path / "run", quiet=True)
    for name in ("face/rank1", "face/rank1/group/left", "test/illumination/accuracy"):
        assert 0 <= run.metrics[name] <= 1
    found = {name for name in run.metrics if name.startswith("face/rank1/yaw/")}
    assert found == {f"face/rank1/yaw/{yaw}" for yaw in range(-90, 91, 15)}
    sizes = [run.metrics[f"face/rank1/abs-yaw/{size}"] for size in range(0, 91, 15)]
    assert run.metrics["face/rank1/yaw-mean"] == pytest.approx(np.mean(sizes))


@pytest.mark.parametrize("name", SETTINGS)
def test_a_recipe_of_each_setting_is_the_p_cnn_of_the_poses_it_has(name):
    from mtlkit_face.networks.yin_liu import p_cnn

    recipe = shipped(name)
    assert recipe.data.setting == name
    yaws = {CAMERAS[camera] for camera in SETTINGS[name].cameras}
    grouped = [yaw for members in recipe.router.groups.values() for yaw in members]
    assert sorted(grouped) == sorted(yaws)
    paper = p_cnn(Rendered())
    side = {"pose": True, "illumination": SETTINGS[name].every_light,
            "expression": SETTINGS[name].every_expression}  # fmt: skip
    assert recipe.tasks == {task: paper.tasks[task] for task in paper.tasks if side.get(task, True)}
    for part in ("backbone", "weighting", "optimizer", "schedule", "train"):
        assert getattr(recipe, part) == getattr(paper, part)
