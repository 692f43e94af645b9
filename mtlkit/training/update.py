"""One update: gradients, the check for finite losses, and the optimizer step."""

import math
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import attrs
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from mtlkit.data.transformed import source_of
from mtlkit.errors import AssemblyError
from mtlkit.model import MultiTaskModel
from mtlkit.ops import use
from mtlkit.optim.lazy_rows import update_rows
from mtlkit.training.batching.batch_order import batch_order
from mtlkit.training.batching.batches import Batches, seed_step
from mtlkit.training.callbacks import Callbacks
from mtlkit.training.context import TrainingContext
from mtlkit.training.devices.compiled import compile_backbone
from mtlkit.training.devices.recomputed import recompute_activations
from mtlkit.training.finite_checks import not_finite
from mtlkit.training.gradients.backward import Backward, BackwardResult
from mtlkit.training.gradients.factory import training_step
from mtlkit.training.gradients.step import TrainingStep
from mtlkit.training.meter import Meter
from mtlkit.training.optimization.clip import clip_gradients
from mtlkit.training.optimization.loss_scaling import LossScaling
from mtlkit.training.optimization.optimizer_calls import (
    clear_gradients,
    set_training,
    take_step,
    without_compiler,
)
from mtlkit.training.optimization.parameter_groups import (
    left_out,
    name_groups,
    parameter_groups,
)
from mtlkit.training.sharding.shard_backbone import shard_backbone
from mtlkit.training.sharding.whole_model import (
    is_fsdp_shard,
    local_part,
    parameter_shards,
    row_shards,
)
from mtlkit.training.signals import StopRequest
from mtlkit.weightings.kinds import WeightingModule


@attrs.frozen
class Update:
    """Result of an update: its number of samples, and `stop` if any rank requested it."""

    samples: int
    stop: bool


