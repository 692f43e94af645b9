"""``mtlkit face protocol``: a trained run judged by a protocol, from the command line.

Each command's options are those of the evaluator of the same name, with which it shares all else.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mtlkit.plugins import DataError
from mtlkit_face.protocols.mode import Mode

if TYPE_CHECKING:
    from mtlkit_face.protocols.protocol import Protocol
    from mtlkit_face.protocols.result import ProtocolReport

Command = TypeVar("Command", bound=Callable[..., None])


@click.group()
def protocol() -> None:
    """Judge a trained run by a published protocol, on a set that you have.

    Pictures are taken as aligned already, like those of the run's training.
    """


def _every_protocol(command: Command) -> Command:
    """Give `command` the options that all protocols have."""
    for add in reversed(
        (
            click.option("--run", type=_FOLDER, required=True, help="The folder of a trained run."),
            click.option(
                "--out", type=_FOLDER, help="For result.json, evaluation.json and report.html; by "
                "default in the run, under protocols/NAME.",
            ),
            click.option("--task", default="identity", show_default=True, help="Whose outputs."),
            click.option(
                "--mode", type=click.Choice([each.value for each in Mode]), default="strict",
                show_default=True, help="Rules of the definition, or those of the common kits.",
            ),
            click.option("--mirror/--no-mirror", default=True, show_default=True,
                         help="Match the mean over mirror images."),
            click.option(
                "--count-failures/--refuse-failures", default=None,
                help="A picture that is missing or cannot be read is recognised by nobody, or "
                "stops the evaluation; by default strict refuses, compatible counts.",
            ),
            click.option("--batch", type=click.IntRange(min=1), default=128, show_default=True,
                         help="Pictures embedded at a time."),
            click.option("--device", default=None, metavar="DEVICE",
                         help="Such as cpu or cuda:1; by default a GPU where there is one."),
        )
    ):  # fmt: skip
        command = add(command)
    return command


_FOLDER = click.Path(file_okay=False, path_type=Path)
_FILE = click.Path(dir_okay=False, path_type=Path)
_images = click.option("--images", type=_FOLDER, required=True, help="The images of the set.")
_folds = click.option("--folds", type=click.IntRange(min=2), default=10, show_default=True,
                      help="Folds of the set.")  # fmt: skip
_far = click.option("--far", type=float, multiple=True, default=(0.01, 0.001), show_default=True,
                    help="Report TAR at this FAR; may be repeated.")  # fmt: skip


@protocol.command()
@_every_protocol
@_images
@click.option("--pairs", type=_FILE, help="pairs.txt; by default there or one folder up.")
@_folds
@click.option("--fold-pairs", type=click.IntRange(min=1), default=300, show_default=True,
              help="Pairs of each kind in a fold.")  # fmt: skip
@_far
def lfw(run: Path, out: Path | None, device: str | None, **options: Any) -> None:
    """LFW, View 2: ten folds, the threshold of each chosen on the other nine."""
    from mtlkit_face.protocols.pairs.lfw import Lfw

    _judge(run, out, device, lambda: Lfw(**_given(options)))


@protocol.command()
@_every_protocol
@_images
@click.option("--protocol", type=_FOLDER, help="The lists; by default Protocol in the images.")
@click.option("--faces", type=click.Choice(["frontal-frontal", "frontal-profile"]), multiple=True,
              help="One of the two protocols alone.")  # fmt: skip
@_folds
@click.option("--fold-pairs", type=click.IntRange(min=1), default=350, show_default=True,
              help="Pairs of each kind in a fold.")  # fmt: skip
@_far
def cfp(
    run: Path, out: Path | None, device: str | None, faces: tuple[str, ...], **options: Any
) -> None:
    """CFP: frontal-frontal and frontal-profile, with accuracy, EER and AUC of ten folds."""
    from mtlkit_face.protocols.pairs.cfp import Cfp, Faces

    chosen = tuple(map(Faces, faces or Faces))
    _judge(run, out, device, lambda: Cfp(**_given(options), faces=chosen))


@protocol.command("ijb-a")
@_every_protocol
@_images
@click.option("--protocol", type=_FOLDER, help="IJB-A_11_sets and IJB-A_1N_sets; by default in the "
              "images.")  # fmt: skip
@click.option("--margin", type=float, help="Cut out the face boxes, enlarged by so much of their "
              "sides; by default pictures are aligned faces.")  # fmt: skip
@click.option("--well-aligned", type=_FILE, help="A list of files to pool alone, if there are any.")
@click.option("--splits", type=click.IntRange(min=1), default=10, show_default=True,
              help="Splits of the set.")  # fmt: skip
@_far
@click.option("--fpir", type=float, multiple=True, default=(0.1, 0.01), show_default=True,
              help="Report TPIR at this FPIR; may be repeated.")  # fmt: skip
@click.option("--ranks", "--rank", type=click.IntRange(min=1), multiple=True, default=(1, 5),
              show_default=True, help="Report this rank; may be repeated.")  # fmt: skip
def ijb_a(run: Path, out: Path | None, device: str | None, **options: Any) -> None:
    """IJB-A: templates compared one to one, and searched for, over ten splits."""
    from mtlkit_face.protocols.templates.ijb_a import IjbA

    _judge(run, out, device, lambda: IjbA(**_given(options)))


@protocol.command("bin")
@_every_protocol
@click.option("--file", type=_FILE, required=True, help="The .bin set; nothing in it is run.")
@_folds
@_far
def verification_bin(run: Path, out: Path | None, device: str | None, **options: Any) -> None:
    """A .bin set of pairs of aligned faces (LFW, CFP, AgeDB and others travel so)."""
    from mtlkit_face.protocols.pairs.verification_bin import VerificationBin

    _judge(run, out, device, lambda: VerificationBin(**_given(options)))


@protocol.command("render")
@click.option("--out", type=_FOLDER, required=True, help="An empty or new folder for the sets.")
@click.option("--subjects", type=click.IntRange(min=6), default=20, show_default=True,
              help="People; two or more for each fold.")  # fmt: skip
@click.option("--folds", type=click.IntRange(min=2), default=10, show_default=True,
              help="Folds of the sets of pairs.")  # fmt: skip
@click.option("--fold-pairs", type=click.IntRange(min=1), default=30, show_default=True,
              help="Pairs of each kind in a fold.")  # fmt: skip
@click.option("--splits", type=click.IntRange(min=1), default=10, show_default=True,
              help="Splits of IJB-A.")  # fmt: skip
@click.option("--size", type=click.IntRange(min=32, max=112), default=48, show_default=True,
              help="The side of a face in pixels.")  # fmt: skip
@click.option("--first-subject", type=click.IntRange(min=0), default=100_000, show_default=True,
              help="The number of the first person: whom training has not seen.")  # fmt: skip
def render_sets(out: Path, subjects: int, folds: int, fold_pairs: int, splits: int, size: int,
           first_subject: int) -> None:  # fmt: skip
    """Write rendered faces in the layout of every set, to try the protocols without photographs."""
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
        raise DataError(f"{out} is there already; choose a new or empty folder with --out")
    faces = FaceSet(
        subjects=subjects, images_per_subject=12, size=size, first_subject=first_subject
    )
    people = People(render_set(faces, cache=None, workers=1), np.random.default_rng(0))
    try:
        write_lfw(people, out / "lfw", folds, fold_pairs)
        write_cfp(people, out / "cfp", folds, fold_pairs)
        write_bin(people, out / "pairs.bin", folds, fold_pairs)
        write_ijb_a(people, out / "ijb-a", splits)
    except ValueError as mistake:
        raise DataError(f"--subjects: {mistake}") from mistake
    click.echo(f"lfw, cfp, ijb-a and pairs.bin are in {out}")


def _given(options: dict[str, Any]) -> dict[str, Any]:
    return {**options, "mode": Mode(options["mode"])}


def _judge(run: Path, out: Path | None, device: str | None, make: "Callable[[], Protocol]") -> None:
    """Judge `run` by what `make` gives, and write the result beside a report."""
    import torch
    from rich.progress import Progress, TextColumn, TimeElapsedColumn

    from mtlkit import load_catalog, load_model, load_recipe
    from mtlkit.runs import RunFolder

    try:
        asked = make()
    except ValueError as mistake:
        raise DataError(str(mistake)) from mistake
    catalog = load_catalog()
    model = load_model(run, catalog)
    weights = hashlib.sha256(RunFolder(run).model.read_bytes()).hexdigest()
    file = run / "recipe.yaml"
    mistakes = [str(each) for each in asked.problems(load_recipe(file, catalog).terms())]
    if mistakes:
        raise DataError(f"{run}: {'; '.join(mistakes)}")
    target = out or run / "protocols" / asked.prefix.removeprefix("face/")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise DataError(f"{target} is there already; choose a new or empty folder with --out")
    chosen = device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        model = model.to(torch.device(chosen))
    except (RuntimeError, AssertionError) as cause:
        raise DataError(f"--device {chosen}: cannot be used: {cause}") from cause
    with Progress(TextColumn("embedding"), TextColumn("{task.completed:,} pictures"),
                  TimeElapsedColumn(), transient=True) as bar:  # fmt: skip
        task = bar.add_task("", total=None)
        outcome = asked.outcome(model, lambda done: bar.advance(task, done), weights)
    _write(target, run, file.read_text(encoding="utf-8"), outcome)
    _tell(outcome)
    click.echo(f"\nreport: {target / 'report.html'}")


def _write(target: Path, run: Path, recipe: str, outcome: "ProtocolReport") -> None:
    from mtlkit.report import Evaluation, RunRecord, evaluation_to_json, render_page

    found = outcome.findings()
    result = next(iter(outcome.results.values()))  # of all parts of one model
    evaluation = Evaluation(
        facts={
            "run": run.name,
            "protocol": outcome.title,
            "weights, SHA-256": result.weights or "",
            "preprocessing": str(result.preprocessing),
        },
        headlines=found.headlines,
        metrics=found.metrics,
        sections=found.sections,
    )
    page = render_page(RunRecord(name=run.name, evaluation=evaluation, recipe=recipe))
    files = {
        "result.json": outcome.to_json(),
        "evaluation.json": evaluation_to_json(evaluation),
        "report.html": page,
    }
    try:
        target.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (target / name).write_text(text, encoding="utf-8")
    except OSError as cause:
        raise DataError(
            f"{cause.filename or target}: cannot be written: {cause.strerror or cause}; free some "
            f"space, or choose another folder with --out"
        ) from cause


def _tell(outcome: "ProtocolReport") -> None:
    first = next(iter(outcome.results.values()))
    click.echo(f"weights {first.weights} (SHA-256); {first.preprocessing}")
    for part, result in outcome.results.items():
        click.echo(f"{part or outcome.title}: {result.version}; {result.mode}, {result.matching}")
        for name, m in result.measures.items():
            spread = f" ± {m.standard_error:.4f}" if m.folds else ""
            click.echo(f"  {name:24}{m.value:.4f}{spread}  [{m.low:.4f}, {m.high:.4f}]")
        click.echo(
            f"  {result.n_genuine:,} genuine, {result.n_impostor:,} impostor, "
            f"{result.failures:,} of {result.pictures:,} pictures failed"
        )
