"""Kills, and full disks, at every event of the file system of a run and of its resumption."""

import os
import random
import shutil
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from fault_campaign.child import Child, command, in_child
from fault_campaign.disaster import Disaster
from fault_campaign.home import clear, results, show, train
from fault_campaign.verdict import Case, Verdict

TRAIN = ("train", "recipe.yaml", "--quiet", "--out", "run")
RESUME = ("resume", "run", "--quiet")
STUDY = ("compare", "comparison.yaml", "--out", "study", "--quiet")


def kills(home: Path, done: set[str], most: int, seed: int) -> Iterator[Case]:
    """Yield a case for each kill or full disk of a run and of its resumption, at most `most`."""
    train("whole")
    expected = results(home / "whole")
    stop_halfway(home)
    cases = [
        (act, full, number)
        for act in ("train", "resume")
        for full in (False, True)
        for number in range(_events(home, act))
    ]
    random.Random(seed).shuffle(cases)
    for act, full, number in cases[:most]:
        kind = f"{'full disk' if full else 'kill'} of `{act}`"
        key = str(number)
        if f"{kind} {key}" not in done:
            yield _struck(home, kind, key, act, Disaster(home / "run", number, full=full), expected)


def stop_halfway(home: Path) -> None:
    """Leave a run in ``stopped``, killed after four of its six updates."""
    from mtlkit.training.update import Updater

    clear(home / "run")

    def act() -> None:
        plain = Updater.update

        def update(self: Updater, step: int, request: object) -> object:
            if step == 5:
                os.kill(os.getpid(), signal.SIGKILL)
            return plain(self, step, request)

        Updater.update = update
        command(*TRAIN)

    in_child(act)
    clear(home / "stopped")
    (home / "run").rename(home / "stopped")


def _start(home: Path, act: str) -> tuple[str, ...]:
    """Set up the folder of the run, and return the command of the act."""
    clear(home / "run")
    if act == "resume":
        shutil.copytree(home / "stopped", home / "run")
        return RESUME
    return TRAIN


def _events(home: Path, act: str) -> int:
    arguments = _start(home, act)

    def count() -> None:
        disaster = Disaster(home / "run", -1).install()
        child = command(*arguments)
        print(disaster.events if child.code == 0 else child.err)

    child = in_child(count)
    if not child.out.strip().isdigit():
        raise RuntimeError(f"{act}: exit code {child.code}: {child.out}{child.err}")
    return int(child.out)


def _struck(
    home: Path, kind: str, key: str, act: str, disaster: Disaster, expected: dict[str, bytes]
) -> Case:
    arguments = _start(home, act)

    def strike() -> None:
        disaster.install()
        exit(show(command(*arguments)))

    child = in_child(strike)
    case = partial(Case, kind, key)
    if child.stuck:
        return case(Verdict.STUCK, "the command waits")
    if disaster.full and child.code != 0 and not child.clear:
        return case(Verdict.TRACEBACK, child.err[-500:])
    wreck = [path.name for path in (home / "run").rglob(".partial-*")]
    if disaster.full and wreck:
        return case(Verdict.LOST, f"partial files were left: {wreck}")
    again = _continued(home)
    if again.code != 0:
        verdict = Verdict.STUCK if again.clear else Verdict.TRACEBACK
        return case(verdict, again.err[-500:])
    now = results(home / "run")
    for name, content in expected.items():
        if now[name] != content:
            verdict = Verdict.LOST if len(now[name]) < len(content) else Verdict.WRONG
            return case(verdict, f"{name} differs")
    return case(Verdict.SAME)


def _continued(home: Path) -> Child:
    """Resume the run, or start it if none was begun, as the messages advise."""
    begun = (home / "run" / "recipe.yaml").exists()
    return in_child(lambda: exit(show(command(*(RESUME if begun else TRAIN)))))
