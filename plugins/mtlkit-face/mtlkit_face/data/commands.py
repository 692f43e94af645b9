"""Commands under ``mtlkit face`` that prepare data: align, pack, label-pose."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from mtlkit.plugins import DataError, OutputFile, echo
from mtlkit_face.progress_bar import progress_bar

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
NEW = click.Path(path_type=Path)

workers_option = click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=None,
    help="Number of threads. Default: one per processor.",
)


@contextmanager
def _write_errors(out: Path) -> Iterator[None]:
    """Raise file system errors as `DataError` with the name of the file."""
    try:
        yield
    except OSError as cause:
        raise DataError(
            f"{cause.filename or out}: cannot be written: {cause.strerror or cause}"
        ) from cause


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
    help="Size and framing of the aligned images: the paper's, or insightface's.",
)
@click.option(
    "--extra",
    type=click.Choice(["nothing", "first", "last"]),
    default="nothing",
    show_default=True,
    help="Position of a label or score in the lines of a text file, before or after the points.",
)
@click.option(
    "--several",
    type=click.Choice(["refuse", "largest"]),
    default="refuse",
    show_default=True,
    help="Policy for images that have the points of several faces.",
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
    """Align the faces of a folder by 5 or 68 landmarks each.

    LANDMARKS is a table (CSV, Parquet) with the columns file, x1, y1, x2, ..., or text with a name
    and the numbers in each line. Aligned images are written to OUT under the same names, with
    alignment.csv, which lists the result of every image.
    """
    from mtlkit_face.data.alignment import TEMPLATES
    from mtlkit_face.data.alignment_folder import TABLE, align_folder, failure_counts
    from mtlkit_face.data.landmarks import ExtraColumn, SeveralFaces, read_landmarks

    points = read_landmarks(landmarks, ExtraColumn(extra), SeveralFaces(several))
    with _write_errors(out), progress_bar("aligning faces") as progress:
        results = align_folder(
            images,
            points,
            TEMPLATES[template],
            out,
            workers=_processors(workers),
            progress=progress,
        )
    failed = failure_counts(results)
    count = len(results) - sum(failed.values())
    echo(f"{count:,} of {len(results):,} faces are aligned in {out}")
    for kind, number in sorted(failed.items()):
        echo(f"{number:,} failed, {kind}")
    if failed:
        echo(f"failures are listed in {out / TABLE}")
    if not count:
        raise DataError("no face could be aligned")


@click.command("pack")
@click.argument("faces", type=FOLDER)
@click.argument("out", type=NEW)
def pack_command(faces: Path, out: Path) -> None:
    """Pack a folder of subjects into one RecordIO file, as insightface does.

    OUT ends in .rec. Its index, property and subjects.csv are written to the same folder.
    """
    from mtlkit_face.data.folder import list_folder
    from mtlkit_face.data.recordio.pack import pack

    if out.suffix != ".rec":
        raise DataError(f"{out}: expected a name that ends in .rec")
    listing = list_folder(faces)
    with _write_errors(out):
        pack(listing.store, listing.subjects, out)
    count = len(set(listing.subjects))
    echo(f"{len(listing.ids):,} images of {count:,} subjects are in {out}")


@click.command(name="label-pose")
@click.argument("run", type=FOLDER)
@click.argument("faces", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--out", type=OutputFile(), required=True, help="Output table of labels, .csv or .parquet."
)
@click.option("--task", default="pose", show_default=True, help="Task that predicts the yaw.")
@click.option(
    "--threshold",
    type=float,
    default=0.9,
    show_default=True,
    help="Lowest posterior of a group at which a face gets its label.",
)
@click.option(
    "--against", type=FILE, default=None, help="Table with a column yaw, to report the accuracy."
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
    """Label FACES, a folder or a .rec file, as left, front or right with the network of RUN.

    RUN is a run of the recipe pose-estimator. Faces below the threshold get no label. The data
    sources face/folder and face/recordio read the table with their option `labels`.
    """
    from mtlkit_face.data.folder import list_folder
    from mtlkit_face.data.pose_labels import Estimator, agreement, check_threshold, estimate_poses
    from mtlkit_face.data.recordio.source import list_records

    if out.suffix.lower() not in (".csv", ".parquet"):
        raise DataError(f"--out: got {out}, expected a name that ends in .csv or .parquet")
    if out.exists():
        raise DataError(f"{out}: already exists; choose another name with --out")
    check_threshold(threshold)
    estimator = Estimator.load(run, task)
    listing = list_folder(faces) if faces.is_dir() else list_records(faces, lambda *_: None)
    with progress_bar("labeling faces") as progress:
        poses = estimate_poses(estimator, listing, threshold, _processors(workers), progress)
    with _write_errors(out):
        poses.write(out)
    counts = ", ".join(f"{number:,} {name}" for name, number in poses.counts().items())
    echo(f"{len(listing.ids):,} faces: {counts}; the labels are in {out}")
    if against is not None:
        for line in agreement(poses, against).lines():
            echo(line)
