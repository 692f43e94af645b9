"""One update: its gradient, the check that it is finite, and the optimiser's step."""

import attrs
import torch
from torch.nn.parallel import DistributedDataParallel

from mtlkit.errors import AssemblyError
from mtlkit.model import MultiTaskModel
from mtlkit.ops import use
from mtlkit.training.batches import Batches, seed_step
from mtlkit.training.compiled import compile_backbone
from mtlkit.training.context import TrainingContext
from mtlkit.training.finite_checks import not_finite
from mtlkit.training.gradients.backward import Backward, BackwardResult
from mtlkit.training.gradients.factory import training_step
from mtlkit.training.gradients.step import TrainingStep
from mtlkit.training.meter import Meter
from mtlkit.training.parameter_groups import parameter_groups, without_gradient
from mtlkit.training.signals import StopRequest
from mtlkit.weightings.kinds import WeightingModule


@attrs.frozen
class Update:
    """An update that was made: how many samples it took, and whether any rank wishes to stop."""

    samples: int
    stop: bool


class Updater:
    """Makes update after update of a model and a weighting, which it changes in place."""

    def __init__(
        self, model: MultiTaskModel, weighting: WeightingModule, setting: TrainingContext
    ) -> None:
        self.setting = setting
        self.train, self.ranks = setting.recipe.train, setting.ranks
        # channels_last is how CPUs and GPUs convolve fastest; it changes no value
        model.to(setting.device).to(memory_format=torch.channels_last)
        recipe = setting.recipe
        self.inner = training_step(model, weighting, recipe.weighting, self.ranks, setting.autocast)
        self.inner.to(setting.device)
        self.optimizer = recipe.optimizer.build(
            parameter_groups(self.inner, recipe.optimizer, recipe.weighting.own_learning_rate)
        )
        if self.train.compile:
            compile_backbone(model)
        alone = self.ranks.world == 1
        self.module = self.inner if alone else _distributed(self.inner)
        self.batches = Batches(
            len(setting.data.train),
            self.train.batch,
            seed=setting.recipe.seed,
            accumulate=self.train.accumulate,
            world=self.ranks.world,
            draws=self.inner.draws,
        )
        self.steps = self.batches.per_epoch * self.train.epochs
        self.backward = Backward(self.inner, self.module, self.batches, setting)
        self.meter = Meter(model.terms, setting.device, self.ranks)
        self.untrained: tuple[str, ...] | None = None  # known after the first update

    def rate_factor(self, step: int) -> float:
        """What the schedule multiplies every learning rate by in the update `step` (from 0)."""
        return self.setting.recipe.schedule.at(step, self.steps)

    def update(self, step: int, wish: StopRequest | None = None) -> Update:
        """Make the update `step` (from 0); this rank's `wish` is shared with the others.

        Raises `NotFiniteError`, on every rank and before the update, where a loss is not finite.
        """
        with use(**self.train.ops):
            return self._made(step, wish)

    def _made(self, step: int, wish: StopRequest | None) -> Update:
        seed_step(self.setting.recipe.seed, step, self.ranks.rank, self.setting.device)
        factor = self.rate_factor(step)
        for group in self.optimizer.param_groups:
            group["lr"] = group["base_lr"] * factor
        batch = self.batches.update(step, self.ranks.rank)
        self.optimizer.zero_grad()
        rate = self.optimizer.param_groups[0]["lr"]
        backward = self.backward.run(step, batch, rate, watch=self._watches(step))
        for result, fraction in zip(backward.results, backward.fractions, strict=True):
            self.meter.add(result, fraction)
        self.meter.finish_update(backward.update.counts)
        if self.untrained is None:
            self.untrained = self._unreached()
        stop = self._agree(step, backward, wish)
        if self.train.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(self.inner.parameters(), self.train.clip_norm)
        self.optimizer.step()
        self.backward.after_step(step, backward)
        return Update(len(batch.whole), stop)

    def _watches(self, step: int) -> bool:
        """Whether the update `step` is one to be logged with the tasks' gradients."""
        logged = (step + 1) % self.train.log_every == 0 or step + 1 == self.steps
        return self.train.watch and logged and len(self.inner.model.terms) > 1

    def _agree(self, step: int, backward: BackwardResult, wish: StopRequest | None) -> bool:
        """Whether any rank wishes to stop; the error, on all of them, where a loss is not finite.

        One small message decides both. Only here does a step of its own accord wait for the device;
        a component may wait too, as grouped routing does to learn whose samples are where.
        """
        finite = torch.stack([result.total for result in backward.results]).isfinite().all()
        wished = wish is not None and wish.wished
        stop = finite.new_full((), wished)  # filled on the device: nothing is sent to it
        bad, any_stop = self.ranks.max(torch.stack([~finite, stop]).float()).tolist()
        if bad:
            ids = self.setting.data.train.ids
            parameters = dict(self.inner.named_parameters())
            terms, weighting = self.inner.model.terms, self.inner.weighting
            samples, results = backward.samples, backward.results
            raise not_finite(step + 1, terms, ids, samples, results, parameters, weighting)
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


def _distributed(step: TrainingStep) -> DistributedDataParallel:
    """The step under DDP; what a weighting keeps follows from sums over ranks, and is not sent."""
    names = [name for name, _ in step.named_buffers() if name.startswith("weighting.")]
    DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(  # type: ignore[no-untyped-call]
        step, names
    )
    return DistributedDataParallel(step)
