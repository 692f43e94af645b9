"""A model card in Markdown: what a run's network is, was trained on and measured, and its limits.

In the form of Mitchell et al., "Model Cards for Model Reporting" (2019).
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import attrs

from mtlkit.report import Evaluation, number
from mtlkit.runs import read_evaluation
from mtlkit_face.data.rendered import Rendered
from mtlkit_face.inference.model import FaceModel
from mtlkit_face.inference.onnx_export import Exported

_UNSTATED = "not stated; whoever trained the model must say, before it is passed on"

_USUAL = tuple(
    f"{start}/{name}"
    for start in ("face", "face/validation")
    for name in ("rank1", "rank5", "eer", "threshold")
)

_USE = """\
Research into multi-task learning and pose-invariant recognition: comparing two images of faces, or
one image with a gallery of people who were enrolled knowingly. Templates are compared by their dot
product, and only with templates of the same fingerprint."""

_LIMITS = """\
- The network does not look for faces. An image must show one face, aligned as in the training;
  otherwise its template means nothing, and no error says so.
- It does not tell a face from a photograph of it: it is no defence against presentation attacks.
- A score is no probability of identity. The threshold is that of one data set; others, with other
  cameras, ages, light or people, need one of their own, measured on people who stand for them.
- How well it does differs between groups of people. Where the tables below have no figure for a
  group, nothing is known of it. Do not use it for decisions that affect people without measuring.
- Templates are biometric data: images can be reconstructed from them in part. Keep galleries as
  carefully as the photographs, and delete them on request.
- Not for surveillance, for finding people who do not know of it, or for inferring emotion, health,
  origin or belief from a face."""

_LAW = """\
Pointers, not legal advice; what holds depends on where and for what the model is used.

- EU: Regulation (EU) 2016/679 (GDPR), Article 9: biometric data for the purpose of uniquely
  identifying a person are a special category, whose processing is prohibited but for the exceptions
  listed there; Article 35: impact assessment.
- EU: Regulation (EU) 2024/1689 (AI Act), Article 5: prohibited practices, among them untargeted
  scraping of faces to build databases and, with exceptions, remote identification in real time in
  public places for law enforcement; Annex III, point 1: biometric systems counted as high-risk.
