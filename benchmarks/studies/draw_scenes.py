"""Draw scenes for a multi-task problem: images of one shape, with labels of it.

    python benchmarks/studies/draw_scenes.py runs/scenes

writes 32 x 32 images and ``labels.csv`` with classes (shape, color, dots) and numbers (x, y,
size). Nothing is downloaded; the same seed draws the same images.
"""

import argparse
import colorsys
import csv
import math
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

SIDE, FACTOR = 32, 4  # side of an image in pixels, and the scale at which it is drawn
SHAPES = {"triangle": 3, "square": 4, "pentagon": 5, "hexagon": 6, "disc": 64}
COLORS = {"red": 0.0, "yellow": 0.16, "green": 0.33, "cyan": 0.5, "blue": 0.66, "violet": 0.82}
MOST_DOTS = 3


def draw(random: np.random.Generator) -> tuple[Image.Image, dict[str, str]]:
    """Return a scene and its labels; x, y and size are fractions of the side of the image."""
    shape = random.choice(list(SHAPES))
    color = random.choice(list(COLORS))
    size = random.uniform(0.12, 0.3)
    x, y = random.uniform(size, 1 - size, 2)
    dots = int(random.integers(0, MOST_DOTS + 1))
    side = SIDE * FACTOR
    ground = tuple(int(value) for value in random.integers(40, 216, 3))
    picture = Image.new("RGB", (side, side), ground)
    pen = ImageDraw.Draw(picture)
    pen.polygon(_corners(SHAPES[shape], x, y, size, random), fill=_rgb(color, random))
    for _ in range(dots):
        a, b = random.uniform(0.05, 0.95, 2) * side
        pen.ellipse((a - 5, b - 5, a + 5, b + 5), fill="white", outline="black", width=2)
    small = np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BOX), dtype=np.float64)
    noisy = np.clip(small + random.normal(0, 20, small.shape), 0, 255).astype(np.uint8)
    labels = {"shape": shape, "color": color, "dots": str(dots),
              "x": f"{x:.4f}", "y": f"{y:.4f}", "size": f"{size:.4f}"}  # fmt: skip
    return Image.fromarray(noisy), labels


def _corners(
    count: int, x: float, y: float, size: float, random: np.random.Generator
) -> list[tuple[float, float]]:
    turn = random.uniform(0, 2 * math.pi)
    angles = [turn + 2 * math.pi * corner / count for corner in range(count)]
    side = SIDE * FACTOR
    return [((x + size * math.cos(a)) * side, (y + size * math.sin(a)) * side) for a in angles]


def _rgb(color: str, random: np.random.Generator) -> tuple[int, int, int]:
    hue = COLORS[color] + random.normal(0, 0.025)
    rgb = colorsys.hsv_to_rgb(hue % 1, random.uniform(0.5, 1), random.uniform(0.5, 1))
    red, green, blue = (int(255 * part) for part in rgb)
    return red, green, blue


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="a new folder")
    parser.add_argument("--scenes", type=int, default=2400)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=False)
    rows = []
    for number in range(options.scenes):
        picture, labels = draw(np.random.default_rng([options.seed, number]))
        name = f"scene-{number:04d}.png"
        picture.save(options.out / name)
        rows.append({"file": name, **labels})
    with (options.out / "labels.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    print(f"{options.scenes} scenes and labels.csv are in {options.out}")


if __name__ == "__main__":
    main()
