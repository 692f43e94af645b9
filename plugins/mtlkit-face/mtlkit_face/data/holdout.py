"""The images of known subjects that are held out of training."""

import numpy as np
import numpy.typing as npt


def holdout_mask(
    subjects: npt.NDArray[np.integer], part: float, seed: int
) -> npt.NDArray[np.bool_]:
    """Which images (N,) are held out: the same part of each subject's, by (seed, subject).

    `subjects` (N,) says whom each image shows. A subject with a single image keeps it, if `part` is
    below a half.

    >>> int(holdout_mask(np.array([7, 7, 7, 7, 9]), 0.25, seed=0).sum())
    1
    """
    chosen = np.zeros(len(subjects), bool)
    order = np.argsort(subjects, kind="stable")
    starts = np.flatnonzero(np.diff(subjects[order], prepend=-1))
    for own in np.split(order, starts[1:]):
        if len(own):
            random = np.random.default_rng([seed, int(subjects[own[0]]), 0x484F4C44])
            chosen[random.permutation(own)[: round(part * len(own))]] = True
    return chosen
