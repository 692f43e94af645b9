"""Measure pictures a second on one core: all combinations of one session, best of several.

    python benchmarks/bench_render.py            # the two targets of the project
    python benchmarks/bench_render.py --sampled  # four lights a geometry, as in training sets

Time is processor time of this process, which other programs affect little.
"""

import argparse
import sys
import time

from mtlkit_synthetic_faces.face_set import FaceSet
from mtlkit_synthetic_faces.plan import plan
from mtlkit_synthetic_faces.rendering.render import PhotoSession, Studio

TARGETS = {100: 300, 48: 1000}


def best_speed(faces: FaceSet, repeats: int) -> float:
    """Return pictures a second of processor time, the best of `repeats`."""
    studio = Studio.open(faces)
    rows = plan(faces)
    first = rows.take(rows.session == 0)
    PhotoSession.of(studio, 0, 0).photographs(first.take(slice(0, 4)))  # compiles the kernels
    best = 0.0
    for _ in range(repeats):
        start = time.process_time()
        PhotoSession.of(studio, 0, 0).photographs(first)
        best = max(best, len(first) / (time.process_time() - start))
    return best


def main() -> None:
    """Print a line for each size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--sampled", action="store_true")
    parser.add_argument("--channels", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    for size, target in TARGETS.items():
        faces = FaceSet(
            subjects=1,
            size=size,
            channels=arguments.channels,
            images_per_subject=112 if arguments.sampled else None,
        )
        speed = best_speed(faces, arguments.repeats)
        goal = "" if arguments.sampled else f" (target {target})"
        sys.stdout.write(f"{size} px, supersampling 2: {speed:.0f} pictures/s a core{goal}\n")


if __name__ == "__main__":
    main()
