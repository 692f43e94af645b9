"""The commands that make a trained run ready to be passed on: export, card."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from mtlkit.plugins import DataError
from mtlkit_face.inference.commands import model_options, opened

_A_FILE = click.Path(path_type=Path, dir_okay=False)
Command = Callable[..., None]


def _licence_options(command: Command) -> Command:
    """Give `command` what only the maker of a model knows."""
    for option in (
        click.option("--data-licence", default=None, help="The licence of the training data."),
        click.option("--licence", default=None, help="The licence of the weights."),
    ):
        command = option(command)
    return command


@click.command("export")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--out", type=_A_FILE, required=True, help="A file .onnx; its card lies beside it.")
@click.option(
    "--check",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Aligned images, a file or a folder, for which both must agree as well as for noise; may "
    "be repeated.",
)
@_licence_options
@model_options
def export_command(
    run: Path,
    out: Path,
    check: tuple[Path, ...],
    licence: str | None,
    data_licence: str | None,
    **options: Any,
) -> None:
    """Write the model of RUN as ONNX, if it gives the same templates there, and a model card."""
    from mtlkit_face.inference.atomic_file import atomic_path
    from mtlkit_face.inference.card import Licences, model_card
    from mtlkit_face.inference.onnx_export import export
    from mtlkit_face.inference.pictures import find_images

    if out.suffix != ".onnx":
        raise DataError(f"{out}: expected a name that ends in .onnx")
    images = find_images(check).files if check else ()
    model = opened(run, **options)
    exported = export(model, out, images)
    text = model_card(model, Licences(weights=licence, data=data_licence), exported)
    card = out.with_suffix(".md")
    with atomic_path(card) as place:
        place.write_text(text, encoding="utf-8")
    for what, found in exported.differences.items():
        click.echo(f"{what}: onnxruntime differs from PyTorch by {found:.2g} at most")
    click.echo(f"model: {out}\ncard:  {card}")


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--out", type=_A_FILE, default=None, help="By default model-card.md in RUN.")
@_licence_options
@model_options
def card(
    run: Path, out: Path | None, licence: str | None, data_licence: str | None, **options: Any
) -> None:
    """Write a model card of RUN in Markdown."""
    from mtlkit_face.inference.atomic_file import atomic_path
    from mtlkit_face.inference.card import Licences, model_card

    model = opened(run, **options)
    target = out or model.folder.path / "model-card.md"
    text = model_card(model, Licences(weights=licence, data=data_licence))
    with atomic_path(target) as place:
        place.write_text(text, encoding="utf-8")
    click.echo(f"card: {target}")
