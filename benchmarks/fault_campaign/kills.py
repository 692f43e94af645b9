"""Kills, and full disks, at every event of the file system of a command that writes."""

import random
import shutil
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import zip_longest
from pathlib import Path

from fault_campaign.acts import Act
from fault_campaign.child import Child, in_child
from fault_campaign.disaster import Disaster
from fault_campaign.home import clear
from fault_campaign.verdict import Case, Verdict

Files = dict[str, bytes]


def kills(home: Path, acts: Iterable[Act], done: set[str], most: int, seed: int) -> Iterator[Case]:
    """Yield a case for each kill and each full disk of the acts, at most `most` of all.

    The acts take turns in a random order, so that a few cases are of different acts.
    """
    rng, every, turns = random.Random(seed), list(acts), []
    for act in rng.sample(every, min(len(every), most)):
        expected, events = _undisturbed(home, act)
        disasters = [
            (act, expected, full, at, events) for full in (False, True) for at in range(events)
        ]
        turns.append(rng.sample(disasters, len(disasters)))
    cases = [case for turn in zip_longest(*turns) for case in turn if case is not None]
    for act, expected, full, number, events in cases[:most]:
        kind = f"{'full disk' if full else 'kill'} of {act.name}"
        if f"{kind} {number}" not in done:
            disaster = Disaster(home / "run", number, full=full)
            case = partial(Case, kind, str(number), events=events)
            yield _struck(home, case, act, disaster, expected)


def _start(home: Path, act: Act) -> Files:
    """Set up the folder of the act, and return its files."""
    clear(home / "run")
    if act.start is not None:
        shutil.copytree(act.start, home / "run")
    return _files(home, act)


def _files(home: Path, act: Act) -> Files:
    """Return the compared files by name; a missing file is empty."""
    return {name: _content(home / "run" / name) for name in act.files}


def _content(path: Path) -> bytes:
    """Return the content of a file, or the names and contents of a folder but for hidden files."""
    if path.is_file():
        return path.read_bytes()
    inner = {str(file.relative_to(path)): file for file in path.rglob("*") if file.is_file()}
    return b"".join(
        name.encode() + inner[name].read_bytes()
        for name in sorted(inner)
        if not any(part.startswith(".") for part in Path(name).parts)
    )


def _undisturbed(home: Path, act: Act) -> tuple[Files, int]:
    """Return the files that the act writes, and its number of events."""
    _start(home, act)

    def count() -> None:
        disaster = Disaster(home / "run", -1).install()
        code = act.run()
        print(f"\n{disaster.events}")
        exit(code)

    child = in_child(count)
    if child.code != 0:
        raise RuntimeError(f"{act.name}: exit code {child.code}: {child.out}{child.err}")
    files = _files(home, act)
    if not all(files.values()):
        raise RuntimeError(f"{act.name}: wrote only {[name for name in files if files[name]]}")
    return files, int(child.out.split()[-1])


def _struck(
    home: Path, case: "partial[Case]", act: Act, disaster: Disaster, expected: Files
) -> Case:
    before = _start(home, act)

    def strike() -> None:
        disaster.install()
        exit(act.run())

    child = in_child(strike)
    if child.stuck:
        return case(Verdict.STUCK, "the command waits")
    if disaster.full and child.code != 0 and not child.clear:
        return case(Verdict.TRACEBACK, child.err[-500:])
    wreck = [path.name for path in (home / "run").rglob(".partial-*")]
    if disaster.full and wreck:
        return case(Verdict.LOST, f"partial files were left: {wreck}")
    if act.whole:
        for name, content in _files(home, act).items():
            if content not in (before[name], expected[name]):
                return case(Verdict.LOST, f"{name} is neither the old nor the new file")
    return _repeated(home, case, act, expected)


def _repeated(home: Path, case: "partial[Case]", act: Act, expected: Files) -> Case:
    """Repeat the act, and compare its files with those of an undisturbed one."""
    repeat = act.again or act.run
    again: Child = in_child(lambda: exit(repeat()))
    # a result that was whole already is not written again, which the command says
    if again.code != 0 and not (again.clear and _files(home, act) == expected):
        return case(Verdict.STUCK if again.clear else Verdict.TRACEBACK, again.err[-500:])
    now = _files(home, act)
    for name, content in expected.items():
        if now[name] != content:
            verdict = Verdict.LOST if len(now[name]) < len(content) else Verdict.WRONG
            return case(verdict, f"{name} differs")
    wreck = [path.name for path in (home / "run").rglob(".partial-*")]
    if wreck:
        return case(Verdict.LOST, f"partial files remain: {wreck}")
    return case(Verdict.SAME)
