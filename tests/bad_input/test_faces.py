"""The same mistakes with the face plugin: its data, its evaluation, its cache, its command."""

import errno
import os
import re
import resource

import pytest

pytest.importorskip("mtlkit_face", reason="the face plugin is not installed")

RECIPE = """\
data:
  type: face/rendered
  subjects: 2
  test_subjects: 2
  images_per_subject: 13
  size: 32
  lights_per_geometry: 1
  supersampling: 1
backbone: {type: mlp, hidden: [4]}
tasks:
  identity: {role: main, target: subject}
  pose: {target: yaw}
router:
  type: grouped
  task: identity
  by: pose
  groups:
    left: [-90, -75, -60, -45]
    front: [-30, -15, 0, 15, 30]
    right: [45, 60, 75, 90]
weighting: {type: dynamic, total: 0.1}
train: {epochs: 1, batch: 8, threads: 1, device: cpu}
evaluators: [face/identification]
"""


@pytest.fixture(autouse=True)
def _recipe(home, monkeypatch):
    (home / "faces.yaml").write_text(RECIPE)
    monkeypatch.setenv("MTLKIT_PLUGINS", "face")


TRAIN = ("train", "faces.yaml", "--quiet", "--out", "run", "--cache", "kept")


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("data.size=31", "data.size: expected a whole number from 32 to 112, got 31"),
        ("data.size=48.5", "data.size: expected"),
        ("data.poses=14", "poses: expected 13 (head height) or 15 (and overhead), got 14"),
        ("data.noise=-1", "data.noise: expected a number from 0 to 0.5, got -1"),
        ("data.test_subjects=0", "test_subjects: expected a whole number of at least 1, got 0"),
        ("data.images_per_subject=9999", "images_per_subject: expected"),
        ("data.subject=3", "data.subject: unknown option of 'face/rendered'"),
        ("data.validation=1", "validation: expected a number from 0 to 0.9, got 1"),
        ("data.type=face/renderd", "did you mean 'face/rendered'"),
        ("evaluators=[face/identificaton]", "did you mean 'face/identification'"),
        ("router.by=yaw", "router.by: no task named 'yaw'; the tasks are identity, pose"),
        ("tasks.identity.role=side", "got no main task, expected at least 1 for dynamic weights"),
    ],
)
@pytest.mark.parametrize("command", ["explain", "train"])
def test_a_recipe_with_a_mistake(command, override, words, refused):
    assert words in refused(command, "faces.yaml", "--set", override)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("tasks.pose.target=angle", "the data has no label 'angle'; it has: expression, light"),
        ("router.groups.front=[0]", "got classes without a group: -30, -15, 15, 30"),
        ("router.groups.front=[-30, -15, 0, 15, 30, 7]", "that the data does not have: 7"),
        ("tasks.pose.head={type: classification, classes: 12}", "states 12 classes, the training"),
        (
            "tasks.more={target: expression, head: regression}",
            "the label 'expression' is a class (N,), the head Regression predicts",
        ),
        ("router.branch=block", "can be split before its last block"),
        ("evaluators=[{type: face/identification, by: angle}]", "'angle'"),
        ("evaluators=[{type: face/identification, split: tset}]", "tset"),
        ("evaluators=[{type: face/identification, task: identty}]", "identty"),
        ("evaluators=[{type: face/identification, gallery: {yaw: 1}}]", "'yaw' has no value '1'"),
    ],
)
def test_a_recipe_that_its_faces_contradict_leaves_no_run(override, words, home, call):
    code, out, err = call(*TRAIN, "--set", override)
    assert (code, out) == (2, "")
    assert words in err
    assert not (home / "run").exists()


@pytest.mark.parametrize("how", ["grow", "sync"])
def test_a_full_disk_under_the_cache_leaves_neither_a_set_nor_a_run(
    how, home, call, monkeypatch, files_of_at_most
):
    kept, plain = home / "kept" / "faces", os.fsync

    def fsync(handle):
        if kept.exists():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        plain(handle)

    with monkeypatch.context() as patch:
        if how == "sync":
            patch.setattr(os, "fsync", fsync)
        with files_of_at_most(4096 if how == "grow" else resource.RLIM_INFINITY):
            code, out, err = call(*TRAIN)
    assert (code, out) == (2, "")
    assert re.search(r"kept: the rendered faces cannot be cached: .*(No space|too large)", err), err
    assert "another folder with --cache" in err
    assert [path.name for path in kept.iterdir() if path.suffix != ".lock"] == []
    assert not (home / "run").exists()
    assert call(*TRAIN)[0] == 0


def test_the_disk_is_asked_for_room_before_faces_are_rendered(tmp_path):
    """A full disk that a memory map met only when a page is written would kill the process."""
    from mtlkit_synthetic_faces.cache import cached_images
    from mtlkit_synthetic_faces.face_set import FaceSet

    faces = FaceSet(subjects=1, images_per_subject=13, size=100)
    shape = (len(faces), 1, 100, 100)

    def fill(images):
        [file] = tmp_path.rglob("images.npy")
        assert file.stat().st_blocks * 512 >= images.nbytes  # not a file of holes
        images[:] = 7

    cached_images(tmp_path, faces, shape, fill)


def test_a_cache_where_no_folder_can_be(home, refused):
    said = refused(*TRAIN[:-1], "good.yaml/kept")
    assert "the rendered faces cannot be cached: Not a directory" in said


RENDER = ("--subjects", 1, "--images-per-subject", 2, "--size", 32, "--workers", 1)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--out", "good.yaml"), "is a file"),
        (("--out", "pictures"), "choose a new or empty folder with --out"),
        (("--out", "new", "--size", 20), "size: expected a whole number from 32 to 112, got 20"),
        (("--out", "new", "--subjects", "many"), "'many' is not a valid integer"),
        ((), "Missing option '--out'"),
    ],
)
def test_rendering_with_a_mistake(options, words, refused):
    assert words in refused("face", "render", *RENDER, *options)


@pytest.mark.parametrize(
    ("options", "words"),
    [(("--out", "good.yaml/new"), "Not a directory"), (("--out", "new", "--workers", 0), ">= 1")],
)
def test_rendering_that_cannot_end(options, words, home, call, contents):
    before = contents(home)
    code, _, err = call("face", "render", *RENDER, *options)
    assert code == 2
    assert words in err
    assert contents(home) == before


def test_rendering_onto_a_full_disk_never_looks_complete(home, call, files_of_at_most):
    with files_of_at_most(200):
        code, _, err = call("face", "render", *RENDER, "--out", "new")
    assert code == 2
    assert "mtlkit: error: " in err
    assert not (home / "new" / "labels.csv").exists()  # which is what says that all is there


def test_copying_recipes_over_others(home, refused):
    (home / "mine").mkdir()
    (home / "mine" / "cmu_faces.yaml").write_text("mine")
    said = refused("face", "recipes", "--out", "mine")
    assert "cmu_faces.yaml: already exists" in said
