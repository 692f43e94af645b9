"""The training loop: updates, and logs, validation and checkpoints between them."""

import math
from collections.abc import Mapping
from contextlib import ExitStack

import torch

from mtlkit.atomic_files import require_folder
from mtlkit.errors import InterruptedRunError
from mtlkit.loggers.base import LogWriter
from mtlkit.loggers.events import EvaluationEvent, Event, Speed, StepEvent
from mtlkit.model import MultiTaskModel
from mtlkit.plugins.run_events import CheckpointSaved, EpochEnded, Evaluated
from mtlkit.training.checkpoint import Checkpoint, save_checkpoint, tensors_of
from mtlkit.training.context import TrainingContext
from mtlkit.training.finite_checks import broken_state, names_of_broken
from mtlkit.training.load_hint import LoadHint
from mtlkit.training.optimizer_state import optimizer_state, restore_optimizer
from mtlkit.training.progress import TrainingProgress
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
        self.steps = self.updater.steps
        self.step = 0  # completed updates
        self.pace = Pace()
        self.untrained: tuple[str, ...] = ()  # parameters that no loss reaches
        self._loggers: list[LogWriter] = []
        self._newest: StepEvent | None = None
        self._warned: set[str] = set()  # metrics and weights already reported
        self._saved: int | None = None  # the step of the newest checkpoint
        fixed = isinstance(self.train.threads, int)
        self._load = LoadHint(torch.get_num_threads(), fixed=fixed)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Resume from `checkpoint` exactly."""
        self.model.load_state_dict(checkpoint.model)
        self.weighting.load_state_dict(checkpoint.weighting)
        restore_optimizer(self.updater.optimizer, checkpoint.optimizer)
        self.updater.meter.restore(checkpoint.progress["meter"])
        progress = checkpoint.progress
        self.pace = Pace(progress["seconds"], progress.get("peak_memory_bytes", 0))
        self.untrained = tuple(progress.get("untrained", ()))
        self.step = self._saved = checkpoint.step

    def run(self) -> None:
        """Train to the end, and save a final checkpoint.

        Raises `NotFiniteError` if a loss is not finite, `RunError` if writing fails, and
        `InterruptedRunError` after Ctrl-C or SIGTERM, once a checkpoint is saved.
        """
        with ExitStack() as stack:
            stop_request = stack.enter_context(stop_on_signal())
            if self.context.ranks.first:
                for logger in self.train.loggers:
                    writer = logger.open(self.context.folder, self.step)
                    stack.callback(writer.close)
                    self._loggers.append(writer)
            self.pace.start()
            while self.step < self.steps:
                update = self.updater.update(self.step, stop_request)
                self.step += 1
                self.pace.add(update.samples)
                self._after_update()
                if update.stop and self.step < self.steps:
                    self._save()
                    raise InterruptedRunError(f"stopped after step {self.step} of {self.steps}")
            self._save()

    @property
    def epoch(self) -> float:
        """The number of epochs trained so far, with a fraction."""
        return self.step / self.updater.batches.per_epoch

    def _after_update(self) -> None:
        """Log, validate, save and report progress if due after an update."""
        epochs, rest = divmod(self.step, self.updater.batches.per_epoch)
        epoch_ended = rest == 0
        self.untrained = self.updater.untrained or ()
        if self.step == 1 and self.untrained:
            self.context.progress.say(
                f"warning: no loss reaches these parameters, they are not trained: "
                f"{', '.join(self.untrained)}"
            )
        if self.step % self.train.log_every == 0 or self.step == self.steps:
            self._log()
        self._show()
        if epoch_ended:
            event = EpochEnded(epoch=epochs, step=self.step, seconds=self.pace.seconds)
            self.context.observers.notify(event)
        if epoch_ended and (epochs % self.train.evaluate_every == 0 or self.step == self.steps):
            self._validate()
        every = self.train.checkpoint_every
        if epoch_ended if every is None else self.step % every == 0:
            self._save()

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
            losses=losses,
            weights=weights,
            gradient_norms=norms,
            gradient_cosines=cosines,
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
            )
        )
        self.pace.mark()
        if self.context.ranks.first and (hint := self._load.line()) is not None:
            self.context.progress.say(hint)

    def _write(self, event: Event) -> None:
        for writer in self._loggers:
            writer.write(event)

    def _validate(self) -> None:
        """Evaluate the validation split on the first rank; the others wait at the next update."""
        split = self.context.data.validation
        if split is None or not self.context.ranks.first:
            return
        metrics = validation_metrics(
            self.model,
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

    def _warn_of_large(self, weights: Mapping[str, float]) -> None:
        for name, weight in large_weights(weights).items():
            key = f"the weight of {name}"
            if key not in self._warned:
                self._warned.add(key)
                self.context.progress.say(weight_warning(name, weight, self.step))

    def _warn_if_not_finite(self, metrics: Mapping[str, float]) -> None:
        """Warn once for each validation metric that is not finite; training continues."""
        for name, value in metrics.items():
            if not math.isfinite(value) and name not in self._warned:
                self._warned.add(name)
                self.context.progress.say(
                    f"warning: {name} on the validation split is {value} after step {self.step}; "
                    f"the log and the report leave a gap. Training continues, its losses are finite"
                )

    def _save(self) -> None:
        """Save a checkpoint, unless this step has one.

        Logs are flushed first, so that no checkpoint is ahead of them. Raises `NotFiniteError` if
        a weight is not finite, which happens if a finite loss has infinite gradients.
        """
        meter = self.updater.meter.state()  # a sum over ranks, so every rank must call it
        if self._saved == self.step or not self.context.ranks.first:
            return
        model, weighting = tensors_of(self.model), tensors_of(self.weighting)
        optimizer = optimizer_state(self.updater.optimizer)
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
            progress={
                "meter": meter,
                "seconds": self.pace.seconds,
                "peak_memory_bytes": self.pace.peak_memory(self.context.device),
                "untrained": self.untrained,
                "logs": {k: v for writer in self._loggers for k, v in writer.state().items()},
            },
        )
        folder = save_checkpoint(self.context.checkpoints, checkpoint)
        self._saved = self.step
        self.context.observers.notify(CheckpointSaved(step=self.step, folder=folder))

    def _show(self) -> None:
        train, per_epoch = self.train, self.updater.batches.per_epoch
        losses: Mapping[str, float] = self._newest.losses if self._newest else {}
        weights: Mapping[str, float] = self._newest.weights if self._newest else {}
        self.context.progress.trained(
            TrainingProgress(
                step=self.step,
                steps=self.steps,
                epoch=(self.step - 1) // per_epoch + 1,
                epochs=train.epochs,
                samples_per_second=self.pace.samples_per_second,
                seconds_left=self.pace.seconds_for(self.steps - self.step),
                losses=losses,
                weights=weights,
            )
        )
