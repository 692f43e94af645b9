"""Checks of all modules: reproducible weights, outputs and gradients."""

import copy
import os
import random
import socket
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from safetensors.torch import load, save
from torch import Tensor

from mtlkit.features.inputs import map_batch
from mtlkit.testing.check import BrokenPromiseError, Subject, checks, require
from mtlkit.testing.harness import Batch, harness_of
from mtlkit.training.checkpoint import tensors_of

SAMPLES = 8


def same_seed_same_weights(subject: Subject) -> None:
    """The seed of torch's generator determines the initial weights."""
    harness = harness_of(subject)
    first, second = (harness.seeded(3).state_dict() for _ in range(2))
    require(list(first) == list(second), "two builds have tensors of different names")
    different = [name for name in first if not torch.equal(first[name], second[name])]
    require(not different, f"the same seed gives other values of {', '.join(different[:5])}")


def saves_and_loads(subject: Subject) -> None:
    """Its state consists of tensors and determines its outputs."""
    harness = harness_of(subject)
    first, other = harness.seeded(3).eval(), harness.seeded(4).eval()
    tensors = {name: value.contiguous() for name, value in tensors_of(first).items()}
    other.load_state_dict(load(save(tensors)), strict=True)
    batch = harness.batch(SAMPLES)
    with torch.no_grad():
        same = torch.equal(harness.outputs(first, batch), harness.outputs(other, batch))
    require(same, "loaded from a saved state, its outputs differ; keep state in buffers")


def deep_copies(subject: Subject) -> None:
    """A deep copy has the same outputs and shares no weights."""
    harness = harness_of(subject)
    module = harness.seeded().eval()
    other = copy.deepcopy(module)
    batch = harness.batch(SAMPLES)
    with torch.no_grad():
        before = harness.outputs(module, batch)
        require(
            torch.equal(before, harness.outputs(other, batch)), "a deep copy returns other outputs"
        )
        for parameter in module.parameters():
            parameter.add_(1.0)
        same = torch.equal(before, harness.outputs(other, batch))
    require(same, "a deep copy changes with the original")


def evaluates_deterministically(subject: Subject) -> None:
    """In evaluation mode outputs are deterministic and the state does not change."""
    harness = harness_of(subject)
    module, batch = harness.seeded().eval(), harness.batch(SAMPLES)
    before = copy.deepcopy(module.state_dict())
    with torch.no_grad():
        same = torch.equal(harness.outputs(module, batch), harness.outputs(module, batch))
    require(same, "two evaluations of the same batch differ")
    after = module.state_dict()
    changed = [name for name in before if not torch.equal(before[name], after[name])]
    require(not changed, f"evaluation changes {', '.join(changed)}")


