"""Measure how fast images reach the network: decode paths, memory, and waiting for samples.

``python benchmarks/bench_feeding.py [--images 2000]`` writes JPEGs of 112 x 112 pixels and larger
photographs to a temporary folder, and prints, each measured in turns in this process with one
thread:

- the rate of each decode path as a fraction of the decoder's rate, for the same bytes;
- the peak memory of loading a folder, as a multiple of its pixels (in a separate process);
- the fraction of a step that waits for samples, with and without reading ahead.

Rates are images per second of CPU time, which other processes on the machine disturb less.
"""

import argparse
import io
import resource
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import simplejpeg
import torch
from PIL import Image

from mtlkit.data import (
    DecoderPool,
    FileStore,
    Frame,
    Images,
    Loading,
    RandomSplit,
    Shards,
    StoredImages,
    decode,
)
from mtlkit.data.inputs import Inputs
from mtlkit.training.batching.prefetch import Prefetcher
from mtlkit.training.throughput import peak_memory

BATCH = 256
ROUNDS = 15


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def encoded(count: int, side: int) -> list[bytes]:
    """Return JPEGs of smooth colors with noise, as photographs have."""
    random, files = np.random.default_rng(0), []
    for _ in range(min(count, 200)):
        coarse = Image.fromarray(random.integers(0, 256, (14, 14, 3), np.uint8))
        pixels = np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC)).astype(int)
        noisy = (pixels + random.integers(-12, 13, pixels.shape)).clip(0, 255).astype(np.uint8)
        target = io.BytesIO()
        Image.fromarray(noisy).save(target, "JPEG", quality=85)
        files.append(target.getvalue())
    return [files[number % len(files)] for number in range(count)]


def in_turns(ways: dict[str, Callable[[], None]]) -> dict[str, list[float]]:
    """Return the CPU seconds of each round of each way, measured in turns."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            start = time.process_time()
            way()
            seconds[name].append(time.process_time() - start)
    return seconds


def in_batches(inputs: Inputs) -> Callable[[], None]:
    order = torch.randperm(len(inputs), generator=torch.Generator().manual_seed(0))

    def read() -> None:
        for index in order.split(BATCH):
            inputs[index]

    return read


def report(title: str, seconds: dict[str, list[float]], decoder: str, images: int) -> None:
    """Print the best rates, and the median of the fractions of the decoder's rate in each round.

    Other processes only slow a way down, so that its best round is the least disturbed one.
    """
    say(title)
    for name, times in seconds.items():
        fraction = np.median(np.divide(seconds[decoder], times))
        best = min(seconds[decoder]) / min(times)
        rate = f"{images / min(times):9,.0f} images/s"
        say(f"  {name:<36} {rate}  {best:5.2f}  median {fraction:5.2f}")


def measure_decoding(folder: Path, count: int) -> None:
    small = encoded(count, 112)
    for number, content in enumerate(small):
        (folder / f"{number:06}.jpg").write_bytes(content)
    files = FileStore(folder, [f"{number:06}.jpg" for number in range(count)])
    frame, pool = Frame(112, 112, 3), DecoderPool(1)
    decoder = "decoder alone (simplejpeg)"

    def alone() -> None:
        for content in small:
            simplejpeg.decode_jpeg(content, "RGB")

    def pillow() -> None:
        for content in small:
            Image.open(io.BytesIO(content)).load()

    def one_at_a_time() -> None:
        for content in small:
            decode(content, frame)

    ways: dict[str, Callable[[], None]] = {
        decoder: alone,
        "Pillow alone": pillow,
        "decode, an image at a time": one_at_a_time,
        "images from files, in batches": in_batches(StoredImages(files, frame, pool)),
    }
    try:
        from mtlkit_face.data.recordio.container import RecordWriter
        from mtlkit_face.data.recordio.faces import HEADER
        from mtlkit_face.data.recordio.source import FaceRecords
    except ImportError:
        say("mtlkit-face is not installed: RecordIO is left out")
    else:
        path = folder / "train.rec"
        with path.open("wb") as file, path.with_suffix(".idx").open("w") as index:
            writer = RecordWriter(file)
            for key, content in enumerate(small):
                offset = writer.write(HEADER.pack(0, key // 50, key, 0) + content)
                index.write(f"{key}\t{offset}\n")
        source = FaceRecords(file=path, size=112, channels=3, check=False)
        ways["face/recordio, in batches"] = in_batches(source.load(Loading(workers=1)).train.inputs)
    with tarfile.open(folder / "train.tar", "w") as tar:
        for name in files.names:
            tar.add(folder / name, name)
    nothing = RandomSplit(validation=0, test=0)
    shards = Shards(shards=(str(folder / "train.tar"),), size=112, split=nothing)
    ways["shards (tar), in batches"] = in_batches(shards.load(Loading(workers=1)).train.inputs)
    report("112 x 112 JPEG, fraction of the decoder's own rate", in_turns(ways), decoder, count)


def measure_large(folder: Path, count: int) -> None:
    large = encoded(count, 640)
    (folder / "large").mkdir()
    for number, content in enumerate(large):
        (folder / "large" / f"{number:06}.jpg").write_bytes(content)
    files = FileStore(folder / "large", [f"{number:06}.jpg" for number in range(count)])
    whole, pool = Frame(112, 112, 3), DecoderPool(1)
    reduced = Frame(112, 112, 3, reduce=True)

    def pillow() -> None:
        for content in large:
            image = Image.open(io.BytesIO(content)).convert("RGB")
            np.asarray(image.resize((112, 112), Image.Resampling.BICUBIC))

    def decoder() -> None:
        for content in large:
            pixels = simplejpeg.decode_jpeg(content, "RGB")
            image = Image.fromarray(pixels)
            np.asarray(image.resize((112, 112), Image.Resampling.BICUBIC))

    name = "decoder (simplejpeg) and resize"
    ways = {
        name: decoder,
        "Pillow and resize": pillow,
        "images from files": in_batches(StoredImages(files, whole, pool)),
        "images from files, reduce: true": in_batches(StoredImages(files, reduced, pool)),
    }
    report("640 x 640 JPEG resized to 112 x 112", in_turns(ways), name, count)
    index = torch.arange(min(count, 64))
    one, other = (StoredImages(files, frame, pool)[index].int() for frame in (whole, reduced))
    difference = (one - other).abs().float()
    say(f"  reduce: pixels differ by {difference.mean():.2f} of 255 on average, "
        f"{difference.quantile(0.999):.0f} at most in 99.9 %")  # fmt: skip


def present_bytes() -> int:
    """Return the present memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def peak_bytes() -> int:
    """Return the peak memory of this process."""
    return peak_memory(torch.device("cpu"))


