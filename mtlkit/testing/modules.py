"""What every built module keeps to: weights, outputs and gradients that can be relied on."""

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
from safetensors.torch import load
from torch import Tensor

from mtlkit.testing.bench import bench_of
from mtlkit.testing.check import Subject, checks, require
from mtlkit.training.checkpoint import tensor_bytes, tensors_of

SAMPLES = 8


def same_seed_same_weights(subject: Subject) -> None:
    """All chance in building comes from torch's generator, so that a seed decides it."""
    bench = bench_of(subject)
    first, second = (bench.seeded(3).state_dict() for _ in range(2))
    require(list(first) == list(second), "two builds have tensors of different names")
    strange = [name for name in first if not torch.equal(first[name], second[name])]
    require(not strange, f"the same seed gives other values of {', '.join(strange[:5])}")


def saved_and_loaded_says_the_same(subject: Subject) -> None:
    """Its state is tensors, and holds everything that its outputs depend on."""
    bench = bench_of(subject)
    first, other = bench.seeded(3).eval(), bench.seeded(4).eval()
    other.load_state_dict(load(tensor_bytes(tensors_of(first))), strict=True)
    batch = bench.batch(SAMPLES)
    with torch.no_grad():
        same = torch.equal(bench.say(first, batch), bench.say(other, batch))
    require(same, "loaded from a saved state it says something else; keep state in buffers")


def a_copy_says_the_same(subject: Subject) -> None:
    """A deep copy is whole, and shares no weight."""
    bench = bench_of(subject)
    module = bench.seeded().eval()
    other = copy.deepcopy(module)
    batch = bench.batch(SAMPLES)
    with torch.no_grad():
        before = bench.say(module, batch)
        require(torch.equal(before, bench.say(other, batch)), "a deep copy says something else")
        for parameter in module.parameters():
            parameter.add_(1.0)
        same = torch.equal(before, bench.say(other, batch))
    require(same, "a deep copy changes with what it was copied from")


def evaluation_repeats(subject: Subject) -> None:
    """In evaluation mode the same inputs give the same outputs, and nothing changes."""
    bench = bench_of(subject)
    module, batch = bench.seeded().eval(), bench.batch(SAMPLES)
    before = copy.deepcopy(module.state_dict())
    with torch.no_grad():
        same = torch.equal(bench.say(module, batch), bench.say(module, batch))
    require(same, "asked twice in evaluation mode it gives two answers")
    after = module.state_dict()
    changed = [name for name in before if not torch.equal(before[name], after[name])]
    require(not changed, f"evaluation changes {', '.join(changed)}")


def sees_each_sample_alone(subject: Subject) -> None:
    """In evaluation mode what is said of a sample depends on no other and not on its place."""
    bench = bench_of(subject)
    module, batch = bench.seeded().eval(), bench.batch(SAMPLES)
    order = torch.tensor([5, 2, 7, 0, 1, 6, 3, 4])
    with torch.no_grad():
        whole = bench.say(module, batch)
        turned = bench.say(module, tuple(part[order] for part in batch))
        alone = bench.say(module, tuple(part[2:3] for part in batch))
    require(
        torch.allclose(whole[order], turned, atol=1e-4, rtol=1e-3),
        "the order of the samples changes what is said of them",
    )
    require(
        torch.allclose(whole[2:3], alone, atol=1e-4, rtol=1e-3),
        "a sample alone is told something else than among others",
    )


def trains_every_parameter(subject: Subject) -> None:
    """The loss of a batch reaches every trainable parameter, with a finite gradient."""
    bench = bench_of(subject)
    module = bench.seeded().train()
    torch.autograd.backward(bench.loss(module, bench.batch(SAMPLES)))
    named = [(name, p) for name, p in module.named_parameters() if p.requires_grad]
    without = [name for name, p in named if p.grad is None]
    require(not without, f"no gradient reaches {', '.join(without[:5])}: it would stay untrained")
    broken = [n for n, p in named if p.grad is not None and not p.grad.isfinite().all()]
    require(not broken, f"the gradient of {', '.join(broken[:5])} is not finite")


