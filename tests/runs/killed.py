"""A process of its own that trains, is killed with SIGKILL, and resumes, again and again.

Usage: killed.py FOLDER CASE. Each sitting is a forked child, so that torch is imported once.
Prints one line of JSON: how many sittings were killed, and after which steps each one went on.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import points
import torch

from mtlkit.errors import MtlkitError
from mtlkit.runs import execution
from mtlkit.runs.fit import fit, resume
from mtlkit.training.saved_steps import saved_steps
from mtlkit.training.update import Updater

CASES = {
    "uncertainty": points.UNCERTAIN,  # a checkpoint after every update
    "learned": points.LEARNED,  # bf16, dropout, AdamW, dynamic weights, two micro-batches
}
KILLS = 7


def child(work):
    """Run `work` in a forked child; its process id."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except MtlkitError as error:
            print(error, file=sys.stderr)  # noqa: T201
            os._exit(2)
        os._exit(0)
    return pid


def ended(pid):
    """Whether the child came to its end; False where it was killed."""
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return False
    assert os.WEXITSTATUS(status) == 0, os.WEXITSTATUS(status)
    return True


def sit(folder):
    catalog = points.catalog()
    if (folder / "recipe.yaml").exists():
        resume(folder, catalog=catalog, quiet=True)
    else:
        fit(CASES[sys.argv[2]], folder, catalog=catalog, quiet=True)


def sit_until_sync(folder, number):
    """A sitting that is killed when it syncs to the disk for the `number`-th time in training."""
    plain, count = os.fsync, 0

    def fsync(handle):
        nonlocal count
        count += any((folder / "checkpoints").glob("*")) or (folder / "log.jsonl").exists()
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)
        plain(handle)

    os.fsync = fsync
    sit(folder)


def sit_and_tell(folder, pipe):
    """A sitting that says when each update begins."""
    plain = Updater.update

    def update(self, step, stop_request):
        os.write(pipe, b"x")
        return plain(self, step, stop_request)

    Updater.update = update
    sit(folder)


def kill_after(folder, updates, seconds):
    """A sitting that is killed some seconds after it began so many updates."""
    read, write = os.pipe()
    pid = child(lambda: sit_and_tell(folder, write))
    os.close(write)
    for _ in range(updates):
        os.read(read, 1)
    time.sleep(seconds)
    os.kill(pid, signal.SIGKILL)
    os.close(read)
    return pid


def main() -> None:
    torch.set_num_threads(1)
    execution.evaluate_trained = lambda *_: None  # it takes longer than all else
    folder, rng, gone_on, killed = Path(sys.argv[1]), random.Random(sys.argv[2]), [], 0
    whole = folder.with_name("whole")
    assert ended(child(lambda: sit(whole)))
    done = False
    while not done:
        gone_on.append(max(saved_steps(folder / "checkpoints"), default=0))
        if killed == KILLS:
            pid = child(lambda: sit(folder))
        elif killed % 3 == 0:
            pid = kill_after(folder, rng.randint(1, 4), rng.uniform(0.0, 0.01))
        else:
            number = rng.randint(1, 40)
            pid = child(lambda number=number: sit_until_sync(folder, number))
        done = ended(pid)
        killed += not done
    print(json.dumps({"killed": killed, "gone_on": gone_on}))  # noqa: T201


if __name__ == "__main__":
    main()
