"""One flipped or cut byte in every file of a run, a stopped run, a study, a gallery and a cache."""

import os
import random
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import attrs

from fault_campaign.acts import WARM, stop_halfway
from fault_campaign.child import Child, command, in_child
from fault_campaign.home import clear, results, train
from fault_campaign.study_kills import run_study
from fault_campaign.verdict import Case, Verdict
from mtlkit.checksums import file_checksum
from mtlkit.errors import MtlkitError

UNREAD = (".lock", "report.html", "report.md", "speed.jsonl.lock")
"""Files that no command reads."""

UNFINISHED = re.compile(r"\d+ of \d+ runs|[1-9]\d* runs to make")
"""Words by which an output states that runs of a study are missing."""

Answers = Mapping[str, tuple[int, str]]
"""Exit code and output of each reader."""


@attrs.frozen
class Target:
    """A folder whose files are damaged one at a time, and the readers that open it.

    `read` prints a line for each reader: its name, exit code and output. It runs in a child, in a
    copy of the folder that is called `name`.
    """

    name: str
    read: Callable[[], Answers]
    files: tuple[Path, ...]


def corruptions(home: Path, done: set[str], most: int, seed: int) -> Iterator[Case]:
    """Yield a case for each of `most` damaged files."""
    targets = [target for target in _targets(home) if target.files]
    expected = {target.name: _read(target) for target in targets}
    rng = random.Random(seed)
    for number in range(most):
        target = targets[number % len(targets)]
        file = target.files[number // len(targets) % len(target.files)]
        how, damaged = _damage((home / "kept" / file).read_bytes(), rng)
        kind = f"damage to a {target.name}"
        key = f"{number} {file} {how}"
        if f"{kind} {key}" not in done:
            _restore(home, target)
            (home / file).write_bytes(damaged)
            yield Case(kind, key, *_verdict(expected[target.name], _read(target)))


def _damage(content: bytes, rng: random.Random) -> tuple[str, bytes]:
    """Return a name of the damage, and the content with one bit flipped or its end cut off."""
    at = rng.randrange(max(len(content), 1))
    if not content or rng.random() < 0.25:
        return f"cut at {at}", content[:at]
    changed = bytearray(content)
    bit = rng.randrange(8)
    changed[at] ^= 1 << bit
    return f"flip bit {bit} of {at}", bytes(changed)


def _targets(home: Path) -> Iterator[Target]:
    """Make the folders in ``kept``, and yield a target for each."""
    clear(home / "kept")
    (home / "kept").mkdir()
    train("run")
    train("other")
    (home / "few.csv").write_text("x,y\n1,2\n3,4\n")
    (home / "warm.yaml").write_text(WARM.replace("begun", "run"))
    yield _target(home, "run", lambda: _answers(READERS))
    clear(home / "run")
    stop_halfway(home)
    yield _target(home, "stopped", lambda: _resumed(home))
    in_child(lambda: exit(run_study(home)))
    command(*STUDY_READERS[-1])  # imports the libraries of statistics once for all children
    yield _target(home, "study", lambda: _answers(STUDY_READERS))
    yield from _face_targets(home)


def _target(home: Path, name: str, read: Callable[[], Answers]) -> Target:
    (home / name).rename(home / "kept" / name)
    files = sorted(
        path.relative_to(home / "kept")
        for path in (home / "kept" / name).rglob("*")
        if path.is_file() and path.name not in UNREAD and not path.name.endswith(".lock")
    )
    return Target(name, read, tuple(files))


READERS = (
    ("runs", "run"),
    ("report", "run"),
    ("compare", "run", "other"),
    ("resume", "run"),
    ("evaluate", "run"),
    ("predict", "run", "few.csv"),
    ("export", "run", "--out", "weights.safetensors"),
    ("train", "warm.yaml", "--quiet", "--out", "warm"),
)

STUDY_READERS = (
    ("runs", "study"),
    ("compare", "study", "study"),
    ("compare", "comparison.yaml", "--out", "study", "--dry-run", "--workers", "1"),
)


def _answers(readers: tuple[tuple[str, ...], ...]) -> Answers:
    answers = {}
    for arguments in readers:
        child = command(*arguments)
        output = child.out
        if child.code == 0 and arguments[0] in ("evaluate", "report"):
            output += Path("run/report.html").read_text()
        if child.code == 0 and arguments[0] == "export":
            output += file_checksum(Path("weights.safetensors"))
        if arguments[0] == "train":
            output += str(results(Path("warm")))
            clear(Path("warm"))
        answers[" ".join(arguments)] = (_code(child), _stable(output))
    return answers


def _code(child: Child) -> int:
    return child.code if child.code != 2 or child.clear else 1


def _stable(output: str) -> str:
    """Return the output of a reader without times, which differ from call to call."""
    lines = [line for line in output.splitlines() if "changed" not in line]
    return "\n".join(line.partition("  20")[0] for line in lines)


def _resumed(home: Path) -> Answers:
    child = command("resume", "stopped", "--quiet")
    return {"resume": (_code(child), str(results(home / "stopped")) if child.code == 0 else "")}


def _face_targets(home: Path) -> Iterator[Target]:
    """Yield a gallery of templates and a cache of rendered faces, if mtlkit-face is installed."""
    try:
        from mtlkit_face.inference.gallery_file import read_gallery, write_gallery
        from mtlkit_synthetic_faces import FaceSet, render_set

        from fault_campaign.face_writers import gallery
    except ImportError:
        return
    for suffix in ("parquet", "safetensors"):
        (home / suffix).mkdir()
        path = home / suffix / f"gallery.{suffix}"
        write_gallery(gallery(), path)

        def read(path: Path = path) -> Answers:
            return {"read_gallery": _caught(lambda: _shown_gallery(read_gallery(path)))}

        yield _target(home, suffix, read)
    faces = FaceSet(subjects=2, images_per_subject=2, size=32, channels=1)

    def render() -> Answers:
        def shown() -> str:
            rendered = render_set(faces, cache=home / "cache", workers=1)
            return str((rendered.images.sum(), rendered.images.shape, str(rendered.rows)))

        return {"render_set": _caught(shown)}

    render()
    yield _target(home, "cache", render)


def _shown_gallery(gallery: object) -> str:
    return str(attrs.astuple(attrs.evolve(gallery, templates=gallery.templates.tolist())))


def _caught(read: Callable[[], str]) -> tuple[int, str]:
    try:
        return 0, read()
    except MtlkitError:
        return 2, ""


def _restore(home: Path, target: Target) -> None:
    clear(home / target.name)
    shutil.copytree(home / "kept" / target.name, home / target.name)


def _read(target: Target) -> Answers | Child:
    """Return the answers of the readers in a child; the child if it broke."""
    home = Path.cwd()
    if not (home / target.name).exists():
        _restore(home, target)
    child = in_child(lambda: print(repr(dict(target.read()))))
    clear(home / target.name) if os.path.exists(home / target.name) else None
    if child.code != 0:
        return child
    answers: Answers = eval(child.out.splitlines()[-1])  # the repr of text and numbers
    return answers


def _verdict(expected: Answers | Child, now: Answers | Child) -> tuple[Verdict, str]:
    if isinstance(expected, Child):
        raise RuntimeError(f"the undamaged folder cannot be read: {expected.err}")
    if isinstance(now, Child):
        return (Verdict.STUCK if now.stuck else Verdict.TRACEBACK), now.err[-800:]
    clear_answers = 0
    for reader, (code, output) in now.items():
        if code not in (0, 2):
            return Verdict.TRACEBACK, f"{reader}: exit code {code}"
        if code == 0 and output != expected[reader][1]:
            # a record without its end is a run to repeat, as after a kill, which the output states
            if "damaged" in output or UNFINISHED.search(output):
                clear_answers += 1
                continue
            right = expected[reader][1]
            return Verdict.WRONG, f"{reader}: {output[:300]!r}, expected {right[:300]!r}"
        clear_answers += code == 2
    return (Verdict.CLEAR if clear_answers else Verdict.SAME), ""