def measure_memory(folder: Path) -> None:
    split = RandomSplit(test=0.5)
    options = {"folder": folder, "size": 112, "split": split}
    few = ("000[1-9]*", "00[1-9]*", "0[1-9]*")
    Images(pattern="000{who}.jpg", ignore=few, **options).load(Loading())  # imports, threads
    before, start = present_bytes(), time.process_time()
    splits = Images(pattern="{who}.jpg", **options).load(Loading()).splits().values()
    count = sum(map(len, splits))
    pixels = count * 112 * 112 * 3
    say(
        f"{count:,} images loaded: peak {(peak_bytes() - before) / pixels:.2f} of the "
        f"{pixels / 2**20:,.0f} MiB of pixels, {time.process_time() - start:.1f} s of CPU"
    )


class Waiting:
    """Steps of a device that works a fixed time, on samples that are read by `read`."""

    def __init__(self, inputs: Inputs, batch: int, steps: int, work: float) -> None:
        order = torch.randperm(len(inputs), generator=torch.Generator().manual_seed(0))
        starts = [(step * batch) % (len(order) - batch) for step in range(steps)]
        self.parts = [order[start : start + batch] for start in starts]
        self.inputs, self.steps, self.work = inputs, steps, work

    def fraction(self, ahead: int) -> float:
        """Return the fraction of the steps, without the first, that waits for samples."""
        prefetcher = Prefetcher(lambda step: self.inputs[self.parts[step]], self.steps, ahead)
        waited, start = 0.0, time.perf_counter()
        for step in range(self.steps):
            before = time.perf_counter()
            prefetcher.get(step)
            if step:
                waited += time.perf_counter() - before
            else:
                start = time.perf_counter()
            time.sleep(self.work)
        total = time.perf_counter() - start
        prefetcher.close()
        return waited / total


def measure_waiting(folder: Path, count: int) -> None:
    files = FileStore(folder, [f"{number:06}.jpg" for number in range(count)])
    stored = StoredImages(files, Frame(112, 112, 3), DecoderPool(1))
    start = time.perf_counter()
    stored[torch.arange(64)]
    work = max(0.03, 2 * (time.perf_counter() - start))
    waiting = Waiting(stored, 64, 40, work)
    say(f"a device that works {1000 * work:.0f} ms on 64 images waits "
        f"{100 * waiting.fraction(0):.1f} % of a step, with two updates read ahead "
        f"{100 * waiting.fraction(2):.1f} %")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--memory", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.memory:
        measure_memory(arguments.memory)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        measure_decoding(folder, arguments.images)
        measure_large(folder, max(1, arguments.images // 20))
        measure_waiting(folder, arguments.images)
        many = folder / "many"
        many.mkdir()
        contents = encoded(20_000, 112)
        for number in range(20_000):
            (many / f"{number:06}.jpg").write_bytes(contents[number])
        subprocess.run([sys.executable, __file__, "--memory", str(many)], check=True)


if __name__ == "__main__":
    main()
