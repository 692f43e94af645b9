"""``mtlkit compare``: which weighting is best on a set of problems, or how two runs differ."""

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import click
from click.core import ParameterSource

from mtlkit.cli import current_catalog
from mtlkit.cli.commands.list import echo_table
from mtlkit.cli.options import folder_option, quiet_option
from mtlkit.plugins.command_options import cache_option
from mtlkit.printable import echo

if TYPE_CHECKING:
    from mtlkit.comparison.execute.executor_config import ExecutorConfig
    from mtlkit.comparison.results.store import StudyFolder
    from mtlkit.comparison.spec.comparison import Comparison
    from mtlkit.data.source import Loading
    from mtlkit.plugins.catalog import Catalog


@click.command()
@click.argument("what", type=click.Path(path_type=Path))
@click.argument("other", type=click.Path(path_type=Path), required=False)
@folder_option(
    "The study's folder; by default runs/ and the file's name. One that holds the study "
    "already is resumed."
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="How many runs at once; by default one for each device, or core, but at most 8.",
)
@click.option(
    "--devices",
    metavar="LIST",
    default="",
    help="Where runs compute, in turn: cuda:0,cuda:1 or cpu; by default the recipes' devices.",
)
@click.option(
    "--on",
    type=click.Choice(["here", "ray"]),
    default="here",
    show_default=True,
    help="By processes of this machine, or on a Ray cluster that shares the folder.",
)
@click.option(
    "--ray",
    metavar="ADDRESS",
    help="The Ray cluster, such as 10.0.0.5:6379, or local to start one here; implies --on ray.",
)
@click.option("--retry-failed", is_flag=True, help="Make the runs that failed once more.")
@click.option("--dry-run", is_flag=True, help="Print the plan and its time; write nothing.")
@cache_option
@quiet_option
def compare(
    what: Path,
    other: Path | None,
    out: Path | None,
    workers: int | None,
    devices: str,
    on: str,
    ray: str | None,
    retry_failed: bool,
    dry_run: bool,
    cache: Path,
    quiet: bool,
) -> None:
    """Compare weightings by the file WHAT, or two finished runs or studies, WHAT and OTHER.

    Ctrl-C stops all runs at a checkpoint; the same command continues with them, as after any crash.
    """
    if other is not None:
        _refuse_options(click.get_current_context())
        _show_differences(what, other)
        return
    from mtlkit.comparison.execute.executor_config import parse_executor_config
    from mtlkit.comparison.spec.load import load_comparison
    from mtlkit.data.source import Loading

    if what.is_dir():
        raise click.UsageError(f"{what} is a folder; expected a comparison file, or two folders")
    catalog = current_catalog()
    comparison = load_comparison(what, catalog)
    out, loading = out or Path("runs") / what.stem, Loading(cache=cache)
    on_ray = on == "ray" or ray is not None
    address = ray or os.environ.get("RAY_ADDRESS")
    executor_config = parse_executor_config(workers, devices, ray=on_ray, address=address)
    if dry_run:
        _show_plan(comparison, out, loading, executor_config, catalog)
        return
    from mtlkit.comparison.compare import compare as run_comparison
    from mtlkit.comparison.results.store import StudyFolder
    from mtlkit.comparison.results.summary import summary

    result = run_comparison(
        comparison,
        out,
        catalog=catalog,
        loading=loading,
        executor_config=executor_config,
        retry_failed=retry_failed,
        quiet=quiet,
    )
    folder = StudyFolder(result.path)
    for table in summary(folder):
        echo_table(table)
        echo()
    _print_sections(folder, catalog)
    echo(f"report:  {folder.report}", f"results: {folder.results}")
    _print_failures(folder)


def _print_sections(folder: "StudyFolder", catalog: "Catalog") -> None:
    """Print the text and the tables that plugins add to problems."""
    from mtlkit.comparison.report.plugin_sections import plugin_sections
    from mtlkit.evaluators import TableBlock, Text
    from mtlkit.report.numbers import number

    for problem, sections in plugin_sections(folder, catalog).items():
        for section in sections:
            echo(f"{problem}: {section.title}")
            for block in section.blocks:
                if isinstance(block, Text):
                    echo(*(f"  {line}" for line in block.text.split("\n")))
                elif isinstance(block, TableBlock):
                    rows = [tuple(map(number, row)) for row in (block.header, *block.rows)]
                    echo_table(rows, indent="  ")
            echo()


def _refuse_options(context: click.Context) -> None:
    """Raise `UsageError` if an option of studies is given along with two folders."""
    for parameter in context.command.params:
        given = context.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE
        if given and isinstance(parameter, click.Option):
            raise click.UsageError(
                f"{parameter.opts[0]} is for running a comparison; two folders are only laid side "
                f"by side"
            )


def _print_failures(folder: "StudyFolder") -> None:
    """Print the number of failed runs; raise `RunError` if no final run is left."""
    from mtlkit.comparison.results.record import Stage
    from mtlkit.errors import RunError

    records = folder.records().values()
    failed = [record for record in records if record.error is not None]
    if not failed:
        return
    echo(
        "",
        f"{len(failed)} of {len(records)} runs failed; the report states why, and "
        f"`--retry-failed` makes them anew",
    )
    if all(record in failed for record in records if record.stage is Stage.FINAL):
        first = failed[0]
        raise RunError(
            f"{folder.path}: no final run came to its end; the first to fail was {first.key}: "
            f"{first.error}"
        )


def _show_differences(one: Path, other: Path) -> None:
    from mtlkit.comparison.results.differences import differences

    for title, rows in differences(one, other).items():
        echo(title)
        if not rows:
            echo("  no difference")
        echo_table(rows, indent="  ")
        echo()


def _show_plan(
    comparison: "Comparison",
    out: Path,
    loading: "Loading",
    executor_config: "ExecutorConfig",
    catalog: "Catalog",
) -> None:
    from mtlkit.comparison.execute.time_estimate import estimate
    from mtlkit.comparison.report.dependencies import require_libraries
    from mtlkit.comparison.results.store import StudyFolder
    from mtlkit.comparison.spec.data_checks import metrics_of
    from mtlkit.comparison.study import refuse_another_study, resolved
    from mtlkit.report.numbers import duration
    from mtlkit.runs.tuning.search import require_optuna

    folder = StudyFolder(out)
    executor_config = attrs.evolve(executor_config, resources=comparison.resources)
    require_libraries()  # report what would stop the study before it starts
    if comparison.tuning.searches:
        require_optuna("compare")
    comparison = resolved(comparison, folder, executor_config)
    refuse_another_study(comparison, folder, catalog)
    metrics_of(comparison, loading)
    estimates = estimate(comparison, folder.records(), loading)
    rows: list[tuple[str, ...]] = [("problem", "method", "trials", "final runs", "to make", "time")]
    for row in estimates:
        counts = (row.trials, row.finals, row.left)
        rows.append((row.problem, row.method, *map(str, counts), duration(row.seconds)))
    echo_table(rows)
    left, seconds = sum(row.left for row in estimates), sum(row.seconds for row in estimates)
    with contextlib.closing(executor_config.executor()) as executor:
        workers = executor.slots
    echo(
        "",
        f"{left} runs to make, about {duration(seconds / workers)} of training by {workers} "
        f"at once; nothing was written to {out}",
    )
