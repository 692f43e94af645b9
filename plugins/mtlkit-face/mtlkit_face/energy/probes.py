"""Linear probes: how well a label can be read off features of strangers by a linear map.

A probe is a ridge regression of the classes' indicators (Alain & Bengio 2016 use softmax probes),
in closed form, so that it has no training to argue about. Shapes: N samples, D features, K classes.
"""

from collections.abc import Mapping, Sequence

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor

from mtlkit import Task, TaskKind
from mtlkit.data import Categorical, Split
from mtlkit.plugins import DataError

PENALTIES = tuple(10.0**power for power in range(-6, 2))
"""The penalties tried, in units of the features' mean square."""

_CHUNK = 8192
_FOLD = 4  # every fourth training subject judges the penalty
USUAL = ("yaw", "light", "expression")

X, UPPER, LOWER, Y = "x", "x-upper", "x-lower", "y"
"""The features that are probed: x, its halves by identity's energy, and the logits y."""


@attrs.frozen(kw_only=True)
class Reading:
    """How well a label was read: the accuracy, its standard error over subjects, the penalty."""

    accuracy: float
    error: float
    penalty: float


@attrs.frozen(eq=False)
class Probe:
    """A linear map of features to the scores of classes: x -> (x - centre) weight + offset."""

    centre: Tensor
    weight: Tensor
    offset: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        """The class (N,) of each of the features (N, D)."""
        parts = torch.split(features, _CHUNK)
        return torch.cat(
            [((p.double() - self.centre) @ self.weight + self.offset).argmax(dim=1) for p in parts]
        )


class Ridge:
    """Ridge regressions of the indicators of codes (N,) on features (N, D), for any penalty.

    Features are centred and left in their own scale: what W made small stays small beside the
    penalty, a share of the mean square of a feature.
    """

    def __init__(self, features: Tensor, codes: Tensor, classes: int) -> None:
        self._centre = features.mean(dim=0, dtype=torch.float64)
        self._offset = torch.bincount(codes, minlength=classes).double() / len(codes)
        gram = torch.zeros(features.shape[1], features.shape[1], dtype=torch.float64)
        cross = torch.zeros(features.shape[1], classes, dtype=torch.float64)
        for part, own in zip(torch.split(features, _CHUNK), torch.split(codes, _CHUNK),
                             strict=True):  # fmt: skip
            centred = part.double() - self._centre
            gram += centred.T @ centred
            cross += centred.T @ (F.one_hot(own, classes).double() - self._offset)
        self._values, self._vectors = torch.linalg.eigh(gram)
        self._projected = self._vectors.T @ cross
        self._unit = max(gram.diagonal().mean().item(), torch.finfo(torch.float32).tiny)

    def probe(self, penalty: float) -> Probe:
        """The probe whose `penalty` is in units of the features' mean square times N."""
        shrunk = self._projected / (self._values.clamp(min=0) + penalty * self._unit).unsqueeze(1)
        return Probe(self._centre, self._vectors @ shrunk, self._offset)


def read(
    known: Tensor, codes: Tensor, subjects: Tensor, strangers: Tensor, asked: Tensor, owners: Tensor
) -> Reading:
    """How well the codes `asked` (M,) of strangers (M, D) are read by a probe of `known` (N, D).

    `codes` (N,) and `subjects` (N,) are those of the known, `owners` (M,) the strangers' subjects.
    The penalty is the one that reads best a quarter of the known subjects from the others.
    """
    classes = int(codes.max()) + 1
    held = torch.unique(subjects, return_inverse=True)[1] % _FOLD == 0
    if held.all() or not held.any():  # one subject: nobody to judge by
        held = torch.arange(len(codes)) % _FOLD == 0
    trial = Ridge(known[~held], codes[~held], classes)
    scores = [(trial.probe(p)(known[held]) == codes[held]).double().mean() for p in PENALTIES]
    best = PENALTIES[int(torch.stack(scores).argmax())]
    right = Ridge(known, codes, classes).probe(best)(strangers) == asked
    shares = torch.stack([right[owners == one].double().mean() for one in torch.unique(owners)])
    error = (shares.std() / len(shares) ** 0.5).item() if len(shares) > 1 else 0.0
    return Reading(accuracy=right.double().mean().item(), error=error, penalty=best)


@attrs.frozen(eq=False, kw_only=True)
class Probed:
    """What probes read of one label: chance, and a reading of each kind of features."""

    chance: float
    classes: int
    strays: int  # samples of classes that no training sample has: not asked for
    readings: Mapping[str, Reading]


@attrs.frozen(eq=False, kw_only=True)
class Samples:
    """Who learns and who is asked for one label: positions, codes of one vocabulary, subjects.

    `strays` counts the samples asked for whose class no training sample has, which are left out.
    """

    known: Tensor
    codes: Tensor
    subjects: Tensor
    asked: Tensor
    wanted: Tensor
    owners: Tensor
    names: tuple[str, ...]
    strays: int

    @property
    def usable(self) -> bool:
        """Whether there are two classes to learn, and somebody to ask."""
        return len(self.names) > 1 and len(self.asked) > 0


def samples_of(label: str, train: Split, split: Split, subject: str) -> Samples:
    """The samples of `label` in both splits that have it, and whose `subject` is known."""
    known, asked = train.categorical(label), split.categorical(label)
    subjects = train.categorical(subject).codes
    owners = split.categorical(subject).codes
    learned = (known.present() & (subjects >= 0)).nonzero().squeeze(1)
    names = tuple(known.names[code] for code in torch.unique(known.codes[learned]).tolist())
    codes, wanted = _recoded(known, names), _recoded(asked, names)
    judged = ((wanted >= 0) & (owners >= 0)).nonzero().squeeze(1)
    return Samples(
        known=learned,
        codes=codes[learned],
        subjects=subjects[learned],
        asked=judged,
        wanted=wanted[judged],
        owners=owners[judged],
        names=names,
        strays=int((asked.present() & (wanted < 0)).sum()),
    )


def probed_labels(
    asked: Sequence[str] | None,
    train: Split,
    split: Split,
    subject: str,
    tasks: Mapping[str, Task],
) -> tuple[str, ...]:
    """The labels to probe for: those `asked` for, or else the side tasks' and the usual ones.

    Raises `DataError` where one that was asked for cannot be.
    """
    if asked is not None:
        for label in asked:
            _require(label, samples_of(label, train, split, subject))
        return tuple(asked)
    side = [
        task.target or name
        for name, task in tasks.items()
        if task.head.kind is TaskKind.CLASSIFICATION
    ]

    def probeable(label: str) -> bool:
        both = (train.columns.get(label), split.columns.get(label))
        there = all(isinstance(column, Categorical) for column in both)
        return there and samples_of(label, train, split, subject).usable

    return tuple(filter(probeable, (n for n in dict.fromkeys((*side, *USUAL)) if n != subject)))


def _require(label: str, samples: Samples) -> None:
    if not samples.usable:
        raise DataError(
            f"energy: a probe needs two classes of {label!r} or more, and samples of them to be "
            f"judged by; found {len(samples.names)} and {len(samples.asked)}; leave it out of "
            f"`probes`"
        )
    if samples.strays:
        raise DataError(
            f"energy: {samples.strays} samples have a class of {label!r} that no training sample "
            f"has, so that no probe can know it; leave it out of `probes`"
        )


def _recoded(column: Categorical, names: tuple[str, ...]) -> Tensor:
    place = {name: number for number, name in enumerate(names)}
    table = torch.tensor([place.get(name, -1) for name in column.names] + [-1])
    return table[column.codes]
