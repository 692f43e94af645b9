"""Glasses, hats and scarves as meshes on a head, drawn for a session and an expression.

All are placed by the vertices of the neutral head, so that they fit every identity.
"""

from itertools import pairwise

import attrs
import numpy as np
import numpy.typing as npt

from mtlkit_synthetic_faces.hair import COLUMNS, ROWS, Scalp
from mtlkit_synthetic_faces.head import EYE, FRAME, HAT, LENS, SCARF, HeadModel

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int32]
_DARK = 0.5  # the share of glasses with dark lenses
_RARER = 0.35  # of hats and of scarves relative to glasses
_RIM, _AROUND = 24, 28  # segments of a lens and of a scarf


@attrs.frozen(eq=False)
class Worn:
    """Accessories in one mesh: vertices (V,3), triangles (T,3), their materials (T,).

    `colors` (4,3) are the linear reflectances of frame, lens, hat and scarf.
    """

    points: Floats
    triangles: Integers
    material: npt.NDArray[np.uint8]
    colors: npt.NDArray[np.float64]


@attrs.frozen(eq=False)
class _Part:
    points: npt.NDArray[np.float64]
    triangles: npt.NDArray[np.int64]
    material: int


def _strip(first: npt.NDArray[np.float64], second: npt.NDArray[np.float64], material: int) -> _Part:
    """Return the band between two polylines (K,3) of the same length."""
    count = len(first)
    a = np.arange(count - 1)
    triangles = np.concatenate(
        [np.stack([a, a + 1, a + count], 1), np.stack([a + 1, a + count + 1, a + count], 1)]
    )
    return _Part(np.concatenate([first, second]), triangles, material)


def _glasses(
    model: HeadModel, head: Floats, random: np.random.Generator, dark: bool
) -> list[_Part]:
    """Return rims, bridge and temples, and the lenses if they are dark."""
    eye = np.unique(model.triangles[model.material == EYE])
    ear = np.flatnonzero(model.masks[2] > 0.5)
    half = random.uniform(0.19, 0.25), random.uniform(0.13, 0.2) + 0.03 * dark
    square = random.uniform(2.0, 4.0)  # 2 is an ellipse
    rim = random.uniform(0.008, 0.026)
    angle = np.linspace(0, 2 * np.pi, _RIM + 1)
    cosine, sine = np.cos(angle), np.sin(angle)
    shape = (abs(cosine) ** square + abs(sine) ** square) ** (-1 / square)
    front = head[(abs(head[:, 0]) < 0.06) & (abs(head[:, 1] - head[eye, 1].mean()) < 0.06), 2].max()
    parts = []
    for side in (-1.0, 1.0):
        middle = head[eye][model.rest[eye, 0] * side > 0].mean(0)
        inner, outer = (
            np.stack([middle[0] + (half[0] + grow) * shape * cosine,
                      middle[1] - 0.02 + (half[1] + grow) * shape * sine,
                      np.zeros_like(angle)], 1)
            for grow in (-rim, rim)
        )  # fmt: skip
        for line in (inner, outer):  # bent around the face
            line[:, 2] = front + 0.03 - 0.3 * line[:, 0] ** 2
        parts.append(_strip(inner, outer, FRAME))
        if dark:
            center = np.array([[middle[0], middle[1] - 0.02, front + 0.02 - 0.3 * middle[0] ** 2]])
            a = np.arange(_RIM)
            fan = np.stack([a, a + 1, np.full(_RIM, _RIM + 1)], 1)
            parts.append(_Part(np.concatenate([inner, center]), fan, LENS))
        hinge = outer[np.argmax(outer[:, 0] * side)]
        mine = ear[head[ear, 0] * side > 0]
        hook = np.array([side * (abs(head[mine, 0]).min() + 0.05), head[mine, 1].max() - 0.1,
                         head[mine, 2].mean()])  # fmt: skip
        parts.append(
            _strip(np.stack([hinge, hook]), np.stack([hinge, hook]) - [0, 1.6 * rim, 0], FRAME)
        )
        if side > 0:
            near = outer[np.argmin(outer[:, 0])]
            bridge = np.array(
                [[-near[0], near[1], near[2]], [0, near[1] + 0.03, front + 0.04], near]
            )
            parts.append(_strip(bridge, bridge - [0, 1.5 * rim, 0], FRAME))
    return parts


