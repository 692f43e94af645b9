"""Procedural skin: reflectance as a function of the rest-pose coordinates.

Features are painted at coordinates of the rest face (eyes at (+-0.31, 7.28), mouth at y = 6.62,
decimeters), so brows, moles and beard stay attached through identity, expression and pose.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mtlkit_synthetic_faces.compiled import compiled
from mtlkit_synthetic_faces.subject import SessionTraits, SubjectTraits
from mtlkit_synthetic_faces.value_noise import hashed, noise, smooth_step

Floats = npt.NDArray[np.float32]
Vector = npt.NDArray[np.float64]


class Paint(NamedTuple):
    """The arguments of the kernel from a subject and a session."""

    skin: Vector
    hair: Vector
    brow: Vector
    moles: Vector
    beard: Vector
    redness: float
    sockets: float
    freckles: float
    wrinkles: float
    blotches: float
    lashes: float
    key: int
    session_key: int


def paint_of(subject: SubjectTraits, session: SessionTraits) -> Paint:
    """Collect the arguments of the kernel."""
    return Paint(
        skin=subject.skin * session.skin_gain,
        hair=subject.hair,
        brow=subject.brow,
        moles=subject.moles,
        beard=session.beard,
        redness=subject.redness,
        sockets=subject.sockets,
        freckles=subject.freckles,
        wrinkles=subject.wrinkles,
        blotches=subject.blotches,
        lashes=0.45 + 0.4 * (1 - subject.male),
        key=subject.texture_key,
        session_key=session.texture_key,
    )


@compiled
def _bump(x: float, y: float, width: float, height: float) -> float:
    """Return a Gaussian: 1 in the middle."""
    return float(np.exp(-(x * x) / (width * width) - (y * y) / (height * height)))


@compiled
def _brow(x: float, y: float, brow: Vector, key: int) -> float:
    """Return the cover (0..1) of the eyebrow at |x|, y."""
    height, arch, thickness, length, density = brow[0], brow[1], brow[2], brow[3], brow[4]
    t = (x - 0.10) / length
    if t < -0.15 or t > 1.12:
        return 0.0
    middle = 7.45 + height + arch * (1 - (t - 0.5) ** 2 / 0.25) - 0.10 * max(t - 0.6, 0.0)
    half = thickness * (0.55 + 0.75 * smooth_step(-0.15, 0.25, t)) * (1 - 0.75 * max(t - 0.35, 0.0))
    edge = 0.35 * noise(x * 55 + y * 30, y * 22, 0.5, key)
    across = 1 - smooth_step(0.45, 1.15, abs(y - middle) / half + edge)
    along = smooth_step(-0.15, 0.06, t) * (1 - smooth_step(0.85, 1.1, t))
    return float(density * across * along)


@compiled
def _beard(x: float, y: float, z: float, beard: Vector, key: int) -> float:
    """Return the cover (0..1) of mustache, chin and cheek beard at |x|, y, z."""
    if y > 7.05 or y < 5.9:
        return 0.0
    lip = 6.745 - 0.10 * x
    mustache = smooth_step(0.33, 0.22, x) * smooth_step(lip + 0.11, lip + 0.06, y)
    mustache *= smooth_step(6.655, 6.69, y + 0.2 * max(x - 0.1, 0.0)) * smooth_step(1.2, 1.35, z)
    chin = smooth_step(0.36, 0.24, x) * smooth_step(6.545, 6.49, y) * smooth_step(6.0, 6.2, y)
    line = 6.42 + 0.62 * smooth_step(0.2, 0.85, x) ** 1.5  # the upper edge on the cheek
    cheeks = smooth_step(line + 0.09, line - 0.06, y) * smooth_step(0.2, 0.36, x)
    cheeks *= smooth_step(0.42, 0.62, z) * smooth_step(5.98, 6.15, y)
    cover = max(beard[0] * mustache, beard[1] * chin, beard[2] * cheeks)
    grain = 0.75 + 0.35 * noise(x * 45, y * 30, z * 45, key) + 0.2 * noise(x * 7, y * 7, z * 7, key)
    return float(min(cover * grain, 0.95))


@compiled
def _wrinkles(x: float, y: float, key: int) -> float:
    """Return the darkness (0..1) of folds at |x|, y: nose to mouth, forehead, eye corners."""
    t = (6.95 - y) / 0.42
    fold = 0.0
    if -0.1 < t < 1.1:
        fold = _bump(x - (0.17 + 0.16 * t), 0.0, 0.022 + 0.012 * t, 1.0)
        fold *= smooth_step(-0.1, 0.15, t) * (1 - smooth_step(0.7, 1.1, t))
    lines = 0.0
    if y > 7.5:
        wave = y + 0.02 * np.sin(9 * x) + 0.012 * noise(x * 6, y * 2, 1.5, key)
        for k in range(3):
            lines = max(lines, _bump(wave - 7.66 - 0.11 * k, x, 0.014, 0.36))
    feet = 0.0
    if 0.45 < x < 0.62:
        spread = (y - 7.27) / (x - 0.36)
        feet = (0.5 + 0.5 * np.cos(spread * 16)) * smooth_step(0.45, 0.5, x)
        feet *= _bump(y - 7.27, 0.0, 0.08, 1.0) * (1 - smooth_step(0.52, 0.62, x))
    return float(max(fold, 0.55 * lines, 0.4 * feet))


@compiled
def _paint_point(x: float, y: float, z: float, paint: Paint, out: Vector) -> None:
    """Write the reflectance of one point of the rest surface into `out` (3,)."""
    side = abs(x)
    key = paint.key
    front = smooth_step(0.55, 0.95, z)
    tone = 1 + paint.blotches * (
        0.07 * noise(x * 2.2, y * 2.2, z * 2.2, key)
        + 0.05 * noise(x * 6.5, y * 6.5, z * 6.5, key + 1)
        + 0.035 * noise(x * 21, y * 21, z * 21, key + 2)
    )
    eye_y = y - 7.284
    tone *= 1 - paint.sockets * front * (
        0.55 * _bump(side - 0.27, eye_y + 0.13, 0.17, 0.06)
        + 0.45 * _bump(side - 0.22, eye_y - 0.05, 0.16, 0.10)
    )
    tone *= 1 - 0.42 * paint.wrinkles * front * _wrinkles(side, y, key)
    if paint.freckles > 0:
        spots = noise(x * 34, y * 34, z * 34, key + 3) - 0.35
        spots *= _bump(side - 0.3, y - 6.98, 0.42, 0.28)
        tone *= 1 - 0.55 * paint.freckles * smooth_step(0.0, 0.25, spots) * front
    for k in range(len(paint.moles)):
        distance = np.hypot(x - paint.moles[k, 0], y - paint.moles[k, 1]) / paint.moles[k, 2]
        if distance < 1.3 and z > 0.6:
            tone *= 1 - paint.moles[k, 3] * (1 - smooth_step(0.6, 1.3, distance))
    red = paint.redness * (
        0.55 * _bump(side - 0.45, y - 6.93, 0.22, 0.19)
        + 0.5 * _bump(side, y - 6.93, 0.14, 0.12)
        + 0.25 * _bump(side, y - 6.3, 0.2, 0.12)
        + 0.4 * smooth_step(0.8, 0.88, side)
    )
    out[0] = paint.skin[0] * tone * (1 - 0.03 * red)
    out[1] = paint.skin[1] * tone * (1 - 0.24 * red)
    out[2] = paint.skin[2] * tone * (1 - 0.2 * red)
    lash_y = eye_y - 0.02 * (1 - ((side - 0.31) / 0.17) ** 2)
    lash = paint.lashes * _bump(lash_y - 0.045, 0.0, 0.02, 1.0) * (z > 1.0)
    lash *= smooth_step(0.20, 0.15, abs(side - 0.315))
    dark = max(lash, _brow(side, y, paint.brow, key + 5) * (z > 0.9))
    dark = max(dark, _beard(side, y, z, paint.beard, paint.session_key))
    for c in range(3):
        out[c] = max(out[c] * (1 - dark) + paint.hair[c] * 0.8 * dark, 0.008)


@compiled
def _paint_skin(rest: Floats, scalp: Floats, paint: Paint, out: Floats) -> None:
    color = np.zeros(3)
    for row in range(rest.shape[0]):
        for column in range(rest.shape[1]):
            x, y, z = rest[row, column, 0], rest[row, column, 1], rest[row, column, 2]
            cover = scalp[row, column]
            if cover < 0.99:
                _paint_point(x, y, z, paint, color)
            streak = 0.7 + 0.6 * hashed(row // 2, column, 0, paint.session_key)
            for c in range(3):
                bare = color[c] if cover < 0.99 else 0.0
                out[row, column, c] = bare * (1 - cover) + paint.hair[c] * streak * cover


def skin_map(rest: Floats, scalp: Floats, paint: Paint) -> Floats:
    """Return the linear RGB reflectance (rows, width, 3) of the skin map.

    `rest` (rows, width, 3) comes from `atlas.rest_positions`; `scalp` (rows, width) in 0..1 is the
    cover of the skin by short hair.
    """
    out = np.empty_like(rest)
    _paint_skin(rest, scalp, paint, out)
    return out
