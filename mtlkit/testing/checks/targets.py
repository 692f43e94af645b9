"""Checks of types of targets: their declarations, weights and checks of labels."""

import torch

from mtlkit.errors import DataError
from mtlkit.testing.check import Subject, checks_of, require
from mtlkit.testing.head_batches import labels_of

SAMPLES = 6


def declares_its_labels(subject: Subject) -> None:
    """Its class declares a noun, the shape, dimensions and dtype of labels, and a default head."""
    kind = subject.kind
    for name, expected in {"noun": str, "shape": str, "dims": int, "default_head": str}.items():
        value = getattr(kind, name, None)
        require(isinstance(value, expected) and bool(value),
                f"{kind.__name__}.{name} is {value!r}; expected {expected.__name__}")  # fmt: skip
    require(isinstance(getattr(kind, "dtype", None), torch.dtype),
            f"{kind.__name__}.dtype is {getattr(kind, 'dtype', None)!r}; "
            f"expected torch.dtype")  # fmt: skip
    require(subject.value.default_head in subject.catalog.heads,
            f"its default head {subject.value.default_head!r} is not registered")  # fmt: skip


def accepts_its_labels_only(subject: Subject) -> None:
    """`check` accepts labels of its shape and dtype, and refuses others."""
    labels = labels_of(subject.value, SAMPLES, subject.example.labels)
    subject.value.check(labels)
    accepted = (subject.value.dtype, *subject.value.wider)
    dtype = next(kind for kind in (torch.float16, torch.int32) if kind not in accepted)
    others = {"another shape": labels.unsqueeze(-1), "another dtype": labels.to(dtype)}
    for what, other in others.items():
        try:
            subject.value.check(other)
        except DataError:
            continue
        require(False, f"`check` accepts labels of {what}")


def masks_its_elements(subject: Subject) -> None:
    """`present` is a mask of each sample's elements, and `weights` counts them in float32."""
    labels = labels_of(subject.value, SAMPLES, subject.example.labels)
    present, weights = subject.value.present(labels), subject.value.weights(labels)
    require(present.dtype == torch.bool, f"`present` returns {present.dtype}, not bool")
    require(len(present) == len(labels), f"`present` has {len(present)} rows for {len(labels)}")
    shape = (len(present),)
    require(tuple(weights.shape) == shape, f"weights are {tuple(weights.shape)}, not {shape}")
    require(weights.dtype == torch.float32, f"weights are {weights.dtype}, not float32")
    expected = present.flatten(1).sum(dim=1) if present.dim() > 1 else present
    require(torch.equal(weights > 0, expected > 0),
            "a sample has a weight without a present element, or none with one")  # fmt: skip


CHECKS = checks_of(__name__)
