"""Every kernel compiled for GPUs that are not here: it fits them, spills nothing, uses their units.

What is compiled is what the launchers start: the same blocks, warps, types and alignments.
"""

import ast
import importlib.util
import inspect
import re
import sys
from pathlib import Path

import pytest
import torch

from mtlkit.ops.dispatch.choice import interpreting
from mtlkit.ops.kernels import triton_config

if importlib.util.find_spec("triton") is None or interpreting():
    pytest.skip("needs triton, not interpreting", allow_module_level=True)

import triton
from triton.backends.compiler import GPUTarget
from triton.backends.nvidia.compiler import CUDABackend
from triton.runtime.jit import create_function_from_signature

if not Path(triton.knobs.nvidia.ptxas.path).is_file():
    pytest.skip("this triton has no compiler for NVIDIA", allow_module_level=True)

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "ops"))
from compiled import GPUS, KERNELS, OPTIONS, SHARED, Sizes, compiled, source, started

from mtlkit.ops.triton import kernels

H100 = GPUS["H100"]
PRODUCTS = ("negatives_of_rows", "shares_of_tile", "small_heads")
TENSOR_CORES = {9: "wgmma.mma_async", 10: "tcgen05.mma"}
"""By the first digits of a capability; before, and where a block has 16 rows, it is `mma.sync`."""

VARIANTS = {
    "fp16": {"dtype": torch.float16},
    "no bias": {"biased": False},
    "cosines": {"biased": False, "cosine": True},
    "cosines in fp16": {"dtype": torch.float16, "biased": False, "cosine": True},
    "few rows": {"sizes": Sizes(rows=32)},
    "few small heads": {"sizes": Sizes(heads=(5, 3))},
    "of one": {"sizes": Sizes(1, 1, 1, (1, 1))},  # a 1 becomes a constant of the kernel
    "odd, at an odd element": {"sizes": Sizes(33, 35, 151, (7, 5, 3), begin=1)},
}


