"""Shadows, the room's light and shading, on scenes simple enough to know the answer."""

import attrs
import numpy as np
import pytest
from mtlkit_synthetic_faces.head import SKIN
from mtlkit_synthetic_faces.protocol import FRONTAL_POSE, LIGHTS, NEUTRAL_LIGHT, Light
from mtlkit_synthetic_faces.rendering.gbuffer import GBuffer
from mtlkit_synthetic_faces.rendering.raster import FAR
from mtlkit_synthetic_faces.rendering.render import PhotoSession
from mtlkit_synthetic_faces.rendering.shade import Flash, light_up
from mtlkit_synthetic_faces.rendering.shadow import (
    REACH,
    Mesh,
    Room,
    beam_of,
    room_light,
    shadow_map,
)

ORIGIN = np.zeros(3, np.float32)


def square(half: float, z: float) -> np.ndarray:
    """Two triangles facing +z."""
    corner = np.array([[-half, -half, z], [half, -half, z], [half, half, z], [-half, half, z]])
    return corner.astype(np.float32)


def mesh_of(*squares: np.ndarray) -> Mesh:
    points = np.concatenate(squares)
    faces = [[4 * i + k for k in t] for i in range(len(squares)) for t in ((0, 1, 2), (0, 2, 3))]
    count = len(faces)
    return Mesh(
        points=points,
        normals=np.tile(np.array([0, 0, 1], np.float32), (len(points), 1)),
        triangles=np.array(faces, np.int32),
        material=np.full(count, SKIN, np.uint8),
        corners=np.ones((count, 3, 2), np.float32),
        alpha=np.ones((4, 4), np.float32),
    )


def picture(position: np.ndarray, normal: np.ndarray, mesh: Mesh, light: Light) -> np.ndarray:
    """The linear gray of points of reflectance 1 under one light: a pixel each."""
    beam = beam_of(light)
    count = len(position)
    buffer = GBuffer(
        pixel=np.arange(count, dtype=np.int32),
        position=position.astype(np.float32),
        normal=normal.astype(np.float32),
        albedo=np.ones((count, 1), np.float32),
        room=np.ones(count, np.float32),
        gloss=np.zeros(count, np.float32),
        empty=np.zeros(count, np.float32),
    )
    flash = Flash(
        strength=1.0 if light.flash else 0.0,
        room=0.25,
        direction=beam.direction,
        half=beam.direction,
        axes=beam.axes,
        depth=shadow_map(mesh, beam, ORIGIN, 128),
        middle=ORIGIN,
        reach=REACH,
    )
    out = np.empty((1, count), np.float32)
    light_up(buffer, flash, np.full((1, count), 9.0, np.float32), 1.0, out)
    return out[0]


def test_flashes_are_next_to_their_cameras() -> None:
    left, front, right = (beam_of(Light(azimuth, 0)).direction for azimuth in (-90, 0, 90))
    assert np.allclose(left, [1, 0, 0], atol=1e-6)
    assert np.allclose(front, [0, 0, 1], atol=1e-6)
    assert np.allclose(right, [-1, 0, 0], atol=1e-6)


@pytest.mark.parametrize("light", [light for light in LIGHTS if light.flash])
def test_a_beam_is_orthonormal(light: Light) -> None:
    beam = beam_of(light)
    axes = np.stack([beam.right, beam.up, beam.direction])
    assert np.allclose(axes @ axes.T, np.eye(3), atol=1e-5)


def test_a_shadow_map_holds_the_nearest_distance() -> None:
    depth = shadow_map(mesh_of(square(1.0, 0.0), square(0.3, 0.5)), beam_of(Light()), ORIGIN, 64)
    assert depth[32, 32] == pytest.approx(-0.5, abs=1e-4)
    assert depth[32, 20] == pytest.approx(0.0, abs=1e-4)
    assert depth[2, 2] == FAR


def test_light_falls_with_the_angle() -> None:
    mesh = mesh_of(square(0.01, -1.0))
    angles = np.radians([0, 30, 60, 85, 120, 180])
    normal = np.stack([np.sin(angles), 0 * angles, np.cos(angles)], 1)
    gray = picture(np.zeros((6, 3)), normal, mesh, Light())
    assert np.all(np.diff(gray[:5]) < 0)
    assert gray[0] == pytest.approx(1.25, abs=0.01)
    assert gray[4:] == pytest.approx([0.25, 0.25], abs=1e-3)  # the room's light alone


