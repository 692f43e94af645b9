"""Commands that prepare a trained run for distribution: export, card."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from mtlkit.plugins import DataError, OutputFile, echo, write_file
from mtlkit_face.inference.commands import model_from_options, model_options

Command = Callable[..., None]


def _license_options(command: Command) -> Command:
    """Add the options for licenses to `command`."""
    for option in (
        click.option("--data-license", default=None, help="License of the training data."),
        click.option("--license", default=None, help="License of the weights."),
    ):
        command = option(command)
    return command


@click.command("export")
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--out", type=OutputFile(), required=True, help="Output .onnx; the card is next to it."
)
@click.option(
    "--check",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Aligned images, a file or a folder, on which onnxruntime must agree with PyTorch in "
    "addition to noise; may be repeated.",
)
@_license_options
@model_options
def export_command(
    run: Path,
    out: Path,
    check: tuple[Path, ...],
    license: str | None,
    data_license: str | None,
    **options: Any,
) -> None:
    """Export the model of RUN to ONNX, verify its templates, and write a model card."""
    from mtlkit_face.inference.card import Licenses, model_card
    from mtlkit_face.inference.onnx_export import export
    from mtlkit_face.inference.pictures import find_images

    if out.suffix != ".onnx":
        raise DataError(f"{out}: expected a name that ends in .onnx")
    images = find_images(check).files if check else ()
    model = model_from_options(run, **options)
    exported = export(model, out, images)
    text = model_card(model, Licenses(weights=license, data=data_license), exported)
    card = out.with_suffix(".md")
    write_file(card, text.encode())
    for compared, largest in exported.differences.items():
        echo(f"{compared}: onnxruntime differs from PyTorch by {largest:.2g} at most")
    echo(f"model: {out}", f"card:  {card}")


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--out", type=OutputFile(), default=None, help="Output file. Default: model-card.md in RUN."
)
@_license_options
@model_options
def card(
    run: Path, out: Path | None, license: str | None, data_license: str | None, **options: Any
) -> None:
    """Write a model card of RUN in Markdown."""
    from mtlkit_face.inference.card import Licenses, model_card

    model = model_from_options(run, **options)
    target = out or model.folder.path / "model-card.md"
    text = model_card(model, Licenses(weights=license, data=data_license))
    write_file(target, text.encode())
    echo(f"card: {target}")
