"""The recipe: everything that decides a run, as one value."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import attrs

from mtlkit.backbones.base import Backbone
from mtlkit.component import Problem, above, at_least, one_of, optional
from mtlkit.data.source import DataSource
from mtlkit.errors import RecipeError
from mtlkit.evaluators.base import Evaluator
from mtlkit.heads.op_choice import choice_problems, op_choices
from mtlkit.loggers.base import Logger
from mtlkit.loggers.json_lines import JsonLines
from mtlkit.ops.dispatch.table import OpTable
from mtlkit.optim.base import Optimizer, Schedule
from mtlkit.optim.constant import Constant
from mtlkit.optim.sgd import SGD
from mtlkit.routers.base import Router
from mtlkit.routers.shared import Shared
from mtlkit.task import Task, loss_terms
from mtlkit.task_types import LossTerm
from mtlkit.weightings.base import Weighting, pairing_problems
from mtlkit.weightings.equal import Equal

if TYPE_CHECKING:
    from mtlkit.plugins.catalog import Catalog


@attrs.frozen(kw_only=True)
class Train:
    """How long, in what portions and with what arithmetic the network is trained."""

    epochs: int = attrs.field(default=10, validator=at_least(1))
    batch: int = attrs.field(default=64, validator=at_least(1))  # samples of one update, all ranks
    accumulate: int = attrs.field(default=1, validator=at_least(1))  # micro-batches of one update
    precision: str = attrs.field(default="fp32", validator=one_of("fp32", "bf16"))
    device: str = attrs.field(default="auto", validator=one_of("auto", "cpu", "cuda"))
    threads: int | None = attrs.field(default=None, validator=optional(at_least(1)))
    clip_norm: float | None = attrs.field(default=None, validator=optional(above(0)))
    compile: bool = False  # the backbone, by torch.compile
    ops: Mapping[str, str] = attrs.field(factory=dict, validator=op_choices())  # of updates
    log_every: int = attrs.field(default=10, validator=at_least(1))  # steps
    watch: bool = True  # at a logged step, the norms and cosines of the tasks' gradients
    evaluate_every: int = attrs.field(default=1, validator=at_least(1))  # epochs
    test: bool = True  # whether the test split is read in the end; trials of a search leave it
    checkpoint_every: int | None = attrs.field(
        default=None, validator=optional(at_least(1))
    )  # steps; None: each epoch
    loggers: tuple[Logger, ...] = (JsonLines(),)


@attrs.frozen(kw_only=True)
class Recipe:
    """Data, network, losses, training and evaluation: what to run, and nothing about where.

    Whether the parts, each right by itself, fit together is found by `check`.
    """

    data: DataSource
    backbone: Backbone
    tasks: Mapping[str, Task]
    routing: Router = attrs.field(factory=Shared)
    weighting: Weighting = attrs.field(factory=Equal)
    optimizer: Optimizer = attrs.field(factory=SGD)
    schedule: Schedule = attrs.field(factory=Constant)
    train: Train = attrs.field(factory=Train)
    evaluation: tuple[Evaluator, ...] = ()
    seed: int = attrs.field(default=0, validator=at_least(0))

    def terms(self) -> tuple[LossTerm, ...]:
        """The losses of a step, in order: one for each task, then those of the router."""
        return self.routing.terms(loss_terms(self.tasks))

    def problems(self, catalog: "Catalog | None" = None) -> list[Problem]:
        """Return the mistakes between the parts; empty for a recipe that can be run.

        Only with a `catalog` are implementations checked that a plugin is to provide.
        """
        if not self.tasks:
            return [Problem(("tasks",), "expected one task or more, found none")]
        unnameable = [name for name in self.tasks if not name or "." in name]
        if unnameable:
            return [
                Problem(
                    ("tasks", name), f"{name!r} is no name for a task; expected one without dots"
                )
                for name in unnameable
            ]
        found = list(self.routing.problems(loss_terms(self.tasks)))
        found = found or list(
            pairing_problems(
                self.weighting,
                self.terms(),
                shared_features=self.routing.shared_features,
                shared_last_layer=self.routing.shared_last_layer,
            )
        )
        if catalog is not None:
            found += choice_problems(self, OpTable(catalog.ops, catalog.implementations))
        return [*found, *self._evaluation_problems()]

    def _evaluation_problems(self) -> Iterator[Problem]:
        for number, evaluator in enumerate(self.evaluation):
            here = ("evaluation", str(number))
            for problem in evaluator.problems(self.terms()):
                yield Problem((*here, *problem.path), problem.message)
            for earlier, other in enumerate(self.evaluation[:number]):
                if other == evaluator or (evaluator.prefix and other.prefix == evaluator.prefix):
                    named = f" (`{evaluator.prefix}/...`)" if evaluator.prefix else ""
                    yield Problem(
                        here,
                        f"gives metrics of the same names as evaluation.{earlier}{named}; "
                        f"leave one out",
                    )

    def check(self, catalog: "Catalog | None" = None) -> "Recipe":
        """Return the recipe itself; `RecipeError` lists every problem between its parts."""
        found = self.problems(catalog)
        if found:
            raise RecipeError([str(problem) for problem in found])
        return self
