"""Run in two processes: runs that change between one and two processes within an epoch.

Usage: other_ranks.py FOLDER RANK. Each case trains alone to its end, and again in three sessions:
in one process, in both, and in one. For each update, a digest of each sample of a micro-batch is
written as the network gets it: `CASE/straight.json` and `CASE/changed.RANK.json`, lists by step.
"""

import hashlib
import io
import json
import sys
import tarfile
from datetime import timedelta
from pathlib import Path

import attrs
import numpy as np
import pyarrow
import torch
import torch.distributed as dist
from PIL import Image
from pyarrow import parquet

from mtlkit import fit, load_catalog, load_recipe, resume
from mtlkit.data import Loading
from mtlkit.errors import InterruptedRunError
from mtlkit.training.gradients.backward import Backward
from mtlkit.training.update import Updater

SHARDS = (
    "{{type: shards, shards: ['{name}-{{0..{last}}}.{kind}'], size: 8, channels: 1, "
    "numeric: [yaw], split: {{validation: 0.25, test: 0}}, order: {order}, block: 5, window: 2}}"
)
FEW, MANY = (
    {"name": name, "last": last, "kind": "tar"} for name, last in (("few", 0), ("many", 2))
)
MIX = """
type: mix
sources:
  many: {many}
  few: {few}
ratios: {{many: 3}}
shared: [who]
"""
CASES = {
    "blocks": SHARDS.format(**MANY, order="blocks"),
    "full": SHARDS.format(**MANY, order="full"),
    "parquet": SHARDS.format(**{**MANY, "kind": "parquet"}, order="blocks"),
    "mix": MIX.format(
        many=SHARDS.format(**MANY, order="blocks"),
        few=SHARDS.format(**FEW, order="full"),
    ),
}
RECIPE = """
backbone: {type: mlp, hidden: [8]}
tasks: {who: {}, yaw: {head: regression}}
transforms: {train: [mirror, erase]}
train: {epochs: 3, batch: 9, accumulate: 2, threads: 1, device: cpu, log_every: 4, workers: 1}
"""
STOPS = (6, 13)
"""Completed updates at which a session ends; 5 or more are an epoch."""


def samples(numbers):
    """Yield the key, the image and the labels of each sample."""
    for number in numbers:
        image = io.BytesIO()
        pixels = np.random.default_rng(number).integers(0, 256, (8, 8), dtype=np.uint8)
        Image.fromarray(pixels).save(image, "PNG")
        yield f"{number:03}", image.getvalue(), {"who": f"s{number % 3}", "yaw": number * 1.5}


def write_tar(path, numbers):
    with tarfile.open(path, "w") as tar:
        for key, image, labels in samples(numbers):
            for suffix, content in (("png", image), ("json", json.dumps(labels).encode())):
                info = tarfile.TarInfo(f"{key}.{suffix}")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))


def write_parquet(path, numbers):
    rows = [{"key": key, "image": image, **labels} for key, image, labels in samples(numbers)]
    parquet.write_table(pyarrow.Table.from_pylist(rows), path, row_group_size=5)


def digests(micro_batch):
    """A digest of the inputs and targets of each sample."""
    parts = [micro_batch.inputs, micro_batch.weights.T, *micro_batch.targets.values()]
    rows = [part.numpy() for part in parts]
    return [
        hashlib.sha256(b"".join(row[sample].tobytes() for row in rows)).hexdigest()
        for sample in range(len(rows[0]))
    ]


class Recorder:
    """Records the samples of each update, and stops a session after so many updates."""

    def __init__(self):
        self.updates, self.stop = {}, None
        plain_read, plain_update, recorder = Backward._micro_batches, Updater.update, self

        def read(backward, *arguments):
            for micro_batch in plain_read(backward, *arguments):
                recorder.updates[recorder.step].append(digests(micro_batch))
                yield micro_batch

        def update(updater, step, *rest):
            recorder.step = step
            recorder.updates[step] = []
            result = plain_update(updater, step, *rest)
            return attrs.evolve(result, stop=step + 1 == recorder.stop)

        Backward._micro_batches, Updater.update = read, update

    def session(self, stop, call, *arguments, **options):
        self.stop = stop
        try:
            call(*arguments, quiet=True, **options)
        except InterruptedRunError:
            assert stop is not None

    def write(self, path):
        path.write_text(json.dumps([self.updates[step] for step in sorted(self.updates)]))
        self.updates = {}


def main(folder, rank):
    torch.set_num_threads(1)
    catalog, recorder = load_catalog("none"), Recorder()
    first, second = STOPS
    loading = Loading(base=folder)
    for name in CASES:
        here = folder / name
        recipe = load_recipe(folder / f"{name}.yaml", catalog)
        changed = here / "changed"
        if rank == 0:
            recorder.session(None, fit, recipe, here / "straight", loading=loading)
            recorder.write(here / "straight.json")
            recorder.session(first, fit, recipe, changed, loading=loading)
        dist.init_process_group(
            "gloo", init_method=f"file://{here / 'store'}", rank=rank, world_size=2,
            timeout=timedelta(seconds=120),
        )  # fmt: skip
        recorder.session(second, resume, changed, accept=["ranks"])
        dist.destroy_process_group()
        if rank == 0:
            recorder.session(None, resume, changed, accept=["ranks"])
        recorder.write(here / f"changed.{rank}.json")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
