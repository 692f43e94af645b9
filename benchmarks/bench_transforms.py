"""Time of transforms for each sample, on one thread, with and without a depth map.

Samples are RGB images of 96 x 96 pixels. The time is the best of five batches of 64 samples.

    python benchmarks/bench_transforms.py
"""

import time
from functools import partial

import torch

from mtlkit.data import (
    ClassTarget,
    ColorJitter,
    Crop,
    Erase,
    Mirror,
    Mixup,
    RealMapTarget,
    ResizedCrop,
    Rotate,
    Transform,
)
from mtlkit.data.pipeline import Pipeline
from mtlkit.training.batching.batches import sample_seed

SIDE = 96
SAMPLES = 64
LISTS: dict[str, tuple[Transform, ...]] = {
    "mirror, crop": (Mirror(), Crop(size=SIDE, padding=4)),
    "resized-crop": (ResizedCrop(size=SIDE),),
    "rotate": (Rotate(),),
    "erase": (Erase(p=1.0),),
    "color-jitter": (ColorJitter(),),
    "color-jitter, hue: 0": (ColorJitter(hue=0.0),),
    "mixup": (Mixup(),),
}
TARGETS = {"kind": ClassTarget(names=("a", "b")), "depth": RealMapTarget(quantity="depth")}


def microseconds(transforms: tuple[Transform, ...], tasks: tuple[str, ...]) -> float:
    """Return the time for each sample."""
    labels = {"kind": torch.zeros(SAMPLES).long(), "depth": torch.rand(SAMPLES, 1, SIDE, SIDE)}
    images = torch.randint(256, (SAMPLES, 3, SIDE, SIDE), dtype=torch.uint8)
    pipeline = Pipeline(
        transforms,
        images,
        {task: labels[task] for task in tasks},
        {task: TARGETS[task] for task in tasks},
    )
    times = []
    for epoch in range(6):  # the first imports torchvision
        start = time.perf_counter()
        pipeline.batch(torch.arange(SAMPLES), partial(sample_seed, 0, epoch))
        times.append(time.perf_counter() - start)
    return min(times[1:]) / SAMPLES * 1e6


def main() -> None:
    """Print a table."""
    torch.set_num_threads(1)
    print(f"{'transforms':<22} {'class':>8} {'and depth':>10}   microseconds for each sample")
    for name, transforms in LISTS.items():
        alone = microseconds(transforms, ("kind",))
        both = "" if name == "mixup" else f"{microseconds(transforms, ('kind', 'depth')):.0f}"
        print(f"{name:<22} {alone:>8.0f} {both:>10}")


if __name__ == "__main__":
    main()
