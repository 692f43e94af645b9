"""The interface of data: splits of samples with named label columns."""

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import torch
from torch import Tensor

from mtlkit.data.blocks import SampleBlocks
from mtlkit.data.columns import Categorical, Column, Labels
from mtlkit.data.frame import Frame
from mtlkit.data.inputs import Inputs, selected
from mtlkit.errors import DataError
from mtlkit.features.inputs import InputSpec, InputSpecs
from mtlkit.targets.base import Target


@attrs.frozen(kw_only=True)
class Mixture:
    """Ratios of the classes of `label` in each update.

    An epoch is one pass over the class `epoch`, or over the ``longest`` or the ``shortest`` one.
    """

    label: str
    ratios: Mapping[str, float]
    epoch: str = "longest"


@attrs.frozen(eq=False, kw_only=True)
class Split:
    """Samples with their labels: inputs (N, ...), named columns of length N, and ids.

    Labels in memory are checked by their type; `DataError` names the column and the sample. If the
    samples have `blocks`, training reads them in a block order. A `mixture` is drawn in its ratios.
    """

    inputs: Inputs
    columns: Mapping[str, Column]
    ids: Sequence[str]
    blocks: SampleBlocks | None = None
    mixture: Mixture | None = None

    def __attrs_post_init__(self) -> None:
        for name, column in self.columns.items():
            if len(column) != len(self.inputs):
                raise DataError(
                    f"the column {name!r} has {len(column)} labels for {len(self.inputs)} samples"
                )
        if len(self.ids) != len(self.inputs):
            raise DataError(f"got {len(self.ids)} ids for {len(self.inputs)} samples")
        for name, column in self.columns.items():
            if isinstance(column, Labels) and isinstance(column.rows, Tensor):
                _check_labels(name, column.target, column.rows, self.ids)

    def __len__(self) -> int:
        return len(self.inputs)

    def column(self, name: str) -> Column:
        """Return the column `name`; `DataError` lists the columns if there is none."""
        if name not in self.columns:
            raise DataError(
                f"the data has no label {name!r}; it has: {', '.join(sorted(self.columns))}"
            )
        return self.columns[name]

    def categorical(self, name: str) -> Categorical:
        """Return the column `name` of classes; `DataError` if it is missing or of another type."""
        column = self.column(name)
        if not isinstance(column, Categorical):
            raise DataError(
                f"the label {name!r} is {column.target.noun} {column.target.shape}; expected a "
                f"class (N,)"
            )
        return column

    def subset(self, index: Tensor) -> "Split":
        """Return the samples at `index` (M,); tensors are copied."""
        columns = {name: column.subset(index) for name, column in self.columns.items()}
        ids = [self.ids[i] for i in index.tolist()]
        return Split(inputs=selected(self.inputs, index), columns=columns, ids=ids)


def _check_labels(name: str, target: Target, labels: Tensor, ids: Sequence[str]) -> None:
    try:
        target.check(labels)
    except DataError as cause:
        wrong = [number for number in range(len(labels)) if not _fits(target, labels[number])]
        sample = f" {ids[wrong[0]]}:" if 0 < len(wrong) < len(labels) else ""
        raise DataError(f"the label {name!r}:{sample} {cause}") from cause


def _fits(target: Target, label: Tensor) -> bool:
    try:
        target.check(label.unsqueeze(0))
    except DataError:
        return False
    return True


@attrs.frozen(eq=False, kw_only=True)
class Data:
    """The splits of a data source and the normalization of their inputs.

    `open_labels` are labels whose values in `test` are unseen in training by design, such as the
    subjects of a recognition protocol. In `test`, a value outside the training vocabulary of such a
    label is treated as missing; for all other labels it is an error.

    Raw inputs are normalized to (input - `mean`) / `std`, with one number or one for each channel;
    None is the default of 8-bit images, (x - 127.5) / 128, or what the pretrained weights of the
    backbone expect. With `standardize`, each sample then gets mean 0 and standard deviation 1.
    `inputs` replaces all three: it describes the inputs if they are several tensors, token ids, or
    samples of different sizes.

    `preprocessing` holds what the source fitted to the training samples, in the types of JSON. It
    is saved with a run and given to `DataSource.read`. `frame` is `DataSource.frame`, that of
    images. `notes` are lines for the user about data that may not be as intended.
    """

    train: Split
    validation: Split | None = None
    test: Split | None = None
    open_labels: frozenset[str] = frozenset()
    mean: float | tuple[float, ...] | None = None
    std: float | tuple[float, ...] | None = None
    standardize: bool = False
    inputs: InputSpecs | None = None
    summary: Mapping[str, str] = attrs.field(factory=dict)  # facts to display: 'subjects': '240'
    preprocessing: Mapping[str, Any] = attrs.field(factory=dict)
    frame: Frame | None = None
    notes: tuple[str, ...] = ()

    def with_splits(self, splits: Mapping[str, Split]) -> "Data":
        """Return the same data with other splits, by name."""
        replaced: dict[str, Any] = {"validation": None, "test": None, **splits}
        return attrs.evolve(self, **replaced)

    def splits(self) -> dict[str, Split]:
        """Return the splits that exist, by name."""
        splits = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: split for name, split in splits.items() if split is not None}

    @property
    def input_specs(self) -> InputSpecs:
        """Description of the inputs; raises `DataError` if they differ from a stated one."""
        first = self.train.inputs[torch.tensor([0])]
        if isinstance(self.inputs, Mapping) or isinstance(first, Mapping):
            stated = self.inputs if isinstance(self.inputs, Mapping) else {}
            given = first if isinstance(first, Mapping) else {}
            if set(stated) != set(given):
                raise DataError(
                    f"inputs: got {_names(given)}, expected {_names(stated)}, which `Data.inputs` "
                    f"describes; describe each input by its name"
                )
            return {name: _checked(name, given[name], spec) for name, spec in stated.items()}
        if self.inputs is not None:
            return _checked("inputs", first, self.inputs)
        return InputSpec(
            shape=tuple(first.shape[1:]),
            dtype=_dtype(first),
            mean=_numbers(127.5 if self.mean is None else self.mean),
            std=_numbers(128.0 if self.std is None else self.std),
            standardize=self.standardize,
        )


def _numbers(values: float | tuple[float, ...]) -> tuple[float, ...]:
    return values if isinstance(values, tuple) else (values,)


def _names(values: Mapping[str, object]) -> str:
    return f"inputs named {', '.join(values)}" if values else "one tensor"


def _dtype(values: Tensor) -> str:
    return str(values.dtype).removeprefix("torch.")


def _checked(name: str, first: Tensor, spec: InputSpec) -> InputSpec:
    """Return `spec`; raise `DataError` if the first sample does not fit it."""
    if _dtype(first) != spec.dtype:
        raise DataError(f"{name}: got {_dtype(first)}, expected {spec.dtype}; correct the spec")
    # ragged inputs have fewer dimensions or smaller ones than the largest sample
    shape = tuple(first.shape[1:])
    if len(shape) == len(spec.shape) and any(a > b for a, b in zip(shape, spec.shape, strict=True)):
        raise DataError(
            f"{name}: got a sample of shape {shape}, expected at most {spec.shape}; state the "
            f"largest shape"
        )
    if spec.vocabulary is not None and not 0 <= int(first.min()) <= int(first.max()) < (
        spec.vocabulary
    ):
        raise DataError(
            f"{name}: got ids from {int(first.min())} to {int(first.max())}, expected 0 to "
            f"{spec.vocabulary - 1}"
        )
    return spec
