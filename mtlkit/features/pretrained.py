"""The preprocessing of images for which the weights of a backbone were trained."""

import attrs


@attrs.frozen(kw_only=True)
class PretrainedImages:
    """Mean and std of 8-bit RGB pixels by channel, interpolation, and the center that is cropped.

    `crop` is the fraction of the largest centered rectangle of the aspect ratio of the input.

    >>> images = PretrainedImages(mean=(120.0, 110.0, 100.0), std=(60.0, 60.0, 60.0))
    >>> images.per_channel(1).mean
    (110.0,)
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str = "bicubic"
    crop: float = 1.0

    def per_channel(self, channels: int) -> "PretrainedImages":
        """Return the values for images of `channels`: means over RGB for other numbers than 3."""
        if channels == len(self.mean):
            return self
        return attrs.evolve(self, mean=(_mean(self.mean),), std=(_mean(self.std),))


def _mean(values: tuple[float, ...]) -> float:
    return sum(values) / len(values)