- Illinois, USA: Biometric Information Privacy Act, 740 ILCS 14: a public policy, notice and written
  release before faces are scanned, and a limit to how long templates are kept."""

_RENDERED = """\
The images are rendered from a CC0 1.0 head model (MakeHuman / MPFB2); no photograph of a person is
among them. A model trained on them recognises nobody: it measures methods, not people."""


@attrs.frozen(kw_only=True)
class Licences:
    """What the maker says of the licences of the weights and of the data; None where unsaid."""

    weights: str | None = None
    data: str | None = None


def model_card(model: FaceModel, licences: Licences, exported: Exported | None = None) -> str:
    """The card of `model` as Markdown; `RunError` where its run has not been evaluated.

    It says what the run knows and, where something is not known, that it is not.
    """
    evaluation = read_evaluation(model.folder)
    parts = [
        f"# Model card: {model.folder.path.absolute().name}",
        evaluation.facts.get("model", "A multi-task network") + ", trained with mtlkit.",
        "## The model\n\n" + _table(("", ""), _identity(model, evaluation, exported)),
        "## Licences\n\n" + _table(("", ""), _licences(model, licences)),
        f"## Intended use\n\n{_USE}",
        f"## Limits\n\n{_LIMITS}",
        f"## Law\n\n{_LAW}",
        "## Data\n\n" + _data(model, evaluation),
        "## Measured\n\n" + "\n\n".join(_measured(evaluation)),
        "## Versions\n\n" + _table(("", ""), _versions(model.folder.provenance)),
    ]
    return "\n\n".join(parts) + "\n"


def _identity(
    model: FaceModel, evaluation: Evaluation, exported: Exported | None
) -> Iterator[tuple[str, str]]:
    frame = model.frame
    colours = "gray" if frame.channels == 1 else "RGB"
    yield "input", f"8-bit {colours} images of {frame.width} x {frame.height} pixels"
    yield "output", f"templates of {model.size} numbers, from the task {model.task!r}"
    for fact in ("backbone", "tasks", "router", "weighting", "training", "parameters"):
        if fact in evaluation.facts:
            yield fact, evaluation.facts[fact]
    yield "weights, SHA-256", f"`{model.weights}` ({model.folder.model.name})"
    yield "fingerprint of templates", f"`{model.fingerprint}`"
    if exported is not None:
        digest = hashlib.sha256(exported.path.read_bytes()).hexdigest()
        yield "ONNX, SHA-256", f"`{digest}` ({exported.path.name})"
        for what, found in exported.differences.items():
            yield f"ONNX against PyTorch, {what}", f"differs by {found:.1g} at most"


def _licences(model: FaceModel, licences: Licences) -> Iterator[tuple[str, str]]:
    yield "weights", licences.weights or _UNSTATED
    rendered = isinstance(model.recipe.data, Rendered)
    yield "training data", licences.data or ("CC0 1.0, rendered" if rendered else _UNSTATED)
    yield "mtlkit, mtlkit-face", "Apache-2.0; the head model of rendered faces CC0-1.0"


def _data(model: FaceModel, evaluation: Evaluation) -> str:
    facts = [(name, evaluation.facts[name]) for name in _about_data(evaluation)]
    source = type(model.recipe.data).__name__
    text = _table(("", ""), [("source", source), *facts])
    if isinstance(model.recipe.data, Rendered):
        return f"{_RENDERED}\n\n{text}"
    return (
        f"{text}\n\nWho is in the images, how they were asked, and how the people are distributed "
        f"is not known to the run: whoever trained the model must say."
    )


def _about_data(evaluation: Evaluation) -> list[str]:
    """The facts between the data's name and the model's input: what the data says of itself."""
    names = list(evaluation.facts)
    first = names.index("data") + 1 if "data" in names else 0
    last = names.index("input") if "input" in names else len(names)
    return names[first:last]


def _measured(evaluation: Evaluation) -> Iterator[str]:
    """The headlines, and a table of each metric that was measured by groups."""
    shown = dict.fromkeys((*evaluation.headlines, *_USUAL))
    headlines = [
        (f"`{name}`", number(evaluation.metrics[name]))
        for name in shown
        if name in evaluation.metrics
    ]
    yield _table(("metric", "value"), headlines) if headlines else "Nothing was measured."
    groups = _by_group(evaluation.metrics)
    for name, values in groups.items():
        yield _table((f"`{name}` by group", "value"), list(values.items()))
    if not groups:
        yield "No metric was measured by groups of images or people."
    yield (
        "Groups are those that the data has labels for. No figure is by sex, age or skin colour "
        "unless it is named above."
    )


def _by_group(metrics: Mapping[str, float]) -> dict[str, dict[str, str]]:
    """The metrics ``face/.../rank1/label/value`` of the network itself: value by ``rank1/label``.

    >>> _by_group({"face/rank1": 0.5, "face/rank1/yaw/-90": 0.25, "face/best/rank1": 0.5})
    {'face/rank1': {'yaw -90': '0.2500'}}
    """
    found: dict[str, dict[str, str]] = {}
    for name, value in metrics.items():
        start, middle, rest = name.partition("/rank1/")
        label, slash, group = rest.partition("/")
        if middle and slash and start in ("face", "face/validation"):
            found.setdefault(f"{start}/rank1", {})[f"{label} {group}"] = number(value)
    return found


def _versions(provenance: Path) -> Iterator[tuple[str, str]]:
    found = json.loads(provenance.read_text(encoding="utf-8"))
    versions = {"python": found["python"], **found["versions"]}
    for component in found["components"].values():
        versions[component["distribution"]] = component["version"]
    yield from sorted(versions.items())


def _table(header: tuple[str, str], rows: Iterable[tuple[str, str]]) -> str:
    lines = [header, ("---", "---"), *rows]
    return "\n".join(f"| {_cell(left)} | {_cell(right)} |" for left, right in lines)


def _cell(text: str) -> str:
    """Text in one cell: a bar would begin another, a new line another row."""
    return " ".join(text.split()).replace("|", "\\|")
