"""Run by torchrun: the command line, whose processes kill themselves by SIGKILL.

The variable KILLS holds pairs RANK@STEP, each of which takes place once.
"""

import os
import signal
from pathlib import Path

from mtlkit.cli import main
from mtlkit.training.update import Updater


def kill_at(rank, step):
    plain, done = Updater.update, Path(f"killed-{rank}-{step}")

    def update(self, number, *rest):
        if self.ranks.rank == rank and number == step and not done.exists():
            done.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return plain(self, number, *rest)

    Updater.update = update


if __name__ == "__main__":
    for pair in os.environ["KILLS"].split():
        kill_at(*map(int, pair.split("@")))
    main()
