"""``mtlkit predict``: apply a trained model to new samples."""

import sys
from pathlib import Path

import click

from mtlkit.cli import current_catalog
from mtlkit.plugins.command_options import OutputFile, cache_option
from mtlkit.printable import echo, echo_data


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("source", metavar="INPUT", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=OutputFile(),
    help="Output table: .csv, .parquet or .json. Default: CSV on standard output.",
)
@click.option(
    "--device",
    default="auto",
    show_default=True,
    help="Device of the network, such as cpu, cuda or cuda:1.",
)
@cache_option
def predict(run: Path, source: Path, out: Path | None, device: str, cache: Path) -> None:
    """Predict the samples of INPUT with the model of RUN.

    INPUT is a table, an image or a folder, as the data source of the run reads it, without labels.
    Maps are files next to the output table. In an output table in CSV, text that a spreadsheet
    would run as a formula begins with an apostrophe; a pipe gets the text as it is.
    """
    from mtlkit.data.source import Loading
    from mtlkit.errors import DataError
    from mtlkit.runs.prediction.predict import load_model
    from mtlkit.runs.prediction.write_predictions import csv_text, table_writer, write_predictions

    if out is not None:
        table_writer(out)  # refuses another suffix before the work starts
        if out.resolve() == source.resolve():
            raise DataError(f"{out}: not written: it is the input; choose another name for --out")
    model = load_model(run, current_catalog(), device=device)
    loading = Loading(cache=cache)
    if out is not None:
        count = write_predictions(model.batches(source, loading=loading), out)
        echo(f"{count} predictions: {out}")
        return
    predicted = model(source, loading=loading)
    if predicted.maps:
        raise DataError(
            f"{source}: the task {next(iter(predicted.maps))!r} predicts maps; set --out"
        )
    echo_data(csv_text(predicted.rows(), safe=sys.stdout.isatty()))
