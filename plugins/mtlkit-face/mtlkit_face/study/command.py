"""``mtlkit face study``: the experiments of the paper, at one of three sizes."""

from pathlib import Path

import click

from mtlkit.plugins import cache_option, echo


@click.command()
@click.argument("size", type=click.Choice(["quick", "small", "full"]))
@click.option(
    "--arms",
    default="core",
    show_default=True,
    metavar="NAMES",
    help="Networks, separated by commas, or core, controls, search, all.",
)
@click.option(
    "--seeds", type=click.IntRange(min=1), help="Number of seeds; by default that of the size."
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Runs at once; by default one for each GPU, or else for each core, at most 8.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="The study's folder, runs/study-SIZE by default; an existing study is resumed.",
)
@click.option(
    "--from",
    "records",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A results.csv of this size, whose runs are not repeated, such as a committed one.",
)
@cache_option
@click.option("--list", "listed", is_flag=True, help="List the networks without running them.")
def study(
    size: str,
    arms: str,
    seeds: int | None,
    workers: int | None,
    out: Path | None,
    records: Path | None,
    cache: Path,
    listed: bool,
) -> None:
    """Run the experiments of Yin & Liu (TIP 2018) on rendered faces, and test its claims.

    QUICK shows trends in minutes; SMALL fits two CPU cores; FULL has the paper's size and needs a
    GPU. The same command resumes a study, also with more networks or seeds; --from continues one
    of another machine.
    """
    from mtlkit import load_catalog
    from mtlkit.comparison import ExecutorConfig
    from mtlkit.data import Loading
    from mtlkit.plugins import RunError
    from mtlkit_face.study.arms import select_arms
    from mtlkit_face.study.run_study import StudyRequest, run_study
    from mtlkit_face.study.sizes import SIZES

    chosen_size = SIZES[size]
    networks = select_arms(tuple(name.strip() for name in arms.split(",")), chosen_size)
    if listed:
        width = max(len(arm.name) for arm in networks)
        for arm in networks:
            echo(f"{arm.name:<{width}}  {arm.about}")
        return
    request = StudyRequest(
        folder=out or Path("runs") / f"study-{size}",
        size=chosen_size,
        arms=networks,
        seeds=range(seeds or chosen_size.seeds),
        records=records,
    )
    study = run_study(
        request,
        load_catalog(),
        Loading(cache=cache, workers=1),
        ExecutorConfig(workers=workers),
        lambda line: echo(line, err=True),
    )
    for claim in study.claims():
        echo(f"{claim.name:<5}{claim.state.value:<13}{claim.claim} ({claim.evidence()})")
    echo(f"report: {request.folder / 'report.html'}")
    if study.failed:
        count = "1 run" if len(study.failed) == 1 else f"{len(study.failed)} runs"
        raise RunError(f"{count} failed; the report has the errors. Repeat the command to retry")
