"""Sizes of encoded samples, which show without a read that samples were replaced."""

from collections.abc import Iterator

from mtlkit.data.imaging.image_stores import EncodedSizes, Sizes
from mtlkit.data.inputs import Inputs
from mtlkit.data.joined.concat_rows import ConcatInputs


def encoded_sizes(inputs: Inputs) -> Iterator[Sizes]:
    """Yield the sizes (N,) of the samples of each part of `inputs` that has them."""
    for part in inputs.parts if isinstance(inputs, ConcatInputs) else [inputs]:
        if isinstance(part, EncodedSizes) and (sizes := part.encoded_sizes()) is not None:
            yield sizes
