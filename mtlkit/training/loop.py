"""The training loop: updates, and logs, validation and checkpoints between them."""

import json
import math
import time
from collections.abc import Mapping
from contextlib import ExitStack

import torch

from mtlkit.atomic_files import require_folder
from mtlkit.data.dataset import Split
from mtlkit.errors import InterruptedRunError
from mtlkit.loggers.base import LogWriter
from mtlkit.loggers.events import EvaluationEvent, Event, Speed, StepEvent
from mtlkit.model import MultiTaskModel
from mtlkit.plugins.run_events import CheckpointSaved, EpochEnded, Evaluated
from mtlkit.training.checkpoint import Checkpoint, save_checkpoint, tensors_of
from mtlkit.training.context import TrainingContext
from mtlkit.training.devices.load_hint import LoadHint
from mtlkit.training.devices.system_metrics import SystemMetrics
from mtlkit.training.finite_checks import broken_state, names_of_broken
from mtlkit.training.optimization.optimizer_calls import evaluation_weights, set_training
from mtlkit.training.optimization.optimizer_state import restore_optimizer, whole_optimizer_state
from mtlkit.training.optimization.parameter_groups import group_rates
from mtlkit.training.progress import TrainingProgress
from mtlkit.training.sharding.whole_model import (
    load_whole_state,
    own_part,
    whole_model,
    whole_state,
)
from mtlkit.training.signals import stop_on_signal
from mtlkit.training.throughput import Pace
from mtlkit.training.update import Updater
from mtlkit.training.validation import validation_metrics
from mtlkit.training.weight_range import large_weights, weight_warning
from mtlkit.weightings.kinds import WeightingModule


