"""``mtlkit evaluate``: compute the metrics of a finished run again."""

from pathlib import Path

import click

from mtlkit.cli import current_catalog
from mtlkit.cli.commands.train import print_metrics
from mtlkit.cli.options import beside_option
from mtlkit.plugins.command_options import cache_option


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@beside_option
@cache_option
@click.option(
    "--accept",
    multiple=True,
    type=click.Choice(("data",)),
    help="Evaluate although the data changed since the training, and record it.",
)
def evaluate(run: Path, beside: tuple[Path, ...], cache: Path, accept: tuple[str, ...]) -> None:
    """Evaluate the finished RUN again: print its metrics and write its report."""
    from mtlkit.data.source import Loading
    from mtlkit.runs.evaluate import evaluate as evaluate

    done = evaluate(
        run, beside, catalog=current_catalog(), loading=Loading(cache=cache), accept=accept
    )
    print_metrics(done)
