"""Events as a run of Weights & Biases."""

import uuid
from pathlib import Path

import attrs

from mtlkit.component import one_of, optional
from mtlkit.loggers.base import LogWriter, PictureLogger
from mtlkit.loggers.tracker import RunWriter, import_tracker, recipe_of


@attrs.frozen(kw_only=True)
class WandB(PictureLogger):
    """A run of Weights & Biases with the recipe as its config; requires ``mtlkit[wandb]``.

    Files are kept in ``wandb/`` of the run's folder. `mode` is online or offline; None leaves the
    choice to the environment variable WANDB_MODE. `wandb sync` sends an offline run. Neither code
    nor console output is sent. With `system_metrics`, W&B measures the machine while the run
    trains. `figures` sends the charts of the report at the end, `images` its pictures too.
    """

    project: str = "mtlkit"
    entity: str | None = None
    group: str | None = None
    tags: tuple[str, ...] = ()
    mode: str | None = attrs.field(default=None, validator=optional(one_of("online", "offline")))
    system_metrics: bool = True

    def open(self, folder: Path, step: int) -> LogWriter:
        return WandBWriter(self, folder)


class WandBWriter(RunWriter):
    """Writer of a run of W&B, which a resumed run continues by its id.

    Raises `MissingExtraError` if W&B is not installed, and `RunError` if it fails.
    """

    def __init__(self, options: WandB, folder: Path) -> None:
        super().__init__(folder, "wandb")
        wandb = import_tracker("wandb", "wandb", "Weights & Biases")
        self._image = wandb.Image
        number = self.id or uuid.uuid4().hex
        with self.errors():
            self._run = wandb.init(
                project=options.project,
                entity=options.entity,
                group=options.group,
                tags=options.tags,
                name=self.name,
                id=number,
                resume="allow",
                mode=options.mode,
                dir=folder,
                config=recipe_of(folder),
                reinit="create_new",  # a process may train several runs
                settings=wandb.Settings(
                    console="off", save_code=False, x_disable_stats=not options.system_metrics
                ),
            )
        self.keep(number)

    def close(self) -> None:
        with self.errors():
            self._run.finish()