class Updater:
    """Update a model and a weighting in place, step by step."""

    def __init__(
        self, model: MultiTaskModel, weighting: WeightingModule, context: TrainingContext
    ) -> None:
        self.context = context
        self.train, self.ranks = context.recipe.train, context.ranks
        model.to(context.device)
        if self.train.shard != "backbone":  # FSDP2 takes contiguous parameters only
            # channels_last is the fastest format for convolutions; it changes no value
            model.to(memory_format=torch.channels_last)
        recipe = context.recipe
        self.plain: dict[str, nn.Module] = {}
        if self.train.shard == "backbone":
            # it replaces parameters, so nothing may refer to them yet
            self.plain = shard_backbone(model, self.ranks, context.device)
        order = batch_order(recipe, source_of(context.data.train))
        self.steps = self.train.updates(order.per_epoch)
        self.callbacks = Callbacks(model, context, self.steps, order.per_epoch)
        self.inner = training_step(model, weighting, recipe.weighting, self.ranks, context.autocast)
        self.inner.to(context.device)
        groups = parameter_groups(self.inner, recipe.optimizer, recipe.weighting.own_learning_rate)
        with without_compiler():
            self.optimizer = recipe.optimizer.build(groups)
        self.shards = parameter_shards(model)
        self.names: dict[Tensor, str] = {p: name for name, p in self.inner.named_parameters()}
        if absent := left_out(self.optimizer, groups):
            raise AssemblyError(
                f"optimizer: {type(recipe.optimizer).__name__}.build returned an optimizer without "
                f"{len(absent)} of the trained parameters, such as {self.names[absent[0]]!r}; add "
                f"every group that it is given"
            )
        lazy = any(task.head.updates_rows for task in recipe.tasks.values())
        self.row_rule = recipe.optimizer.row_rule() if lazy else None
        name_groups(self.optimizer)
        set_training(self.optimizer, True)
        if self.train.compile:
            compile_backbone(model)
        if self.train.checkpoint_activations:
            recompute_activations(model)
        alone = self.ranks.world == 1
        self.module = self.inner if alone else _distributed(self.inner)
        self.batches = Batches(
            order,
            accumulate=self.train.accumulate,
            world=self.ranks.world,
            draws=self.inner.step.draws,
            separate=self.train.separate_forward,
        )
        self.backward = Backward(self.inner, self.module, self.batches, context, self.steps)
        self.callbacks.gradient = self.backward.mean_gradient
        self.meter = Meter(model.terms, context.device, self.ranks)
        fp16 = self.train.precision == "fp16"
        self.scaling = LossScaling(context.device) if fp16 else None
        self.untrained: tuple[str, ...] | None = None  # set by the first update

    def rate_factor(self, step: int) -> float:
        """Return the factor of all learning rates in the update `step` (from 0)."""
        schedule = self.context.recipe.schedule
        return schedule.at(step, self.steps) * self.callbacks.rate_factor

    def log_values(self) -> dict[str, float]:
        """Return the values of callbacks and of the loss scale for the log, by name."""
        scale = {} if self.scaling is None else self.scaling.log_values()
        return {**self.callbacks.log_values(), **scale}

    def state(self) -> dict[str, Any]:
        """Return the state of the meter and of the loss scale as JSON values; a sum over ranks."""
        scale = {} if self.scaling is None else {"loss_scaling": self.scaling.state()}
        return {"meter": self.meter.state(), **scale}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from `state`."""
        self.meter.restore(state["meter"])
        if self.scaling is not None:
            self.scaling.restore(state["loss_scaling"])

    def update(self, step: int, stop_request: StopRequest | None = None) -> Update:
        """Make the update `step` (from 0); share this rank's `stop_request` with the others.

        Raises `NotFiniteError` on every rank, before the update, if a loss is not finite.
        """
        ops = use(**self.train.ops) if self.train.ops else nullcontext()
        with ops, self.ranks.joint_step():
            return self._update(step, stop_request)

    def _update(self, step: int, stop_request: StopRequest | None) -> Update:
        seed_step(self.context.recipe.seed, step, self.ranks.rank, self.context.device)
        factor = self.rate_factor(step)
        for group in self.optimizer.param_groups:
            group["lr"] = group["base_lr"] * factor
        self.callbacks.before_update(step)
        batch = self.batches.update(step, self.ranks.rank)
        clear_gradients(self.optimizer)
        rate = self.optimizer.param_groups[0]["lr"]
        if self.scaling is not None:
            self.inner.step.passes.scale = self.scaling.scale
        with self.callbacks.around_backward(step):
            backward = self.backward.run(step, batch, rate, watch=self._watches(step))
        if self.untrained is None:
            self.untrained = self._unreached()
        stop = self._agree(step, backward, stop_request)
        if self.scaling is None:
            self._take(step, backward)
        else:
            self.scaling.step(step + 1, self.optimizer, lambda: self._take(step, backward))
        return Update(len(batch.whole), stop)

    def _take(self, step: int, backward: BackwardResult) -> None:
        """Update the parameters by the gradients of an update, and log it."""
        for result, fraction in zip(backward.results, backward.fractions, strict=True):
            self.meter.add(result, fraction)
        self.meter.finish_update(backward.update.counts)
        self.callbacks.after_backward(step)
        if self.train.clip_norm is not None:
            parameters = self.inner.parameters()
            clip_gradients(parameters, self.train.clip_norm, self.shards, self.ranks)
        if self.row_rule is not None:
            update_rows(self.optimizer, self.row_rule)
        take_step(self.optimizer)
        self.backward.after_step(step, backward)

    def _watches(self, step: int) -> bool:
        """Return whether the tasks' gradients are logged at the update `step`."""
        logged = (step + 1) % self.train.log_every == 0 or step + 1 == self.steps
        return logged and self.train.watches(len(self.inner.model.terms))

    def _agree(self, step: int, backward: BackwardResult, stop_request: StopRequest | None) -> bool:
        """Return whether any rank requests a stop; raise on all ranks if a loss is not finite.

        One all-reduce decides both. It is the only device sync of a step, except those of fp16 and
        of components, such as the grouped router.
        """
        requested = stop_request is not None and stop_request.requested
        totals = [result.total for result in backward.results]
        if self.ranks.world == 1 and len(totals) == 1:
            bad, any_stop = not math.isfinite(totals[0].item()), requested
        elif self.ranks.world == 1:
            bad, any_stop = not torch.stack(totals).isfinite().all(), requested
        else:
            finite = torch.stack(totals).isfinite().all()
            stop = finite.new_full((), requested)  # filled on the device, which avoids a copy
            bad, any_stop = self.ranks.max(torch.stack([~finite, stop]).float()).tolist()
        if bad:
            ids = self.context.data.train.ids
            parameters = {k: local_part(p) for k, p in self.inner.named_parameters()}
            terms, weighting = self.inner.model.terms, self.inner.weighting
            samples, results = backward.samples, backward.results
            raise not_finite(step + 1, terms, ids, samples, results, parameters, weighting)
        return bool(any_stop)

    def _unreached(self) -> tuple[str, ...]:
        """Return the trainable parameters that no loss reaches; `AssemblyError` if ranks > 1.

        Every loss reaches its parameters in every batch, if only with a gradient of zero. Those
        that the first pass does not reach are therefore never trained.
        """
        parameters = self.inner.named_parameters()
        names = tuple(name for name, p in parameters if p.requires_grad and p.grad is None)
        if names and self.ranks.world > 1:
            raise AssemblyError(
                f"no loss reaches these parameters, on which DDP would wait forever: "
                f"{', '.join(names)}; freeze them (requires_grad = False) or train in one process"
            )
        return names


def _distributed(step: TrainingStep) -> DistributedDataParallel:
    """Wrap the step in DDP, without the parameters that are divided among the ranks.

    Buffers of a weighting, and of a head that gathers all samples, are equal on all ranks and not
    broadcast.
    """
    names = list(row_shards(step))
    heads = tuple(name.rpartition(".")[0] + "." for name in names)
    equal = ("weighting.", *heads)
    names += [name for name, _ in step.named_buffers() if name.startswith(equal)]
    names += [name for name, p in step.named_parameters() if is_fsdp_shard(p)]
    DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(  # type: ignore[no-untyped-call]
        step, names
    )
    return DistributedDataParallel(step)
