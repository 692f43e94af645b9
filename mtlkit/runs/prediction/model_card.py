"""Model card of a run in Markdown: network, inputs, outputs, data, metrics and versions.

Follows Mitchell et al., "Model Cards for Model Reporting" (2019).
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from mtlkit.checksums import file_checksum
from mtlkit.features.inputs import InputSpec
from mtlkit.report.numbers import number
from mtlkit.runs.prediction.predict import SavedModel
from mtlkit.runs.report import read_evaluation
from mtlkit.runs.storage.folder import RunFolder, read_provenance

UNSTATED = "not stated; state it before passing the model on"


def model_card(
    model: SavedModel, path: Path, differences: Mapping[str, float], license: str | None = None
) -> str:
    """Return the card of `model`, exported to `path`, as Markdown.

    Raises `RunError` if the run has not been evaluated.
    """
    evaluation = read_evaluation(model.folder)
    metrics = [(name, number(value)) for name, value in evaluation.metrics.items()]
    source = evaluation.facts.get("data", "its data source")
    parts = [
        f"# Model card: {model.folder.path.absolute().name}",
        evaluation.facts.get("model", "A multi-task network") + ", trained with mtlkit.",
        "## Files\n\n" + card_table(("", ""), _files(path, differences, license)),
        "## Facts\n\n" + card_table(("", ""), evaluation.facts.items()),
        "## Inputs\n\n" + card_table(("input", "form"), _inputs(model)),
        "## Outputs\n\n" + card_table(("task", "form"), _outputs(model)),
        f"## Intended use and limits\n\nThe metrics hold for samples like those of {source}. "
        f"Measure other samples, and each group of people that a decision affects, before use.",
        "## Measured\n\n" + card_table(("metric", "value"), metrics),
        "## Versions\n\n" + card_table(("", ""), card_versions(model.folder)),
    ]
    return "\n\n".join(parts) + "\n"


def card_table(header: tuple[str, str], rows: Iterable[tuple[str, str]]) -> str:
    """Return a table of two columns in Markdown.

    >>> print(card_table(("a", "b"), [("x|y", "1")]))
    | a | b |
    | --- | --- |
    | x\\|y | 1 |
    """
    lines = [header, ("---", "---"), *rows]
    return "\n".join(f"| {_cell(left)} | {_cell(right)} |" for left, right in lines)


def card_versions(folder: RunFolder) -> Iterator[tuple[str, str]]:
    """Yield the versions of Python and the distributions of a run, by name."""
    record = read_provenance(folder)
    versions = {"python": record["python"], **record["versions"]}
    for component in record["components"].values():
        versions[component["distribution"]] = component["version"]
    yield from sorted(versions.items())


def _cell(text: str) -> str:
    """Escape bars and line breaks, which would start a new cell or row."""
    return " ".join(text.split()).replace("|", "\\|")


def _files(
    path: Path, differences: Mapping[str, float], license: str | None
) -> Iterator[tuple[str, str]]:
    yield "file", path.name
    yield "checksum (XXH3, 128 bits)", f"`{file_checksum(path)}`"
    yield "license", license or UNSTATED
    for inputs, largest in differences.items():
        yield f"compared with the network, {inputs}", f"differs by {largest:.1g} at most"


def _inputs(model: SavedModel) -> Iterator[tuple[str, str]]:
    specs = model.network.assembly.inputs
    for name, spec in ({"inputs": specs} if isinstance(specs, InputSpec) else specs).items():
        shape = " x ".join(map(str, ("N", *spec.shape)))
        ids = "" if spec.vocabulary is None else f", ids below {spec.vocabulary}"
        yield name, f"{shape} in {spec.dtype}{ids}"
    for column in model.preprocessing.get("columns", ()):
        words = column["words"]
        if words is None:
            yield f"column {column['name']}", f"(x - {column['mean']:g}) / {column['std']:g}"
        else:
            yield f"column {column['name']}", f"one-hot: {', '.join(words)}"


def _outputs(model: SavedModel) -> Iterator[tuple[str, str]]:
    for task, target in model.network.assembly.targets.items():
        names = target.classes or target.components
        unit = f" in {target.units}" if target.units else ""
        yield task, f"{target.noun}{unit}" + (f": {', '.join(names)}" if names else "")
