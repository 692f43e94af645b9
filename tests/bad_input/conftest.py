"""A home with small pictures and a recipe that works, to spoil one thing at a time."""

import contextlib
import re
import resource
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mtlkit import fit, load_catalog, load_recipe
from mtlkit.cli import main

RECIPE = """\
data:
  type: images
  folder: pictures
  labels: labels.csv
  size: 8
  channels: 1
  numeric: [age]
  split: {validation: 0.25, test: 0}
backbone: {type: mlp, hidden: [4]}
tasks:
  who: {role: main}
  side: {}
  age: {head: regression}
weighting: {type: dynamic, total: 0.1}
train: {epochs: 3, batch: 6, log_every: 1, checkpoint_every: 2, threads: 1, device: cpu}
"""
"""12 training pictures, hence 6 updates, with checkpoints after 2, 4 and 6."""


def furnish(folder: Path) -> Path:
    """Put 16 pictures, their labels and a good recipe into a new folder."""
    (folder / "pictures").mkdir(parents=True)
    rng = np.random.default_rng(0)
    lines = ["file,who,side,age"]
    for number in range(16):
        name = f"p{number:02}.png"
        pixels = rng.integers(0, 256, (8, 8), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "pictures" / name)
        who, side = ("ann", "bob", "cid", "dan")[number % 4], ("left", "right")[number // 4 % 2]
        lines.append(f"{name},{who},{side},{20 + number}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    (folder / "good.yaml").write_text(RECIPE)
    return folder


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """A working directory with pictures, their labels and a good recipe."""
    folder = furnish(tmp_path / "home")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("MTLKIT_PLUGINS", "none")
    return folder


@pytest.fixture(scope="session")
def whole(tmp_path_factory) -> Path:
    """The folder of a run of the good recipe that nothing disturbed."""
    folder = furnish(tmp_path_factory.mktemp("undisturbed") / "home")
    with contextlib.chdir(folder):
        run = fit(load_recipe("good.yaml", load_catalog("none")), "run", quiet=True)
    return folder / run.path


@pytest.fixture
def call(capsys) -> Callable[..., tuple[int, str, str]]:
    """Calls the command line in this process: exit code, what it said on stdout and on stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return caught.value.code, said.out, said.err

    return run


@pytest.fixture
def contents() -> Callable[[Path], dict[str, bytes | None]]:
    """Everything below a folder: the bytes of each file, None for a folder."""

    def read(folder: Path) -> dict[str, bytes | None]:
        return {
            path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
            for path in sorted(folder.rglob("*"))
        }

    return read


@pytest.fixture
def refused(home, call, contents):
    """Calls a command that must refuse: exit code 2, a message of a person's size, no traces."""

    def run(*arguments: object) -> str:
        before = contents(home)
        code, out, err = call(*arguments)
        assert code == 2, err
        assert out == ""
        assert "Traceback" not in err
        assert "mtlkit: error: " in err or err.startswith("Usage: ")
        assert not re.search(r"<[\w.]+ object at 0x", err)  # nothing for programmers
        assert contents(home) == before
        return err

    return run


@pytest.fixture
def files_of_at_most():
    """A context in which no file may grow beyond some bytes: a full disk, done by the system."""

    @contextlib.contextmanager
    def limited(size: int):
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return limited
