"""The G-buffer: the inputs of shading at each visible sample of a geometry."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mtlkit_synthetic_faces.compiled import compiled
from mtlkit_synthetic_faces.head import EYE, FRAME, HAIR, LENS, TEETH, TORSO
from mtlkit_synthetic_faces.value_noise import noise

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int32]
Fraction = float | np.float32
_EYE, _HAIR, _TEETH, _TORSO, _FRAME, _LENS = EYE, HAIR, TEETH, TORSO, FRAME, LENS
# The room's light at a vertex is that of the neutral face, so teeth and tongue get a minimum for
# open mouths; hair gets one because its edge is translucent.
_MIN_ROOM = np.array([0, 0, 0.22, 0.12, 0, 0.3, 0, 0, 0, 0], np.float32)


class Palette(NamedTuple):
    """Linear reflectances (C,) of untextured parts, and the height of the neckline.

    `worn` (4,C) are those of accessories, from the frame of glasses on.
    """

    skin: Floats
    lips: Floats
    mouth: Floats
    iris: Floats
    cloth: Floats
    neckline: float
    worn: Floats


class GBuffer(NamedTuple):
    """The visible samples of a geometry, one row each: N samples, C channels.

    `pixel` (N,) is the pixel's index, `position` and `normal` (N,3) are in head space; `albedo`
    (N,C), `room` (N,) room irradiance, `gloss` (N,) strength of the highlight, negative for the
    hard highlight of an eye; `empty` (pixels,) the part of each pixel that shows the background.
    """

    pixel: Integers
    position: Floats
    normal: Floats
    albedo: Floats
    room: Floats
    gloss: Floats
    empty: Floats


@compiled
def _plain(kind: int, rest: Floats, palette: Palette, out: Floats) -> float:
    """Write the reflectance of an untextured part into `out` (C,), and return its gloss."""
    channels = len(out)
    if kind == _EYE:
        radius = np.hypot(abs(rest[0]) - 0.308, rest[1] - 7.284)
        for ch in range(channels):
            if radius < 0.027:
                out[ch] = 0.008
            elif radius < 0.066:
                out[ch] = palette.iris[ch] * min(max((0.070 - radius) / 0.014, 0.35), 1.0)
            else:
                out[ch] = 0.40 - 0.05 * (ch > 0) if channels > 1 else 0.361  # its luminance
        return -0.16
    if kind == _TORSO:
        front = min(max((rest[2] - 0.1) / 0.5, 0.0), 1.0)
        line = 5.68 + 0.3 * palette.neckline - 0.42 * front * np.exp(-rest[0] * rest[0] / 0.2)
        cloth = rest[1] < line
        fold = 1 + 0.12 * noise(rest[0] * 3, rest[1] * 5, rest[2] * 3, 7)
        for ch in range(channels):
            out[ch] = palette.cloth[ch] * fold if cloth else palette.skin[ch]
        return 0.0 if cloth else 0.03
    for ch in range(channels):
        teeth = 0.62 - 0.07 * ch if channels > 1 else 0.560
        out[ch] = teeth if kind == _TEETH else palette.mouth[ch] * 1.4
    return 0.05


@compiled
def _textured(
    texture: Floats,
    u: float,
    v: float,
    lips: Fraction,
    inside: Fraction,
    palette: Palette,
    out: Floats,
) -> None:
    """Write the reflectance of skin or hair into `out` (C,): bilinear at column u, row v."""
    u0, v0 = int(u), int(v)
    fu, fv = u - np.float32(u0), v - np.float32(v0)
    u1 = (u0 + 1) % texture.shape[1]
    u0 = u0 % texture.shape[1]
    v1 = v0 + 1
    for ch in range(len(out)):
        low = texture[v0, u0, ch] + fu * (texture[v0, u1, ch] - texture[v0, u0, ch])
        high = texture[v1, u0, ch] + fu * (texture[v1, u1, ch] - texture[v1, u0, ch])
        value = low + fv * (high - low)
        value += lips * (palette.lips[ch] - value)
        value += inside * (palette.mouth[ch] - value)
        out[ch] = value


@compiled
def resolve(
    visible: Integers,
    supersampling: int,
    screen: Floats,
    triangles: Integers,
    material: npt.NDArray[np.uint8],
    corners: Floats,
    texture: Floats,
    points: Floats,
    normals: Floats,
    rest: Floats,
    masks: Floats,
    room_at: Floats,
    view: Floats,
    palette: Palette,
) -> GBuffer:
    """Interpolate the inputs of shading at each visible sample.

    `visible` (rows, columns) comes from `raster.visible_triangles`; `texture` is
    (rows, columns, C), `masks` (2,V) are lips and inside of the mouth, and `view` (3,) is the unit
    vector towards the camera.
    """
    rows, columns = visible.shape
    channels = texture.shape[2]
    across = columns // supersampling
    count = 0
    for row in range(rows):
        for column in range(columns):
            if visible[row, column] >= 0:
                count += 1
    pixel = np.empty(count, np.int32)
    position = np.empty((count, 3), np.float32)
    normal = np.empty((count, 3), np.float32)
    albedo = np.empty((count, channels), np.float32)
    room = np.empty(count, np.float32)
    gloss = np.empty(count, np.float32)
    empty = np.ones(across * (rows // supersampling), np.float32)
    share = np.float32(1.0 / (supersampling * supersampling))
    at_rest = np.zeros(3, np.float32)
    n = 0
    for row in range(rows):
        for column in range(columns):
            t = visible[row, column]
            if t < 0:
                continue
            i, j, k = triangles[t, 0], triangles[t, 1], triangles[t, 2]
            x, y = np.float32(column + 0.5), np.float32(row + 0.5)
            x2, y2 = screen[k, 0], screen[k, 1]
            ux, uy = screen[i, 0] - x2, screen[i, 1] - y2
            vx, vy = screen[j, 0] - x2, screen[j, 1] - y2
            over = np.float32(1) / (ux * vy - vx * uy)
            a = ((x - x2) * vy - (y - y2) * vx) * over
            b = ((y - y2) * ux - (x - x2) * uy) * over
            c = np.float32(1) - a - b
            index = (row // supersampling) * across + column // supersampling
            pixel[n] = index
            empty[index] -= share
            length = np.float32(0)
            for d in range(3):
                position[n, d] = a * points[i, d] + b * points[j, d] + c * points[k, d]
                part = a * normals[i, d] + b * normals[j, d] + c * normals[k, d]
                normal[n, d] = part
                length += part * part
            length = np.float32(1) / np.sqrt(max(length, np.float32(1e-12)))
            kind = material[t]
            room[n] = a * room_at[i] + b * room_at[j] + c * room_at[k]
            if kind >= _HAIR:  # the shell has two sides, as have accessories
                toward = normal[n, 0] * view[0] + normal[n, 1] * view[1] + normal[n, 2] * view[2]
                if toward < 0:
                    length = -length
                room[n] = max(room[n], _MIN_ROOM[kind])
            for d in range(3):
                normal[n, d] *= length
            if kind >= _FRAME:
                weave = 1 + 0.15 * noise(
                    position[n, 0] * 17, position[n, 1] * 9, position[n, 2] * 17, 11
                )
                for ch in range(channels):
                    albedo[n, ch] = palette.worn[kind - _FRAME, ch] * weave
                gloss[n] = -0.1 if kind == _LENS else 0.1 if kind == _FRAME else 0.0
            elif _EYE <= kind <= _TORSO:
                for d in range(3):
                    at_rest[d] = a * rest[i, d] + b * rest[j, d] + c * rest[k, d]
                gloss[n] = _plain(kind, at_rest, palette, albedo[n])
                room[n] = max(room[n], _MIN_ROOM[kind])
            else:
                u = a * corners[t, 0, 0] + b * corners[t, 1, 0] + c * corners[t, 2, 0]
                v = a * corners[t, 0, 1] + b * corners[t, 1, 1] + c * corners[t, 2, 1]
                lips = np.float32(0)
                inside = np.float32(0)
                if kind != _HAIR:
                    lips = a * masks[0, i] + b * masks[0, j] + c * masks[0, k]
                    inside = a * masks[1, i] + b * masks[1, j] + c * masks[1, k]
                _textured(texture, u, v, lips, inside, palette, albedo[n])
                gloss[n] = 0.035 if kind == _HAIR else 0.05 + 0.10 * lips
            n += 1
    return GBuffer(pixel, position, normal, albedo, room, gloss, empty)
