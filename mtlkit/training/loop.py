"""The training loop: updates, and logs, validation and checkpoints between them."""

import json
import math
import time
from collections.abc import Mapping
from contextlib import ExitStack
from typing import NoReturn

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
from mtlkit.training.finite_checks import require_finite
from mtlkit.training.once_warnings import OnceWarnings
from mtlkit.training.optimization.optimizer_calls import evaluation_weights, set_training
from mtlkit.training.optimization.optimizer_state import optimizer_state, restore_optimizer
from mtlkit.training.optimization.parameter_groups import group_rates
from mtlkit.training.progress import TrainingProgress
from mtlkit.training.sharding.held_rows import held_state, load_held_state, stored_part
from mtlkit.training.sharding.whole_model import whole_model
from mtlkit.training.signals import stop_on_signal
from mtlkit.training.throughput import Pace
from mtlkit.training.update import Updater
from mtlkit.training.validation import validation_metrics
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
        self._warnings = OnceWarnings(context.progress)
        self._saved: int | None = None  # the step of the newest checkpoint
        self._validation_due = False  # a stop came before the validation of this step
        fixed = isinstance(self.train.threads, int)
        self._load = LoadHint(torch.get_num_threads(), fixed=fixed)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Resume from `checkpoint` exactly."""
        load_held_state(self.model, checkpoint.model)
        load_held_state(self.weighting, checkpoint.weighting)
        shards = self.updater.shards
        restore_optimizer(
            self.updater.optimizer,
            checkpoint.optimizer,
            self.updater.names,
            lambda stored, key, like: stored_part(stored, key, like, shards.get(like)),
        )
        load_held_state(self.callbacks, checkpoint.callbacks)
        self.updater.restore(checkpoint.progress)
        progress = checkpoint.progress
        self.pace = Pace(progress["seconds"], progress.get("peak_memory_bytes", 0))
        self.untrained = tuple(progress.get("untrained", ()))
        self._validation_due = progress.get("validation_due", False)
        self.step = self._saved = checkpoint.step

    def run(self) -> None:
        """Train to the end, save a final checkpoint, and let callbacks change the model.

        Raises `NotFiniteError` if a loss is not finite, `RunError` if writing fails, and
        `InterruptedRunError` after Ctrl-C or SIGTERM, once a checkpoint is saved.
        """
        with ExitStack() as stack:
            self._stop_request = stack.enter_context(stop_on_signal())
            stack.callback(self.updater.backward.close)
            if self.context.ranks.first:
                for logger in self.train.loggers:
                    writer = logger.open(self.context.folder, self.step)
                    stack.callback(writer.close)
                    self._loggers.append(writer)
            self.pace.start()
            self._saved_at = time.monotonic()
            self._validate_or_stop()
            while self.step < self.steps and not self.callbacks.stop:
                update = self.updater.update(self.step, self._stop_request)
                self.step += 1
                self.pace.add(update.samples)
                self._after_update(stop=update.stop)
            self._save()
            set_training(self.updater.optimizer, False)
            for line in self.callbacks.finish():
                self.context.progress.write(line)

    @property
    def epoch(self) -> float:
        """The number of epochs trained so far, with a fraction."""
        return self.step / self.updater.batches.per_epoch

    def _after_update(self, *, stop: bool) -> None:
        """Log, validate, save and report progress if due; or save and stop."""
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
            self._validation_due = True
        if stop:
            self._stop()
        self._validate_or_stop()
        if self._checkpoint_is_due(epoch_ended):
            self._save()

    def _stop(self) -> NoReturn:
        self._save()
        raise InterruptedRunError(f"stopped after step {self.step} of {self.steps}")

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
        self._warnings.large_weights(weights, self.step)
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

    def _validate_or_stop(self) -> None:
        """Evaluate the validation split, if due, on the first rank; callbacks get its metrics.

        On a stop request it is left to the resume, and `InterruptedRunError` raised on all ranks.
        """
        split, ranks = self.context.data.validation, self.context.ranks
        if split is None or not self._validation_due:
            return
        model = self.callbacks.evaluated_model(self.model)
        with evaluation_weights(self.updater.optimizer):
            with whole_model(model, self.updater.plain):
                metrics = self._evaluate(model, split) if ranks.first else {}
            # all ranks decide on the same numbers
            metrics = json.loads(ranks.texts(json.dumps(metrics), self.context.device)[0])
            if metrics is None:
                self._stop()  # with the weights for evaluation: rounding them back changes bits
            self.callbacks.after_evaluation(self.step, model, metrics)
        self._validation_due = False

    def _evaluate(self, model: MultiTaskModel, split: Split) -> dict[str, float] | None:
        """Return the metrics of `model` on the validation split; None on a stop request."""
        metrics = validation_metrics(
            model,
            self.context.recipe.tasks,
            split,
            self.context.targets["validation"],
            batch=self.train.batch,
            device=self.context.device,
            autocast=self.context.autocast(),
            stop_request=self._stop_request,
        )
        if metrics is None:
            return None
        self._warnings.not_finite(metrics, self.step)
        self._write(EvaluationEvent(step=self.step, epoch=self.epoch, metrics=metrics))
        self.context.progress.validated(self.epoch, metrics)
        event = Evaluated(step=self.step, epoch=self.epoch, metrics=metrics)
        self.context.observers.notify(event)
        return metrics

    def _save(self) -> None:
        """Save a checkpoint, unless this step has one.

        Logs are flushed first, so that no checkpoint is ahead of them. Raises `NotFiniteError` if
        a weight is not finite, which happens if a finite loss has infinite gradients.
        """
        if self._saved == self.step:
            return
        kept = self.updater.state()  # every rank must call this
        self._saved, self._saved_at = self.step, time.monotonic()
        model, weighting, callbacks = (
            held_state(module, tensors_of(module))
            for module in (self.model, self.weighting, self.callbacks)
        )
        optimizer = optimizer_state(self.updater.optimizer, self.updater.names, self.updater.shards)
        state = {f"optimizer.{name}": value for name, value in optimizer.tensors.items()}
        ranks, device = self.context.ranks, self.context.device
        require_finite(self.step, {**model, **weighting, **state}, ranks, device)
        ranks.together(self._flush, device)
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
                "validation_due": self._validation_due,
                "logs": {k: v for writer in self._loggers for k, v in writer.state().items()},
            },
        )
        folder = save_checkpoint(self.context.checkpoints, checkpoint, ranks, device)
        if ranks.first:
            self.context.observers.notify(CheckpointSaved(step=self.step, folder=folder))

    def _flush(self) -> None:
        for writer in self._loggers:
            writer.flush()

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
