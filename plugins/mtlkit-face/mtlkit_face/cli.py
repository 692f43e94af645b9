"""Commands under ``mtlkit face``."""

import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import click
from mtlkit_synthetic_faces.face_set import FaceSet

from mtlkit.plugins import DataError, echo, write_file
from mtlkit_face.data.commands import align, label_pose, pack_command
from mtlkit_face.energy.command import energy
from mtlkit_face.inference.calibrate_command import calibrate_command
from mtlkit_face.inference.commands import (
    embed,
    enroll_command,
    identify_command,
    verify,
)
from mtlkit_face.inference.export_commands import card, export_command
from mtlkit_face.protocols.command import protocol
from mtlkit_face.study.command import study

RECIPES = Path(__file__).parent / "recipes"

Command = Callable[..., None]


@click.group()
def face() -> None:
    """Prepare face data, apply trained networks, and evaluate published protocols."""


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
    calibrate_command,
    export_command,
    card,
    study,
):
    face.add_command(_command)


def _with_face_set(command: Command) -> Command:
    """Add one option for each field of `FaceSet` to `command`."""
    types = typing.get_type_hints(FaceSet)
    defaults = {"subjects": 8, "images_per_subject": 12}
    for field in reversed(attrs.fields(FaceSet)):
        number = float if types[field.name] is float else int
        name = "--" + field.name.replace("_", "-")
        default = defaults.get(field.name, field.default)
        command = click.option(name, type=number, default=default, show_default=True)(command)
    return command


@face.command()
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="New or empty folder for the images, labels.csv and sheet.png.",
)
@click.option(
    "--workers", type=int, default=None, help="Number of processes. Default: one per processor."
)
@_with_face_set
def render(out: Path, workers: int | None, **options: Any) -> None:
    """Render labeled faces into a folder of PNG files with a table of labels."""
    from mtlkit_synthetic_faces import render_set, write_png_folder
    from mtlkit_synthetic_faces.worker_pool import WorkerError
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (*Progress.get_default_columns()[:-1], MofNCompleteColumn(), TimeRemainingColumn())
    try:
        faces = FaceSet(**options)
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise DataError(f"{out}: already exists; choose a new or empty folder with --out")
        with Progress(*columns) as bar:
            task = bar.add_task("rendering faces", total=len(faces))
            rendered = render_set(
                faces,
                cache=None,
                workers=workers,
                progress=lambda done, _: bar.update(task, completed=done),
            )
        write_png_folder(rendered, out)
    except (ValueError, WorkerError) as cause:
        raise DataError(str(cause)) from cause
    except OSError as cause:
        raise DataError(
            f"{cause.filename or out}: cannot be written: {cause.strerror or cause}. No partial "
            f"file remains; free some space, or choose another folder with --out"
        ) from cause
    echo(f"{len(rendered.rows)} faces, labels.csv and sheet.png are in {out}")


@face.command()
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=None,
    help="Copy the recipes into this folder.",
)
def recipes(out: Path | None) -> None:
    """List the recipes of the plugin, or copy them into a folder for editing."""
    shipped = sorted(RECIPES.glob("*.yaml"))
    if out is None:
        for recipe in shipped:
            echo(str(recipe))
        return
    copies = {recipe: out / recipe.name for recipe in shipped}
    for recipe, copy in copies.items():
        if copy.exists() and copy.read_bytes() != recipe.read_bytes():
            raise DataError(f"{copy}: already exists; choose another folder with --out")
    out.mkdir(parents=True, exist_ok=True)
    for recipe, copy in copies.items():
        write_file(copy, recipe.read_bytes())
        echo(str(copy))