def _hat(scalp: Scalp, shell: Floats, random: np.random.Generator) -> list[_Part]:
    """Return a knit cap, or a cap with a visor, around the hair `shell` (P,3)."""
    grid = shell.reshape(ROWS, COLUMNS, 3).astype(np.float64)
    latitude = scalp.latitude.reshape(ROWS, COLUMNS)[:, 0]
    rows = int((latitude > random.uniform(18, 34)).sum())
    middle = grid[:rows].mean((0, 1)) - [0, 0.5, 0]
    outward = grid[:rows] - middle
    outward /= np.linalg.norm(outward, axis=2, keepdims=True)
    out = grid[:rows] + random.uniform(0.04, 0.1) * outward
    last = scalp.triangles.max(1) < rows * COLUMNS
    parts = [_Part(out.reshape(-1, 3), scalp.triangles[last].astype(np.int64), HAT)]
    if random.random() < 0.5:
        azimuth = scalp.azimuth.reshape(ROWS, COLUMNS)[0]
        front = np.flatnonzero(abs(azimuth) < np.radians(62))
        brim = out[-1, front]
        reach = random.uniform(0.45, 0.75) * np.cos(azimuth[front] * 1.4)[:, None]
        parts.append(_strip(brim, brim + reach * np.array([0, -0.25, 1.0]), HAT))
    return parts


def _scarf(head: Floats, random: np.random.Generator) -> list[_Part]:
    """Return a ring around the neck."""
    neck = head[abs(head[:, 1] - 5.95) < 0.1]
    middle, extent = np.median(neck, 0), np.percentile(abs(neck - np.median(neck, 0)), 85, axis=0)
    tube, rise = random.uniform(0.16, 0.26), random.uniform(-0.15, 0.2)
    round_, across = np.meshgrid(
        np.linspace(0, 2 * np.pi, _AROUND), np.linspace(0, 2 * np.pi, 9), indexing="ij"
    )
    wave = 1 + 0.15 * np.sin(5 * round_ + random.uniform(0, 6)) + 0.1 * np.sin(3 * across)
    far = 1.0 + tube * wave * np.cos(across)
    points = np.stack(
        [middle[0] + (extent[0] + 0.1) * far * np.sin(round_),
         5.85 + rise + 1.3 * tube * wave * np.sin(across) - 0.12 * np.cos(round_),
         middle[2] - 0.06 + extent[2] * far * np.cos(round_)],
        2,
    )  # fmt: skip
    return [_strip(first, second, SCARF) for first, second in pairwise(points)]


def draw_accessories(
    model: HeadModel,
    scalp: Scalp,
    head: Floats,
    shell: Floats,
    rate: float,
    random: np.random.Generator,
) -> Worn | None:
    """Draw what is worn on a neutral `head` (V,3) with the hair `shell` (P,3), or None.

    `rate` is the chance of glasses, half of them dark; hats and scarves have about a third of it.
    """
    glasses, dark, hat, scarf = random.random(4) < (rate, _DARK, _RARER * rate, _RARER * rate)
    parts: list[_Part] = []
    if glasses:
        parts += _glasses(model, head, random, bool(dark))
    if hat:
        parts += _hat(scalp, shell, random)
    if scarf:
        parts += _scarf(head, random)
    if not parts:
        return None
    colors = random.beta(0.7, 1.8, 4)[:, None] * random.uniform(0.6, 1.2, (4, 3))
    colors[0] *= random.choice([0.1, 1.0], p=(0.7, 0.3))  # most frames are dark
    colors[1] = random.uniform(0.005, 0.03)
    starts = np.cumsum([0, *(len(part.points) for part in parts[:-1])])
    triangles = [part.triangles + start for part, start in zip(parts, starts, strict=True)]
    material = [np.full(len(part.triangles), part.material, np.uint8) for part in parts]
    return Worn(
        points=np.concatenate([part.points for part in parts]).astype(np.float32),
        triangles=np.concatenate(triangles).astype(np.int32),
        material=np.concatenate(material),
        colors=np.clip(colors, 0.004, 0.8),
    )
