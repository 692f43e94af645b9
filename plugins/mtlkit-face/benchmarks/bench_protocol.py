"""Time a protocol of CFP's size, relative to the bare network on its unique pictures.

    python benchmarks/bench_protocol.py --sets FOLDER             # 500 people, 7,000 pictures
    python benchmarks/bench_protocol.py --sets FOLDER --people 50

Rendered faces of 100 px are written as JPEG to FOLDER in CFP's layout, once. The complete
evaluation (reading lists, decoding, embedding, scores, 2,000 bootstrap replicates, report blocks)
and the bare network on decoded pictures and their mirror images are timed in turns, in CPU seconds
of one thread. The network is untrained: time does not depend on weights.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from mtlkit_face.protocols.pairs.cfp import CFP
from mtlkit_face.protocols.pictures import decode_picture
from mtlkit_synthetic_faces import FaceSet, render_set
from PIL import Image

from mtlkit import Role, Task
from mtlkit.assembly import Assembly
from mtlkit.backbones import CasiaNet
from mtlkit.data import ClassTarget, Frame, InputSpec
from mtlkit.model import MultiTaskModel, assemble
from mtlkit.routers import Shared

TARGET = 1.2
FOLDS, FRONTAL, PROFILE, SIDE, BATCH = 10, 10, 4, 100, 128
CLASSES = 10_575  # of CASIA-WebFace


def write_sets(folder: Path, people: int) -> None:
    """Write the pictures and lists of CFP, with 350 + 350 pairs a fold for 500 people."""
    faces = FaceSet(
        subjects=people, images_per_subject=FRONTAL + PROFILE, size=48, first_subject=200_000
    )
    rendered = render_set(faces, cache=None, workers=None)
    lists: dict[str, list[str]] = {"F": [], "P": []}
    for person, subject in enumerate(sorted(set(rendered.rows.subject.tolist()))):
        rows = np.flatnonzero(rendered.rows.subject == subject)
        rows = rows[np.argsort(np.abs(rendered.rows.yaw[rows]), kind="stable")]
        for number, row in enumerate(rows.tolist()):
            kind, place = ("F", number) if number < FRONTAL else ("P", number - FRONTAL)
            name = "frontal" if kind == "F" else "profile"
            path = folder / f"Data/Images/{person + 1:03d}/{name}/{place + 1:02d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            image = Image.fromarray(rendered.images[row, 0]).resize((SIDE, SIDE))
            image.save(path, quality=95)
            relative = path.relative_to(folder).as_posix()
            lists[kind].append(f"{len(lists[kind]) + 1} ../{relative}")
    protocol = folder / "Protocol"
    protocol.mkdir()
    for kind, lines in lists.items():
        (protocol / f"Pair_list_{kind}.txt").write_text("\n".join(lines) + "\n")
    write_splits(protocol, people)


def write_splits(protocol: Path, people: int) -> None:
    """Write pairs of the people of each fold; every picture of a person is in a pair."""
    random = np.random.default_rng(0)
    per_fold = people // FOLDS
    for name, most in (("FF", FRONTAL), ("FP", PROFILE)):
        for fold in range(FOLDS):
            folder = protocol / f"Split/{name}/{fold + 1:02d}"
            folder.mkdir(parents=True)
            members = np.arange(per_fold) + fold * per_fold
            pairs: dict[str, list[str]] = {"same": [], "diff": []}
            for person in members.tolist():
                for turn in range(7):  # 7 pairs of each kind for each of 50 people
                    other = person
                    while other == person:
                        other = int(random.choice(members))
                    one, two = turn, (turn + 3) % most
                    pairs["same"].append(f"{person * FRONTAL + one + 1},{person * most + two + 1}")
                    one = (turn + 3) % FRONTAL
                    pairs["diff"].append(f"{person * FRONTAL + one + 1},{other * most + two + 1}")
            for kind, lines in pairs.items():
                (folder / f"{kind}.txt").write_text("\n".join(lines) + "\n")


def network(width: float) -> MultiTaskModel:
    """Return an untrained CASIA-Net of a relative width with one task."""
    assembly = Assembly(
        inputs=InputSpec(shape=(1, SIDE, SIDE), mean=(127.5,), std=(128.0,)),
        targets={"identity": ClassTarget(names=tuple(map(str, range(CLASSES))))},
    )
    tasks = {"identity": Task(role=Role.MAIN)}
    return assemble(CasiaNet(width=width), Shared(), tasks, assembly).eval()


def bare(model: MultiTaskModel, images: torch.Tensor) -> None:
    """Compute the logits of pictures and their mirror images."""
    with torch.inference_mode():
        for batch in images.split(BATCH):
            model(batch)
            model(batch.flip(-1))


def seconds(function: Callable[[], object]) -> float:
    """Return the CPU seconds of a call."""
    start = time.process_time()
    function()
    return time.process_time() - start


def main() -> None:
    """Time both in turns, and print their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", type=Path, required=True)
    parser.add_argument("--people", type=int, default=500)
    parser.add_argument("--width", type=float, default=0.5)
    parser.add_argument("--repeats", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if not options.sets.exists():
        write_sets(options.sets, options.people)
    model = network(options.width)
    count = options.people // FOLDS * 7
    cfp = CFP(images=options.sets, fold_pairs=count, batch=BATCH)
    parts = cfp.pair_sets()
    paths = {
        pairs.pictures[i].source: pairs.pictures[i]
        for pairs in parts.values()
        for i in pairs.used()
    }
    frame = Frame(SIDE, SIDE, 1)
    pixels = [decode_picture(picture, frame).pixels for picture in paths.values()]
    images = torch.from_numpy(np.stack(pixels))
    embeddings: list[int] = []
    ratios = []
    for _ in range(options.repeats):
        alone = seconds(lambda: bare(model, images))
        whole = seconds(lambda: cfp.outcome(model, lambda done, _: embeddings.append(done)))
        ratios.append(whole / alone)
        sys.stdout.write(
            f"bare network {alone:.1f} s, protocol {whole:.1f} s, ratio {ratios[-1]:.3f}; "
            f"{max(embeddings):,} pictures embedded, {len(paths):,} unique\n"
        )
        sys.stdout.flush()
    best = min(ratios)
    verdict = "met" if best <= TARGET else "missed"
    pairs_count = sum(map(len, parts.values()))
    sys.stdout.write(f"{pairs_count:,} pairs: ratio {best:.3f}, target {TARGET}: {verdict}\n")


if __name__ == "__main__":
    main()
