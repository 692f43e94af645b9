"""Run by torchrun: the command line, in which processes get signals.

The variable KILLS holds triples RANK:STEP:SIGNAL. Each takes place once, in the update STEP
or in the first `validation`. Silence is noticed within seconds.
"""

import os
import signal
from pathlib import Path

from mtlkit.cli import main
from mtlkit.training import loop, validation
from mtlkit.training.devices import heartbeat
from mtlkit.training.update import Updater


def kill(triple):
    rank, step, name = triple.split(":")
    plain, done = Updater.update, Path(triple)

    def update(self, number, *rest):
        if self.ranks.rank == int(rank) and str(number) == step and not done.exists():
            done.touch()
            os.kill(os.getpid(), getattr(signal, name))
        return plain(self, number, *rest)

    Updater.update = update
    if step == "validation":
        stop_in_validation(getattr(signal, name))


def stop_in_validation(number):
    plain, metrics = validation.predict_batch, loop.validation_metrics

    def predict(*arguments, **options):
        os.kill(os.getpid(), number)
        return plain(*arguments, **options)

    validation.predict_batch = predict
    loop.validation_metrics = lambda *a, **k: metrics(*a, **{**k, "batch": 4})  # of 3 batches


if __name__ == "__main__":
    heartbeat.SILENCE, heartbeat.GRACE = 10.0, 1.0
    for one in os.environ["KILLS"].split():
        kill(one)
    main()