def evaluates_samples_independently(subject: Subject) -> None:
    """In evaluation mode outputs of a sample depend on no other sample and not on the order.

    Ragged samples, such as graphs, are compared in a batch and in one with the first of them.
    """
    harness = harness_of(subject)
    module, batch = harness.seeded().eval(), harness.batch(SAMPLES)
    order = torch.tensor([5, 2, 7, 0, 1, 6, 3, 4])
    with torch.no_grad():
        whole = harness.rows(module, batch)
        if _is_ragged(batch):
            first = harness.rows(module, harness.batch(SAMPLES // 2))
            require(
                torch.allclose(whole[: SAMPLES // 2], first, atol=1e-4, rtol=1e-3),
                "the outputs of samples change with the samples after them; the first samples of "
                "`Example.batch` must not depend on their number",
            )
            return
        permuted = harness.rows(module, _selected(batch, order))
        alone = harness.rows(module, _selected(batch, torch.tensor([2])))
    require(
        torch.allclose(whole[order], permuted, atol=1e-4, rtol=1e-3),
        "the order of the samples changes their outputs",
    )
    require(
        torch.allclose(whole[2:3], alone, atol=1e-4, rtol=1e-3),
        "the outputs of a single sample differ from those in a batch",
    )


def _is_ragged(batch: Batch) -> bool:
    """Return whether a tensor of the batch has another length than the number of samples."""
    tensors = (t for part in batch for t in ([part] if isinstance(part, Tensor) else part.values()))
    return any(len(tensor) != SAMPLES for tensor in tensors)


def _selected(batch: Batch, index: Tensor) -> Batch:
    return tuple(map_batch(lambda values: values[index], part) for part in batch)


def trains_every_parameter(subject: Subject) -> None:
    """The loss of a batch reaches every trainable parameter, with a finite gradient."""
    harness = harness_of(subject)
    module = harness.seeded().train()
    torch.autograd.backward(harness.loss(module, harness.batch(SAMPLES)))
    named = [(name, p) for name, p in module.named_parameters() if p.requires_grad]
    without = [name for name, p in named if p.grad is None]
    require(not without, f"no gradient reaches {', '.join(without[:5])}: it would not be trained")
    broken = [n for n, p in named if p.grad is not None and not p.grad.isfinite().all()]
    require(not broken, f"the gradient of {', '.join(broken[:5])} is not finite")


def is_finite_in_bf16(subject: Subject) -> None:
    """Under bf16 autocast outputs, loss and gradients are finite, and weights stay float32."""
    harness = harness_of(subject)
    module, batch = harness.seeded().train(), harness.batch(SAMPLES)
    with torch.autocast("cpu", torch.bfloat16):
        outputs, loss = harness.outputs(module, batch), harness.loss(module, batch)
    torch.autograd.backward(loss)
    require(bool(outputs.isfinite().all() and loss.isfinite()), "in bf16 it is not finite")
    dtypes = {p.dtype for p in module.parameters() if p.is_floating_point()}
    require(dtypes <= {torch.float32}, f"its weights are {dtypes}; expected float32")


def moves_to_a_device(subject: Subject) -> None:
    """After `.to(device)` it creates no tensor on another device (tested on meta)."""
    harness = harness_of(subject)
    module = harness.seeded().eval().to("meta")
    batch = tuple(map_batch(lambda x: x.to("meta"), part) for part in harness.batch(SAMPLES))
    with torch.no_grad():
        outputs = harness.outputs(module, batch)
    require(outputs.device.type == "meta", f"its outputs are on {outputs.device.type}")


def leaves_global_state_unchanged(subject: Subject) -> None:
    """Building and running change no global state, such as defaults, modes and warnings."""
    harness = harness_of(subject)
    before = _global_state()
    try:
        harness.loss(harness.seeded(), harness.batch(SAMPLES))
        changed = [name for name, value in _global_state().items() if value != before[name]]
    finally:
        torch.set_default_dtype(before["the default dtype"])
        torch.set_grad_enabled(before["the gradient mode"])
        torch.set_num_threads(before["the number of threads"])
    require(not changed, f"it changes {', '.join(changed)} of the process")


def _global_state() -> dict[str, Any]:
    return {
        "the default dtype": torch.get_default_dtype(),
        "the gradient mode": torch.is_grad_enabled(),
        "the number of threads": torch.get_num_threads(),
        "the determinism": torch.are_deterministic_algorithms_enabled(),
        "the warnings": list(warnings.filters),
        "Python's random state": random.getstate(),
        "the working directory": os.getcwd(),
    }


def needs_no_network(subject: Subject) -> None:
    """Building opens no network connection."""
    refusal = BrokenPromiseError("building opens a network connection")
    with mock.patch.object(socket.socket, "connect", side_effect=refusal):
        harness_of(subject).seeded()


def builds_in_threads(subject: Subject) -> None:
    """It can be built in several threads at once."""
    harness = harness_of(subject)
    shapes = _shapes(harness.seeded().state_dict())
    with ThreadPoolExecutor(4) as pool:
        built = list(pool.map(lambda _: _shapes(harness.build().state_dict()), range(8)))
    require(all(state == shapes for state in built), "built in several threads it differs")


def _shapes(state: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in state.items()}


def compiles(subject: Subject) -> None:
    """`torch.compile` accepts it as one graph, with the same outputs."""
    harness = harness_of(subject)
    module, batch = harness.seeded().eval(), harness.batch(SAMPLES)
    with fresh_compiler(), torch.no_grad():
        compiled = torch.compile(module, backend="eager", fullgraph=True)
        same = torch.allclose(compiled(batch[0]), harness.outputs(module, batch), atol=1e-5)
    require(same, "compiled, its outputs differ")


def exports(subject: Subject) -> None:
    """`torch.export` accepts it, with the same outputs."""
    harness = harness_of(subject)
    module, batch = harness.seeded().eval(), harness.batch(SAMPLES)
    with fresh_compiler(), torch.no_grad():
        exported = torch.export.export(module, (batch[0],)).module()
        same = torch.allclose(exported(batch[0]), harness.outputs(module, batch), atol=1e-5)
    require(same, "exported, its outputs differ")


@contextmanager
def fresh_compiler() -> Iterator[None]:
    """Reset the compiler before and after, and ignore its warnings."""
    torch.compiler.reset()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.compiler.reset()


STATE_CHECKS = checks(
    same_seed_same_weights,
    saves_and_loads,
    evaluates_deterministically,
    moves_to_a_device,
    leaves_global_state_unchanged,
    needs_no_network,
)
"""Checks of modules that may have no parameters, such as adapters."""

CHECKS = STATE_CHECKS + checks(
    deep_copies,
    evaluates_samples_independently,
    trains_every_parameter,
    is_finite_in_bf16,
    builds_in_threads,
)
"""Checks of backbones, heads, routers and branches."""

GRAPH_CHECKS = checks(compiles, exports)
"""Checks of backbones and heads, which can be compiled and exported separately."""