def is_finite_in_bf16(subject: Subject) -> None:
    """Under autocast to bf16 outputs, loss and gradients are finite, weights stay in float32."""
    bench = bench_of(subject)
    module, batch = bench.seeded().train(), bench.batch(SAMPLES)
    with torch.autocast("cpu", torch.bfloat16):
        said, loss = bench.say(module, batch), bench.loss(module, batch)
    torch.autograd.backward(loss)
    require(bool(said.isfinite().all() and loss.isfinite()), "in bf16 it is not finite")
    kinds = {p.dtype for p in module.parameters() if p.is_floating_point()}
    require(kinds <= {torch.float32}, f"its weights are {kinds}; expected float32")


def moves_to_a_device(subject: Subject) -> None:
    """Moved to another device it makes no tensor on the old one (tried on torch's meta device)."""
    bench = bench_of(subject)
    module = bench.seeded().eval().to("meta")
    batch = tuple(part.to("meta") for part in bench.batch(SAMPLES))
    with torch.no_grad():
        said = bench.say(module, batch)
    require(said.device.type == "meta", f"its outputs stay on the {said.device.type}")


def leaves_the_process_alone(subject: Subject) -> None:
    """Building and running change nothing that others rely on: defaults, modes, warnings."""
    bench = bench_of(subject)
    before = _surroundings()
    try:
        bench.loss(bench.seeded(), bench.batch(SAMPLES))
        changed = [name for name, value in _surroundings().items() if value != before[name]]
    finally:
        torch.set_default_dtype(before["the default dtype"])
        torch.set_grad_enabled(before["the gradient mode"])
        torch.set_num_threads(before["the number of threads"])
    require(not changed, f"it changes {', '.join(changed)} of the whole process")


def _surroundings() -> dict[str, Any]:
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
    """Building opens no connection: what is downloaded is downloaded on request only."""
    with mock.patch.object(socket.socket, "connect", _refuse_to_connect):
        bench_of(subject).seeded()


def _refuse_to_connect(*_: object) -> None:
    require(False, "building opens a network connection")


def builds_in_threads(subject: Subject) -> None:
    """Several threads can build it at once."""
    bench = bench_of(subject)
    shapes = _shapes(bench.seeded().state_dict())
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: _shapes(bench.build().state_dict()), range(8)))
    require(all(each == shapes for each in found), "built in several threads it differs")


def _shapes(state: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in state.items()}


def compiles(subject: Subject) -> None:
    """torch.compile takes it in one graph, and it then says the same."""
    bench = bench_of(subject)
    module, batch = bench.seeded().eval(), bench.batch(SAMPLES)
    with fresh_compiler(), torch.no_grad():
        compiled = torch.compile(module, backend="eager", fullgraph=True)
        same = torch.allclose(compiled(batch[0]), bench.say(module, batch), atol=1e-5)
    require(same, "compiled it says something else")


def exports(subject: Subject) -> None:
    """torch.export takes it, and what it gives says the same."""
    bench = bench_of(subject)
    module, batch = bench.seeded().eval(), bench.batch(SAMPLES)
    with fresh_compiler(), torch.no_grad():
        exported = torch.export.export(module, (batch[0],)).module()
        same = torch.allclose(exported(batch[0]), bench.say(module, batch), atol=1e-5)
    require(same, "exported it says something else")


@contextmanager
def fresh_compiler() -> Iterator[None]:
    """A compiler that remembers nothing of earlier checks, and is quiet about its own warnings."""
    torch.compiler.reset()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.compiler.reset()


CHECKS = checks(
    same_seed_same_weights,
    saved_and_loaded_says_the_same,
    a_copy_says_the_same,
    evaluation_repeats,
    sees_each_sample_alone,
    trains_every_parameter,
    is_finite_in_bf16,
    moves_to_a_device,
    leaves_the_process_alone,
    needs_no_network,
    builds_in_threads,
)
"""For backbones, heads, routers and branches."""

GRAPH_CHECKS = checks(compiles, exports)
"""For backbones and heads, which are compiled and exported alone."""
