"""The commands under ``mtlkit face``."""

import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import click
from mtlkit_synthetic_faces.face_set import FaceSet

from mtlkit.plugins import DataError
from mtlkit_face.data.commands import align, label_pose, pack_command
from mtlkit_face.energy.command import energy
from mtlkit_face.inference.commands import embed, enroll_command, identify_command, verify
from mtlkit_face.inference.export_commands import card, export_command
from mtlkit_face.protocols.command import protocol
from mtlkit_face.study.command import study

RECIPES = Path(__file__).parent / "recipes"

Command = Callable[..., None]


@click.group()
def face() -> None:
    """Rendered faces, and the recipes of Yin & Liu (TIP 2018)."""


for _command in (
    align,
    label_pose,
    pack_command,
    protocol,
    energy,
    embed,
    verify,
    enroll_command,
    identify_command,
    export_command,
    card,
    study,
):
    face.add_command(_command)


def _with_face_set(command: Command) -> Command:
    """Give `command` one option for each value of a face set, with the same default."""
    kinds = typing.get_type_hints(FaceSet)
    for field in reversed(attrs.fields(FaceSet)):
        kind = float if kinds[field.name] is float else int
        name = "--" + field.name.replace("_", "-")
        default = 12 if field.name == "images_per_subject" else field.default
        default = 8 if field.name == "subjects" else default
        command = click.option(name, type=kind, default=default, show_default=True)(command)
    return command


@face.command()
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="An empty or new folder for the images, labels.csv and sheet.png.",
)
@click.option("--workers", type=int, default=None, help="Processes; all processors by default.")
@_with_face_set
def render(out: Path, workers: int | None, **options: Any) -> None:
    """Render labelled faces into a folder of PNG files with a table of labels."""
    from mtlkit_synthetic_faces import render_set, write_png_folder
    from mtlkit_synthetic_faces.worker_pool import WorkerError
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (*Progress.get_default_columns()[:-1], MofNCompleteColumn(), TimeRemainingColumn())
    try:
        faces = FaceSet(**options)
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise DataError(f"{out} is there already; choose a new or empty folder with --out")
        with Progress(*columns) as bar:
            task = bar.add_task("rendering faces", total=len(faces))
            rendered = render_set(
                faces,
                cache=None,
                workers=workers,
                progress=lambda done, _: bar.update(task, completed=done),
            )
        write_png_folder(rendered, out)
    except (ValueError, WorkerError) as mistake:
        raise DataError(str(mistake)) from mistake
    except OSError as refused:
        raise DataError(
            f"{refused.filename or out}: cannot be written: {refused.strerror or refused}. Nothing "
            f"half-written was left; free some space, or choose another folder with --out"
        ) from refused
    click.echo(f"{len(rendered.rows)} faces, labels.csv and sheet.png are in {out}")


@face.command()
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=None,
    help="Copy the recipes into this folder.",
)
def recipes(out: Path | None) -> None:
    """List the shipped recipes, or copy them into a folder to change them."""
    shipped = sorted(RECIPES.glob("*.yaml"))
    if out is None:
        for recipe in shipped:
            click.echo(str(recipe))
        return
    copies = {recipe: out / recipe.name for recipe in shipped}
    for copy in copies.values():  # all or none
        if copy.exists():
            raise DataError(f"{copy}: the file is there already; choose another folder with --out")
    out.mkdir(parents=True, exist_ok=True)
    for recipe, copy in copies.items():
        copy.write_bytes(recipe.read_bytes())
        click.echo(str(copy))
