"""Every section of docs/how-to/trainers.md ends with the weights of the plain loop."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

PAGE = (Path(__file__).parents[2] / "docs/how-to/trainers.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## ([^\n]+)\n.*?```python\n(.*?)```", PAGE, re.DOTALL | re.MULTILINE))
PLAIN = SECTIONS["The plain loop"]
LIBRARIES = {
    "Lightning": "lightning",
    "Fabric": "lightning",
    "Accelerate": "accelerate",
    "Transformers Trainer": "transformers",
}
PROCESSES = ("DDP", "FSDP")


def plain():
    space = {"__name__": "trainers"}
    exec(compile(PLAIN, "docs/how-to/trainers.md", "exec"), space)
    expected = {name: p.detach().clone() for name, p in space["net"].state_dict().items()}
    return space, expected


def test_every_section_is_run():
    assert set(SECTIONS) == {"The plain loop", *LIBRARIES, *PROCESSES}


@pytest.mark.filterwarnings("ignore")  # those of the libraries
@pytest.mark.parametrize("title", LIBRARIES)
def test_a_library_trains_as_the_plain_loop(title, tmp_path, monkeypatch):
    pytest.importorskip(LIBRARIES[title], reason=f"{LIBRARIES[title]} is not installed")
    monkeypatch.chdir(tmp_path)
    space, expected = plain()
    exec(compile(SECTIONS[title], "docs/how-to/trainers.md", "exec"), space)
    for name, value in space["net"].state_dict().items():
        torch.testing.assert_close(value, expected[name.removeprefix("_forward_module.")])


LAUNCHER = """
import runpy
import torch.distributed as dist

dist.init_process_group("gloo")
end = dist.destroy_process_group
dist.init_process_group = dist.destroy_process_group = lambda *arguments: None
for name in ("ddp", "fsdp"):
    runpy.run_path(f"{name}.py")
dist.barrier()
end()
"""
"""One group for both sections, because starting processes takes most of the time."""


@pytest.fixture(scope="module")
def processes(tmp_path_factory):
    """The folder in which the processes of both sections left their weights."""
    folder = tmp_path_factory.mktemp("processes")
    files = {"plain": PLAIN, "both": LAUNCHER, **{t.lower(): SECTIONS[t] for t in PROCESSES}}
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
    done = subprocess.run(
        [*command, "2", "both.py"], cwd=folder, env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.mark.parametrize("title", PROCESSES)
def test_processes_train_as_the_plain_loop(title, processes):
    _, expected = plain()
    for rank in (0, 1):
        trained = torch.load(processes / f"{title.lower()}{rank}.pt", weights_only=True)
        assert trained.keys() == expected.keys()
        for key, value in trained.items():
            torch.testing.assert_close(value, expected[key])
