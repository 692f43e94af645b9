"""The layout of an official tree: its files, their published numbers, and where they can be had."""

from pathlib import Path

import attrs

from mtlkit.plugins import DataError


@attrs.frozen
class TreePart:
    """Files of a tree: a glob `pattern`, other patterns for the same files, and their number.

    `count` is the published number of files, or None if at least one is expected.

    >>> TreePart("Img/*.jpg", ("*.jpg",), count=2).found(Path("nowhere"))
    ('Img/*.jpg', 0)
    """

    pattern: str
    others: tuple[str, ...] = ()
    count: int | None = None

    def found(self, folder: Path) -> tuple[str, int]:
        """Return the pattern that has the most files in `folder`, the first of equals."""
        counts = [(pattern, files(folder, pattern)) for pattern in (self.pattern, *self.others)]
        return max(counts, key=lambda pair: pair[1])

    @property
    def expected(self) -> str:
        """The expected number of files in words."""
        return "at least 1" if self.count is None else f"{self.count:,}"

    def state(self, number: int) -> str:
        """Return in a word how `number` files differ from the expected number."""
        too_many = self.count is not None and number > self.count
        return "too many" if too_many else "partly" if number else "missing"

    def fault(self, folder: Path, *, complete: bool) -> str | None:
        """Return the difference of `folder` from the part, or None."""
        _, number = self.found(folder)
        if number and (self.count in (None, number) or not complete):
            return None
        return f"{' or '.join((self.pattern, *self.others))}: got {number:,} files, expected " + (
            self.expected if complete else "at least 1"
        )


def files(folder: Path, pattern: str) -> int:
    """Return the number of files in `folder` that match a glob."""
    return sum(path.is_file() for path in folder.glob(pattern))


@attrs.frozen
class Layout:
    """The official tree of a data set: its `title`, its parts, and the page that offers it."""

    title: str
    page: str
    parts: tuple[TreePart, ...]

    def faults(self, folder: Path, *, complete: bool = True) -> list[str]:
        """Return what is missing in `folder`; without `complete` a part of the files is enough."""
        if not folder.is_dir():
            return ["no such folder"]
        return [fault for part in self.parts if (fault := part.fault(folder, complete=complete))]

    def require(self, folder: Path, *, complete: bool) -> None:
        """Raise `DataError` with everything that is missing in `folder`."""
        faults = self.faults(folder, complete=complete)
        if faults:
            partial = "; `complete: false` reads a part of it" if complete else ""
            raise DataError(
                f"{folder}: is not {self.title}:",
                *(f"  {fault}" for fault in faults),
                f"set the folder by `folder`{partial}; the data set can be had from {self.page}",
            )
