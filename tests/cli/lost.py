"""Run by torchrun: the command line, whose processes kill themselves by SIGKILL.

The variable KILLS holds pairs RANK@STEP, each of which takes place once. At the step `validation`,
the first process gets SIGUSR1 in its first validation.
"""

import os
import signal
from pathlib import Path

from mtlkit.cli import main
from mtlkit.training import loop, validation
from mtlkit.training.update import Updater


def kill_at(rank, step):
    plain, done = Updater.update, Path(f"killed-{rank}-{step}")

    def update(self, number, *rest):
        if self.ranks.rank == rank and number == step and not done.exists():
            done.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return plain(self, number, *rest)

    Updater.update = update


def stop_in_validation():
    plain = validation.predict_batch

    def predict(*arguments, **options):
        os.kill(os.getpid(), signal.SIGUSR1)
        return plain(*arguments, **options)

    validation.predict_batch = predict
    metrics = loop.validation_metrics
    loop.validation_metrics = lambda *a, **k: metrics(*a, **{**k, "batch": 4})  # of 3 batches


if __name__ == "__main__":
    for rank, step in (pair.split("@") for pair in os.environ["KILLS"].split()):
        if step == "validation":
            stop_in_validation()
        else:
            kill_at(int(rank), int(step))
    main()