class Training:
    """A model in training: `restore` a checkpoint if there is one, then `run` to the end.

    Changes the model and the weighting in place. Under DDP every rank makes the same calls, and
    the first rank writes the files.
    """

    def __init__(
        self, model: MultiTaskModel, weighting: WeightingModule, context: TrainingContext
    ) -> None:
        self.context = context
        self.train = context.recipe.train
        self.model, self.weighting = model, weighting
        self.updater = Updater(model, weighting, context)
        self.callbacks = self.updater.callbacks
        self.steps = self.updater.steps
        self.step = 0  # completed updates
        self.pace = Pace()
        self.system = SystemMetrics(context.device)
        self.untrained: tuple[str, ...] = ()  # parameters that no loss reaches
        self._loggers: list[LogWriter] = []
        self._newest: StepEvent | None = None
        self._warned: set[str] = set()  # metrics and weights already reported
        self._saved: int | None = None  # the step of the newest checkpoint
        fixed = isinstance(self.train.threads, int)
        self._load = LoadHint(torch.get_num_threads(), fixed=fixed)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Resume from `checkpoint` exactly."""
        load_whole_state(self.model, checkpoint.model)
        self.weighting.load_state_dict(checkpoint.weighting)
        shards = self.updater.shards
        restore_optimizer(
            self.updater.optimizer,
            checkpoint.optimizer,
            lambda value, parameter: own_part(value, parameter, shards.get(parameter)),
        )
        self.callbacks.load_state_dict(checkpoint.callbacks)
        self.updater.restore(checkpoint.progress)
        progress = checkpoint.progress
        self.pace = Pace(progress["seconds"], progress.get("peak_memory_bytes", 0))
        self.untrained = tuple(progress.get("untrained", ()))
        self.step = self._saved = checkpoint.step

    def run(self) -> None:
        """Train to the end, save a final checkpoint, and let callbacks change the model.

        Raises `NotFiniteError` if a loss is not finite, `RunError` if writing fails, and
        `InterruptedRunError` after Ctrl-C or SIGTERM, once a checkpoint is saved.
        """
        with ExitStack() as stack:
            stop_request = stack.enter_context(stop_on_signal())
            stack.callback(self.updater.backward.close)
            if self.context.ranks.first:
                for logger in self.train.loggers:
                    writer = logger.open(self.context.folder, self.step)
                    stack.callback(writer.close)
                    self._loggers.append(writer)
            self.pace.start()
            self._saved_at = time.monotonic()
            while self.step < self.steps and not self.callbacks.stop:
                update = self.updater.update(self.step, stop_request)
                self.step += 1
                self.pace.add(update.samples)
                self._after_update()
                if update.stop and self.step < self.steps:
                    self._save()
                    raise InterruptedRunError(f"stopped after step {self.step} of {self.steps}")
            self._save()
            set_training(self.updater.optimizer, False)
            for line in self.callbacks.finish():
                self.context.progress.write(line)

    @property
    def epoch(self) -> float:
        """The number of epochs trained so far, with a fraction."""
        return self.step / self.updater.batches.per_epoch

    def _after_update(self) -> None:
        """Log, validate, save and report progress if due after an update."""
        epochs, rest = divmod(self.step, self.updater.batches.per_epoch)
        epoch_ended = rest == 0
        self.callbacks.after_update(self.step)
        self.untrained = self.updater.untrained or ()
        if self.step == 1 and self.untrained:
            self.context.progress.write(
                f"warning: no loss reaches these parameters, they are not trained: "
                f"{', '.join(self.untrained)}"
            )
        if self.step % self.train.log_every == 0 or self.step == self.steps:
            self._log()
        self._show()
        if epoch_ended:
            event = EpochEnded(epoch=epochs, step=self.step, seconds=self.pace.seconds)
            self.context.observers.notify(event)
        if self.step == self.steps or (epoch_ended and epochs % self.train.evaluate_every == 0):
            self._validate()
        if self._checkpoint_is_due(epoch_ended):
            self._save()

    def _checkpoint_is_due(self, epoch_ended: bool) -> bool:
        """Return whether to save now; if by time, several ranks agree in logged steps."""
        every, ranks = self.train.checkpoint_every, self.context.ranks
        if every is None:
            return epoch_ended
        if isinstance(every, int):
            return self.step % every == 0
        due = time.monotonic() - self._saved_at >= (self.train.checkpoint_seconds or 0.0)
        if ranks.world == 1:
            return due
        if self.step % self.train.log_every:
            return False
        return bool(ranks.max(torch.tensor(float(due), device=self.context.device)))

    def _log(self) -> None:
        if self.context.ranks.first:
            require_folder(self.context.folder)  # open log files stay writable without it
        norms, cosines = self.updater.meter.gradients()
        losses, weights = self.updater.meter.read()
        recipe = self.context.recipe
        self._newest = StepEvent(
            step=self.step,
            epoch=self.epoch,
            learning_rate=recipe.optimizer.lr * self.updater.rate_factor(self.step - 1),
            learning_rates=group_rates(self.updater.optimizer),
            losses=losses,
            weights=weights,
            gradient_norms=norms,
            gradient_cosines=cosines,
            values=self.updater.log_values(),
        )
        self._write(self._newest)
        self._warn_of_large(weights)
        self.context.observers.notify(self._newest)
        self._write(
            Speed(
                step=self.step,
                seconds=self.pace.seconds,
                samples_per_second=self.pace.samples_per_second,
                peak_memory_bytes=self.pace.peak_memory(self.context.device),
                system=self.system.read(),
            )
        )
        self.pace.mark()
        if self.context.ranks.first and (hint := self._load.line()) is not None:
            self.context.progress.write(hint)

    def _write(self, event: Event) -> None:
        for writer in self._loggers:
            writer.write(event)

    def _validate(self) -> None:
        """Evaluate the validation split on the first rank; callbacks get its metrics on all."""
        split, ranks = self.context.data.validation, self.context.ranks
        if split is None:
            return
        model = self.callbacks.evaluated_model(self.model)
        with evaluation_weights(self.updater.optimizer):
            with whole_model(model, self.updater.plain):
                metrics = self._evaluate(model, split) if ranks.first else {}
            if len(self.callbacks):
                # all ranks decide on the same numbers
                text = ranks.texts(json.dumps(metrics), self.context.device)[0]
                self.callbacks.after_evaluation(self.step, model, json.loads(text))

    def _evaluate(self, model: MultiTaskModel, split: Split) -> dict[str, float]:
        """Return the metrics of `model` on the validation split, after reporting them."""
        metrics = validation_metrics(
            model,
            self.context.recipe.tasks,
            split,
            self.context.targets["validation"],
            batch=self.train.batch,
            device=self.context.device,
            autocast=self.context.autocast(),
        )
        self._warn_if_not_finite(metrics)
        self._write(EvaluationEvent(step=self.step, epoch=self.epoch, metrics=metrics))
        self.context.progress.validated(self.epoch, metrics)
        event = Evaluated(step=self.step, epoch=self.epoch, metrics=metrics)
        self.context.observers.notify(event)
        return metrics

    def _warn_of_large(self, weights: Mapping[str, float]) -> None:
        for name, weight in large_weights(weights).items():
            key = f"the weight of {name}"
            if key not in self._warned:
                self._warned.add(key)
                self.context.progress.write(weight_warning(name, weight, self.step))

    def _warn_if_not_finite(self, metrics: Mapping[str, float]) -> None:
        """Warn once for each validation metric that is not finite; training continues."""
        for name, value in metrics.items():
            if not math.isfinite(value) and name not in self._warned:
                self._warned.add(name)
                self.context.progress.write(
                    f"warning: {name} on the validation split is {value} after step {self.step}; "
                    f"the log and the report leave a gap. Training continues, its losses are finite"
                )

    def _save(self) -> None:
        """Save a checkpoint, unless this step has one.

        Logs are flushed first, so that no checkpoint is ahead of them. Raises `NotFiniteError` if
        a weight is not finite, which happens if a finite loss has infinite gradients.
        """
        if self._saved == self.step:
            return
        # every rank must call these, because each holds a part
        kept = self.updater.state()
        model = whole_state(self.model, tensors_of(self.model))
        callbacks = whole_state(self.callbacks, tensors_of(self.callbacks))
        optimizer = whole_optimizer_state(self.updater.optimizer, self.updater.shards)
        self._saved, self._saved_at = self.step, time.monotonic()
        if not self.context.ranks.first:
            return
        weighting = tensors_of(self.weighting)
        state = {f"optimizer.{name}": value for name, value in optimizer.tensors.items()}
        broken = names_of_broken({**model, **weighting, **state})
        if broken:
            raise broken_state(self.step, broken)
        for writer in self._loggers:
            writer.flush()
        checkpoint = Checkpoint(
            step=self.step,
            model=model,
            weighting=weighting,
            optimizer=optimizer,
            callbacks=callbacks,
            progress={
                **kept,
                "seconds": self.pace.seconds,
                "peak_memory_bytes": self.pace.peak_memory(self.context.device),
                "untrained": self.untrained,
                "logs": {k: v for writer in self._loggers for k, v in writer.state().items()},
            },
        )
        folder = save_checkpoint(self.context.checkpoints, checkpoint)
        self.context.observers.notify(CheckpointSaved(step=self.step, folder=folder))

    def _show(self) -> None:
        per_epoch = self.updater.batches.per_epoch
        losses: Mapping[str, float] = self._newest.losses if self._newest else {}
        weights: Mapping[str, float] = self._newest.weights if self._newest else {}
        self.context.progress.trained(
            TrainingProgress(
                step=self.step,
                steps=self.steps,
                epoch=(self.step - 1) // per_epoch + 1,
                epochs=math.ceil(self.steps / per_epoch),
                steps_per_epoch=per_epoch,
                samples_per_second=self.pace.samples_per_second,
                seconds_left=self.pace.seconds_for(self.steps - self.step),
                losses=losses,
                weights=weights,
            )
        )
