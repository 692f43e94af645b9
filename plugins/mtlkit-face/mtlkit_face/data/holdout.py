"""Hold out images of the training subjects for validation."""

import numpy as np
import numpy.typing as npt


def holdout_mask(
    subjects: npt.NDArray[np.integer], part: float, seed: int
) -> npt.NDArray[np.bool_]:
    """Return a mask (N,) of held-out images: a fraction `part` of the images of each subject.

    `subjects` (N,) are the subjects of the images; the choice depends on seed and subject only. A
    single image of a subject is not held out if `part` is below one half.

    >>> int(holdout_mask(np.array([7, 7, 7, 7, 9]), 0.25, seed=0).sum())
    1
    """
    chosen = np.zeros(len(subjects), bool)
    order = np.argsort(subjects, kind="stable")
    starts = np.flatnonzero(np.diff(subjects[order], prepend=-1))
    for images in np.split(order, starts[1:]):
        if len(images):
            random = np.random.default_rng([seed, int(subjects[images[0]]), 0x484F4C44])
            chosen[random.permutation(images)[: round(part * len(images))]] = True
    return chosen
