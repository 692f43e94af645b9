"""One update: micro-batches, their gradients, and the optimiser's step."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import attrs
import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from mtlkit.errors import AssemblyError
from mtlkit.model import MultiTaskModel
from mtlkit.train.batches import Batches, Portion, seed_step
from mtlkit.train.compiled import compile_backbone
from mtlkit.train.finite import not_finite
from mtlkit.train.groups import parameter_groups, without_gradient
from mtlkit.train.interrupt import StopWish
from mtlkit.train.meter import Meter
from mtlkit.train.setting import Setting
from mtlkit.train.step import StepResult, TrainingStep
from mtlkit.weighting.module import LossWeighting, WeightingModule


@attrs.frozen
class Update:
    """An update that was made: how many samples it took, and whether any rank wishes to stop."""

    samples: int
    stop: bool


class Updater:
    """Makes update after update of a model and a weighting, which it changes in place.

    Raises `AssemblyError` where the recipe's weighting and its micro-batches do not go together.
    """

    def __init__(self, model: MultiTaskModel, weighting: WeightingModule, setting: Setting) -> None:
        self.setting = setting
        self.train, self.ranks = setting.recipe.train, setting.ranks
        refuse_micro_batches(weighting, self.train.accumulate)
        # channels_last is how CPUs and GPUs convolve fastest; it changes no value
        model.to(setting.device).to(memory_format=torch.channels_last)
        self.inner = TrainingStep(model, weighting.to(setting.device), self.ranks)
        recipe = setting.recipe
        self.optimizer = recipe.optimizer.build(
            parameter_groups(self.inner, recipe.optimizer, recipe.weighting.own_learning_rate)
        )
        if self.train.compile:
            compile_backbone(model)
        alone = self.ranks.world == 1
        self.module = self.inner if alone else DistributedDataParallel(self.inner)
        self.batches = Batches(
            len(setting.data.train),
            self.train.batch,
            seed=setting.recipe.seed,
            accumulate=self.train.accumulate,
            world=self.ranks.world,
        )
        self.steps = self.batches.per_epoch * self.train.epochs
        self.meter = Meter(model.terms, setting.device, self.ranks)
        self.untrained: tuple[str, ...] | None = None  # known after the first update

    def rate_factor(self, step: int) -> float:
        """What the schedule multiplies every learning rate by in the update `step` (from 0)."""
        return self.setting.recipe.schedule.at(step, self.steps)

    def update(self, step: int, wish: StopWish | None = None) -> Update:
        """Make the update `step` (from 0); this rank's `wish` is shared with the others.

        Raises `NotFiniteError`, on every rank and before the update, where a loss is not finite.
        """
        seed_step(self.setting.recipe.seed, step, self.ranks.rank, self.setting.device)
        factor = self.rate_factor(step)
        for group in self.optimizer.param_groups:
            group["lr"] = group["base_lr"] * factor
        portion = self.batches.portion(step, self.ranks.rank)
        targets = self.setting.targets["train"]
        counts = self.inner.model.counts({t: v[portion.whole] for t, v in targets.items()})
        results = self._differentiate(portion, _sent(counts, self.setting.device))
        if self.untrained is None:
            self.untrained = self._unreached()
        stop = self._agree(step, portion, results, wish)
        if self.train.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(self.inner.parameters(), self.train.clip_norm)
        self.optimizer.step()
        return Update(len(portion.whole), stop)

    def _differentiate(self, portion: Portion, counts: Tensor) -> list[StepResult]:
        """Leave the gradient of the update in the parameters."""
        train, device = self.setting.data.train, self.setting.device
        self.optimizer.zero_grad()
        results = []
        last = len(portion.micro_batches) - 1
        for number, index in enumerate(portion.micro_batches):
            share = len(index) / len(portion.whole)
            inputs = _sent(train.inputs[index], device)
            targets = {
                task: _sent(target[index], device)
                for task, target in self.setting.targets["train"].items()
            }
            with self._unreduced(number < last):
                with self.setting.autocast():
                    result = self.module(inputs, targets, counts, share)
                result.total.backward()
            self.meter.add(result, share)
            results.append(attrs.evolve(result, total=result.total.detach()))
        self.meter.finish_update(counts)
        return results

    def _unreduced(self, yes: bool) -> AbstractContextManager[None]:
        """Where `yes`, DDP leaves the reduction of gradients to a later micro-batch."""
        if yes and isinstance(self.module, DistributedDataParallel):
            return self.module.no_sync()
        return nullcontext()

    def _agree(
        self, step: int, portion: Portion, results: Sequence[StepResult], wish: StopWish | None
    ) -> bool:
        """Whether any rank wishes to stop; the error, on all of them, where a loss is not finite.

        One small message decides both. Only here does a step of its own accord wait for the device;
        a component may wait too, as grouped routing does to learn whose samples are where.
        """
        finite = torch.stack([result.total for result in results]).isfinite().all()
        wished = wish is not None and wish.wished
        stop = finite.new_full((), wished)  # filled on the device: nothing is sent to it
        bad, any_stop = self.ranks.max(torch.stack([~finite, stop]).float()).tolist()
        if bad:
            ids = self.setting.data.train.ids
            parameters = dict(self.inner.named_parameters())
            terms, parts = self.inner.model.terms, portion.micro_batches
            raise not_finite(step + 1, terms, ids, parts, results, parameters)
        return bool(any_stop)

    def _unreached(self) -> tuple[str, ...]:
        """The trainable parameters that no loss reaches; among several ranks they are an error."""
        found = without_gradient(self.inner)
        if found and self.ranks.world > 1:
            raise AssemblyError(
                f"no loss reaches these parameters, on which DDP would wait forever: "
                f"{', '.join(found)}; freeze them (requires_grad = False) or train in one process"
            )
        return found


def _sent(values: Tensor, device: torch.device) -> Tensor:
    """`values` on `device`; the copy to a GPU goes on while the CPU does, which needs pinning."""
    if device.type == "cuda":
        values = values.pin_memory()
    return values.to(device, non_blocking=True)


def refuse_micro_batches(weighting: WeightingModule, accumulate: int) -> None:
    """`AssemblyError` where a weighting of gradients would see parts of a batch only."""
    if accumulate > 1 and not isinstance(weighting, LossWeighting):
        raise AssemblyError(
            f"train.accumulate: {type(weighting).__name__} weighs the gradients of a whole batch, "
            f"which {accumulate} micro-batches never hold at once; use `accumulate: 1`"
        )