@pytest.fixture(scope="module", autouse=True)
def _cache(tmp_path_factory):
    """What is compiled is kept nowhere, and nothing is taken from earlier."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRITON_CACHE_DIR", str(tmp_path_factory.mktemp("triton")))
        yield


def check(name, gpu, dtype=torch.bfloat16, **call):
    """Compile a kernel as it is started, and look at what came out."""
    start = started(gpu, dtype, **call)[name]
    found = compiled(name, start, gpu)
    assert found.spilled == 0
    assert found.registers <= 255
    assert found.shared <= 1024 * SHARED[gpu.capability]
    if name in PRODUCTS:
        cores = TENSOR_CORES.get(gpu.capability // 10, "mma.sync")
        if start.named["BLOCK_N"] < 64:
            cores = "mma.sync"
        assert found.products == (cores if dtype.itemsize == 2 else "")
    return start, found


@pytest.mark.parametrize(
    ("card", "name"),
    # what makes no products is the same for neighbours
    [(card, name) for card in GPUS for name in KERNELS if name in PRODUCTS or card[1:] != "40"],
)
def test_a_kernel_fits_every_gpu(card, name):
    start, found = check(name, GPUS[card])
    if name in PRODUCTS:
        assert found.copies, "no load goes on while products are made"
    if name in PRODUCTS[:2]:
        promised = triton_config.of_product(torch.bfloat16, GPUS[card], 512, 8192, even=True)
        assert found.resident >= promised.resident
        rows, parts = start.grid
        assert rows * parts > 0.7 * GPUS[card].processors


@pytest.mark.parametrize(
    ("card", "name"),
    [(card, name) for card in ("A100", "H100") for name in PRODUCTS]
    + [("A40", "small_heads"), ("B200", "negatives_of_rows")],
)
def test_exact_products_fit_every_gpu(card, name):
    found = check(name, GPUS[card], torch.float32)[1]
    assert found.copies
    assert "tf32" not in found.code["ptx"]
    assert found.resident >= 2
    size, products = found.loop
    assert products > 0.6 * size


@pytest.mark.parametrize(
    ("variant", "name"),
    [
        (variant, name)
        for variant, call in VARIANTS.items()
        for name in KERNELS
        # what a launcher does not pass on makes the same kernel again
        if "biased" not in call or name in PRODUCTS[:2]
        if variant != "few small heads" or "heads" in name
        if variant != "few rows" or name in PRODUCTS[:2]
    ],
)
def test_a_kernel_in_every_variant(variant, name):
    check(name, H100, **VARIANTS[variant])


def test_every_kernel_is_started():
    tree = ast.parse(inspect.getsource(kernels))
    jitted = [
        node.name for node in tree.body
        if isinstance(node, ast.FunctionDef)
        if any("jit" in ast.unparse(each) for each in node.decorator_list)
    ]  # fmt: skip
    assert {name for name in jitted if name[0] != "_"} == set(KERNELS)
    assert set(started(H100, torch.bfloat16)) == set(KERNELS)
    called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert {name for name in jitted if name[0] == "_"} <= called


@pytest.mark.parametrize("variant", [None, *VARIANTS])
def test_what_is_compiled_is_what_triton_makes_of_a_start(variant):
    """By the part of Triton that looks at the arguments of a start, which needs no GPU."""
    call = {"dtype": torch.bfloat16, **VARIANTS.get(variant, {})}
    backend = CUDABackend(GPUTarget("cuda", 90, 32))
    for name, start in started(H100, **call).items():
        kernel, ours = KERNELS[name], source(name, start)
        named = {**start.named, "debug": False, "instrumentation_mode": ""}
        binder = create_function_from_signature(kernel.signature, kernel.params, backend)
        bound, special, options = binder(*start.given, **named)
        options, signature, constants, aligned = kernel._pack_args(
            backend, named, bound, special, options
        )
        assert ours.signature == signature
        assert ours.constants == constants
        assert ours.attrs == {place: known for place, known in aligned.items() if known}
        wanted = OPTIONS | start.named
        assert [getattr(options, each) for each in OPTIONS] == [wanted[each] for each in OPTIONS]


@pytest.mark.parametrize("name", KERNELS)
def test_offsets_of_rows_are_made_in_64_bits(name):
    """Products in 32 bits are of a place in the grid, or of heads: none of rows and columns."""
    found = compiled(name, started(H100, torch.bfloat16)[name], H100)
    narrow = re.findall(r"arith\.muli (%\w+), (%\w+) : (?:tensor<\w*x)?i32", found.code["ttir"])
    assert [
        (one, other) for one, other in narrow
        if not re.fullmatch(r"%c\d+_i32|%split", other) and (one, other) != ("%head", "%rows")
    ] == []  # fmt: skip
    assert re.search(r"arith\.muli .* : (?:tensor<\w*x)?i64", found.code["ttir"])


@pytest.mark.parametrize(("rows", "classes"), [(512, 10_000), (4096, 1_000_000), (1, 1), (70, 129)])
@pytest.mark.parametrize("card", GPUS)
def test_the_classes_are_divided_so_that_the_last_program_ends_soonest(card, rows, classes):
    gpu = GPUS[card]
    cut = triton_config.of_product(torch.bfloat16, gpu, rows, classes, even=True)
    found = triton_config.classes_of_a_program(cut, gpu, rows, classes)
    assert found % cut.classes == 0
    tiles, across = -(-classes // cut.classes), -(-rows // cut.rows)

    def steps(each):
        programs = across * -(-tiles // each)
        return -(-programs // (gpu.processors * cut.resident)) * each

    assert steps(found // cut.classes) <= min(map(steps, range(1, tiles + 1))) * 1.04


def test_a_kernel_that_does_not_fit_is_noticed():
    sizes = VARIANTS["odd, at an odd element"]["sizes"]
    start = started(H100, torch.bfloat16, sizes)["shares_of_tile"]
    wide = start._replace(named={**start.named, "BLOCK_D": 64, "num_warps": 4})
    assert compiled("shares_of_tile", wide, H100).spilled > 0
