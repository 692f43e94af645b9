"""Cameras, alignment, background and development."""

import numpy as np
import pytest
from mtlkit_synthetic_faces.head import EYE, HeadModel
from mtlkit_synthetic_faces.protocol import FRONTAL_POSE, LIGHTS, OVERHEAD_POSES, POSES, Camera
from mtlkit_synthetic_faces.rendering.background import wall, wall_light
from mtlkit_synthetic_faces.rendering.camera import EYES_TO_MOUTH, ROW, Alignment, view_of
from mtlkit_synthetic_faces.rendering.develop import develop, tone_curve
from mtlkit_synthetic_faces.rendering.render import PhotoSession, Studio


def nose(model: HeadModel) -> np.ndarray:
    return model.rest[np.argmax(model.rest[:, 2])][None]


def test_the_nose_points_where_the_yaw_says(model: HeadModel) -> None:
    alignment = Alignment.of(model, model.rest)
    columns = [view_of(c, alignment, 100).project(nose(model))[0, 0] for c in POSES[:13]]
    assert np.all(np.diff(columns) > 0)  # from the left edge at -90 to the right edge at +90
    assert columns[FRONTAL_POSE] == pytest.approx(50, abs=0.5)
    assert 10 < columns[0] < 30
    assert 70 < columns[-1] < 90


def test_an_overhead_camera_sees_the_crown(model: HeadModel) -> None:
    alignment = Alignment.of(model, model.rest)
    crown = model.rest[np.argmax(model.rest[:, 1])][None]
    level = view_of(Camera(45), alignment, 100)
    above = view_of(OVERHEAD_POSES[1], alignment, 100)
    assert above.project(crown)[0, 2] < level.project(crown)[0, 2]  # nearer
    assert above.project(nose(model))[0, 1] > level.project(nose(model))[0, 1]  # lower


@pytest.mark.parametrize("pose", range(len(POSES)))
def test_axes_are_orthonormal(pose: int) -> None:
    alignment = Alignment(np.zeros(3, np.float32), 0.7)
    view = view_of(POSES[pose], alignment, 64, roll=7)
    assert np.allclose(view.axes @ view.axes.T, np.eye(3), atol=1e-5)
    assert np.linalg.det(view.axes) == pytest.approx(1, abs=1e-5)
    assert np.allclose(view.toward, -view.axes[2])


@pytest.mark.parametrize("subject", range(4))
def test_every_identity_is_aligned(studio: Studio, subject: int) -> None:
    photo_session = PhotoSession.of(studio, subject, 0)
    model, size = studio.model, studio.faces.size * studio.faces.supersampling
    projected = photo_session.view(0, FRONTAL_POSE).project(
        photo_session.mesh(0).points[: len(model.rest)]
    )
    eyes = projected[np.unique(model.triangles[model.material == EYE])].mean(0)
    mouth = projected[model.masks[0] > 0.5].mean(0)
    assert (mouth[1] - eyes[1]) / size == pytest.approx(EYES_TO_MOUTH, abs=0.025)
    assert (mouth[1] + eyes[1]) / 2 / size == pytest.approx(ROW, abs=0.02)
    assert eyes[0] / size == pytest.approx(0.5, abs=0.02)


def test_the_expression_does_not_move_the_camera(photo_session: PhotoSession) -> None:
    views = [photo_session.view(expression, FRONTAL_POSE) for expression in range(6)]
    assert len({(view.scale, tuple(view.shift.tolist())) for view in views}) == 1


def test_the_wall_depends_on_session_and_camera(
    photo_session: PhotoSession, studio: Studio
) -> None:
    other = PhotoSession.of(studio, 0, 1)
    frontal = wall(photo_session.session, 6, 16, 1)
    assert frontal.shape == (1, 256)
    assert frontal.min() > 0
    assert not np.allclose(frontal, wall(photo_session.session, 7, 16, 1))
    assert not np.allclose(frontal, wall(other.session, 6, 16, 1))
    assert wall(photo_session.session, 6, 16, 3).shape == (3, 256)


def test_a_flash_next_to_the_camera_lights_the_wall_more_than_one_opposite() -> None:
    assert wall_light(LIGHTS[7], 6) > wall_light(LIGHTS[1], 6) > 0


def developed(linear: np.ndarray, **change: float) -> np.ndarray:
    options = {"exposure": 1.0, "blur": 0.0, "noise": 0.0, "key": 1} | change
    out = np.empty(linear.shape, np.uint8)
    develop(
        linear.astype(np.float32), options["exposure"], options["blur"], options["noise"],
        int(options["key"]), tone_curve(), out,
    )  # fmt: skip
    return out


def test_the_tone_curve_rises_from_black_to_white() -> None:
    curve = tone_curve()
    assert curve[0] == 0
    assert curve[-1] == 1
    assert np.all(np.diff(curve) >= 0)


def test_more_light_is_brighter_and_never_wraps() -> None:
    ramp = np.linspace(0, 50, 64).reshape(1, 8, 8)
    levels = developed(ramp).ravel().astype(int)
    assert np.all(np.diff(levels) >= 0)
    assert levels[0] == 0
    assert levels[-1] == 255
    assert np.all(developed(ramp, exposure=1.5) >= developed(ramp))


def test_blur_keeps_a_flat_picture_and_softens_a_point() -> None:
    flat = np.full((1, 8, 8), 0.3)
    assert np.ptp(developed(flat, blur=1.0)) == 0
    point = np.zeros((1, 9, 9))
    point[0, 4, 4] = 1
    soft = developed(point, blur=1.0)
    assert 0 < soft[0, 3, 4] < soft[0, 4, 4] < developed(point)[0, 4, 4]
    assert np.array_equal(soft, soft[:, ::-1, ::-1])


def test_noise_has_its_size_and_its_key() -> None:
    flat = np.full((1, 64, 64), 0.2)
    clean = developed(flat)[0, 0, 0]
    noisy = developed(flat, noise=0.05).astype(float)
    assert noisy.std() / 255 == pytest.approx(0.05, rel=0.1)
    assert noisy.mean() == pytest.approx(clean, abs=1)
    assert np.array_equal(noisy, developed(flat, noise=0.05))
    assert not np.array_equal(noisy, developed(flat, noise=0.05, key=2))
