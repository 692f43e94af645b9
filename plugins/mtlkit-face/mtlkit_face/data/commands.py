"""The commands under ``mtlkit face`` that prepare data: align, pack, label-pose."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from mtlkit.plugins import DataError
from mtlkit_face.data.progress_bar import bar

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
NEW = click.Path(path_type=Path)

workers_option = click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=None,
    help="Threads; one a processor if not given.",
)


@contextmanager
def _naming(out: Path) -> Iterator[None]:
    """Have an error of the disk be one of the data, with the file's name."""
    try:
        yield
    except OSError as refused:
        raise DataError(
            f"{refused.filename or out}: cannot be written: {refused.strerror or refused}"
        ) from refused


def _processors(workers: int | None) -> int:
    return workers or os.cpu_count() or 1


@click.command()
@click.argument("images", type=FOLDER)
@click.argument("landmarks", type=FILE)
@click.argument("out", type=NEW)
@click.option(
    "--template",
    type=click.Choice(["100-gray", "112-rgb"]),
    default="100-gray",
    show_default=True,
    help="Where the points shall lie: in the paper's pictures, or in those of insightface.",
)
@click.option(
    "--extra",
    type=click.Choice(["nothing", "first", "last"]),
    default="nothing",
    show_default=True,
    help="A label before, or a score behind the points in a line of a text file.",
)
@click.option(
    "--several",
    type=click.Choice(["refuse", "largest"]),
    default="refuse",
    show_default=True,
    help="What to do with an image that has the points of several faces.",
)
@workers_option
def align(
    images: Path,
    landmarks: Path,
    out: Path,
    template: str,
    extra: str,
    several: str,
    workers: int | None,
) -> None:
    """Bring the faces of a folder upright, by 5 or 68 points of each.

    LANDMARKS is a table (CSV, Parquet) with the columns file, x1, y1, x2, ..., or text with a name
    and the numbers in each line. OUT gets the images under the same names, and alignment.csv, in
    which every image stands with what became of it.
    """
    from mtlkit_face.data.alignment import TEMPLATES
    from mtlkit_face.data.alignment_folder import TABLE, align_folder, failure_counts
    from mtlkit_face.data.landmarks import Extra, Several, read_landmarks

    points = read_landmarks(landmarks, Extra(extra), Several(several))
    with _naming(out), bar("aligning faces") as progress:
        outcomes = align_folder(
            images,
            points,
            TEMPLATES[template],
            out,
            workers=_processors(workers),
            progress=progress,
        )
    failed = failure_counts(outcomes)
    count = len(outcomes) - sum(failed.values())
    click.echo(f"{count:,} of {len(outcomes):,} faces are aligned in {out}")
    for kind, number in sorted(failed.items()):
        click.echo(f"{number:,} failed, {kind}")
    if failed:
        click.echo(f"each failure stands in {out / TABLE}")
    if not count:
        raise DataError("no face could be aligned")


@click.command("pack")
@click.argument("faces", type=FOLDER)
@click.argument("out", type=NEW)
def pack_command(faces: Path, out: Path) -> None:
    """Pack a folder of subjects into one RecordIO file, as insightface does.

    OUT ends in .rec. Beside it come its index, property and subjects.csv.
    """
    from mtlkit_face.data.folder import list_folder
    from mtlkit_face.data.recordio_pack import pack

    if out.suffix != ".rec":
        raise DataError(f"{out}: expected a name that ends in .rec")
    listing = list_folder(faces)
    with _naming(out):
        pack(listing.store, listing.subjects, out)
    count = len(set(listing.subjects))
    click.echo(f"{len(listing.ids):,} images of {count:,} subjects are in {out}")


@click.command(name="label-pose")
@click.argument("run", type=FOLDER)
@click.argument("faces", type=click.Path(exists=True, path_type=Path))
@click.option("--out", type=NEW, required=True, help="The table of labels, .csv or .parquet.")
@click.option("--task", default="pose", show_default=True, help="The task that tells the yaw.")
@click.option(
    "--threshold",
    type=float,
    default=0.9,
    show_default=True,
    help="The posterior that a group needs to become a label.",
)
@click.option(
    "--against", type=FILE, default=None, help="A table with a column yaw: how often is it right?"
)
@workers_option
def label_pose(
    run: Path,
    faces: Path,
    out: Path,
    task: str,
    threshold: float,
    against: Path | None,
    workers: int | None,
) -> None:
    """Label FACES, a folder or a .rec file, as left, front or right by the network of RUN.

    RUN is that of the recipe pose-estimator. A face of which it is not sure gets no label. The
    table is what the data sources face/folder and face/recordio take as `labels`.
    """
    from mtlkit_face.data.folder import list_folder
    from mtlkit_face.data.pose_labels import Estimator, agreement, check_threshold, estimate_poses
    from mtlkit_face.data.records import list_records

    if out.suffix.lower() not in (".csv", ".parquet"):
        raise DataError(f"--out: expected a name that ends in .csv or .parquet, found {out}")
    if out.exists():
        raise DataError(f"{out}: is there already; choose another name with --out")
    check_threshold(threshold)
    estimator = Estimator.load(run, task)
    listing = list_folder(faces) if faces.is_dir() else list_records(faces, lambda *_: None)
    with bar("labelling faces") as progress:
        poses = estimate_poses(estimator, listing, threshold, _processors(workers), progress)
    with _naming(out):
        poses.write(out)
    shown = ", ".join(f"{number:,} {name}" for name, number in poses.counts().items())
    click.echo(f"{len(listing.ids):,} faces: {shown}; the labels are in {out}")
    if against is not None:
        for line in agreement(poses, against).lines():
            click.echo(line)
