"""Try faults of every kind and count what they do: ``python benchmarks/faults.py STATE.jsonl``.

Cases are seeded, and each is appended to the file STATE, so that a stopped campaign continues. The
table on standard output counts the verdicts. Every case that is neither "clear" nor "same" is
printed with what was seen.
"""

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import click
from fault_campaign.home import prepare, warm_up
from fault_campaign.verdict import Case, Verdict, table

Part = Callable[[Path, set[str], int, int], Iterator[Case]]
"""A part of the campaign: home folder, keys that are done, number of cases and seed to cases."""


def _kills(home: Path, done: set[str], most: int, seed: int) -> Iterator[Case]:
    from fault_campaign.acts import training_acts
    from fault_campaign.kills import kills

    yield from kills(home, training_acts(home), done, most, seed)


def _writers(home: Path, done: set[str], most: int, seed: int) -> Iterator[Case]:
    from fault_campaign.kills import kills
    from fault_campaign.writers import writing_acts

    yield from kills(home, writing_acts(home), done, most, seed)


def _study_kills(home: Path, done: set[str], most: int, seed: int) -> Iterator[Case]:
    from fault_campaign.study_kills import StudyKills

    yield from StudyKills(home).cases(done, most, seed)


def _corruptions(home: Path, done: set[str], most: int, seed: int) -> Iterator[Case]:
    from fault_campaign.corruptions import corruptions

    yield from corruptions(home, done, most, seed)


def _documents(home: Path, done: set[str], most: int, seed: int) -> Iterator[Case]:
    from fault_campaign.documents import documents

    yield from documents(home, done, most, seed)


def _plugins(home: Path, done: set[str], most: int, seed: int) -> Iterator[Case]:
    from fault_campaign.hostile_plugins import hostile_plugins

    yield from hostile_plugins(home, done, most, seed)


def _tables(home: Path, done: set[str], most: int, seed: int) -> Iterator[Case]:
    from fault_campaign.tables import tables

    yield from tables(home, done, most, seed)


PARTS: dict[str, tuple[Part, int]] = {
    "kills": (_kills, 500),
    "writers": (_writers, 300),
    "studies": (_study_kills, 60),
    "corruptions": (_corruptions, 1000),
    "tables": (_tables, 1000),
    "documents": (_documents, 10_000),
    "plugins": (_plugins, 100),
}
"""The parts, and how many cases each tries."""

STRUCK = ("kills", "writers", "studies")
"""The parts with a number of events, of which they try a sample unless all are requested."""


FEWEST = 4
"""Number of cases that each part tries at least."""


def read_cases(state: Path) -> list[Case]:
    """Return the cases in the file, each once: files of several seeds may be concatenated."""
    cases: dict[tuple[str, str], Case] = {}
    for line in state.read_text().splitlines() if state.exists() else ():
        fields = json.loads(line)
        case = Case(**{**fields, "verdict": Verdict(fields["verdict"])})
        cases[case.kind, case.key] = case
    return list(cases.values())


@click.command()
@click.argument("state", type=click.Path(path_type=Path))
@click.option("--part", "parts", multiple=True, type=click.Choice(list(PARTS)))
@click.option("--fraction", default=1.0, help="Fraction of the cases of each part.")
@click.option("--every", is_flag=True, help="Strike at every event instead of a sample.")
@click.option("--seed", default=0)
@click.option("--table", "only_table", is_flag=True, help="Try nothing; print the table of STATE.")
def main(
    state: Path,
    parts: tuple[str, ...],
    fraction: float,
    every: bool,
    seed: int,
    only_table: bool,
) -> None:
    """Run the campaign, or the given parts of it."""
    state = state.absolute()
    cases = read_cases(state)
    if only_table:
        click.echo(table(cases))
        return
    done = {f"{case.kind} {case.key}" for case in cases}
    with tempfile.TemporaryDirectory(prefix="mtlkit-faults-") as folder, state.open("a") as file:
        for number, name in enumerate(parts or PARTS):
            home = prepare(Path(folder) / name)
            os.chdir(home)
            if number == 0:
                warm_up(home)
            part, most = PARTS[name]
            most = sys.maxsize if every and name in STRUCK else max(FEWEST, int(most * fraction))
            for case in part(home, done, most, seed):
                fields = {**attrs.asdict(case), "verdict": case.verdict.value}
                file.write(f"{json.dumps(fields)}\n")
                file.flush()
                cases.append(case)
                if case.verdict not in (Verdict.CLEAR, Verdict.SAME):
                    click.echo(
                        f"{case.kind} {case.key}: {case.verdict.value}: {case.detail}", err=True
                    )
    click.echo(table(cases))


if __name__ == "__main__":
    main()
