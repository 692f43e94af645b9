"""Every command that writes files but does not train, each over the files of an earlier call."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from fault_campaign.acts import Act, call
from fault_campaign.child import in_child
from fault_campaign.home import RECIPE, RESULTS, clear, import_modules_of, train

OUTPUTS = (
    ("predict", "few.csv", "--out", "run/predictions.csv"),
    ("predict", "few.csv", "--out", "run/predictions.json"),
    ("predict", "few.csv", "--out", "run/predictions.parquet"),
    ("export", "--out", "run/weights.safetensors"),
    ("export", "--out", "run/weights.pt2"),
    ("export", "--out", "run/weights.onnx"),
)
"""Commands of a finished run with an output file."""


MAPS = """\
data:
  type: images
  folder: scenes
  size: [8, 8]
  pattern: "{number}.png"
  ignore: ["*_area.png"]
  maps: {area: {files: "{stem}_area.png", classes: [dark, bright]}}
  split: {validation: 0.25, test: 0.25}
backbone: {type: unet, channels: 4, depth: 1}
tasks: {area: {head: segmentation}}
train: {epochs: 1, batch: 4, threads: 1, device: cpu}
"""
"""Pixels of two classes in pictures."""


PREDICT_MAPS = ("predict", "run", "scenes", "--out", "run/predictions.csv")


def writing_acts(home: Path) -> Iterator[Act]:
    """Yield an act for each command and each format."""
    (home / "few.csv").write_text("x,y\n1,2\n3,4\n")
    train("run")
    for name, *options in OUTPUTS:
        in_child(call(name, "run", *options))
    tune = ("tune", "recipe.yaml", "--trials", "2", "--out", "tuned", "--quiet")
    import_modules_of(tune, *((name, "run", *options) for name, *options in OUTPUTS))
    clear(home / "tuned")
    finished = home / "finished"
    (home / "run").rename(finished)
    train("run", _scenes(home))
    in_child(call(*PREDICT_MAPS))
    (home / "run").rename(home / "mapped")
    maps = ("predictions.csv", "predictions_maps")
    yield Act("`predict` of maps", call(*PREDICT_MAPS), maps, home / "mapped", whole=False)
    yield from _acts_of_recipes(home)
    yield Act("`evaluate`", call("evaluate", "run"), ("evaluation.json", *RESULTS), finished)
    yield Act("`report`", call("report", "run"), ("report.html", *RESULTS), finished)
    for name, *options in OUTPUTS:
        out = Path(options[-1])
        options[0] = options[0].replace("few", "points")
        files = (out.name,) if name == "predict" else (out.name, "weights.md")
        yield Act(f"`{name}` to {out.suffix}", call(name, "run", *options), files, finished)
    yield Act(
        "`tune`",
        call(*tune[:-2], "run", "--quiet"),
        ("trials.jsonl", "recipe.yaml", "tuning.svg"),
        whole=False,
    )
    yield from _acts_of_new_folders(home)
    with contextlib.suppress(ImportError):  # mtlkit-face is not installed
        from fault_campaign.face_writers import face_acts

        yield from face_acts(home)


def _scenes(home: Path) -> str:
    """Draw pictures and the classes of their pixels, and return the name of their recipe."""
    rng = np.random.default_rng(0)
    (home / "scenes").mkdir()
    for number in range(8):
        pixels = rng.integers(0, 256, (8, 8, 3), np.uint8)
        Image.fromarray(pixels).save(home / "scenes" / f"{number}.png")
        area = (pixels[..., 0] > 128).astype(np.uint8)
        Image.fromarray(area).save(home / "scenes" / f"{number}_area.png")
    (home / "maps.yaml").write_text(MAPS)
    return "maps.yaml"


def _acts_of_recipes(home: Path) -> Iterator[Act]:
    """Yield the commands that train in memory, and write what they measured over another result."""
    kept = home / "measured"
    kept.mkdir()
    rates = ("lr-find", "recipe.yaml", "--set", "train.batch=12", "--steps", "10",
             "--out", "run/rates.csv", "--from")  # fmt: skip
    affinity = ("affinity", "recipe.yaml", "--every", "2", "--out", "run", "--groups")
    kept.rename(home / "run")
    in_child(call(*rates, "1e-3"))
    in_child(call(*affinity, "2"))
    (home / "run").rename(kept)
    yield Act("`lr-find`", call(*rates, "1e-4"), ("rates.csv",), kept)
    files = ("affinity.json", "affinity.svg", "group-1.yaml")
    yield Act("`affinity`", call(*affinity, "1"), files, kept)


def _acts_of_new_folders(home: Path) -> Iterator[Act]:
    """Yield the commands that create a folder."""
    empty = home / "new"
    empty.mkdir()
    for name, task in (("left", "side: {}"), ("right", "height: {head: regression}")):
        text = re.sub(r"tasks: .*", f"tasks: {{{task}}}", RECIPE)
        text = re.sub(r"weighting: .*", "weighting: equal", text)
        (home / f"{name}.yaml").write_text(text)
        train(name, f"{name}.yaml")
    merged = tuple(f"merged/{name}" for name in (*RESULTS[1:], "evaluation.json", "report.html"))
    yield Act("`merge`", call("merge", "left", "right", "--out", "run/merged"), merged, empty)
    plugin = call("plugin", "new", "acme", "--out", "run/acme")
    yield Act("`plugin new`", plugin, ("acme",), empty)
    inside = call("plugin", "new", "acme", "--out", "run")
    yield Act("`plugin new` in an empty folder", inside, (".",), empty, whole=False)
