"""Acts to disturb: commands that train and resume, and every other command that writes files."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs

from fault_campaign.child import command, in_child
from fault_campaign.home import RESULTS, clear, show, train

TRAIN = ("train", "recipe.yaml", "--quiet", "--out", "run")
TRAIN_WARM = ("train", "warm.yaml", "--quiet", "--out", "run")
TRAIN_OFTEN = ("train", "often.yaml", "--quiet", "--out", "run")
RESUME = ("resume", "run", "--quiet")
OFTEN = """\
extends: recipe.yaml
callbacks: [{type: ema, decay: 0.5}, {type: best-weights}, {type: plateau, patience: 1}]
train: {checkpoint_every: 1}
"""
"""A checkpoint after each of the 6 updates, with callbacks whose state is in the checkpoints."""

WARM = "extends: recipe.yaml\nwarm_start: {run: begun}\n"
"""A run that begins with the weights of another one."""

Run = Callable[[], int]


@attrs.frozen
class Act:
    """A command that writes into the folder ``run``, and what it must have written in the end.

    It begins with a copy of the folder `start`, if there is one. It is repeated by `again` after it
    was disturbed. `files`, or folders, are compared to the byte with those of an undisturbed act.
    With `whole`, each of them is also the old or the new one right after the disturbance.
    """

    name: str
    run: Run
    files: tuple[str, ...]
    start: Path | None = None
    again: Run | None = None
    whole: bool = True


def call(*arguments: str) -> Run:
    """Return a function that calls the command line and returns its exit code."""
    return lambda: show(command(*arguments))


def training_acts(home: Path) -> Iterator[Act]:
    """Yield a run and its resumption, for the recipes."""
    (home / "often.yaml").write_text(OFTEN)
    (home / "warm.yaml").write_text(WARM)
    train("begun")
    for name, arguments in (
        ("", TRAIN),
        (" with many checkpoints", TRAIN_OFTEN),
        (" with a warm start", TRAIN_WARM),
    ):
        stopped = home / f"stopped{name}".replace(" ", "-")
        stop_halfway(home, stopped.name, arguments)

        def continued(arguments: tuple[str, ...] = arguments) -> int:
            """Resume the run, or start it if none was begun, as the messages advise."""
            begun = (home / "run" / "recipe.yaml").exists()
            return show(command(*(RESUME if begun else arguments)))

        yield Act(f"`train`{name}", call(*arguments), RESULTS, again=continued, whole=False)
        yield Act(f"`resume`{name}", call(*RESUME), RESULTS, stopped, continued, whole=False)


def stop_halfway(home: Path, name: str = "stopped", arguments: tuple[str, ...] = TRAIN) -> None:
    """Leave a run in the folder `name`, killed after four of its six updates."""
    from mtlkit.training.update import Updater

    clear(home / "run")

    def act() -> None:
        plain = Updater.update

        def update(self: Updater, step: int, request: object) -> object:
            if step == 5:
                os.kill(os.getpid(), signal.SIGKILL)
            return plain(self, step, request)

        Updater.update = update
        command(*arguments)

    in_child(act)
    clear(home / name)
    (home / "run").rename(home / name)
