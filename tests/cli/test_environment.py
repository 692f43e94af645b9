"""Workers of studies get large pages, unless the user chose tunables of glibc."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from mtlkit.cli.environment import use_large_pages

OFFERED = Path("/sys/kernel/mm/transparent_hugepage/enabled")
LARGE = """
import multiprocessing
from mtlkit.cli import main

def kibibytes():
    import torch
    tensor = torch.ones(1 << 25)
    with open("/proc/self/smaps_rollup") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith("AnonHugePages"))

def work(results):
    results.put(kibibytes())

if __name__ == "__main__":
    try:
        main(["--version"])
    except SystemExit:
        pass
    context = multiprocessing.get_context("forkserver")
    results = context.Queue()
    process = context.Process(target=work, args=(results,))
    process.start()
    print(results.get())
    process.join()
"""


def test_the_users_tunables_are_kept():
    environment = {"GLIBC_TUNABLES": "glibc.malloc.check=1"}
    use_large_pages(environment)
    assert environment == {"GLIBC_TUNABLES": "glibc.malloc.check=1"}


def _glibc():
    library, version = platform.libc_ver()
    return tuple(map(int, version.split("."))) if library == "glibc" else (0,)


@pytest.mark.skipif(_glibc() < (2, 35), reason="needs glibc 2.35")
@pytest.mark.skipif(
    not OFFERED.exists() or "[never]" in OFFERED.read_text(), reason="no large pages"
)
def test_a_worker_of_the_command_line_has_large_pages(tmp_path):
    script = tmp_path / "large.py"
    script.write_text(LARGE)
    env = {key: value for key, value in os.environ.items() if key != "GLIBC_TUNABLES"}
    done = subprocess.run([sys.executable, script], env=env, capture_output=True, text=True)
    assert int(done.stdout.splitlines()[-1]) > 64 * 1024, done.stderr
