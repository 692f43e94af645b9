"""Commands that apply a trained run to image files: embed, verify, enroll, identify."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mtlkit.plugins import DataError, OutputFile, echo
from mtlkit_face.progress_bar import progress_bar

if TYPE_CHECKING:
    from mtlkit_face.inference.model import FaceModel
    from mtlkit_face.inference.pictures import Embedded

_MAX_SHOWN = 10

_PATH = click.Path(path_type=Path)
Command = Callable[..., None]


def model_options(command: Command) -> Command:
    """Add the options of `open_model` to `command`."""
    for option in (
        click.option("--device", default="cpu", show_default=True, help="Such as cpu or cuda."),
        click.option(
            "--routing",
            type=click.Choice(["expected", "best"]),
            default=None,
            help="Weights of the pose branches. Default: those of the run's recipe.",
        ),
        click.option(
            "--task", default=None, help="Task whose classes are people. Default: the main task."
        ),
    ):
        command = option(command)
    return command


def model_from_options(
    run: Path, task: str | None, routing: str | None, device: str
) -> "FaceModel":
    """Open the model of `run` with the values of `model_options`."""
    from mtlkit.routers import BranchSelection
    from mtlkit_face.inference.model import open_model

    selection = None if routing is None else BranchSelection(routing)
    return open_model(run, task=task, routing=selection, device=device)


_threshold = click.option(
    "--threshold",
    type=float,
    default=None,
    help="Lowest score of the same person. Default: that of `mtlkit face calibrate`, or of equal "
    "error in the run's evaluation.",
)
regions_option = click.option(
    "--regions",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=None,
    help="Table of the boxes or landmarks of the images, by which the run's images were cut out; "
    "its column file is relative to the table.",
)
_images = click.argument("images", nargs=-1, required=True, type=_PATH)
run_argument = click.argument("run", type=_PATH)


@click.command()
@run_argument
@_images
@click.option(
    "--out", type=OutputFile(), required=True, help="Output .parquet or .safetensors file."
)
@regions_option
@model_options
def embed(
    run: Path, images: tuple[Path, ...], out: Path, regions: Path | None, **options: Any
) -> None:
    """Embed IMAGES, files or folders, with the model of RUN, and write the templates."""
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
            f"{out}: is a gallery of {len(before.people())} people from `mtlkit face enroll`, and "
            f"would be lost; choose another file with --out, or delete it first"
        )
    model = model_from_options(run, **options)
    embedded = embed_images(model, images, regions)
    files = tuple(map(str, embedded.files))
    names = tuple("" for _ in files)
    write_gallery(
        TemplateGallery(
            files=files, names=names, templates=embedded.templates, origin=TemplateOrigin.of(model)
        ),
        out,
    )
    echo(f"{len(files)} templates of {model.size} numbers are in {out}")


@click.command()
@run_argument
@click.argument("a", type=_PATH)
@click.argument("b", type=_PATH)
@_threshold
@regions_option
@model_options
def verify(
    run: Path, a: Path, b: Path, threshold: float | None, regions: Path | None, **options: Any
) -> None:
    """Decide whether the images A and B show the same person, with the model of RUN."""
    from mtlkit_face.inference.threshold import threshold_of

    model = model_from_options(run, **options)
    least = threshold_of(model, threshold)
    first, second = (_embed_one(model, path, regions) for path in (a, b))
    _note_alignment(model, regions)
    score = float(first.templates[0] @ second.templates[0])
    echo(f"score      {score:.4f}")
    echo(f"threshold  {least.value:.4f}  ({least.source})")
    echo("verdict    " + ("one person" if score >= least.value else "two people"))
    for warning in least.warnings([a, b]):
        echo(f"warning: {warning}", err=True)


@click.command("enroll")
@run_argument
@click.argument("gallery", type=_PATH)
@_images
@click.option("--name", default=None, help="Name of the person in all IMAGES.")
@click.option(
    "--table",
    type=_PATH,
    default=None,
    help="CSV file with the columns file, relative to the table's folder or else to the working "
    "directory, and name. Default: names of the images' folders.",
)
@regions_option
@model_options
def enroll_command(
    run: Path,
    gallery: Path,
    images: tuple[Path, ...],
    name: str | None,
    table: Path | None,
    regions: Path | None,
    **options: Any,
) -> None:
    """Add the people in IMAGES to GALLERY, a new or existing .parquet or .safetensors file."""
    from mtlkit_face.inference.enrollment import gallery_key, names_of
    from mtlkit_face.inference.gallery_file import (
        TemplateGallery,
        TemplateOrigin,
        check_suffix,
        enroll,
        read_gallery,
    )
    from mtlkit_face.inference.pictures import find_images

    check_suffix(gallery)
    model = model_from_options(run, **options)
    before = 0
    if gallery.exists():  # fails before embedding if the gallery is of another model
        before = len(read_gallery(gallery).require(model, gallery).require_names(gallery))
    names = dict(zip(files := find_images(images).files, names_of(files, name, table), strict=True))
    embedded = embed_images(model, images, regions)
    new = TemplateGallery(
        files=tuple(gallery_key(path, gallery) for path in embedded.files),
        names=tuple(names[path] for path in embedded.files),
        templates=embedded.templates,
        origin=TemplateOrigin.of(model),
    )
    merged = enroll(new, gallery, model)
    replaced = max(0, before + len(new) - len(merged))
    echo(
        f"{len(new)} images of {len(new.people())} people enrolled"
        + (f", {replaced} of them again" if replaced else "")
        + f"; {gallery} has {len(merged)} images of {len(merged.people())} people"
    )


@click.command("identify")
@run_argument
@click.argument("gallery", type=_PATH)
@_images
@click.option("--top", type=int, default=5, show_default=True, help="Candidates per image.")
@click.option(
    "--index",
    type=click.Choice(["exact", "faiss"]),
    default="exact",
    show_default=True,
    help="Search index; faiss, for large galleries, returns the same answers.",
)
@_threshold
@regions_option
@model_options
def identify_command(
    run: Path,
    gallery: Path,
    images: tuple[Path, ...],
    top: int,
    index: str,
    threshold: float | None,
    regions: Path | None,
    **options: Any,
) -> None:
    """Identify the person in each of IMAGES among those of GALLERY, or print unknown."""
    from mtlkit_face.inference.gallery_file import read_gallery
    from mtlkit_face.inference.score_shift import shift_warning
    from mtlkit_face.inference.search import INDEXES, identify
    from mtlkit_face.inference.threshold import threshold_of

    model = model_from_options(run, **options)
    least = threshold_of(model, threshold)
    people = read_gallery(gallery).require(model, gallery).require_names(gallery)
    embedded = embed_images(model, images, regions)
    answers = identify(
        embedded.templates, people, threshold=least.value, top=top, index=INDEXES[index]
    )
    echo(f"threshold {least.value:.4f}  ({least.source})")
    for file, answer in zip(embedded.files, answers, strict=True):
        echo(f"{file}: {answer.name or 'unknown'}")
        for candidate in answer.candidates:
            below = "" if candidate.score >= least.value else "  below the threshold"
            echo(f"  {candidate.score:7.4f}  {candidate.name}  {candidate.file}{below}")
    shift = shift_warning(embedded.templates, answers, people, least)
    for warning in (*least.warnings(embedded.files), *([shift] if shift else [])):
        echo(f"warning: {warning}", err=True)


def _embed_one(model: "FaceModel", path: Path, regions: Path | None) -> "Embedded":
    """Embed one image file; raises `DataError` if it cannot be read."""
    from mtlkit_face.inference.pictures import embed_files

    if path.is_dir():
        raise DataError(f"{path}: is a folder; expected one image")
    if not path.exists():
        raise DataError(f"{path}: no such file; expected an image")
    embedded = embed_files(model, [path], table=regions)
    if embedded.unreadable:
        raise DataError(f"{path}: {embedded.unreadable[0][1]}; expected an image file")
    return embedded


def embed_images(model: "FaceModel", images: Sequence[Path], regions: Path | None) -> "Embedded":
    """Embed files and folders, and list unreadable files on stderr.

    Raises `DataError` if no file can be read.
    """
    from mtlkit_face.inference.pictures import embed_files, find_images

    paths = find_images(images)
    _note_alignment(model, regions)
    with progress_bar("embedding images") as progress:
        embedded = embed_files(model, paths.files, progress, regions)
    if paths.other:
        skipped = f"{len(paths.other)} files without the suffix of an image are skipped"
        _warn(skipped, paths.other[:_MAX_SHOWN])
    if embedded.unreadable:
        faults = [f"{path}: {reason}" for path, reason in embedded.unreadable]
        _warn(f"{len(faults)} files could not be read and are skipped", faults)
    if not embedded.files:
        raise DataError(f"none of {len(paths.files)} images could be read; nothing was written")
    return embedded


def _note_alignment(model: "FaceModel", regions: Path | None) -> None:
    frame, table = model.frame, model.region_table
    if regions is not None:
        return
    if table is not None:
        kind = type(table).__name__.lower()
        echo(
            f"warning: the run's images were cut out by `{kind}`, and these are taken as cut out "
            f"already; pass their {kind} with --regions if they are not",
            err=True,
        )
    crop = "" if frame.crop is None else f" from {frame.crop:.0%} of the largest centered rectangle"
    echo(
        f"note: faces are not detected: each image must show one face, aligned as in training; it "
        f"is resized to {frame.width} x {frame.height} pixels{crop}",
        err=True,
    )


def _warn(message: str, lines: Sequence[object]) -> None:
    echo(f"warning: {message}:", *(f"  {line}" for line in lines), err=True)
