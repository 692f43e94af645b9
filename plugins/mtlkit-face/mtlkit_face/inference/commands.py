"""The commands that use a trained run on image files: embed, verify, enroll, identify."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mtlkit.plugins import DataError
from mtlkit_face.data.progress_bar import progress_bar

if TYPE_CHECKING:
    from mtlkit_face.inference.model import FaceModel
    from mtlkit_face.inference.pictures import Embedded

_SHOWN = 10

_A_PATH = click.Path(path_type=Path)
Command = Callable[..., None]


def model_options(command: Command) -> Command:
    """Give `command` what `open_model` takes."""
    for option in (
        click.option("--device", default="cpu", show_default=True, help="Such as cpu or cuda."),
        click.option(
            "--routing",
            type=click.Choice(["expected", "best"]),
            default=None,
            help="How pose branches are weighed; by default as in the run's recipe.",
        ),
        click.option(
            "--task", default=None, help="The task that tells people apart; the main one, if one."
        ),
    ):
        command = option(command)
    return command


def opened(run: Path, task: str | None, routing: str | None, device: str) -> "FaceModel":
    """The model that the options describe."""
    from mtlkit.routers import BranchSelection
    from mtlkit_face.inference.model import open_model

    chosen = None if routing is None else BranchSelection(routing)
    return open_model(run, task=task, routing=chosen, device=device)


_threshold = click.option(
    "--threshold",
    type=float,
    default=None,
    help="The least score of one person; by default that of equal error in the run's evaluation.",
)
_images = click.argument("images", nargs=-1, required=True, type=_A_PATH)
_run = click.argument("run", type=_A_PATH)


@click.command()
@_run
@_images
@click.option("--out", type=_A_PATH, required=True, help="A file .parquet or .safetensors.")
@model_options
def embed(run: Path, images: tuple[Path, ...], out: Path, **options: Any) -> None:
    """Write the templates of IMAGES, files or folders, made by the model of RUN."""
    from mtlkit_face.inference.gallery_file import (
        TemplateGallery,
        TemplateOrigin,
        check_suffix,
        read_gallery,
        write_gallery,
    )

    check_suffix(out)
    if out.exists() and any((before := read_gallery(out)).names):
        raise DataError(
            f"{out}: is a gallery of {len(before.people())} people, made by `mtlkit face enroll`; "
            f"it would be lost. Choose another file with --out, or delete it first"
        )
    model = opened(run, **options)
    found = _embedded(model, images)
    files = tuple(map(str, found.files))
    names = tuple("" for _ in files)
    write_gallery(
        TemplateGallery(
            files=files, names=names, templates=found.templates, origin=TemplateOrigin.of(model)
        ),
        out,
    )
    click.echo(f"{len(files)} templates of {model.size} numbers are in {out}")


@click.command()
@_run
@click.argument("a", type=_A_PATH)
@click.argument("b", type=_A_PATH)
@_threshold
@model_options
def verify(run: Path, a: Path, b: Path, threshold: float | None, **options: Any) -> None:
    """Say whether the images A and B show one person, by the model of RUN."""
    from mtlkit_face.inference.threshold import threshold_of

    model = opened(run, **options)
    least = threshold_of(model, threshold)
    first, second = (_one(model, path) for path in (a, b))
    _warn_of_alignment(model)
    score = float(first.templates[0] @ second.templates[0])
    click.echo(f"score      {score:.4f}")
    click.echo(f"threshold  {least.value:.4f}  ({least.source})")
    click.echo("verdict    " + ("one person" if score >= least.value else "two people"))


@click.command("enroll")
@_run
@click.argument("gallery", type=_A_PATH)
@_images
@click.option("--name", default=None, help="Who all IMAGES show.")
@click.option(
    "--table",
    type=_A_PATH,
    default=None,
    help="A CSV file with the columns file and name; without it and --name, folders are names.",
)
@model_options
def enroll_command(
    run: Path,
    gallery: Path,
    images: tuple[Path, ...],
    name: str | None,
    table: Path | None,
    **options: Any,
) -> None:
    """Add the people in IMAGES to GALLERY, a file .parquet or .safetensors, new or old."""
    from mtlkit_face.inference.enrolment import known_as, names_of
    from mtlkit_face.inference.gallery_file import (
        TemplateGallery,
        TemplateOrigin,
        check_suffix,
        enroll,
        read_gallery,
    )
    from mtlkit_face.inference.pictures import find_images

    check_suffix(gallery)
    model = opened(run, **options)
    before = 0
    if gallery.exists():  # a gallery of another model is refused before the work, not after it
        before = len(read_gallery(gallery).require(model, gallery).named(gallery))
    names = dict(zip(files := find_images(images).files, names_of(files, name, table), strict=True))
    found = _embedded(model, images)
    new = TemplateGallery(
        files=tuple(known_as(path, gallery) for path in found.files),
        names=tuple(names[path] for path in found.files),
        templates=found.templates,
        origin=TemplateOrigin.of(model),
    )
    whole = enroll(new, gallery, model)
    replaced = max(0, before + len(new) - len(whole))
    click.echo(
        f"{len(new)} images of {len(new.people())} people enrolled"
        + (f", {replaced} of them again" if replaced else "")
        + f"; {gallery} has {len(whole)} images of {len(whole.people())} people"
    )


@click.command("identify")
@_run
@click.argument("gallery", type=_A_PATH)
@_images
@click.option("--top", type=int, default=5, show_default=True, help="Candidates shown for each.")
@click.option(
    "--index",
    type=click.Choice(["exact", "faiss"]),
    default="exact",
    show_default=True,
    help="How the gallery is searched; faiss, for large ones, gives the same answers.",
)
@_threshold
@model_options
def identify_command(
    run: Path,
    gallery: Path,
    images: tuple[Path, ...],
    top: int,
    index: str,
    threshold: float | None,
    **options: Any,
) -> None:
    """Say who of GALLERY is in each of IMAGES, or that it is nobody of it."""
    from mtlkit_face.inference.gallery_file import read_gallery
    from mtlkit_face.inference.search import INDEXES, identify
    from mtlkit_face.inference.threshold import threshold_of

    model = opened(run, **options)
    least = threshold_of(model, threshold)
    people = read_gallery(gallery).require(model, gallery).named(gallery)
    found = _embedded(model, images)
    answers = identify(
        found.templates, people, threshold=least.value, top=top, index=INDEXES[index]
    )
    click.echo(f"threshold {least.value:.4f}  ({least.source})")
    for file, answer in zip(found.files, answers, strict=True):
        click.echo(f"{file}: {answer.name or 'unknown'}")
        for candidate in answer.candidates:
            below = "" if candidate.score >= least.value else "  below the threshold"
            click.echo(f"  {candidate.score:7.4f}  {candidate.name}  {candidate.file}{below}")


def _one(model: "FaceModel", path: Path) -> "Embedded":
    """The template of one image file; `DataError` where it cannot be read."""
    from mtlkit_face.inference.pictures import embed_files

    if path.is_dir():
        raise DataError(f"{path}: is a folder; expected one image")
    if not path.exists():
        raise DataError(f"{path}: no such file; expected an image")
    found = embed_files(model, [path])
    if found.unreadable:
        raise DataError(f"{path}: {found.unreadable[0][1]}; expected an image file")
    return found


def _embedded(model: "FaceModel", images: Sequence[Path]) -> "Embedded":
    """The templates of files and folders; what cannot be read is listed on stderr.

    Raises `DataError` where nothing could be read.
    """
    from mtlkit_face.inference.pictures import embed_files, find_images

    asked = find_images(images)
    _warn_of_alignment(model)
    with progress_bar("embedding images") as progress:
        found = embed_files(model, asked.files, progress)
    if asked.other:
        _tell(f"{len(asked.other)} files are no images by their names", asked.other[:_SHOWN])
    if found.unreadable:
        faults = [f"{path}: {reason}" for path, reason in found.unreadable]
        _tell(f"{len(faults)} files could not be read and are left out", faults)
    if not found.files:
        raise DataError(f"none of {len(asked.files)} images could be read; nothing was done")
    return found


def _warn_of_alignment(model: "FaceModel") -> None:
    click.echo(
        f"note: no face is looked for: every image is taken to show one face, aligned as those of "
        f"the training, and is resized to {model.frame.width} x {model.frame.height} pixels",
        err=True,
    )


def _tell(what: str, lines: Sequence[object]) -> None:
    """Warn of `what`, with a line for each file."""
    click.echo("\n  ".join([f"warning: {what}:", *map(str, lines)]), err=True)
