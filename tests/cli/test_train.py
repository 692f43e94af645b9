"""`mtlkit train` and `mtlkit resume` as a user calls them, on tiny pictures."""

import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mtlkit.cli import Session, main
from mtlkit.plugins.command_options import user_cache
from mtlkit.plugins.isolation import UserInterruptError, isolated
from mtlkit.runs.storage.folder import RunFolder, State
from mtlkit.training.saved_steps import saved_steps

COMMAND = [sys.executable, "-c", "from mtlkit.cli import main; main()"]
RECIPE = """\
data: {type: images, folder: pictures, size: 8, channels: 1, pattern: '{who}_*.png'}
backbone: {type: mlp, hidden: [200]}
tasks: {who: {role: main}}
train: {epochs: 3, batch: 6, log_every: 1, checkpoint_every: 2, threads: 1, device: cpu}
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A working directory with pictures and a recipe of them."""
    (tmp_path / "pictures").mkdir()
    rng = np.random.default_rng(0)
    for number in range(12):
        pixels = rng.integers(0, 256, (8, 8), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "pictures" / f"{'ab'[number % 2]}_{number}.png")
    (tmp_path / "small.yaml").write_text(RECIPE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MTLKIT_PLUGINS", "none")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def call(*arguments):
    """The exit code of a command."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    return caught.value.code


def test_train_ends_by_naming_the_model_and_the_report(home, capsys):
    assert call("train", "small.yaml", "--quiet") == 0
    said = capsys.readouterr()
    path = Path("runs") / "small"
    assert said.out == f"model:  {path}/model.safetensors\nreport: {path}/report.html\n"
    assert said.err == ""
    assert (path / "report.html").is_file()
    assert (path / "model.safetensors").is_file()


def test_a_second_run_of_the_same_name_is_refused(home, capsys):
    assert call("train", "small.yaml", "--quiet") == 0
    before = (home / "runs" / "small" / "log.jsonl").read_bytes()
    assert call("train", "small.yaml", "--quiet") == 2
    assert "mtlkit: error: runs/small: holds another run" in capsys.readouterr().err
    assert (home / "runs" / "small" / "log.jsonl").read_bytes() == before
    assert call("train", "small.yaml", "--quiet", "--out", "elsewhere") == 0


def test_overrides_and_runs_beside_take_part(home):
    assert call("train", "small.yaml", "--quiet", "--out", "one") == 0
    arguments = ("--set", "train.epochs=1", "--set", "seed=5", "--beside", "one")
    assert call("train", "small.yaml", "--quiet", "--out", "two", *arguments) == 0
    assert RunFolder(home / "two").status().steps == 2
    assert "one" in (home / "two" / "report.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("train", "missing.yaml"), "missing.yaml"),
        (("train", "small.yaml", "--set", "train.epochs=fast"), "train.epochs"),
        (("train", "small.yaml", "--beside", "nothing"), "nothing: holds no run"),
        (("train", "small.yaml", "--set", "data.folder=void"), "void"),
        (("resume", "nothing"), "nothing: holds no run"),
    ],
)
def test_mistakes_exit_with_two_and_say_what_is_wrong(home, capsys, arguments, expected):
    assert call(*arguments, "--quiet") == 2
    assert expected in capsys.readouterr().err


def limited(size):
    """A full disk, as near as a test can come: no file may grow beyond `size` bytes."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def test_a_disk_that_takes_no_checkpoint_is_an_error_and_no_wreck(home):
    done = subprocess.run(
        [*COMMAND, "train", "small.yaml", "--quiet"],
        preexec_fn=limited(20_000), capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert re.search(r"error: .*step-00000002: could not be written: the disk is full", done.stderr)
    folder = RunFolder(home / "runs" / "small")
    assert saved_steps(folder.checkpoints) == []
    assert not list(folder.path.rglob(".partial-*"))
    assert folder.status().state is State.FAILED
    assert call("resume", "runs/small", "--quiet") == 0
    assert folder.status().state is State.FINISHED


def test_ctrl_c_saves_and_names_the_very_command_to_go_on(home):
    process = subprocess.Popen(
        [*COMMAND, "train", "small.yaml", "--set", "train.epochs=100000"],
        stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONWARNINGS": "error"},
    )  # fmt: skip
    folder = RunFolder(home / "runs" / "small")
    patience = time.monotonic() + 60
    while not (folder.log.exists() and folder.log.stat().st_size):
        assert process.poll() is None
        assert time.monotonic() < patience
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 75, said
    assert "epoch " in said or "stopped after" in said
    assert said.rstrip().endswith("continue with `mtlkit resume runs/small`")
    status = folder.status()
    assert status.state is State.INTERRUPTED
    assert saved_steps(folder.checkpoints)[-1] == status.step > 0


@pytest.mark.parametrize("command", ["train", "resume"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_while_plugins_are_loaded_ends_with_the_code_to_repeat(
    command, number, monkeypatch, capsys
):

    def load(_):
        with isolated():
            try:
                os.kill(os.getpid(), number)
            except UserInterruptError:
                raise
            except BaseException:  # as the catalog takes errors of plugins
                return

    monkeypatch.setattr(Session, "catalog", load)
    before = signal.getsignal(number)
    assert call(command, "nothing") == 75
    assert capsys.readouterr().err == (
        "mtlkit: error: stopped at once; repeat the command, or resume the run\n"
    )
    assert signal.getsignal(number) is before


def test_the_cache_folder_follows_the_custom_of_the_system(home, monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    assert user_cache() == home / "cache" / "mtlkit"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert user_cache() == Path.home() / ".cache" / "mtlkit"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert user_cache() == Path.home() / "Library" / "Caches" / "mtlkit"
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(home))
    assert user_cache() == home / "mtlkit"
