"""From seen triangles to linear light: the G-buffer, and its relighting."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mtlkit_face.synthetic.compiled import compiled
from mtlkit_face.synthetic.head import EYE, HAIR, TEETH, TONGUE, TORSO
from mtlkit_face.synthetic.value_noise import noise

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int32]
_EYE, _HAIR, _TEETH, _TONGUE, _TORSO = EYE, HAIR, TEETH, TONGUE, TORSO
_BIAS = np.float32(0.035)  # decimetres: how far a surface is lifted off its own shadow
_SOFT = np.float32(25.0)  # one over the depth range in which a shadow fades in


class Palette(NamedTuple):
    """Linear reflectances (C,) of what has no texture, and the height of the neckline."""

    skin: Floats
    lips: Floats
    mouth: Floats
    iris: Floats
    cloth: Floats
    neckline: float


class GBuffer(NamedTuple):
    """The visible samples of a geometry, one row each: N samples, C channels.

    `pixel` (N,) which pixel of the picture, `position` and `normal` (N,3) in head space, `albedo`
    (N,C), `room` (N,) room irradiance, `gloss` (N,) strength of the highlight, negative for the
    hard highlight of an eye; `empty` (pixels,) the share of each pixel that shows the background.
    """

    pixel: Integers
    position: Floats
    normal: Floats
    albedo: Floats
    room: Floats
    gloss: Floats
    empty: Floats


@compiled
def resolve(
    seen: Integers,
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
    """Interpolate everything that shading needs at each visible sample.

    `seen` (rows, columns) from `raster.visible_triangles`; `texture` (rows, columns, C); `masks`
    (2,V) lips and inside of the mouth; `view` (3,) unit vector towards the camera.
    """
    rows, columns = seen.shape
    channels = texture.shape[2]
    width = texture.shape[1]
    across = columns // supersampling
    count = 0
    for row in range(rows):
        for column in range(columns):
            if seen[row, column] >= 0:
                count += 1
    pixel = np.empty(count, np.int32)
    position = np.empty((count, 3), np.float32)
    normal = np.empty((count, 3), np.float32)
    albedo = np.empty((count, channels), np.float32)
    room = np.empty(count, np.float32)
    gloss = np.empty(count, np.float32)
    empty = np.ones(across * (rows // supersampling), np.float32)
    share = np.float32(1.0 / (supersampling * supersampling))
    n = 0
    for row in range(rows):
        for column in range(columns):
            t = seen[row, column]
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
            where = (row // supersampling) * across + column // supersampling
            pixel[n] = where
            empty[where] -= share
            length = np.float32(0)
            for d in range(3):
                position[n, d] = a * points[i, d] + b * points[j, d] + c * points[k, d]
                part = a * normals[i, d] + b * normals[j, d] + c * normals[k, d]
                normal[n, d] = part
                length += part * part
            length = np.float32(1) / np.sqrt(max(length, np.float32(1e-12)))
            kind = material[t]
            if kind == _HAIR:  # the shell has two sides
                toward = normal[n, 0] * view[0] + normal[n, 1] * view[1] + normal[n, 2] * view[2]
                if toward < 0:
                    length = -length
                # hair is not solid: light comes through its edge
                room[n] = max(a * room_at[i] + b * room_at[j] + c * room_at[k], np.float32(0.3))
            else:
                room[n] = a * room_at[i] + b * room_at[j] + c * room_at[k]
            for d in range(3):
                normal[n, d] *= length
            u = a * corners[t, 0, 0] + b * corners[t, 1, 0] + c * corners[t, 2, 0]
            v = a * corners[t, 0, 1] + b * corners[t, 1, 1] + c * corners[t, 2, 1]
            if kind == _EYE:
                rx = a * rest[i, 0] + b * rest[j, 0] + c * rest[k, 0]
                ry = a * rest[i, 1] + b * rest[j, 1] + c * rest[k, 1]
                radius = np.hypot(abs(rx) - 0.308, ry - 7.284)
                for ch in range(channels):
                    if radius < 0.027:
                        value = 0.008
                    elif radius < 0.066:
                        edge = min(max((0.070 - radius) / 0.014, 0.35), 1.0)
                        value = palette.iris[ch] * edge
                    else:
                        value = 0.40 - 0.05 * (ch > 0)
                    albedo[n, ch] = value
                gloss[n] = -0.16
            elif kind == _TEETH:
                for ch in range(channels):
                    albedo[n, ch] = 0.62 - 0.07 * ch
                room[n] = max(room[n], np.float32(0.22))
                gloss[n] = 0.05
            elif kind == _TONGUE:
                for ch in range(channels):
                    albedo[n, ch] = palette.mouth[ch] * 1.4
                room[n] = max(room[n], np.float32(0.12))
                gloss[n] = 0.05
            elif kind == _TORSO:
                rx = a * rest[i, 0] + b * rest[j, 0] + c * rest[k, 0]
                ry = a * rest[i, 1] + b * rest[j, 1] + c * rest[k, 1]
                rz = a * rest[i, 2] + b * rest[j, 2] + c * rest[k, 2]
                front = min(max((rz - 0.1) / 0.5, 0.0), 1.0)
                line = 5.68 + 0.3 * palette.neckline - 0.42 * front * np.exp(-rx * rx / 0.2)
                cloth = ry < line
                fold = 1 + 0.12 * noise(rx * 3, ry * 5, rz * 3, 7)
                for ch in range(channels):
                    albedo[n, ch] = palette.cloth[ch] * fold if cloth else palette.skin[ch]
                gloss[n] = 0.0 if cloth else 0.03
            else:
                u0, v0 = int(u), int(v)
                fu, fv = u - np.float32(u0), v - np.float32(v0)
                u1 = (u0 + 1) % width
                u0 = u0 % width
                v1 = v0 + 1
                lips = np.float32(0)
                inside = np.float32(0)
                if kind != _HAIR:
                    lips = a * masks[0, i] + b * masks[0, j] + c * masks[0, k]
                    inside = a * masks[1, i] + b * masks[1, j] + c * masks[1, k]
                for ch in range(channels):
                    low = texture[v0, u0, ch] + fu * (texture[v0, u1, ch] - texture[v0, u0, ch])
                    high = texture[v1, u0, ch] + fu * (texture[v1, u1, ch] - texture[v1, u0, ch])
                    value = low + fv * (high - low)
                    value += lips * (palette.lips[ch] - value)
                    value += inside * (palette.mouth[ch] - value)
                    albedo[n, ch] = value
                gloss[n] = 0.035 if kind == _HAIR else 0.05 + 0.10 * lips
            n += 1
    return GBuffer(pixel, position, normal, albedo, room, gloss, empty)


class Flash(NamedTuple):
    """One light over one geometry; without `strength` only the room is lit.

    `axes` (3,3) rows: right, down, away; `depth` its shadow map; `middle` (3,) of the map.
    """

    strength: float
    room: float
    direction: Floats
    half: Floats
    axes: Floats
    depth: Floats
    middle: Floats
    reach: float


@compiled
def light_up(buffer: GBuffer, flash: Flash, background: Floats, behind: float, out: Floats) -> None:
    """Fill `out` (C, pixels) with the linear picture under one light.

    `background` (C, pixels) is multiplied by `behind`.

    Wrapped Lambert (light creeps a little round the edge, as under skin), a Blinn highlight, the
    room's light, and a shadow that is interpolated between four texels of the map.
    """
    channels, pixels = out.shape
    for ch in range(channels):
        for p in range(pixels):
            out[ch, p] = background[ch, p] * np.float32(behind) * buffer.empty[p]
    samples = 0.0
    for p in range(pixels):
        samples += 1.0 - buffer.empty[p]
    if len(buffer.pixel) == 0:
        return
    share = np.float32(samples / len(buffer.pixel))
    texels = flash.depth.shape[0]
    half_texels = np.float32(texels * 0.5)
    per_length = half_texels / np.float32(flash.reach)
    lx, ly, lz = flash.direction[0], flash.direction[1], flash.direction[2]
    hx, hy, hz = flash.half[0], flash.half[1], flash.half[2]
    strength, room = np.float32(flash.strength), np.float32(flash.room)
    wrap, one, zero = np.float32(0.16), np.float32(1), np.float32(0)
    scale = one / (one + wrap)
    axes = flash.axes
    mx, my, mz = flash.middle[0], flash.middle[1], flash.middle[2]
    last = np.float32(texels) - np.float32(1.01)
    for n in range(len(buffer.pixel)):
        nx, ny, nz = buffer.normal[n, 0], buffer.normal[n, 1], buffer.normal[n, 2]
        facing = nx * lx + ny * ly + nz * lz
        diffuse = (facing + wrap) * scale
        light = room * buffer.room[n]
        shine = zero
        if strength > zero and diffuse > zero:
            px = buffer.position[n, 0] + _BIAS * nx - mx
            py = buffer.position[n, 1] + _BIAS * ny - my
            pz = buffer.position[n, 2] + _BIAS * nz - mz
            column = (axes[0, 0] * px + axes[0, 1] * py + axes[0, 2] * pz) * per_length
            row = (axes[1, 0] * px + axes[1, 1] * py + axes[1, 2] * pz) * per_length
            far = axes[2, 0] * px + axes[2, 1] * py + axes[2, 2] * pz - _BIAS
            column = min(max(column + half_texels - np.float32(0.5), zero), last)
            row = min(max(row + half_texels - np.float32(0.5), zero), last)
            u, v = int(column), int(row)
            fu, fv = column - np.float32(u), row - np.float32(v)
            a = min(max(one - (far - flash.depth[v, u]) * _SOFT, zero), one)
            b = min(max(one - (far - flash.depth[v, u + 1]) * _SOFT, zero), one)
            c = min(max(one - (far - flash.depth[v + 1, u]) * _SOFT, zero), one)
            d = min(max(one - (far - flash.depth[v + 1, u + 1]) * _SOFT, zero), one)
            low = a + fu * (b - a)
            lit = (low + fv * (c + fu * (d - c) - low)) * strength
            light += lit * diffuse
            spread = nx * hx + ny * hy + nz * hz
            if spread > np.float32(0.5) and facing > zero:
                shine = spread * spread
                shine *= shine
                shine *= shine
                shine *= shine
                gloss = buffer.gloss[n]
                if gloss < zero:
                    for _ in range(4):
                        shine *= shine
                    gloss = -gloss * np.float32(4)
                shine *= gloss * lit * np.float32(1.6)
        p = buffer.pixel[n]
        for ch in range(channels):
            out[ch, p] += share * (buffer.albedo[n, ch] * light + shine)
