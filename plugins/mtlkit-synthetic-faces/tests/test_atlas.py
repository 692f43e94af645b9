"""The texture's map: directions to texels and back."""

import numpy as np
import pytest
from mtlkit_synthetic_faces.atlas import (
    CENTER,
    AtlasSize,
    azimuth_of,
    column_of,
    corner_coordinates,
    directions,
    latitude_of,
    rest_positions,
    row_of,
)
from mtlkit_synthetic_faces.head import SKIN, HeadModel
from mtlkit_synthetic_faces.value_noise import hashed, noise

SIZE = AtlasSize(256, 144, 64)


def test_columns_and_azimuths_are_inverse() -> None:
    columns = np.linspace(0, 256, 100, dtype=np.float32)
    assert np.allclose(column_of(azimuth_of(columns, 256), 256), columns, atol=0.01)


def test_rows_and_latitudes_are_inverse() -> None:
    rows = np.linspace(0, 144, 100, dtype=np.float32)
    assert np.allclose(row_of(latitude_of(rows, 144), 144), rows, atol=0.01)


def test_the_front_has_more_columns_than_the_back() -> None:
    edges = column_of(np.array([-np.pi / 2, np.pi / 2], np.float32), 256)
    assert edges[1] - edges[0] > 0.6 * 256


@pytest.mark.parametrize("pixels", [32, 96, 224, 448])
def test_texture_grows_with_the_picture(pixels: int) -> None:
    size = AtlasSize.fitting(pixels)
    assert size.width % 32 == 0
    assert min(2.4 * pixels, 576) <= size.width <= max(2.4 * pixels + 32, 160)


def test_corners_do_not_jump_at_the_seam(model: HeadModel) -> None:
    corners = corner_coordinates(model, SIZE)
    skin = model.material == SKIN
    _, latitude = directions(model.rest)
    away_from_pole = latitude[model.triangles].max(1) < 70
    span = np.ptp(corners[skin & away_from_pole, :, 0], axis=1)
    assert span.max() < 40
    assert corners[..., 1].min() >= 0
    assert corners[..., 1].max() < SIZE.skin - 1


def test_rest_positions_lie_in_their_direction(model: HeadModel) -> None:
    rest = rest_positions(model, SIZE)
    azimuth, latitude = directions(rest.reshape(-1, 3))
    column, row = np.meshgrid(np.arange(SIZE.width), np.arange(SIZE.skin))
    level = np.cos(np.radians(latitude))
    off = np.abs(np.angle(np.exp(1j * (azimuth - azimuth_of(column.ravel(), SIZE.width))))) * level
    assert np.quantile(off, 0.95) < 0.04
    assert np.quantile(np.abs(latitude - latitude_of(row.ravel(), SIZE.skin)), 0.95) < 2.5


def test_the_nose_is_the_farthest_point_of_the_front(model: HeadModel) -> None:
    rest = rest_positions(model, SIZE)
    tip = rest.reshape(-1, 3)[np.argmax(rest[..., 2])]
    assert abs(tip[0]) < 0.05
    assert tip[1] == pytest.approx(6.92, abs=0.08)
    assert np.linalg.norm(rest - np.array(CENTER), axis=2).max() < 2.5


def test_without_ears_the_head_is_narrower(model: HeadModel) -> None:
    with_ears = rest_positions(model, SIZE)
    without = rest_positions(model, SIZE, ears=False)
    assert np.abs(without[..., 0]).max() < np.abs(with_ears[..., 0]).max()


def test_noise_is_bounded_smooth_and_centered() -> None:
    points = np.random.default_rng(0).uniform(-20, 20, (4000, 3))
    values = np.array([noise(x, y, z, 5) for x, y, z in points])
    assert np.abs(values).max() <= 1
    assert abs(values.mean()) < 0.03
    assert 0.15 < values.std() < 0.5
    moved = np.array([noise(x + 1e-3, y, z, 5) for x, y, z in points])
    assert np.abs(moved - values).max() < 0.01


def test_hashed_numbers_are_uniform_and_pinned() -> None:
    values = np.array([hashed(i, 0, 0, 1) for i in range(4000)])
    assert np.histogram(values, 10, (0, 1))[0].min() > 320
    assert hashed(1, 2, 3, 4) == hashed(1, 2, 3, 4) != hashed(1, 2, 3, 5)
    assert hashed(-1, -2, -3, 4) < 1
