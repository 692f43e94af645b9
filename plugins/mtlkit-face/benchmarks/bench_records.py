"""Measure speed and memory of reading faces from RecordIO, on synthetic images.

``python bench_records.py [images]`` writes a file of that many JPEGs of 112 x 112 pixels to a
temporary folder, then opens and reads it in a separate process, and prints its peak memory.
"""

import gc
import io
import subprocess
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path

import numpy as np
import torch
from mtlkit_face.data.recordio.container import RecordWriter
from mtlkit_face.data.recordio.faces import HEADER
from mtlkit_face.data.recordio.source import FaceRecords
from PIL import Image

from mtlkit.data import Loading
from mtlkit.training.throughput import peak_memory

DIFFERENT = 200
BATCH = 256


def write(path: Path, images: int) -> None:
    random = np.random.default_rng(0)
    encoded = []
    for _ in range(DIFFERENT):
        coarse = Image.fromarray(random.integers(0, 256, (14, 14, 3), np.uint8))
        target = io.BytesIO()
        coarse.resize((112, 112)).save(target, format="JPEG", quality=95)
        encoded.append(target.getvalue())
    with path.open("wb") as file, path.with_suffix(".idx").open("w") as index:
        writer = RecordWriter(file)
        for key in range(images):
            payload = HEADER.pack(0, key // 50, key, 0) + encoded[key % DIFFERENT]
            index.write(f"{key}\t{writer.write(payload)}\n")


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def peak() -> float:
    """Return the peak memory of this process so far, in MB."""
    return peak_memory(torch.device("cpu")) / 2**20


def measure_index(path: Path) -> None:
    """Print the memory that the index and the labels of a file keep, and the time to read them."""
    source = FaceRecords(file=path, size=112, channels=3, check=False)
    source.load(Loading(workers=1))  # imports what it needs
    gc.collect()
    tracemalloc.start()
    data = source.load(Loading(workers=1))
    gc.collect()
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    images = len(data.train)
    codes = data.train.categorical("subject").codes
    kept += codes.numel() * codes.element_size()  # memory of torch, which is not traced
    say(f"kept: {kept / images:.1f} bytes per record, with labels and the order of the split")


def read(path: Path, batches: int) -> None:
    measure_index(path)
    say(f"after the imports   {peak():7.0f} MB")
    start = time.process_time()
    data = FaceRecords(file=path, size=112, channels=3, check=False).load(Loading(workers=1))
    took = time.process_time() - start
    images = len(data.train)
    say(f"opened, {images:,} labels {peak():7.0f} MB, {1e6 * took / images:.1f} us per image")
    order = torch.randperm(images, generator=torch.Generator().manual_seed(0))
    start = time.process_time()
    for batch in order[: batches * BATCH].split(BATCH):
        data.train.inputs[batch]
    took = time.process_time() - start
    count = min(images, batches * BATCH)
    say(f"{count:,} images read {peak():7.0f} MB, {count / took:,.0f} images per CPU second")


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1] == "read":
        read(Path(sys.argv[2]), 80)
    else:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "train.rec"
            write(path, int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
            say(f"the file            {path.stat().st_size / 1e6:7.0f} MB")
            subprocess.run([sys.executable, __file__, "read", str(path)], check=True)
