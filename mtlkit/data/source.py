"""The family of data sources."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import attrs

from mtlkit.component import Component
from mtlkit.errors import DataError
from mtlkit.features.pretrained import PretrainedImages

if TYPE_CHECKING:
    from mtlkit.data.dataset import Data, Split
    from mtlkit.data.frame import Frame
    from mtlkit.targets.base import Target


def _silent(_label: str, _done: int, _total: int) -> None:
    """Report nothing."""


@attrs.frozen(kw_only=True)
class Loading:
    """Settings for loading data, which never change the loaded data."""

    cache: Path | None = None  # folder for rendered or converted data; None: no cache
    workers: int | None = None  # threads or processes; None: one for each core
    shared: Path | None = None  # folder in which processes of a run share decoded images
    progress: Callable[[str, int, int], None] = _silent  # (label, items done, total items)
    base: Path = attrs.field(factory=Path)  # base folder of relative paths


@attrs.frozen(kw_only=True)
class DataSource(Component):
    """A source of labeled samples in splits."""

    @property
    def label_targets(self) -> "Mapping[str, type[Target]]":
        """Types of the labels that the options declare, by label; empty if unknown.

        ``*`` in the `tasks` of a recipe selects these labels, and a task without a head gets the
        default head of the type.
        """
        return {}

    @property
    def frame(self) -> "Frame | None":
        """Frame to which images are converted; None if the source states none."""
        return None

    @abstractmethod
    def load(self, loading: Loading) -> "Data":
        """Load the samples and labels; raise `DataError` if any of them is unavailable."""

    def for_pretrained(self, images: PretrainedImages) -> Self:
        """Return the source with the preprocessing of `images` in options that are not stated.

        By default the source itself. The result is the source in the recipe of a run.
        """
        return self

    def read(self, rows: object, preprocessing: Mapping[str, Any], loading: Loading) -> "Split":
        """Return new samples without labels as a split without columns.

        Inputs are preprocessed as in training, of which `preprocessing` is `Data.preprocessing`.
        `rows` is what the user passes to `mtlkit.predict`, such as the path of a file or folder.
        Raises `DataError` for other rows.
        """
        raise DataError(
            f"{type(self).__name__} reads no new samples; pass the raw inputs as a tensor, or "
            f"define {type(self).__name__}.read"
        )
