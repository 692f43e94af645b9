"""Linear probes: accuracy of a linear classifier of a label on features of unseen subjects.

A probe is a ridge regression of the class indicators (Alain & Bengio 2016 use softmax probes). It
has a closed form, so there is nothing to tune. Shapes: N samples, D features, K classes.
"""

from collections.abc import Mapping, Sequence

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor

from mtlkit import Task
from mtlkit.data import Categorical, ClassTarget, Split
from mtlkit.plugins import DataError

PENALTIES = tuple(10.0**power for power in range(-6, 2))
"""Candidate penalties, in units of the mean square of the features."""

_CHUNK = 8192
_FOLD = 4  # every fourth training subject validates the penalty
DEFAULT_LABELS = ("yaw", "light", "expression")

X, UPPER, LOWER, Y = "x", "x-upper", "x-lower", "y"
"""Probed features: x, its parts of more and less energy for identity, and the logits y."""


@attrs.frozen(kw_only=True)
class ProbeAccuracy:
    """Accuracy of a probe, its standard error over subjects, and the chosen penalty."""

    accuracy: float
    error: float
    penalty: float


@attrs.frozen(eq=False)
class Probe:
    """Linear map of features to class scores: x -> (x - mean) weight + offset."""

    mean: Tensor
    weight: Tensor
    offset: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        """Return the predicted class (N,) of features (N, D)."""
        parts = torch.split(features, _CHUNK)
        return torch.cat(
            [((p.double() - self.mean) @ self.weight + self.offset).argmax(dim=1) for p in parts]
        )


class Ridge:
    """Ridge regressions of the indicators of codes (N,) on features (N, D), for any penalty.

    Features are centered but not scaled: the penalty is relative to the mean square over all
    features, so a feature that W shrinks has less effect.
    """

    def __init__(self, features: Tensor, codes: Tensor, classes: int) -> None:
        self._mean = features.mean(dim=0, dtype=torch.float64)
        self._offset = torch.bincount(codes, minlength=classes).double() / len(codes)
        gram = torch.zeros(features.shape[1], features.shape[1], dtype=torch.float64)
        cross = torch.zeros(features.shape[1], classes, dtype=torch.float64)
        chunks = zip(torch.split(features, _CHUNK), torch.split(codes, _CHUNK), strict=True)
        for features_chunk, codes_chunk in chunks:
            centered = features_chunk.double() - self._mean
            gram += centered.T @ centered
            cross += centered.T @ (F.one_hot(codes_chunk, classes).double() - self._offset)
        self._values, self._vectors = torch.linalg.eigh(gram)
        self._projected = self._vectors.T @ cross
        self._unit = max(gram.diagonal().mean().item(), torch.finfo(torch.float32).tiny)

    def probe(self, penalty: float) -> Probe:
        """Return the probe with `penalty`, in units of the features' mean square times N."""
        shrunk = self._projected / (self._values.clamp(min=0) + penalty * self._unit).unsqueeze(1)
        return Probe(self._mean, self._vectors @ shrunk, self._offset)


def probe_accuracy(
    train: Tensor,
    train_codes: Tensor,
    train_subjects: Tensor,
    test: Tensor,
    test_codes: Tensor,
    test_subjects: Tensor,
) -> ProbeAccuracy:
    """Fit a probe on the features `train` (N, D) and return its accuracy on `test` (M, D).

    Codes and subjects are (N,) and (M,). The penalty is the best one on a held-out quarter of the
    training subjects.
    """
    classes = int(train_codes.max()) + 1
    held = torch.unique(train_subjects, return_inverse=True)[1] % _FOLD == 0
    if held.all() or not held.any():  # a single subject: hold out a quarter of its samples
        held = torch.arange(len(train_codes)) % _FOLD == 0
    ridge = Ridge(train[~held], train_codes[~held], classes)
    scores = [(ridge.probe(p)(train[held]) == train_codes[held]).double().mean() for p in PENALTIES]
    best = PENALTIES[int(torch.stack(scores).argmax())]
    right = (Ridge(train, train_codes, classes).probe(best)(test) == test_codes).double()
    rates = torch.stack([right[test_subjects == one].mean() for one in torch.unique(test_subjects)])
    error = (rates.std() / len(rates) ** 0.5).item() if len(rates) > 1 else 0.0
    return ProbeAccuracy(accuracy=right.mean().item(), error=error, penalty=best)


