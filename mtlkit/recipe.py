"""The recipe: all settings of a run as one value."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal

import attrs
import torch

from mtlkit.backbones.base import Backbone
from mtlkit.callbacks.base import Callback
from mtlkit.callbacks.rules import moving_problems, rate_problems
from mtlkit.component import Problem, above, at_least, one_of, optional, seed_number, word_or
from mtlkit.data.source import DataSource
from mtlkit.errors import RecipeError
from mtlkit.evaluators.base import Evaluator
from mtlkit.grouped_batches import GroupedBatches
from mtlkit.heads.op_choice import choice_problems, op_choices
from mtlkit.loggers.base import Logger
from mtlkit.loggers.json_lines import JsonLines
from mtlkit.name_patterns import is_pattern
from mtlkit.ops.dispatch.table import OpTable
from mtlkit.optim.base import Optimizer, Schedule
from mtlkit.optim.constant import Constant
from mtlkit.optim.sgd import SGD
from mtlkit.report.folding import MEAN
from mtlkit.routers.base import Router
from mtlkit.routers.feature_kinds import feature_problems
from mtlkit.routers.shared import Shared
from mtlkit.sharding_rules import sharding_problems
from mtlkit.task import Task, loss_terms, mismatched_labels, with_default_heads
from mtlkit.task_types import FOLD_ABOVE, LossTerm
from mtlkit.train_validators import device_name, once_validated, steps_or_minutes
from mtlkit.transforms.base import Transform
from mtlkit.weightings.base import Weighting, pairing_problems
from mtlkit.weightings.equal import Equal

_HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}


@attrs.frozen(kw_only=True)
class Train:
    """Length, batches, precision, device and logging of the training."""

    epochs: int = attrs.field(default=10, validator=at_least(1))
    steps: int | None = attrs.field(default=None, validator=optional(at_least(1)))
    # updates of the run, in place of whole epochs
    batch: int = attrs.field(default=64, validator=at_least(1))  # samples of one update, all ranks
    batches: Literal["joint"] | GroupedBatches = "joint"  # joint: of all samples
    accumulate: int = attrs.field(default=1, validator=at_least(1))  # micro-batches of one update
    precision: str = attrs.field(default="fp32", validator=one_of("fp32", "bf16", "fp16"))
    device: str = attrs.field(default="auto", validator=device_name())
    tf32: bool | None = None  # TensorFloat-32 on GPUs; None leaves PyTorch's choice
    threads: int | Literal["auto"] = attrs.field(
        default="auto", validator=word_or("auto", at_least(1))
    )  # auto: one for each CPU core that is free at the start
    workers: int | Literal["auto"] = attrs.field(
        default="auto", validator=word_or("auto", at_least(0))
    )  # threads that decode samples ahead of the updates; 0: during them; auto: on idle cores
    clip_norm: float | None = attrs.field(default=None, validator=optional(above(0)))
    compile: bool = False  # the backbone, by torch.compile
    shard: str = attrs.field(default="none", validator=one_of("none", "backbone"))  # by FSDP2
    checkpoint_activations: bool = False  # recompute those of the backbone, to save memory
    ops: Mapping[str, str] = attrs.field(
        factory=dict, validator=op_choices()
    )  # implementation of each op, in updates
    log_every: int = attrs.field(default=10, validator=at_least(1))  # steps
    watch: bool | Literal["auto"] = "auto"  # log norms and cosines of the tasks' gradients
    evaluate_every: int = attrs.field(default=1, validator=at_least(1))  # epochs
    test: bool = True  # evaluate the test split at the end; trials of a search do not
    checkpoint_every: int | str | None = attrs.field(
        default=None, validator=optional(steps_or_minutes())
    )  # steps, or minutes as "10 min"; None: each epoch
    hang_timeout: int = attrs.field(default=30, validator=at_least(1))
    # minutes without progress after which several processes end
    loggers: tuple[Logger, ...] = (JsonLines(),)

    def problems(self) -> Iterator[Problem]:
        """Yield the options that exclude each other."""
        if self.compile and self.checkpoint_activations:
            message = "got true with `compile: true`, which itself recomputes some; use one of them"
            yield Problem(("train", "checkpoint_activations"), message)

    @property
    def half(self) -> torch.dtype | None:
        """The dtype of automatic mixed precision; None in fp32."""
        return _HALF.get(self.precision)

    @property
    def checkpoint_seconds(self) -> float | None:
        """Seconds between checkpoints, if they are taken by time."""
        every = self.checkpoint_every
        return 60.0 * int(every.split()[0]) if isinstance(every, str) else None

    @property
    def separate_forward(self) -> bool:
        """Return True if each group of a batch has its own forward pass."""
        return isinstance(self.batches, GroupedBatches) and self.batches.separate

    @property
    def validates_once(self) -> bool:
        """True if epochs end so early that only the last update is followed by a validation."""
        return self.steps is None and self.evaluate_every > self.epochs

    def watches(self, terms: int) -> bool:
        """Return whether the gradients of `terms` loss terms are logged; `auto`: of 2 to 10."""
        return 1 < terms <= FOLD_ABOVE if self.watch == "auto" else self.watch and terms > 1

    def updates(self, per_epoch: int) -> int:
        """Return the number of updates of a run with `per_epoch` updates in an epoch."""
        return self.epochs * per_epoch if self.steps is None else self.steps


@attrs.frozen(kw_only=True)
class Transforms:
    """Changes of samples: random ones of training samples, and fixed ones before evaluation.

    Training samples get only `train`, the samples of every evaluation only `test`. Both end with
    inputs of the same size.
    """

    train: tuple[Transform, ...] = ()
    test: tuple[Transform, ...] = ()

    def problems(self, tasks: Iterable[str]) -> Iterator[Problem]:
        """Yield the mistakes in the lists, with paths in the options of the transforms."""
        names = tuple(tasks)
        for key, transforms in (("train", self.train), ("test", self.test)):
            for number, transform in enumerate(transforms):
                for problem in transform.problems(names):
                    yield problem.under(key, str(number))
        for number, transform in enumerate(self.test):
            if transform.is_random:
                kind = type(transform).__name__
                yield Problem(
                    ("test", str(number)), f"{kind} is random; list it under `transforms.train`"
                )


@attrs.frozen(kw_only=True)
class WarmStart:
    """A start from the weights of the finished run in the folder `run`, relative to the recipe.

    `parts` are parts of the model (``backbone``, ``router``, ``heads``) or names with wildcards; by
    default all.
    """

    run: Path
    parts: tuple[str, ...] = ("*",)


@attrs.frozen(kw_only=True)
class Recipe:
    """Data, network, losses, training and evaluation of a run, without its folder and machine.

    Tasks without a head get the default head of their type of label. `check` raises an error if
    valid parts are incompatible.
    """

    data: DataSource
    backbone: Backbone
    tasks: Mapping[str, Task]
    router: Router = attrs.field(factory=Shared)
    weighting: Weighting = attrs.field(factory=Equal)
    optimizer: Optimizer = attrs.field(factory=SGD)
    schedule: Schedule = attrs.field(factory=Constant)
    train: Train = attrs.field(factory=Train)
    transforms: Transforms = attrs.field(factory=Transforms)
    warm_start: WarmStart | None = None
    callbacks: tuple[Callback, ...] = ()
    evaluators: tuple[Evaluator, ...] = ()
    seed: int = attrs.field(default=0, validator=seed_number())

    def __attrs_post_init__(self) -> None:
        tasks = with_default_heads(self.tasks, self.data.label_targets)
        object.__setattr__(self, "tasks", tasks)

    def terms(self) -> tuple[LossTerm, ...]:
        """Return the loss terms of a step: one for each task, then those of the router."""
        return self.router.terms(loss_terms(self.tasks))

    def problems(self, ops: OpTable | None = None) -> list[Problem]:
        """Return the problems between the parts; none for a recipe that can be run.

        Implementations that a plugin provides are checked only if the table `ops` is given.
        """
        if not self.tasks:
            return [Problem(("tasks",), "expected at least one task, got none")]
        invalid = [*self._name_problems()]
        if invalid:
            return invalid
        mismatches = list(self._feature_problems())
        problems = list(self.router.problems(loss_terms(self.tasks))) or list(
            pairing_problems(
                self.weighting,
                self.terms(),
                shared_features=self.router.shared_features,
                shared_last_layer=self.router.shared_last_layer,
            )
        )
        if ops is not None:
            problems += choice_problems(self, ops, half=self.train.half)
        return [
            *mismatches,
            *problems,
            *(p.under("tasks", name) for name, task in self.tasks.items() for p in task.problems()),
            *(p.under("transforms") for p in self.transforms.problems(self.tasks)),
            *self._batch_problems(),
            *self._callback_problems(),
            *self._logger_problems(),
            *rate_problems(self.optimizer, self.schedule, self.callbacks),
            *moving_problems(self.weighting, self.train.precision, self.callbacks),
            *sharding_problems(self),
            *self.train.problems(),
            *self._evaluator_problems(),
        ]

    def _name_problems(self) -> Iterator[Problem]:
        for name in self.tasks:
            if not name or "." in name:
                yield Problem(("tasks", name), f"got {name!r}, expected a name without dots")
            elif name == MEAN:
                yield Problem(("tasks", name), "the means over tasks have this name; use another")
            elif is_pattern(name):
                yield Problem(
                    ("tasks", name),
                    f"got the pattern {name!r}, expected a name; patterns are for recipe files",
                )

    def _feature_problems(self) -> Iterator[Problem]:
        wrong = mismatched_labels(self.tasks, self.data.label_targets)
        yield from (Problem(("tasks", name, "head"), why) for name, why in wrong.items())
        heads = {n: (t.adapter, t.head) for n, t in self.tasks.items() if n not in wrong}
        yield from feature_problems(self.backbone, self.router, heads)

    def notes(self) -> list[Problem]:
        """Return what a valid recipe may not intend; these are printed when it is read."""
        return list(self.weighting.notes(self.terms()))

    def _callback_problems(self) -> Iterator[Problem]:
        for index, callback in enumerate(self.callbacks):
            path = ("callbacks", str(index))
            for problem in callback.problems(self.tasks):
                yield problem.under(*path)
            if callback.needs_validation and self.train.validates_once:
                yield Problem(path, once_validated(type(callback).__name__, self.train))
            for earlier, other in enumerate(self.callbacks[:index]):
                chained = other.validates_its_weights and callback.needs_validation
                if other.sets_weights and callback.sets_weights and not chained:
                    yield Problem(
                        path,
                        f"replaces the weights that callbacks.{earlier} sets at the end of "
                        f"training; leave one of them out, or list `ema` before `best-weights`",
                    )

    def _logger_problems(self) -> Iterator[Problem]:
        kinds = [type(logger) for logger in self.train.loggers]
        for index, kind in enumerate(kinds):
            if (first := kinds.index(kind)) < index:
                path = ("train", "loggers", str(index))
                yield Problem(path, f"writes to the files of train.loggers.{first}; remove one")

    def _batch_problems(self) -> Iterator[Problem]:
        if isinstance(self.train.batches, GroupedBatches):
            for problem in self.train.batches.problems(self.tasks):
                yield problem.under("train", "batches")

    def _evaluator_problems(self) -> Iterator[Problem]:
        for index, evaluator in enumerate(self.evaluators):
            path = ("evaluators", str(index))
            for problem in evaluator.problems(self.terms()):
                yield problem.under(*path)
            for earlier, other in enumerate(self.evaluators[:index]):
                if other == evaluator or (evaluator.prefix and other.prefix == evaluator.prefix):
                    prefix = f" (`{evaluator.prefix}/...`)" if evaluator.prefix else ""
                    yield Problem(
                        path,
                        f"returns metrics of the same names as evaluators.{earlier}{prefix}; "
                        f"remove one",
                    )

    def check(self, ops: OpTable | None = None) -> "Recipe":
        """Return the recipe; raise `RecipeError` with every problem between its parts."""
        problems = self.problems(ops)
        if problems:
            raise RecipeError([str(problem) for problem in problems])
        return self
