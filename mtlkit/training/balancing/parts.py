"""The parts of an update of a user's loop, and the number of targets in all of them."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial

import attrs
import torch
from torch import Tensor

from mtlkit.errors import AssemblyError
from mtlkit.task_types import LossTerm
from mtlkit.training.balancing.given_losses import GivenLosses, Losses, read_losses
from mtlkit.training.balancing.loop_pass import LoopPart
from mtlkit.training.devices.ranks import Ranks
from mtlkit.training.gradients.batch import UpdateInfo
from mtlkit.weightings.kinds import StepInfo

Features = Tensor | Sequence[Tensor]
"""The tensors that heads read: the output of the shared network."""

Closure = Callable[[], "Losses | tuple[Losses, Features]"]
"""A forward pass: returns losses, or losses and features."""

Given = Losses | tuple[Losses, Features] | Closure | list[Closure]
"""The losses of an update, or a forward pass that computes them, or one for each micro-batch."""


@attrs.frozen(eq=False)
class LoopUpdate:
    """The `parts` of an update on this rank, and the `info` that they share."""

    parts: Sequence[LoopPart]
    info: UpdateInfo


@attrs.frozen(eq=False)
class Reader:
    """Read the losses of updates; `check` raises if a part lacks an input of the weighting."""

    terms: tuple[LossTerm, ...]
    ranks: Ranks
    step: StepInfo
    check: Callable[[GivenLosses], None]
    device: torch.device

    def update(
        self,
        losses: Given,
        features: Features | None = None,
        counts: Mapping[str, float] | None = None,
    ) -> LoopUpdate:
        """Return the update of `losses`; a single forward pass is run here, several are not."""
        self._check_counts(counts or {})
        if isinstance(losses, list):
            return self._micro_batches(losses, counts)
        given = self._read(losses() if callable(losses) else losses, features)
        samples = float(given.samples or 1)
        info, total = self._info(given.counts, samples)
        return LoopUpdate([LoopPart(lambda: given, total, total)], info)

    def _micro_batches(
        self, closures: Sequence[Closure], counts: Mapping[str, float] | None
    ) -> LoopUpdate:
        """Return the update of several forward passes, with the number of targets in all."""
        if not closures:
            raise AssemblyError("losses: got no micro-batch, expected one forward pass or more")
        if not all(map(callable, closures)):
            raise AssemblyError(
                "losses: got a list, expected a function for each micro-batch, which returns its "
                "losses; for one batch, pass the losses by name: {'depth': depth, 'normal': normal}"
            )
        size = len(closures)
        targets = [float(size if counts is None else counts.get(t.name, 0)) for t in self.terms]

        def read(closure: Closure) -> GivenLosses:
            given = self._read(closure(), None)
            for index in given.values if counts else ():
                if not targets[index] and given.counts[index]:
                    name = self.terms[index].name
                    raise AssemblyError(
                        f"counts: got no targets of {name!r}, expected their number in all "
                        f"micro-batches, because a loss of it was given"
                    )
            if counts is None and not (given.means_only and len(given.values) == len(self.terms)):
                raise AssemblyError(
                    "losses: got micro-batches with losses of samples or without a task, expected "
                    "the number of targets in all of them; pass counts={'pose': 64, ...}"
                )
            return given

        samples = max(targets) if counts else float(size)
        info, total = self._info(targets, samples)
        means = float(size * self.ranks.world)
        parts = [
            LoopPart(partial(read, closure), total, means, index=number)
            for number, closure in enumerate(closures)
        ]
        return LoopUpdate(parts, info)

    def _read(
        self, result: Losses | tuple[Losses, Features], features: Features | None
    ) -> GivenLosses:
        if isinstance(result, tuple) and len(result) == 2:
            result, features = result
        if not isinstance(result, Mapping):
            raise AssemblyError(
                f"losses: got {type(result).__name__}, expected the losses by the names of tasks: "
                f"{{'depth': depth, 'normal': normal}}"
            )
        given = read_losses(result, _tensors(features), self.terms)
        self.check(given)
        return given

    def _info(self, counts: Sequence[float | Tensor], samples: float) -> tuple[UpdateInfo, float]:
        """Return the update of `counts` (T) and `samples` on this rank, and the samples of all."""
        numbers = [count for count in counts if not isinstance(count, Tensor)]
        if self.ranks.world > 1 or len(numbers) < len(counts):
            values = [torch.as_tensor(c, device=self.device) for c in (*counts, samples)]
            *numbers, samples = self.ranks.sum(torch.stack(values)).tolist()
        tensor, indices = _tensors_of(tuple(numbers), self.device)
        return UpdateInfo(tensor, indices, len(indices) == len(tensor), self.step), samples

    def _check_counts(self, counts: Mapping[str, float]) -> None:
        """Refuse numbers of targets of unknown tasks, or that cannot be numbers of targets."""
        names = [term.name for term in self.terms]
        for name, count in counts.items():
            if name not in names or not 0 <= count < math.inf:
                raise AssemblyError(
                    f"counts: got {count!r} for {name!r}, expected numbers of targets, at least 0, "
                    f"of {', '.join(names)}"
                )


def _tensors(features: Features | None) -> tuple[Tensor, ...]:
    if features is None:
        return ()
    tensors = (features,) if isinstance(features, Tensor) else tuple(features)
    for tensor in tensors:
        if not isinstance(tensor, Tensor):
            raise AssemblyError(
                f"features: got {type(tensor).__name__}, expected the tensors that heads read"
            )
    return tensors


@lru_cache(maxsize=64)
def _tensors_of(counts: tuple[float, ...], device: torch.device) -> tuple[Tensor, Tensor]:
    """Return `counts` (T,) and the indices of those above zero; cached, to avoid copies."""
    tensor = torch.tensor(counts)
    return tensor.to(device), tensor.nonzero().flatten().to(device)
