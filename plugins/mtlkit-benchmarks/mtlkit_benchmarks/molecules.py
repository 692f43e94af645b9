"""Molecules of different sizes: atoms with coordinates, collated when they are read."""

from collections.abc import Mapping
from pathlib import Path

import attrs
import torch
from torch import Tensor

from mtlkit.data import InputSpec
from mtlkit.plugins import DataError
from mtlkit_benchmarks.trees.files import readable

ELEMENTS = {"H": 1, "C": 6, "N": 7, "O": 8, "F": 9}
"""Atomic numbers of the elements; codes of atoms count in this order."""

PADDING = len(ELEMENTS)
"""Code of an atom that only fills a molecule up to the largest of its batch."""


@attrs.frozen(eq=False, kw_only=True)
class Molecules:
    """Molecules with `sizes` (N,), and the codes `atoms` (M,) and `positions` (M, 3) of all atoms.

    A batch is padded to its largest molecule, of L atoms: `atoms` (N, L), `positions` (N, L, 3),
    and the `mask` (N, L) of atoms.

    >>> two = Molecules(
    ...     sizes=torch.tensor([3, 1]), atoms=torch.tensor([3, 0, 0, 4]), positions=torch.ones(4, 3)
    ... )
    >>> two[torch.tensor([1, 0])]["atoms"].tolist()
    [[4, 5, 5], [3, 0, 0]]
    """

    sizes: Tensor
    atoms: Tensor
    positions: Tensor
    starts: Tensor = attrs.field(init=False)

    @starts.default
    def _starts(self) -> Tensor:
        return self.sizes.cumsum(dim=0) - self.sizes

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, index: Tensor, /) -> Mapping[str, Tensor]:
        sizes = self.sizes[index]
        place = torch.arange(int(sizes.max()))
        mask = place < sizes.unsqueeze(1)
        rows = torch.where(mask, self.starts[index].unsqueeze(1) + place, 0)
        return {
            "atoms": torch.where(mask, self.atoms[rows], PADDING),
            "positions": torch.where(mask.unsqueeze(2), self.positions[rows], 0.0),
            "mask": mask,
        }

    def specs(self) -> Mapping[str, InputSpec]:
        """Return the description of the inputs, with the size of the largest molecule."""
        length = int(self.sizes.max())
        return {
            "atoms": InputSpec(shape=(length,), dtype="int64", vocabulary=len(ELEMENTS) + 1),
            "positions": InputSpec(shape=(length, 3)),
            "mask": InputSpec(shape=(length,), dtype="bool"),
        }

    def compositions(self) -> Tensor:
        """Return the number of atoms (N, 5) of each element."""
        counts = torch.zeros(len(self), len(ELEMENTS), dtype=torch.int64)
        graph = torch.repeat_interleave(torch.arange(len(self)), self.sizes)
        return counts.index_put_((graph, self.atoms), torch.tensor(1), accumulate=True)


def read_xyz(path: Path) -> tuple[Molecules, list[str]]:
    """Return the molecules of a file in the format XYZ, and a name of each.

    A molecule is its number of atoms, a line of text, and a line for each atom: its element and
    three coordinates in angstrom. The name is the first word of the text, or else the molecule's
    number. Raises `DataError` with the line of a mistake.
    """
    with readable(path):
        lines = path.read_text(encoding="utf-8").rstrip().splitlines()
    sizes, atoms, positions, names = list[int](), list[int](), list[list[float]](), list[str]()
    first = 0
    while first < len(lines):
        size = _size(f"{path}: line {first + 1}", lines[first])
        if first + 2 + size > len(lines):
            raise DataError(f"{path}: line {first + 1}: got {size} atoms, expected as many lines")
        words = lines[first + 1].split()
        names.append(words[0] if words else f"molecule {len(names) + 1}")
        sizes.append(size)
        for number in range(first + 2, first + 2 + size):
            code, position = _atom(f"{path}: line {number + 1}", lines[number])
            atoms.append(code)
            positions.append(position)
        first += 2 + size
    if not sizes:
        raise DataError(f"{path}: has no molecule")
    molecules = Molecules(
        sizes=torch.tensor(sizes), atoms=torch.tensor(atoms), positions=torch.tensor(positions)
    )
    return molecules, names


def _size(place: str, line: str) -> int:
    if not line.strip().isdigit() or int(line) < 1:
        raise DataError(f"{place}: got {line!r}, expected the number of atoms of a molecule")
    return int(line)


def _atom(place: str, line: str) -> tuple[int, list[float]]:
    element, *coordinates = line.split()[:4] or [""]
    if element not in ELEMENTS:
        raise DataError(f"{place}: got the element {element!r}, expected {', '.join(ELEMENTS)}")
    try:
        x, y, z = map(float, coordinates)
    except ValueError as cause:
        raise DataError(f"{place}: got {line!r}, expected an element and x, y, z") from cause
    return list(ELEMENTS).index(element), [x, y, z]
