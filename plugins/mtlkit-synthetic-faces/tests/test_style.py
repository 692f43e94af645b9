"""Style 2 and what makes pictures like those of cameras: each option, alone and together."""

from typing import Any

import attrs
import numpy as np
import pytest
from mtlkit_synthetic_faces.accessories import draw_accessories
from mtlkit_synthetic_faces.face_set import FaceSet
from mtlkit_synthetic_faces.head import EYE, FRAME, HAT, LENS, SCARF
from mtlkit_synthetic_faces.plan import FacePlan
from mtlkit_synthetic_faces.protocol import FRONTAL_POSE
from mtlkit_synthetic_faces.rendering.degrade import degraded
from mtlkit_synthetic_faces.rendering.render import PhotoSession, Studio
from mtlkit_synthetic_faces.rendering.scene import object_mask, scene

Array = np.ndarray[Any, Any]
PLAIN = FaceSet(subjects=2, size=32, sessions=2, style=2, noise=0, blur=0, exposure=0)
CAMERA = attrs.evolve(
    PLAIN, channels=3, accessories=0.8, occlusion=0.5, degradation=0.8, jitter_deg=8.0
)


@pytest.fixture(scope="module")
def styled() -> Studio:
    return Studio.open(PLAIN)


def shots(photo_session: PhotoSession, *what: tuple[int, int, int]) -> Array:
    rows = FacePlan.of([(photo_session.number, photo_session.day, *one) for one in what])
    return photo_session.photographs(rows).astype(float)


def test_pictures_of_every_option_do_not_depend_on_order() -> None:
    studio = Studio.open(CAMERA)
    what = [(pose, light, e) for pose in (0, 6, 9) for light in (0, 7, 19) for e in (0, 4)]
    first = shots(PhotoSession.of(studio, 1, 1), *what)
    again = shots(PhotoSession.of(studio, 1, 1), *what[::-1])
    assert np.array_equal(first, again[::-1])


def test_all_twenty_lights_differ(styled: Studio) -> None:
    pictures = shots(PhotoSession.of(styled, 0, 0), *[(FRONTAL_POSE, k, 0) for k in range(20)])
    face = pictures[:, 0, 10:26, 10:22]
    gaps = np.abs(face[:, None] - face[None]).mean((2, 3)) + 99 * np.eye(20)
    assert gaps.min() > 1


@pytest.mark.parametrize("number", range(12))
def test_hair_leaves_ears_whole(styled: Studio, number: int) -> None:
    """Short hair ends above the ears, and long hair lies outside of them."""
    photo_session = PhotoSession.of(styled, number, 0)
    session, model = photo_session.session, styled.model
    if session.drape < 0.01:
        assert session.hairline[5:9].min() >= 15
        return
    if session.drape < 0.5:
        return
    ear = np.flatnonzero((model.masks[2] > 0.5) & (model.rest[:, 1] < 7.2))
    for side in (-1, 1):
        tip = photo_session._neutral[ear[model.rest[ear, 0] * side > 0]]
        tip = tip[np.argmax(tip[:, 0] * side)]
        near = photo_session._shell[np.abs(photo_session._shell[:, 1:] - tip[1:]).max(1) < 0.15]
        assert (near[:, 0] * side).max() > tip[0] * side - 0.02


def test_accessories_fit_the_head(styled: Studio) -> None:
    photo_session = PhotoSession.of(styled, 0, 0)
    head, shell = photo_session._neutral, photo_session._shell
    eye = np.unique(styled.model.triangles[styled.model.material == EYE])
    kinds = set()
    for seed in range(30):
        random = np.random.default_rng(seed)
        worn = draw_accessories(styled.model, styled.scalp, head, shell, 1.0, random)
        assert worn is not None  # always glasses
        kinds |= set(worn.material.tolist())
        assert worn.triangles.max() < len(worn.points)
        glasses = worn.points[np.unique(worn.triangles[worn.material == FRAME])]
        assert np.abs(glasses[:, 0]).max() < np.abs(head[:, 0]).max() + 0.1
        assert abs(glasses[:, 1].mean() - head[eye, 1].mean()) < 0.1
        hat = worn.points[np.unique(worn.triangles[worn.material == HAT])]
        assert len(hat) == 0 or hat[:, 1].max() > head[:, 1].max()
    assert kinds == {FRAME, LENS, HAT, SCARF}


def test_dark_glasses_hide_the_eyes_and_nothing_is_worn_by_default(styled: Studio) -> None:
    bare = PhotoSession.of(styled, 0, 0)
    assert bare.worn(0) is None
    faces = attrs.evolve(PLAIN, accessories=1.0)
    dressed = attrs.evolve(bare, studio=attrs.evolve(styled, faces=faces))
    worn = [dressed.worn(expression) for expression in range(6)]
    dark = [e for e, kinds in enumerate(worn) if kinds is not None and LENS in kinds.material]
    assert 0 < len(dark) < 6
    eyes = np.s_[0, 0, 11:16, 9:23]
    for expression in dark:
        what = (FRONTAL_POSE, 7, expression)
        assert shots(dressed, what)[eyes].mean() < shots(bare, what)[eyes].mean() - 10


def test_cameras_turn_as_much_as_their_spread(styled: Studio) -> None:
    wide = attrs.evolve(styled, faces=attrs.evolve(PLAIN, jitter_deg=6.0))
    photo_session = PhotoSession.of(wide, 0, 0)
    toward = np.stack([photo_session.view(e, FRONTAL_POSE).toward for e in range(200)])
    degrees = np.degrees(np.arcsin(toward[:, :2]))
    assert degrees.std(0) == pytest.approx([6, 6], abs=1.2)
    still = PhotoSession.of(styled, 0, 0).view(3, FRONTAL_POSE).toward
    assert still == pytest.approx([0, 0, 1], abs=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
def test_scenes_are_reflectances_that_differ(channels: int) -> None:
    scenes = np.stack([scene(np.random.default_rng(k), 48, channels) for k in range(40)])
    assert scenes.shape == (40, channels, 48, 48)
    assert scenes.min() > 0
    assert scenes.max() < 1.1
    levels = scenes.mean((1, 2, 3))
    assert levels.min() < 0.1
    assert levels.max() > 0.5
    again = scene(np.random.default_rng(3), 48, channels)
    assert np.array_equal(again, scenes[3])


def test_an_object_covers_a_part() -> None:
    shares = [object_mask(np.random.default_rng(k), 64).mean() for k in range(60)]
    assert 0 <= min(shares) < 0.1
    assert max(shares) < 0.5
    assert 0.05 < np.mean(shares) < 0.3


def test_degradation_removes_detail_by_its_strength() -> None:
    random = np.random.default_rng(0)
    picture = random.integers(0, 256, (1, 64, 64), np.uint8)
    assert np.array_equal(degraded(picture, 0.0, np.random.default_rng(1)), picture)
    detail = []
    for strength in (0.1, 0.4, 1.0):
        pictures = [degraded(picture, strength, np.random.default_rng(k)) for k in range(30)]
        assert all(p.shape == picture.shape and p.dtype == np.uint8 for p in pictures)
        detail.append(np.mean([np.abs(np.diff(p.astype(float), axis=2)).mean() for p in pictures]))
    assert detail[0] > detail[1] > detail[2]
    color = np.repeat(picture, 3, 0)
    assert degraded(color, 0.7, np.random.default_rng(0)).shape == (3, 64, 64)
