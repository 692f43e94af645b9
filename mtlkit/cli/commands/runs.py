"""``mtlkit runs``: the runs and studies below a folder."""

from pathlib import Path

import click

from mtlkit.cli.commands.list import echo_table
from mtlkit.printable import echo


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default=Path("runs"))
@click.option(
    "--where",
    multiple=True,
    metavar="PATH=VALUE",
    help="Only runs whose recipe has this value, such as weighting=dynamic; may be repeated.",
)
@click.option("--state", help="Only those in this state, such as finished, killed or failed.")
@click.option("--sort", metavar="METRIC", help="The best first, such as pose/accuracy.")
@click.option("--inside", is_flag=True, help="List the runs of studies, too.")
@click.option("--open", "opens", is_flag=True, help="Open the report of the last one listed.")
def runs(
    folder: Path,
    where: tuple[str, ...],
    state: str | None,
    sort: str | None,
    inside: bool,
    opens: bool,
) -> None:
    """List the runs and studies below FOLDER, by default runs/, the newest last."""
    from mtlkit.comparison.results.listing import ListedRun, filter_runs, list_runs
    from mtlkit.errors import RunError
    from mtlkit.report.numbers import duration, number

    conditions = {}
    for text in where:
        path, equals, value = text.partition("=")
        if not (path and equals):
            raise click.BadParameter(f"--where {text}: expected PATH=VALUE, such as seed=0")
        conditions[path] = value
    matches = filter_runs(list_runs(folder, inside=inside), conditions, state, sort)

    def numbers(run: ListedRun) -> str:
        shown = [sort] if sort is not None else run.headlines[:2]
        pairs = ((name, run.metric(name)) for name in shown)
        return ", ".join(f"{name} {number(value)}" for name, value in pairs if value is not None)

    rows = [
        (
            str(run.path),
            run.kind,
            run.state,
            run.progress,
            run.what,
            numbers(run),
            duration(run.seconds),
            f"{run.date:%Y-%m-%d %H:%M}",
        )
        for run in matches
    ]
    if not rows and (conditions or state is not None):
        raise RunError(f"{folder}: no run below it matches; `mtlkit runs {folder}` lists all")
    if not rows:
        raise RunError(f"{folder}: holds no run; `mtlkit train RECIPE` writes one")
    header = ("folder", "kind", "state", "step", "weighting", "metrics", "trained", "changed")
    echo_table([header, *rows])
    if opens:
        import webbrowser

        report = matches[-1].report
        if not report.is_file():
            raise RunError(f"{report}: is missing; `mtlkit report {matches[-1].path}` draws it")
        echo("", f"opening {report}")
        webbrowser.open(report.absolute().as_uri())
