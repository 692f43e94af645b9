"""The peak memory of a process."""

import subprocess
import sys

import torch

from mtlkit.training.throughput import peak_memory

CPU = torch.device("cpu")


def test_memory_that_is_written_counts() -> None:
    before = peak_memory(CPU)
    torch.ones(before // 4 + 2**22)  # float32: more than the process ever had
    assert peak_memory(CPU) > before


def test_a_process_does_not_count_the_memory_of_the_one_that_started_it() -> None:
    torch.ones(2**28)  # 1 GiB
    script = "import torch; from mtlkit.training.throughput import peak_memory as peak; "
    script += "print(peak(torch.device('cpu')))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 2**30 < peak_memory(CPU)
