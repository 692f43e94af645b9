"""The interface of data: splits of samples with named label columns.

A missing label is -1 in a categorical column and NaN in a numeric one, nowhere else.
"""

import math
from collections.abc import Mapping, Sequence

import attrs
import torch
from torch import Tensor

from mtlkit.data.inputs import Inputs, SelectedInputs
from mtlkit.errors import DataError
from mtlkit.features.inputs import InputSpec, InputSpecs
from mtlkit.targets.class_label import ClassTarget
from mtlkit.targets.number import NumberTarget
from mtlkit.task_types import MISSING


@attrs.frozen(eq=False)
class Categorical:
    """A column of classes: codes (N,) into `names`, -1 for a missing label.

    >>> Categorical.of(["left", "right", "left"]).codes.tolist()
    [0, 1, 0]
    """

    codes: Tensor
    names: tuple[str, ...]

    def __attrs_post_init__(self) -> None:
        if self.codes.dtype != torch.int64:
            raise DataError(f"expected codes of classes in int64, found {self.codes.dtype}")
        unknown = self.codes[(self.codes < MISSING) | (self.codes >= len(self.names))]
        if len(unknown):
            raise DataError(
                f"the code {int(unknown[0])} names none of {len(self.names)} classes; expected "
                f"0 to {len(self.names) - 1}, or {MISSING} for a missing label"
            )

    @classmethod
    def of(cls, values: Sequence[str | None], names: Sequence[str] | None = None) -> "Categorical":
        """Encode `values`, None being a missing label; `names` default to the sorted values."""
        if names is None:
            names = sorted({value for value in values if value is not None}, key=_natural)
        code_of = {name: code for code, name in enumerate(names)}
        for value in values:
            if value is not None and value not in code_of:
                raise DataError(f"the label {value!r} is outside the vocabulary {list(names)}")
        codes = [MISSING if value is None else code_of[value] for value in values]
        return cls(torch.tensor(codes, dtype=torch.int64), tuple(names))

    def __len__(self) -> int:
        return len(self.codes)

    def present(self) -> Tensor:
        """Return the mask (N,) of labels that are present."""
        return self.codes != MISSING

    @property
    def target(self) -> ClassTarget:
        """Type of the labels."""
        return ClassTarget(names=self.names)

    def values(self) -> list[str | None]:
        """Return the labels by name, None for a missing one."""
        return [self.names[code] if code >= 0 else None for code in self.codes.tolist()]


def _natural(name: str) -> tuple[int, float, str]:
    """Return a sort key: numbers first, by value (-90 before 15), then other names."""
    try:
        number = float(name)
    except ValueError:
        number = math.nan
    return (0, number, name) if math.isfinite(number) else (1, 0.0, name)  # NaN has no order


@attrs.frozen(eq=False)
class Numeric:
    """A column of numbers: values (N,) float32, NaN for a missing one."""

    values: Tensor

    def __len__(self) -> int:
        return len(self.values)

    def present(self) -> Tensor:
        """Return the mask (N,) of numbers that are present."""
        return ~self.values.isnan()

    @property
    def target(self) -> NumberTarget:
        """Type of the labels."""
        return NumberTarget()


Column = Categorical | Numeric


@attrs.frozen(eq=False, kw_only=True)
class Split:
    """Samples with their labels: inputs (N, ...), named columns of length N, and ids."""

    inputs: Inputs
    columns: Mapping[str, Column]
    ids: Sequence[str]

    def __attrs_post_init__(self) -> None:
        for name, column in self.columns.items():
            if len(column) != len(self.inputs):
                raise DataError(
                    f"the column {name!r} has {len(column)} labels for {len(self.inputs)} samples"
                )
        if len(self.ids) != len(self.inputs):
            raise DataError(f"got {len(self.ids)} ids for {len(self.inputs)} samples")

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
        """Return the categorical column `name`; `DataError` if it is missing or numeric."""
        column = self.column(name)
        if not isinstance(column, Categorical):
            raise DataError(f"the label {name!r} is a number; expected classes")
        return column

    def subset(self, index: Tensor) -> "Split":
        """Return the samples at `index` (M,); inputs that are a tensor are copied."""
        columns: dict[str, Column] = {}
        for name, column in self.columns.items():
            if isinstance(column, Categorical):
                columns[name] = Categorical(column.codes[index], column.names)
            else:
                columns[name] = Numeric(column.values[index])
        ids = [self.ids[i] for i in index.tolist()]
        whole = self.inputs
        inputs = whole[index] if isinstance(whole, Tensor) else SelectedInputs(whole, index)
        return Split(inputs=inputs, columns=columns, ids=ids)


@attrs.frozen(eq=False, kw_only=True)
class Data:
    """The splits of a data source and the normalization of their inputs.

    `open_labels` are labels whose values in `test` are unseen in training by design, such as the
    subjects of a recognition protocol. In `test`, a value outside the training vocabulary of such a
    label is treated as missing; for all other labels it is an error.

    Raw inputs are normalized to (input - `mean`) / `std`, with one number or one for each channel;
    the default suits 8-bit images, (x - 127.5) / 128. `inputs` replaces both: it describes the
    inputs if they are several tensors, token ids, or samples of different sizes.
    """

    train: Split
    validation: Split | None = None
    test: Split | None = None
    open_labels: frozenset[str] = frozenset()
    mean: float | tuple[float, ...] = 127.5
    std: float | tuple[float, ...] = 128.0
    inputs: InputSpecs | None = None
    summary: Mapping[str, str] = attrs.field(factory=dict)  # facts to display: 'subjects': '240'

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
            mean=_numbers(self.mean),
            std=_numbers(self.std),
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