def test_what_lies_behind_is_in_shadow_and_the_edge_is_soft() -> None:
    mesh = mesh_of(square(1.5, 0.0), square(0.4, 0.6))
    x = np.linspace(-1, 1, 201)
    position = np.stack([x, 0 * x, 0 * x], 1)
    normal = np.tile([0.0, 0, 1], (201, 1))
    gray = picture(position, normal, mesh, Light())
    assert gray[abs(x) < 0.33] == pytest.approx(0.25, abs=1e-3)
    assert gray[abs(x) > 0.47] == pytest.approx(1.25, abs=1e-2)
    assert ((gray > 0.3) & (gray < 1.2)).any()


def test_a_lit_surface_does_not_shade_itself() -> None:
    mesh = mesh_of(square(1.2, 0.0))
    xy = np.random.default_rng(0).uniform(-1, 1, (300, 2))
    position = np.concatenate([xy, np.zeros((300, 1))], 1)
    normal = np.tile([0.0, 0, 1], (300, 1))
    for light in (Light(), Light(45, 6), Light(-70, 42)):
        gray = picture(position, normal, mesh, light)
        assert np.ptp(gray) < 0.02


def test_without_flash_only_the_room_is_lit() -> None:
    normal = np.array([[0.0, 0, 1], [1, 0, 0]])
    gray = picture(np.zeros((2, 3)), normal, mesh_of(square(1, 0)), LIGHTS[NEUTRAL_LIGHT])
    assert gray == pytest.approx([0.25, 0.25])


def test_an_empty_picture_is_background() -> None:
    nothing = np.empty((0, 3), np.float32)
    none = np.empty(0, np.float32)
    buffer = GBuffer(
        np.empty(0, np.int32), nothing, nothing, np.empty((0, 1), np.float32), none, none,
        np.ones(4, np.float32),
    )  # fmt: skip
    flash = Flash(
        1.0, 0.3, np.array([0, 0, 1], np.float32), np.array([0, 0, 1], np.float32),
        np.eye(3, dtype=np.float32), np.full((2, 2), FAR, np.float32), ORIGIN, REACH,
    )  # fmt: skip
    out = np.empty((1, 4), np.float32)
    light_up(buffer, flash, np.full((1, 4), 2.0, np.float32), 0.5, out)
    assert out.tolist() == [[1, 1, 1, 1]]


def test_a_free_surface_has_the_documented_room_light() -> None:
    free = mesh_of(square(1.0, 0.0))
    light = room_light(free, Room.of(64), ORIGIN)
    assert light == pytest.approx(1.0, abs=0.12)
    under = room_light(mesh_of(square(0.3, 0.0), square(1.5, 0.3)), Room.of(64), ORIGIN)
    assert under[:4].max() < 0.5 * light.min()


def test_the_room_does_not_reach_into_the_mouth(photo_session: PhotoSession) -> None:
    model = photo_session.studio.model
    room = photo_session.room
    inside = np.flatnonzero(model.masks[1] > 0.9)
    forehead = np.flatnonzero((abs(model.rest[:, 1] - 7.7) < 0.1) & (model.rest[:, 2] > 1.3))
    assert np.median(room[inside]) < 0.3 * np.median(room[forehead])


def test_samples_and_background_fill_every_pixel(photo_session: PhotoSession) -> None:
    buffer = photo_session.geometry(photo_session.mesh(0), photo_session.view(0, FRONTAL_POSE))
    pixels = photo_session.studio.faces.size**2
    samples = np.bincount(buffer.pixel, minlength=pixels)
    share = 1 / photo_session.studio.faces.supersampling**2
    assert np.allclose(buffer.empty + samples * share, 1, atol=1e-5)
    assert np.allclose(np.linalg.norm(buffer.normal, axis=1), 1, atol=1e-3)
    assert np.all((buffer.albedo > 0) & (buffer.albedo < 1))
    assert buffer.room.min() >= 0
    assert attrs.asdict(photo_session.studio.size)["width"] >= 160
