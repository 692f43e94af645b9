"""Block sizes and numbers of warps of the kernels, by type, GPU and sizes.

They follow the compiler's reports, not timings: no spills of registers, shared memory that fits
every GPU that has tensor cores for bfloat16, loads that overlap products, and two programs on a
multiprocessor, so that the exponentials of one can overlap the products of the other.
`benchmarks/ops/kernels_compiled.py` prints the evidence.
"""

from functools import cache, lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

TILE = 8192
"""Number of classes in a tile of the backward pass without a matrix of logits."""


class Gpu(NamedTuple):
    """Properties of a GPU: ten times its compute capability, and its multiprocessors."""

    capability: int
    processors: int


H100 = Gpu(90, 132)
"""GPU whose block sizes the interpreter uses."""


class Blocks(NamedTuple):
    """The rows, classes and features of a block, and how a program is compiled.

    `resident` programs fit a multiprocessor at once; `registers` bounds those of a thread
    unless it is 0.
    """

    rows: int
    classes: int
    features: int
    warps: int
    stages: int
    resident: int
    registers: int = 0

    def options(self) -> dict[str, int]:
        """Return the launch options of the kernels of products."""
        bound = {"maxnreg": self.registers} if self.registers else {}
        return {
            "BLOCK_N": self.rows, "BLOCK_C": self.classes, "BLOCK_D": self.features,
            "num_warps": self.warps, "num_stages": self.stages, **bound,
        }  # fmt: skip


def gpu_of(x: Tensor) -> Gpu:
    """Return the GPU that holds `x`."""
    return _gpu(x.device.index) if x.is_cuda else H100


@cache
def _gpu(index: int) -> Gpu:
    properties = torch.cuda.get_device_properties(index)
    return Gpu(10 * properties.major + properties.minor, properties.multi_processor_count)


def count(size: int, block: int) -> int:
    """Return the number of blocks that cover `size`."""
    return (size + block - 1) // block


def power_of_two(size: int, least: int, most: int) -> int:
    """Return the power of two that holds `size`, from `least` to `most`."""
    return int(min(most, max(least, 1 << (size - 1).bit_length())))


def even(*matrices: Tensor) -> bool:
    """Return whether 16 bytes of a row can be read at once: Triton needs multiples of 16."""
    return all(matrix.shape[1] % 16 == 0 and matrix.data_ptr() % 16 == 0 for matrix in matrices)


def of_product(dtype: torch.dtype, gpu: Gpu, rows: int, classes: int, even: bool) -> Blocks:
    """Return the blocks of logits (rows, classes) in the kernels that make them by tiles.

    float32, whose products are exact, and old GPUs have no tensor cores: 8 x 4 numbers for each
    thread, and few features at a time, or the unrolled loop spills. Matrices that are not `even`
    are read number by number, through registers. Large blocks read least from the L2 cache; smaller
    ones are used if two large ones leave a thread too few registers, for a batch of few rows, and
    if there would be fewer blocks than multiprocessors.
    """
    if dtype.itemsize > 2 or gpu.capability < 80:
        return Blocks(64, 128, 16, 8, 3, resident=2 if even else 1)
    if not even:
        return Blocks(64, 128, 32, 8, 3, resident=1)
    many = rows > 64 and count(rows, 128) * count(classes, 128) >= gpu.processors
    if many and gpu.capability // 10 == 9:
        return Blocks(128, 128, 64, 8, 3, resident=2, registers=128)
    if many and 100 <= gpu.capability < 120:  # a thread gets a whole row of the accumulators
        return Blocks(128, 64, 64, 4, 3, resident=2)
    return Blocks(64, 128, 64, 4, 3, resident=2)


@lru_cache(maxsize=1024)  # the rows of a batch may vary
def classes_of_a_program(blocks: Blocks, gpu: Gpu, rows: int, classes: int) -> int:
    """Return the number of classes, in whole blocks, that a program of `blocks.rows` rows covers.

    Of all ways to divide the classes, it is the one by which the last program ends soonest.
    """
    across, tiles = count(rows, blocks.rows), count(classes, blocks.classes)
    slots = gpu.processors * blocks.resident

    def steps(parts: int) -> tuple[int, int]:
        return count(across * parts, slots) * count(tiles, parts), parts

    most = min(tiles, max(1, 8 * slots // across))
    return count(tiles, min(range(1, most + 1), key=steps)) * blocks.classes


def of_heads(dtype: torch.dtype, classes: int, even: bool) -> Blocks:
    """Return the blocks of the logits of all heads, whose classes one program covers.

    16 rows, the least of a tensor core: a batch of 512 then makes 32 programs.
    """
    columns = power_of_two(classes, 16, 256)
    features = 16 if dtype.itemsize > 2 else 64 if even else 32
    return Blocks(16, columns, features, max(4, columns // 32), 3, resident=1)


def of_row(classes: int) -> dict[str, int]:
    """Return the columns that a program of one row takes at a time; 8 for each thread."""
    block = power_of_two(classes, 16, 4096)
    return {"BLOCK": block, "num_warps": max(1, block // 256)}
