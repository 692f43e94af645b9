"""The value that describes a set, and its plan."""

import subprocess
import sys
from collections import Counter
from typing import Any

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mtlkit_synthetic_faces.face_set import FaceSet
from mtlkit_synthetic_faces.plan import FacePlan, plan
from mtlkit_synthetic_faces.protocol import LIGHT_PRIORITY, LIGHTS, POSES


def keys(rows: FacePlan) -> list[tuple[int, ...]]:
    columns = (rows.subject, rows.session, rows.pose, rows.light, rows.expression)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def test_describing_a_set_needs_neither_numpy_nor_numba() -> None:
    code = (
        "import sys; from mtlkit_synthetic_faces.face_set import FaceSet; FaceSet(); "
        "sys.exit(any(m in sys.modules for m in ('numpy', 'numba', 'torch', 'mtlkit', 'PIL')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"size": 31}, "size: expected a whole number from 32 to 112, got 31"),
        ({"size": 48.0}, "size: expected a whole number from 32 to 112, got 48.0"),
        ({"subjects": 0}, "subjects: expected a whole number of at least 1, got 0"),
        ({"subjects": True}, ", got True"),
        ({"channels": 2}, "channels: expected 1 (gray) or 3 (RGB), got 2"),
        ({"poses": 14}, "poses: expected 13 (head height) or 15 (and overhead), got 14"),
        ({"lights": 21}, "lights: expected a whole number from 1 to 20, got 21"),
        ({"expressions": 0}, "expressions: expected a whole number from 1 to 6, got 0"),
        ({"noise": -0.1}, "noise: expected a number from 0 to 0.5, got -0.1"),
        ({"noise": float("nan")}, ", got nan"),
        ({"seed": "1"}, ", got '1'"),
        ({"images_per_subject": 0}, ", got 0"),
        ({"images_per_subject": 2, "sessions": 1, "expressions": 1, "lights": 1, "poses": 12},
         "expected"),
        ({"images_per_subject": 1300, "sessions": 1, "expressions": 5},
         "from 1 to 1300|at most 260"),
    ],
)  # fmt: skip
def test_wrong_values_are_named(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match="expected") as caught:
        FaceSet(**wrong)
    assert any(part in str(caught.value) for part in message.split("|"))


def test_a_set_is_a_value() -> None:
    assert FaceSet(seed=3) == FaceSet(seed=3)
    assert hash(FaceSet(seed=3)) == hash(FaceSet(seed=3))
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        FaceSet().size = 64  # type: ignore[misc]


def test_every_light_has_its_place_in_the_priority() -> None:
    assert sorted(LIGHT_PRIORITY) == list(range(len(LIGHTS)))
    assert [camera.yaw for camera in POSES[:13]] == list(range(-90, 91, 15))
    assert sum(light.flash for light in LIGHTS) == 18


small = st.builds(
    FaceSet,
    subjects=st.integers(1, 3),
    first_subject=st.integers(0, 5),
    poses=st.sampled_from([13, 15]),
    lights=st.integers(1, 20),
    expressions=st.integers(1, 6),
    sessions=st.integers(1, 4),
    lights_per_geometry=st.integers(1, 20),
    seed=st.integers(0, 9),
)


@settings(max_examples=30, database=None)
@given(small, st.floats(0.001, 1.0))
def test_the_plan_of_any_set(faces: FaceSet, share: float) -> None:
    geometries = faces.sessions * faces.poses * faces.expressions
    most = geometries * min(faces.lights, faces.lights_per_geometry)
    faces = attrs.evolve(faces, images_per_subject=max(int(share * most), 1))
    rows = plan(faces)
    assert len(rows) == len(faces)
    assert len(set(keys(rows))) == len(rows)  # no picture comes twice
    assert set(rows.light.tolist()) <= set(faces.light_numbers)
    assert rows.pose.max() < faces.poses
    assert rows.session.max() < faces.sessions
    assert rows.expression.max() < faces.expressions
    count = faces.images_per_subject or 0
    assert rows.gallery[::count].all()  # the first picture of each subject
    assert rows.gallery.sum() == faces.subjects
    assert np.array_equal(rows.yaw, [POSES[pose].yaw for pose in rows.pose])


def test_the_full_plan_has_every_combination_once() -> None:
    faces = FaceSet(subjects=2, sessions=2, lights=3, expressions=2, poses=15)
    rows = plan(faces)
    assert len(rows) == len(faces) == len(set(keys(rows))) == 2 * 2 * 15 * 3 * 2
    assert rows.gallery[:: faces.combinations].all()


def test_a_choice_is_balanced() -> None:
    rows = plan(FaceSet(subjects=30, images_per_subject=112))
    assert len(rows) == 30 * 112
    for column in (rows.pose, rows.session, rows.expression, rows.light):
        counts = list(Counter(column.tolist()).values())
        assert max(counts) < 1.35 * min(counts)
    one = rows.subject == 0
    for column in (rows.pose, rows.session):
        counts = list(Counter(column[one].tolist()).values())
        assert max(counts) - min(counts) <= 8  # two geometries of four lights


def test_a_geometry_has_its_lights_in_sequence() -> None:
    rows = plan(FaceSet(subjects=1, images_per_subject=40, lights_per_geometry=4))
    geometry = np.stack([rows.session, rows.pose, rows.expression], 1).reshape(10, 4, 3)
    assert np.all(geometry == geometry[:, :1])


def test_a_subject_keeps_its_plan_in_any_set() -> None:
    alone = plan(FaceSet(subjects=1, first_subject=7, images_per_subject=50))
    among = plan(FaceSet(subjects=10, images_per_subject=50))
    assert keys(alone) == keys(among.take(among.subject == 7))


def test_a_shorter_plan_is_the_beginning_of_a_longer_one() -> None:
    short = plan(FaceSet(subjects=1, images_per_subject=20))
    long = plan(FaceSet(subjects=1, images_per_subject=80))
    assert keys(short) == keys(long)[:20]
