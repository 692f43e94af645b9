"""``mtlkit face study``: the experiments of the paper, at one of two sizes."""

from pathlib import Path

import click

from mtlkit.plugins import cache_option


@click.command()
@click.argument("size", type=click.Choice(["small", "full"]))
@click.option(
    "--arms",
    default="core",
    show_default=True,
    metavar="NAMES",
    help="Networks with commas between, or core, search, all.",
)
@click.option("--seeds", type=click.IntRange(min=1), help="How many; by default as the size says.")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="How many runs at once; by default one for each GPU, or else for each core, at most 8.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="The study's folder, runs/study-SIZE by default; one that is there is gone on with.",
)
@cache_option
@click.option("--list", "listed", is_flag=True, help="List the networks and run nothing.")
def study(
    size: str,
    arms: str,
    seeds: int | None,
    workers: int | None,
    out: Path | None,
    cache: Path,
    listed: bool,
) -> None:
    """Run the experiments of Yin & Liu (TIP 2018) on rendered faces, and judge its claims.

    SMALL is made for two CPU cores, FULL is the paper's and made for a GPU. The same command goes
    on with a study that was stopped; more networks and seeds can be asked for later.
    """
    from mtlkit import load_catalog
    from mtlkit.comparison import ExecutorConfig
    from mtlkit.data import Loading
    from mtlkit.plugins import RunError
    from mtlkit_face.study.arms import SIZES, chosen
    from mtlkit_face.study.run_study import Asked, run_study

    chosen_size = SIZES[size]
    networks = chosen(tuple(word.strip() for word in arms.split(",")), chosen_size)
    if listed:
        width = max(len(arm.name) for arm in networks)
        for arm in networks:
            click.echo(f"{arm.name:<{width}}  {arm.about}")
        return
    asked = Asked(
        folder=out or Path("runs") / f"study-{size}",
        size=chosen_size,
        arms=networks,
        seeds=range(seeds or chosen_size.seeds),
    )
    study = run_study(
        asked,
        load_catalog(),
        Loading(cache=cache, workers=1),
        ExecutorConfig(workers=workers),
        lambda line: click.echo(line, err=True),
    )
    for one in study.judged():
        click.echo(f"{one.name:<5}{one.state.value:<13}{one.claim}")
    click.echo(f"report: {asked.folder / 'report.html'}")
    if study.failed:
        count = "1 run" if len(study.failed) == 1 else f"{len(study.failed)} runs"
        raise RunError(f"{count} failed; the report says why, the same command tries again")
