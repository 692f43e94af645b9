"""Measure memory and time of evaluating a model on a `.bin` set of 7,000 pairs of 112 px faces.

    python benchmarks/bench_pickled_pairs.py              # 7,000 pairs
    python benchmarks/bench_pickled_pairs.py --pairs 700

The set has noise of as many bytes as faces. Separate processes write, read and evaluate it. The
target applies to the process that reads. The one that evaluates also holds torch and the network,
so the memory of the set is printed next to its peak.
"""

import argparse
import io
import pickle
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TARGET = 400  # MB
CLASSES = 10_575  # of CASIA-WebFace, the widest templates of the paper


def write(path: Path, pairs: int) -> None:
    """Write a set of smooth noise in JPEG."""
    import numpy as np
    from PIL import Image

    random = np.random.default_rng(0)
    contents = []
    for _ in range(2 * pairs):
        noise = random.integers(0, 256, (28, 28, 3), dtype=np.uint8)
        image = Image.fromarray(noise).resize((112, 112), Image.Resampling.BICUBIC)
        target = io.BytesIO()
        image.save(target, format="JPEG", quality=90)
        contents.append(target.getvalue())
    path.write_bytes(pickle.dumps((contents, [i % 2 == 0 for i in range(pairs)]), protocol=4))


def megabytes() -> float:
    """Return the peak memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def evaluate(path: Path, width: float) -> None:
    """Print the peak memory before and after the evaluation of a set."""
    import torch
    from mtlkit_face.protocols.pairs.verification_bin import VerificationBin

    from mtlkit import Role, Task
    from mtlkit.assembly import Assembly
    from mtlkit.backbones import CasiaNet
    from mtlkit.data import ClassTarget, InputSpec
    from mtlkit.model import assemble
    from mtlkit.routers import Shared

    torch.set_num_threads(1)
    names = tuple(map(str, range(CLASSES)))
    assembly = Assembly(
        inputs=InputSpec(shape=(1, 100, 100), mean=(127.5,), std=(128.0,)),
        targets={"identity": ClassTarget(names=names)},
    )
    tasks = {"identity": Task(role=Role.MAIN)}
    model = assemble(CasiaNet(width=width), Shared(), tasks, assembly).eval()
    sys.stdout.write(f"torch, mtlkit and a CASIA-Net with {CLASSES:,} classes: {megabytes():.0f}\n")
    before = megabytes()
    start = time.process_time()
    VerificationBin(file=path, mirror=False, batch=32).outcome(model)
    peak = megabytes()
    sys.stdout.write(
        f"evaluated: {peak:.0f}, {peak - before:.0f} of them for the set "
        f"({time.process_time() - start:.0f} s of CPU)\n"
    )


def read(path: Path) -> None:
    """Print the peak memory of a process that only reads."""
    from mtlkit_face.protocols.pairs.verification_bin import read_pickled_pairs

    start = time.process_time()
    pairs = read_pickled_pairs(path)
    sys.stdout.write(
        f"{len(pairs):,} pairs read, {path.stat().st_size / 1e6:.0f} MB on the disk: "
        f"{megabytes():.0f}, target {TARGET} ({time.process_time() - start:.1f} s of CPU)\n"
    )


def main() -> None:
    """Run each stage in its own process, since peaks include earlier stages."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--pairs", type=int, default=7000)
    parser.add_argument("--width", type=float, default=0.25, help="of the CASIA-Net, for speed")
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--evaluate", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.write:
        return write(arguments.write, arguments.pairs)
    if arguments.read:
        return read(arguments.read)
    if arguments.evaluate:
        return evaluate(arguments.evaluate, arguments.width)
    with tempfile.TemporaryDirectory() as folder:
        sys.stdout.write("peak memory in MB\n")
        sys.stdout.flush()
        options = ("--pairs", str(arguments.pairs), "--width", str(arguments.width))
        for stage in ("--write", "--read", "--evaluate"):
            again = [sys.executable, __file__, stage, Path(folder) / "pairs.bin", *options]
            subprocess.run(again, check=True)
    return None


if __name__ == "__main__":
    main()