@attrs.frozen(eq=False, kw_only=True)
class ProbeResults:
    """Chance level of one label, and the accuracy of a probe on each kind of features.

    `unknown` counts the test samples of classes without training samples, which are skipped.
    """

    chance: float
    classes: int
    unknown: int
    accuracies: Mapping[str, ProbeAccuracy]


@attrs.frozen(eq=False, kw_only=True)
class ProbeSamples:
    """Training and test samples of one label: positions, codes into `names`, and subjects.

    `unknown` counts the test samples of classes without training samples, which are skipped.
    """

    train: Tensor
    train_codes: Tensor
    train_subjects: Tensor
    test: Tensor
    test_codes: Tensor
    test_subjects: Tensor
    names: tuple[str, ...]
    unknown: int

    @property
    def usable(self) -> bool:
        """True if there are at least two classes, and a test sample."""
        return len(self.names) > 1 and len(self.test) > 0


def probe_samples(label: str, train: Split, split: Split, subject: str) -> ProbeSamples:
    """Return the samples of both splits that have `label` and a `subject`."""
    train_column, test_column = train.categorical(label), split.categorical(label)
    train_subjects = train.categorical(subject).codes
    test_subjects = split.categorical(subject).codes
    fit = (train_column.present() & (train_subjects >= 0)).nonzero().squeeze(1)
    codes = torch.unique(train_column.codes[fit]).tolist()
    names = tuple(train_column.names[code] for code in codes)
    train_codes, test_codes = _recoded(train_column, names), _recoded(test_column, names)
    test = ((test_codes >= 0) & (test_subjects >= 0)).nonzero().squeeze(1)
    return ProbeSamples(
        train=fit,
        train_codes=train_codes[fit],
        train_subjects=train_subjects[fit],
        test=test,
        test_codes=test_codes[test],
        test_subjects=test_subjects[test],
        names=names,
        unknown=int((test_column.present() & (test_codes < 0)).sum()),
    )


def probed_labels(
    labels: Sequence[str] | None,
    train: Split,
    split: Split,
    subject: str,
    tasks: Mapping[str, Task],
) -> tuple[str, ...]:
    """Return `labels`, or those of the side tasks and `DEFAULT_LABELS` that can be probed.

    Raises `DataError` if one of `labels` cannot be probed.
    """
    if labels is not None:
        for label in labels:
            _require(label, probe_samples(label, train, split, subject))
        return tuple(labels)
    side = [task.target or name for name, task in tasks.items() if task.head.predicts(ClassTarget)]

    def probeable(label: str) -> bool:
        both = (train.columns.get(label), split.columns.get(label))
        categorical = all(isinstance(column, Categorical) for column in both)
        return categorical and probe_samples(label, train, split, subject).usable

    candidates = dict.fromkeys((*side, *DEFAULT_LABELS))
    return tuple(label for label in candidates if label != subject and probeable(label))


def _require(label: str, samples: ProbeSamples) -> None:
    if not samples.usable:
        raise DataError(
            f"energy: got {len(samples.names)} classes of {label!r} and {len(samples.test)} test "
            f"samples of them, expected two classes or more and a sample; remove {label!r} from "
            f"`probes`"
        )
    if samples.unknown:
        raise DataError(
            f"energy: {samples.unknown} samples have a class of {label!r} that no training sample "
            f"has, so no probe can predict it; remove {label!r} from `probes`"
        )


def _recoded(column: Categorical, names: tuple[str, ...]) -> Tensor:
    """Return the codes (N,) of `column` in the vocabulary `names`, -1 for other classes."""
    code = {name: number for number, name in enumerate(names)}
    table = torch.tensor([code.get(name, -1) for name in column.names] + [-1])
    return table[column.codes]
