"""One command for each study folder, also on file systems without locks between machines."""

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mtlkit.comparison.results.store import StudyFolder
from mtlkit.errors import RunError
from mtlkit.runs.storage.lock import HOLDER

PAGE = (Path(__file__).parents[2] / "docs/how-to/clusters.md").read_text(encoding="utf-8")

HOLDING = """
import sys, time
from mtlkit.comparison.results.store import StudyFolder
with StudyFolder(sys.argv[1]).locked():
    print("locked", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def first(tmp_path):
    """A process that works in the study's folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDING, tmp_path], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "locked\n"
    yield process
    process.kill()
    process.communicate()


def refusal(folder):
    with pytest.raises(RunError) as caught, folder.locked():
        pass
    return str(caught.value)


def test_a_second_command_is_refused_with_the_process_and_machine_of_the_first(tmp_path, first):
    shown = re.search(r"/shared/runs/faces: (another process .*)", PAGE)[1]
    shown = shown.replace("4711", str(first.pid)).replace("node1", platform.node())
    assert refusal(StudyFolder(tmp_path)) == f"{tmp_path}: {shown}"


def test_the_folder_of_a_killed_command_of_this_machine_is_taken_over(tmp_path, first):
    first.kill()
    first.wait()
    holder = tmp_path / HOLDER
    assert int(holder.read_text().split()[0]) == first.pid
    with StudyFolder(tmp_path).locked():
        assert int(holder.read_text().split()[0]) == os.getpid()
    assert not holder.exists()


def test_a_command_of_another_machine_is_refused_until_its_file_is_removed(tmp_path):
    holder = tmp_path / HOLDER
    holder.write_text("4711\nnode1\n")
    folder = StudyFolder(tmp_path)
    assert refusal(folder).endswith(
        f"another process (process 4711 on the machine node1) is working on this study; wait for "
        f"it, or stop it first; if it is gone for certain, as after a failure of its machine, "
        f"remove {holder}"
    )
    holder.unlink()
    with folder.locked():
        pass
