"""Model card of a run in Markdown: network, data, intended use, limits, law and metrics.

Follows Mitchell et al., "Model Cards for Model Reporting" (2019).
"""

import hashlib
from collections.abc import Iterator, Mapping

import attrs

from mtlkit.runs import Evaluation, card_table, card_versions, number, read_evaluation
from mtlkit_face.data.rendered import Rendered
from mtlkit_face.inference.model import FaceModel
from mtlkit_face.inference.onnx_export import ExportedTemplates

_UNSTATED = "not stated; the trainer of the model must state it before passing the model on"

_DEFAULT_METRICS = tuple(
    f"{start}/{name}"
    for start in ("face", "face/validation")
    for name in ("rank1", "rank5", "eer", "threshold")
)

_USE = """\
Research on multi-task learning and pose-invariant recognition: comparison of two face images, or of
one image with a gallery of people who agreed to be enrolled. Templates are compared by their dot
product, and only with templates of the same fingerprint."""

_LIMITS = """\
- The network does not detect faces. An image must show one face, aligned as in training; otherwise
  its template is meaningless, and no error is raised.
- It does not distinguish a face from a photograph of a face, so it does not resist presentation
  attacks.
- A score is not a probability of identity. The threshold was measured on one data set; other
  cameras, ages, light or people require a threshold measured on a representative data set.
- Accuracy differs between groups of people. Groups without a figure in the tables below were not
  measured. Do not use the model for decisions that affect people without measuring them.
- Templates are biometric data: images can be partly reconstructed from them. Protect galleries like
  the photographs, and delete them on request.
- Not for surveillance, for finding people without their consent, or for inferring emotion, health,
  origin or belief from a face."""

_LAW = """\
Pointers, not legal advice; the applicable law depends on the place and purpose of use.

- EU: Regulation (EU) 2016/679 (GDPR), Article 9: biometric data for the purpose of uniquely
  identifying a person are a special category, whose processing is prohibited but for the exceptions
  listed there; Article 35: impact assessment.
- EU: Regulation (EU) 2024/1689 (AI Act), Article 5: prohibited practices, among them untargeted
  scraping of faces to build databases and, with exceptions, remote identification in real time in
  public places for law enforcement; Annex III, point 1: biometric systems counted as high-risk.
- Illinois, USA: Biometric Information Privacy Act, 740 ILCS 14: a public policy, notice and written
  release before faces are scanned, and a limit to how long templates are kept."""

_RENDERED = """\
The images are rendered from a CC0 1.0 head model (MakeHuman / MPFB2); none is a photograph of a
person. A model trained on them does not recognize real people: it serves to compare methods."""


@attrs.frozen(kw_only=True)
class Licenses:
    """Licenses of the weights and of the training data; None if not stated."""

    weights: str | None = None
    data: str | None = None


def model_card(
    model: FaceModel, licenses: Licenses, exported: ExportedTemplates | None = None
) -> str:
    """Return the card of `model` as Markdown, with missing facts marked as not stated.

    Raises `RunError` if the run has not been evaluated.
    """
    evaluation = read_evaluation(model.folder)
    parts = [
        f"# Model card: {model.folder.path.absolute().name}",
        evaluation.facts.get("model", "A multi-task network") + ", trained with mtlkit.",
        "## The model\n\n" + card_table(("", ""), _identity(model, evaluation, exported)),
        "## Licenses\n\n" + card_table(("", ""), _licenses(model, licenses)),
        f"## Intended use\n\n{_USE}",
        f"## Limits\n\n{_LIMITS}",
        f"## Law\n\n{_LAW}",
        "## Data\n\n" + _data(model, evaluation),
        "## Measured\n\n" + "\n\n".join(_measured(evaluation)),
        "## Versions\n\n" + card_table(("", ""), card_versions(model.folder)),
    ]
    return "\n\n".join(parts) + "\n"


def _identity(
    model: FaceModel, evaluation: Evaluation, exported: ExportedTemplates | None
) -> Iterator[tuple[str, str]]:
    frame = model.frame
    color = "gray" if frame.channels == 1 else "RGB"
    yield "input", f"8-bit {color} images of {frame.width} x {frame.height} pixels"
    yield "output", f"templates of {model.size} numbers, from the task {model.task!r}"
    for fact in ("backbone", "tasks", "router", "weighting", "training", "parameters"):
        if fact in evaluation.facts:
            yield fact, evaluation.facts[fact]
    yield "weights, SHA-256", f"`{model.weights}` ({model.folder.model.name})"
    yield "fingerprint of templates", f"`{model.fingerprint}`"
    if exported is not None:
        digest = hashlib.sha256(exported.path.read_bytes()).hexdigest()
        yield "ONNX, SHA-256", f"`{digest}` ({exported.path.name})"
        for images, largest in exported.differences.items():
            yield f"ONNX compared with PyTorch, {images}", f"differs by {largest:.1g} at most"


def _licenses(model: FaceModel, licenses: Licenses) -> Iterator[tuple[str, str]]:
    yield "weights", licenses.weights or _UNSTATED
    rendered = isinstance(model.recipe.data, Rendered)
    yield "training data", licenses.data or ("CC0 1.0, rendered" if rendered else _UNSTATED)
    yield "mtlkit, mtlkit-face", "Apache-2.0; the head model of rendered faces CC0-1.0"


def _data(model: FaceModel, evaluation: Evaluation) -> str:
    facts = [(name, evaluation.facts[name]) for name in _data_facts(evaluation)]
    source = type(model.recipe.data).__name__
    text = card_table(("", ""), [("source", source), *facts])
    if isinstance(model.recipe.data, Rendered):
        return f"{_RENDERED}\n\n{text}"
    return (
        f"{text}\n\nThe run does not record who is in the images, how they consented, and how they "
        f"are distributed; the trainer of the model must state it."
    )


def _data_facts(evaluation: Evaluation) -> list[str]:
    """Return the names of the facts between "data" and "input", which the data source reported."""
    names = list(evaluation.facts)
    first = names.index("data") + 1 if "data" in names else 0
    last = names.index("input") if "input" in names else len(names)
    return names[first:last]


def _measured(evaluation: Evaluation) -> Iterator[str]:
    """Yield a table of the main metrics, and a table of each metric measured by group."""
    shown = dict.fromkeys((*evaluation.headlines, *_DEFAULT_METRICS))
    headlines = [
        (f"`{name}`", number(evaluation.metrics[name]))
        for name in shown
        if name in evaluation.metrics
    ]
    yield card_table(("metric", "value"), headlines) if headlines else "Nothing was measured."
    groups = _by_group(evaluation.metrics)
    for name, values in groups.items():
        yield card_table((f"`{name}` by group", "value"), list(values.items()))
    if not groups:
        yield "No metric was measured by groups of images or people."
    yield (
        "Groups are the classes of labels in the data. Sex, age and skin color were not measured "
        "unless named above."
    )


def _by_group(metrics: Mapping[str, float]) -> dict[str, dict[str, str]]:
    """Return the metrics ``face/rank1/<label>/<class>`` of the network, grouped by metric.

    >>> _by_group({"face/rank1": 0.5, "face/rank1/yaw/-90": 0.25, "face/best/rank1": 0.5})
    {'face/rank1': {'yaw -90': '0.2500'}}
    """
    groups: dict[str, dict[str, str]] = {}
    for name, value in metrics.items():
        start, middle, rest = name.partition("/rank1/")
        label, slash, group = rest.partition("/")
        if middle and slash and start in ("face", "face/validation"):
            groups.setdefault(f"{start}/rank1", {})[f"{label} {group}"] = number(value)
    return groups
