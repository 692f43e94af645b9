"""Shading of a G-buffer under one light at a time."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mtlkit_synthetic_faces.compiled import compiled
from mtlkit_synthetic_faces.rendering.gbuffer import GBuffer

Floats = npt.NDArray[np.float32]
_BIAS = np.float32(0.035)  # decimeters by which a surface is lifted off its own shadow
_SOFT = np.float32(25.0)  # one over the depth range in which a shadow fades in


class Flash(NamedTuple):
    """One light over one geometry; a `strength` of 0 leaves the room's light only.

    Rows of `axes` (3,3) are right, down, away; `depth` is the shadow map and `middle` (3,) its
    center.
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
    """Write the linear picture under one light into `out` (C, pixels).

    `background` (C, pixels) is multiplied by `behind`.

    The model is wrapped Lambert (light extends past the edge, as under skin), a Blinn highlight,
    the room's light, and a shadow interpolated between four texels of the map.
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
