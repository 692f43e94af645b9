"""Loss of quality after exposure: occlusion, low resolution, blur, contrast and JPEG."""

import io

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from mtlkit_synthetic_faces.face_set import FaceSet
from mtlkit_synthetic_faces.rendering.scene import object_mask, scene

Images = npt.NDArray[np.uint8]


def degraded(picture: Images, strength: float, random: np.random.Generator) -> Images:
    """Return a picture (C,H,W) of lower quality.

    At `strength` 1 the resolution falls to as little as a third, Gaussian blur has a standard
    deviation of up to 3 % of the width, gamma varies by a factor of 1.7, and JPEG quality falls to
    as little as 20. At 0 nothing changes. The bits of JPEG depend on Pillow's codec.
    """
    shrink, blur, gamma, low, quality = random.uniform(0, 1, 5)
    if strength == 0:
        return picture
    color = picture.shape[0] == 3
    image = Image.fromarray(picture.transpose(1, 2, 0) if color else picture[0])
    size = image.size
    image = image.filter(ImageFilter.GaussianBlur(float(0.03 * size[0] * strength * blur**2)))
    factor = 1 + 2 * strength * shrink**2
    small = (max(round(size[0] / factor), 8), max(round(size[1] / factor), 8))
    image = image.resize(small, Image.Resampling.BOX).resize(size, Image.Resampling.BICUBIC)
    span = 1 - 0.5 * strength * low**2  # of the levels of gray
    levels = np.linspace(0, 1, 256) ** (1.7 ** (strength * (2 * gamma - 1))) * span
    levels += (1 - span) * quality
    image = image.point([int(value) for value in np.rint(255 * levels)] * picture.shape[0])
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=round(100 - 80 * strength * quality))
    out = np.asarray(Image.open(stream))
    return np.ascontiguousarray(out.transpose(2, 0, 1) if color else out[None])


def spoil(out: Images, faces: FaceSet, random: np.random.Generator) -> None:
    """Put an object in front of a picture (C,H,W) by chance, and lower its quality, in place."""
    if random.random() < faces.occlusion:
        thing = scene(random, faces.size, faces.channels) ** np.float32(1 / 2.2) * 255
        mask = object_mask(random, faces.size)
        out[:] = np.where(mask, np.minimum(thing, 255), out).astype(np.uint8)
    out[:] = degraded(out, faces.degradation, random)
