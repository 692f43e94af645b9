"""Every command that writes files but does not train, each over the files of an earlier call."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from fault_campaign.acts import Act, call
from fault_campaign.child import in_child
from fault_campaign.home import RESULTS, clear, import_modules_of, train

OUTPUTS = (
    ("predict", "few.csv", "--out", "run/predictions.csv"),
    ("predict", "few.csv", "--out", "run/predictions.parquet"),
    ("export", "--out", "run/weights.safetensors"),
    ("export", "--out", "run/weights.onnx"),
)
"""Commands of a finished run with an output file."""


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
    with contextlib.suppress(ImportError):  # mtlkit-face is not installed
        from fault_campaign.face_writers import face_acts

        yield from face_acts(home)
