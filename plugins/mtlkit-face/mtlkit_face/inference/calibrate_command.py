"""``mtlkit face calibrate``: the threshold of a run on the user's own pairs."""

from pathlib import Path
from typing import Any

import click

from mtlkit.plugins import DataError, echo, write_file
from mtlkit_face.inference.commands import (
    embed_images,
    model_from_options,
    model_options,
    regions_option,
    run_argument,
)


@click.command("calibrate")
@run_argument
@click.argument("pairs", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--fmr",
    type=click.FloatRange(min=0, max=1, min_open=True, max_open=True),
    required=True,
    help="False match rate: the part of impostor pairs that may reach the threshold.",
)
@click.option(
    "--covers",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    multiple=True,
    help="Further folder of images of the same kind, for which no warning is due; may be repeated.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=None,
    help="Folder of report.html. Default: RUN/calibration.",
)
@click.option(
    "--replicates",
    type=click.IntRange(min=100),
    default=2000,
    show_default=True,
    help="Bootstrap replicates of the intervals.",
)
@regions_option
@model_options
def calibrate_command(
    run: Path,
    pairs: Path,
    fmr: float,
    covers: tuple[Path, ...],
    out: Path | None,
    replicates: int,
    regions: Path | None,
    **options: Any,
) -> None:
    """Measure the threshold of RUN at a false match rate on your own PAIRS, and save it in RUN.

    PAIRS is a folder with a folder of images for each person, or a table (CSV, Parquet) with the
    columns file_a and file_b, relative to the table, and person_a and person_b, or same (1 or 0).
    """
    from mtlkit_face.inference.calibrate import calibrate_model, calibration_page, rates_table
    from mtlkit_face.inference.labeled_pairs import read_pairs
    from mtlkit_face.inference.threshold import save_threshold

    model = model_from_options(run, **options)
    listed = read_pairs(pairs)
    embedded = embed_images(model, listed.files, regions)
    used = listed.among(embedded.files)
    if len(used) < len(listed):
        echo(f"warning: {len(listed) - len(used):,} of {len(listed):,} pairs are without a "
                   f"readable image, and are left out", err=True)  # fmt: skip
    result = calibrate_model(
        model,
        used,
        embedded.templates,
        fmr,
        source=str(pairs),
        covers=covers,
        replicates=replicates,
    )
    folder = out or run / "calibration"
    page = calibration_page(model, result)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_file(folder / "report.html", page.encode())
    except OSError as cause:
        raise DataError(
            f"{cause.filename or folder}: cannot be written: {cause.strerror or cause}; choose "
            f"another folder with --out"
        ) from cause
    saved = save_threshold(model, result.threshold)
    table = rates_table(result.calibration)
    for name, value, interval in table.rows:
        echo(f"{name:22}{value:.4g}  {interval}")
    echo(result.threshold.domain, table.caption)
    echo(f"threshold saved in {saved}; report: {folder / 'report.html'}")
