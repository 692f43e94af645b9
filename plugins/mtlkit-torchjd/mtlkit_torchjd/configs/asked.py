"""What the options of several weightings ask of a recipe and of the installation."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from mtlkit.plugins import LossTerm, MissingExtraError, Problem


def strangers(
    named: Mapping[str, float], terms: Sequence[LossTerm], option: str
) -> Iterable[Problem]:
    """A problem for each name in `option` that no loss has.

    >>> from mtlkit.task_types import Kind, Role
    >>> terms = [LossTerm("pose", "pose", Role.SIDE, Kind.CLASSIFICATION)]
    >>> print(*strangers({"poes": 2.0}, terms, "preferences"))
    weighting.preferences.poes: no loss is named 'poes'; the losses are pose
    """
    names = [term.name for term in terms]
    for name in named:
        if name not in names:
            yield Problem(
                ("weighting", option, name),
                f"no loss is named {name!r}; the losses are {', '.join(names)}",
            )


@contextmanager
def needing_torchjd(weighting: str) -> Iterator[None]:
    """Turns a missing TorchJD, or a missing solver of it, into a `MissingExtraError`."""
    try:
        yield
    except ImportError as cause:
        raise MissingExtraError(
            f"weighting: {weighting} is computed by TorchJD, of which a part is not installed "
            f"({cause}); run `pip install 'mtlkit-torchjd'`, which brings all of it"
        ) from cause
