"""Hair: a shell around the scalp with a ragged edge, from a cap to long hair.

The shell is a grid of directions. Each point follows the skull of the identity, moved out by a
thickness that grows from the hairline inwards; long hair hangs straight down from ear height. The
alpha of the hair map cuts the shell into strands.
"""

import attrs
import numpy as np
import numpy.typing as npt

from mtlkit_synthetic_faces.atlas import (
    CENTER,
    LOWEST_LATITUDE,
    AtlasSize,
    azimuth_of,
    latitude_of,
    rest_positions,
)
from mtlkit_synthetic_faces.compiled import compiled
from mtlkit_synthetic_faces.head import SKIN, HeadModel
from mtlkit_synthetic_faces.subject import SessionTraits, SubjectTraits
from mtlkit_synthetic_faces.value_noise import noise, smooth_step

Floats = npt.NDArray[np.float32]
HAIRLINE_AZIMUTHS = (0, 20, 40, 55, 66, 73, 78, 86, 95, 108, 125, 150, 180)
COLUMNS, ROWS = 72, 26
_HANG_FROM = 2.0  # latitude in degrees at which long hair leaves the skull


@attrs.frozen(eq=False)
class Scalp:
    """The grid of the shell on the rest head: each point interpolates three skin vertices.

    `vertices` (P,3) have the weights `shares` (P,3); `azimuth` and `latitude` (P,) are those of the
    grid's directions; `triangles` are (T,3), and `corners` (T,3,2) fractions of the hair map's
    columns and rows. `ear` (P,) is how far, in decimeters, ears stand out of the skull that the
    grid follows; 0 if long hair ignores them.
    """

    vertices: npt.NDArray[np.int32]
    shares: Floats
    azimuth: Floats
    latitude: Floats
    triangles: npt.NDArray[np.int32]
    corners: Floats
    ear: Floats

    @classmethod
    def of(cls, model: HeadModel, *, over_ears: bool = False) -> "Scalp":
        """Lay the grid on the rest head without its ears; long hair may hang over them."""
        column, row = np.meshgrid(np.arange(COLUMNS), np.arange(ROWS))
        azimuth = azimuth_of(column.ravel().astype(np.float32), COLUMNS)
        latitude = latitude_of(row.ravel().astype(np.float32), ROWS - 1)
        fine = AtlasSize(288, 162, 72)
        rest = rest_positions(model, fine, ears=False)
        at = (
            np.minimum(row.ravel() * fine.skin // (ROWS - 1), fine.skin - 1),
            column.ravel() * fine.width // COLUMNS,
        )
        target = rest[at]
        ear = np.zeros(len(target), np.float32)
        if over_ears:
            center = np.array(CENTER, np.float32)
            far = np.linalg.norm(rest_positions(model, fine)[at] - center, axis=1)
            ear = (far - np.linalg.norm(target - center, axis=1)).astype(np.float32)
            ear = _smoothed(_widest(ear.reshape(ROWS, COLUMNS))).ravel()
        vertices, shares = _nearest_mix(model, target)
        quads = np.arange((ROWS - 1) * COLUMNS)
        right = quads // COLUMNS * COLUMNS + (quads + 1) % COLUMNS
        a, b, c, d = quads, right, quads + COLUMNS, right + COLUMNS
        u, v = (quads % COLUMNS) / COLUMNS, (quads // COLUMNS) / (ROWS - 1)
        u1, v1 = u + 1 / COLUMNS, v + 1 / (ROWS - 1)
        first = np.stack([np.stack(p, 1) for p in ((u, v), (u, v1), (u1, v))], 1)
        second = np.stack([np.stack(p, 1) for p in ((u1, v), (u, v1), (u1, v1))], 1)
        return cls(
            vertices=vertices,
            shares=shares,
            azimuth=azimuth,
            latitude=latitude,
            triangles=np.concatenate([np.stack([a, c, b], 1), np.stack([b, c, d], 1)]).astype(
                np.int32
            ),
            corners=np.concatenate([first, second]).astype(np.float32),
            ear=ear,
        )


def _nearest_mix(model: HeadModel, target: Floats) -> tuple[npt.NDArray[np.int32], Floats]:
    """Return the three nearest skin vertices (P,3) of each point, and inverse-distance weights."""
    ears = model.masks[2] > 0.1
    candidates = np.setdiff1d(model.triangles[model.material == SKIN], np.flatnonzero(ears))
    candidates = candidates[model.masks[1][candidates] < 0.5]
    positions = model.rest[candidates].astype(np.float64)
    square = (positions**2).sum(1) - 2 * target.astype(np.float64) @ positions.T
    best = np.argpartition(square, 3, axis=1)[:, :3]
    distance = ((positions[best] - target[:, None]) ** 2).sum(2)
    weight = 1 / (distance + 1e-4)
    shares = (weight / weight.sum(1, keepdims=True)).astype(np.float32)
    return candidates[best].astype(np.int32), shares


def hairline(session: SessionTraits, azimuth: Floats) -> Floats:
    """Return the latitude in degrees of the hairline at azimuths in radians."""
    degrees = np.degrees(np.abs(azimuth))
    return np.interp(degrees, HAIRLINE_AZIMUTHS, session.hairline).astype(np.float32)


def _smoothed(grid: Floats) -> Floats:
    """Return a 3x3 mean over the grid (rows, columns, ...), with columns wrapped around."""
    across = (np.roll(grid, 1, 1) + np.roll(grid, -1, 1) + 2 * grid) / 4
    padded = np.concatenate([across[:1], across, across[-1:]])
    return np.asarray((padded[:-2] + padded[2:] + 2 * across) / 4, np.float32)


def _widest(grid: Floats) -> Floats:
    """Return the maximum over 3x3 neighbors (rows, columns), with columns wrapped around."""
    across = np.maximum(np.maximum(np.roll(grid, 1, 1), np.roll(grid, -1, 1)), grid)
    padded = np.concatenate([across[:1], across, across[-1:]])
    return np.asarray(np.maximum(np.maximum(padded[:-2], padded[2:]), across), np.float32)


def shell(scalp: Scalp, points: Floats, session: SessionTraits) -> Floats:
    """Return vertices (P,3) of the hair shell around the neutral head `points` (V,3)."""
    base = (points[scalp.vertices] * scalp.shares[..., None]).sum(1)
    grid = base.reshape(ROWS, COLUMNS, 3)
    for _ in range(3):
        grid = _smoothed(grid)
    azimuth = scalp.azimuth.reshape(ROWS, COLUMNS)
    latitude = scalp.latitude.reshape(ROWS, COLUMNS)
    middle = points[scalp.vertices].mean((0, 1)).astype(np.float32)
    middle[1:] = grid[ROWS // 2].mean(0)[1:]
    outward = grid - middle
    outward /= np.linalg.norm(outward, axis=2, keepdims=True)
    inside = np.clip((latitude - hairline(session, azimuth)) / 24, 0, 1)
    top = np.clip((latitude - 5) / 45, 0, 1)
    thickness = session.hair_top * top + session.hair_side * (1 - top)
    u, v = np.degrees(azimuth) / 34, latitude / 30
    key = session.texture_key % 1000 / 7
    lumps = np.sin(u * 2 + key) * np.sin(v * 3 + key * 2) + 0.6 * np.sin(u * 5 - key + v * 4)
    thickness = thickness * (1 + 0.22 * session.hair_lumps * lumps)
    offset = 0.02 + thickness * inside * (1.6 - 0.6 * inside)
    offset = offset + session.drape * scalp.ear.reshape(ROWS, COLUMNS)
    out = grid + outward * offset[..., None]
    if session.drape > 0:
        start = int(np.argmin(abs(latitude[:, 0] - _HANG_FROM)))
        fall = np.clip(_HANG_FROM - latitude[start:], 0, None) / (_HANG_FROM - LOWEST_LATITUDE)
        hang = np.repeat(out[start : start + 1], ROWS - start, 0)
        hang[..., 1] -= 2.4 * fall
        wide = 0.10 * np.sin(3.0 * fall) + 0.05 * fall
        hang[..., 0] += wide * (hang[..., 0] - middle[0])
        hang[..., 2] += 0.25 * fall * (hang[..., 2] < middle[2])
        out[start:] += session.drape * (hang - out[start:])
    return np.asarray(out.reshape(-1, 3), np.float32)


@compiled
def _paint_hair(
    line: Floats,
    flat: Floats,
    latitude: Floats,
    azimuth: Floats,
    color: npt.NDArray[np.float64],
    ragged: float,
    key: int,
    out: Floats,
) -> None:
    for row in range(len(latitude)):
        for column in range(len(azimuth)):
            x, z = np.sin(azimuth[column]), np.cos(azimuth[column])
            y = latitude[row] / 57.3
            # strands run down: fine across, long along
            strand = noise(x * 38, y * 3.5, z * 38, key)
            lock = noise(x * 9, y * 1.6, z * 9, key + 1)
            tone = 1 + 0.35 * strand + 0.25 * lock
            # measured across the line, so that steep and flat hairlines are equally ragged
            edge = (latitude[row] - line[column]) * flat[column]
            edge += ragged * (1.6 * strand + 1.8 * lock) - 2.0
            alpha = smooth_step(-1.5, 3.5, edge)
            for c in range(3):
                out[row, column, c] = color[c] * max(tone, 0.2)
            out[row, column, 3] = alpha


def hair_map(size: AtlasSize, subject: SubjectTraits, session: SessionTraits) -> Floats:
    """Return linear RGB reflectance and alpha (rows, width, 4) of the hair map."""
    azimuth = azimuth_of(np.arange(size.width, dtype=np.float32), size.width)
    latitude = latitude_of(np.arange(size.hair, dtype=np.float32), size.hair)
    out = np.empty((size.hair, size.width, 4), np.float32)
    ragged = 0.6 + 0.6 * session.hair_lumps + 0.5 * session.drape
    line = hairline(session, azimuth)
    slope = np.gradient(line, np.degrees(azimuth))
    flat = (1 / np.sqrt(1 + slope**2)).astype(np.float32)
    key = session.texture_key
    _paint_hair(line, flat, latitude, azimuth, subject.hair, ragged, key, out)
    return out


def scalp_cover(rest: Floats, session: SessionTraits) -> Floats:
    """Return the cover (rows, width) in 0..1 of the skin map by the roots of the hair."""
    x, y, z = (rest[..., k] - np.float32(CENTER[k]) for k in range(3))
    azimuth = np.arctan2(x, z)
    latitude = np.degrees(np.arctan2(y, np.hypot(x, z)))
    line = np.maximum(hairline(session, azimuth), -38)
    wave = 1.2 * np.sin(azimuth * 61 + 2 * np.sin(azimuth * 17)) + 1.2 * np.sin(azimuth * 7 + 1)
    cover = np.clip((latitude - line + wave + 3) / 9, 0, 1) ** 1.5
    ear = (abs(rest[..., 0]) > 0.78) & (rest[..., 1] < 7.38)
    return np.where(ear, 0, cover * 0.97).astype(np.float32)
