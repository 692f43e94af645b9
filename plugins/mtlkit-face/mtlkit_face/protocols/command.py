"""``mtlkit face protocol``: evaluation of a trained run by a protocol.

Each command has the options of the evaluator of the same name.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mtlkit.plugins import DataError, echo, replaced_folder, write_folder
from mtlkit_face.progress_bar import progress_bar
from mtlkit_face.protocols.mode import Mode

if TYPE_CHECKING:
    from mtlkit_face.protocols.protocol import Protocol
    from mtlkit_face.protocols.result import ProtocolReport

Command = TypeVar("Command", bound=Callable[..., None])


@click.group()
def protocol() -> None:
    """Evaluate a trained run by a protocol, on a set of pictures aligned like its training."""


def _shared_options(command: Command) -> Command:
    """Add the options of all protocols to `command`."""
    for add in reversed(
        (
            click.option("--run", type=_FOLDER, required=True, help="The folder of a trained run."),
            click.option(
                "--out", type=_FOLDER, help="Folder of result.json, evaluation.json, "
                "report.html; by default protocols/NAME in the run.",
            ),
            click.option("--task", default="identity", show_default=True, help="Task to match."),
            click.option(
                "--mode", type=click.Choice([mode.value for mode in Mode]), default="strict",
                show_default=True, help="Rules of the definition, or those of common toolkits.",
            ),
            click.option("--mirror/--no-mirror", default=True, show_default=True,
                         help="Match the mean over mirror images."),
            click.option(
                "--count-failures/--refuse-failures", default=None,
                help="Count an unreadable picture as never matched, or stop the evaluation; by "
                "default strict stops, compatible counts.",
            ),
            click.option("--batch", type=click.IntRange(min=1), default=128, show_default=True,
                         help="Pictures embedded at once."),
            click.option("--replicates", type=click.IntRange(min=1), default=2000,
                         show_default=True, help="Bootstrap replicates of the intervals."),
            click.option("--scores", is_flag=True,
                         help="Write the score of every comparison to scores.parquet."),
            click.option("--threads", type=click.IntRange(min=1), default=None,
                         help="Threads that decode and compute; by default PyTorch's number."),
            click.option("--device", default=None, metavar="DEVICE",
                         help="Such as cpu or cuda:1; by default a GPU if available."),
        )
    ):  # fmt: skip
        command = add(command)
    return command


_FOLDER = click.Path(file_okay=False, path_type=Path)
_FILE = click.Path(dir_okay=False, path_type=Path)
_images = click.option("--images", type=_FOLDER, required=True, help="The images of the set.")


def _fold_options(command: Command) -> Command:
    """Add the options of folds to `command`."""
    count = click.option(
        "--fold-count", type=click.IntRange(min=2), default=10, show_default=True,
        help="Folds of the set.",
    )  # fmt: skip
    chosen = click.option(
        "--folds", default="", metavar="N,N,...", callback=_numbers,
        help="Use these folds only, such as 9,10, if the people of others were in training.",
    )  # fmt: skip
    return count(chosen(command))


def _numbers(_: click.Context, __: click.Parameter, value: str) -> tuple[int, ...]:
    words = [word.strip() for word in value.split(",") if word.strip()]
    if not all(word.isdecimal() for word in words):
        raise click.BadParameter(f"got {value!r}, expected numbers such as 9,10")
    return tuple(map(int, words))


_far = click.option("--far", type=float, multiple=True, default=(0.01, 0.001), show_default=True,
                    help="Report TAR at this FAR; may be repeated.")  # fmt: skip


@protocol.command()
@_shared_options
@_images
@click.option("--pairs", type=_FILE, help="pairs.txt; by default in the images or one folder up.")
@_fold_options
@click.option("--fold-pairs", type=click.IntRange(min=1), default=300, show_default=True,
              help="Pairs of each kind in a fold.")  # fmt: skip
@_far
def lfw(run: Path, out: Path | None, **options: Any) -> None:
    """LFW, View 2: ten folds; the threshold of each is selected on the other nine."""
    from mtlkit_face.protocols.pairs.lfw import LFW

    _evaluate(run, out, options, LFW)


@protocol.command()
@_shared_options
@_images
@click.option("--protocol", type=_FOLDER, help="The lists; by default Protocol in the images.")
@click.option("--faces", type=click.Choice(["frontal-frontal", "frontal-profile"]), multiple=True,
              help="Run one of the two protocols only.")  # fmt: skip
@_fold_options
@click.option("--fold-pairs", type=click.IntRange(min=1), default=350, show_default=True,
              help="Pairs of each kind in a fold.")  # fmt: skip
@_far
def cfp(run: Path, out: Path | None, faces: tuple[str, ...], **options: Any) -> None:
    """CFP: frontal-frontal and frontal-profile, with accuracy, EER and AUC of ten folds."""
    from mtlkit_face.protocols.pairs.cfp import CFP, Faces

    _evaluate(run, out, options | {"faces": tuple(map(Faces, faces or Faces))}, CFP)


@protocol.command("ijb-a")
@_shared_options
@_images
@click.option("--protocol", type=_FOLDER, help="IJB-A_11_sets and IJB-A_1N_sets; by default in the "
              "images.")  # fmt: skip
@click.option("--margin", type=float, help="Crop the face boxes, enlarged by this part of their "
              "sides; by default pictures are aligned faces.")  # fmt: skip
@click.option(
    "--well-aligned",
    type=_FILE,
    help="A list of files; a template with any of them pools these only.",
)
@click.option("--splits", type=click.IntRange(min=1), default=10, show_default=True,
              help="Splits of the set.")  # fmt: skip
@_far
@click.option("--fpir", type=float, multiple=True, default=(0.1, 0.01), show_default=True,
              help="Report TPIR at this FPIR; may be repeated.")  # fmt: skip
@click.option("--ranks", "--rank", type=click.IntRange(min=1), multiple=True, default=(1, 5),
              show_default=True, help="Report this rank; may be repeated.")  # fmt: skip
def ijb_a(run: Path, out: Path | None, **options: Any) -> None:
    """IJB-A: comparison and search of templates, over ten splits."""
    from mtlkit_face.protocols.templates.ijb_a import IJBA

    _evaluate(run, out, options, IJBA)


@protocol.command("bin")
@_shared_options
@click.option(
    "--file", type=_FILE, required=True, help="The .bin set; its pickle is never executed."
)
@_fold_options
@_far
def verification_bin(run: Path, out: Path | None, **options: Any) -> None:
    """A .bin set of pairs of aligned faces, as LFW, CFP, AgeDB and others are distributed."""
    from mtlkit_face.protocols.pairs.verification_bin import VerificationBin

    _evaluate(run, out, options, VerificationBin)


@protocol.command("render")
@click.option("--out", type=_FOLDER, required=True, help="An empty or new folder for the sets.")
@click.option("--subjects", type=click.IntRange(min=6), default=20, show_default=True,
              help="People; two or more for each fold.")  # fmt: skip
@click.option("--fold-count", type=click.IntRange(min=2), default=10, show_default=True,
              help="Folds of the sets of pairs.")  # fmt: skip
@click.option("--fold-pairs", type=click.IntRange(min=1), default=30, show_default=True,
              help="Pairs of each kind in a fold.")  # fmt: skip
@click.option("--splits", type=click.IntRange(min=1), default=10, show_default=True,
              help="Splits of IJB-A.")  # fmt: skip
@click.option("--size", type=click.IntRange(min=32, max=112), default=48, show_default=True,
              help="The side of a face in pixels.")  # fmt: skip
@click.option("--first-subject", type=click.IntRange(min=0), default=100_000, show_default=True,
              help="The number of the first person, unseen in training.")  # fmt: skip
def render_sets(out: Path, subjects: int, fold_count: int, fold_pairs: int, splits: int, size: int,
           first_subject: int) -> None:  # fmt: skip
    """Write rendered faces in the layout of every set, to try the protocols."""
    import numpy as np
    from mtlkit_synthetic_faces import FaceSet, render_set

    from mtlkit_face.protocols.rendered_sets import (
        People,
        write_bin,
        write_cfp,
        write_ijb_a,
        write_lfw,
    )

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{out} exists; choose a new or empty folder with --out")
    faces = FaceSet(
        subjects=subjects, images_per_subject=12, size=size, first_subject=first_subject
    )
    people = People(render_set(faces, cache=None, workers=1), np.random.default_rng(0))
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        with replaced_folder(out) as partial:
            write_lfw(people, partial / "lfw", fold_count, fold_pairs)
            write_cfp(people, partial / "cfp", fold_count, fold_pairs)
            write_bin(people, partial / "pairs.bin", fold_count, fold_pairs)
            write_ijb_a(people, partial / "ijb-a", splits)
    except ValueError as mistake:
        raise DataError(f"--subjects: {mistake}") from mistake
    echo(f"lfw, cfp, ijb-a and pairs.bin are in {out}")


def _evaluate(
    run: Path, out: Path | None, options: dict[str, Any], create: "Callable[..., Protocol]"
) -> None:
    """Evaluate `run` by the protocol of `create` and `options`, and write results and a report."""
    import torch

    from mtlkit import load_catalog, load_model, load_recipe
    from mtlkit.runs import RunFolder

    device, threads, scores = (options.pop(name) for name in ("device", "threads", "scores"))
    options["mode"] = Mode(options["mode"])
    try:
        protocol = create(**options)
    except ValueError as mistake:
        raise DataError(str(mistake)) from mistake
    catalog = load_catalog()
    model = load_model(run, catalog).network
    weights = hashlib.sha256(RunFolder(run).model.read_bytes()).hexdigest()
    file = run / "recipe.yaml"
    trained = load_recipe(file, catalog)
    mistakes = [str(problem) for problem in protocol.problems(trained.terms())]
    if mistakes:
        raise DataError(f"{run}: {'; '.join(mistakes)}")
    target = out or run / "protocols" / protocol.prefix.removeprefix("face/")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise DataError(f"{target} exists; choose a new or empty folder with --out")
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        model = model.to(torch.device(device))
    except (RuntimeError, AssertionError) as cause:
        raise DataError(
            f"--device {device}: cannot be used: {cause}; choose another device"
        ) from cause
    if threads is not None:
        torch.set_num_threads(threads)
    with progress_bar("embedding pictures") as progress:
        outcome = protocol.outcome(model, progress, weights, trained.data.frame)
    _write(target, run, file.read_text(encoding="utf-8"), outcome, scores=scores)
    _print_results(outcome)
    echo("", f"report: {target / 'report.html'}")


def _write(
    target: Path, run: Path, recipe: str, outcome: "ProtocolReport", *, scores: bool
) -> None:
    from mtlkit.runs import Evaluation, RunRecord, evaluation_to_json, render_page
    from mtlkit_face.protocols.score_file import scores_to_parquet

    evaluated = outcome.evaluation_result()
    result = next(iter(outcome.results.values()))  # all parts have the same model
    evaluation = Evaluation(
        facts={
            "run": run.name,
            "protocol": outcome.title,
            "weights, SHA-256": result.weights or "",
            "preprocessing": str(result.preprocessing),
        },
        headlines=evaluated.headlines,
        metrics=evaluated.metrics,
        sections=evaluated.sections,
    )
    page = render_page(RunRecord(name=run.name, evaluation=evaluation, recipe=recipe))
    files = {
        "result.json": outcome.to_json(),
        "evaluation.json": evaluation_to_json(evaluation),
        "report.html": page,
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    contents = {name: text.encode() for name, text in files.items()}
    if scores:
        contents["scores.parquet"] = scores_to_parquet(outcome.scores)
    write_folder(target, contents)


def _print_results(outcome: "ProtocolReport") -> None:
    first = next(iter(outcome.results.values()))
    echo(f"weights {first.weights} (SHA-256); {first.preprocessing}")
    for part, result in outcome.results.items():
        echo(f"{part or outcome.title}: {result.version}; {result.mode}, {result.matching}")
        for name, m in result.measures.items():
            spread = f" ± {m.standard_error:.4f}" if m.folds else ""
            echo(f"  {name:24}{m.value:.4f}{spread}  [{m.low:.4f}, {m.high:.4f}]")
        echo(
            f"  {result.n_genuine:,} genuine, {result.n_impostor:,} impostor, "
            f"{result.failures:,} of {result.pictures:,} pictures failed"
        )
