"""Damaged and odd tables of a user: each is read, or refused with a clear error.

Such a file has no checksum for the whole (the pages of Parquet may), so a changed digit is another
table, and "same" means only that it was read.
"""

import random
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fault_campaign.child import in_child
from fault_campaign.verdict import Case, Verdict
from mtlkit.data.listing.table_files import new_rows, read_table
from mtlkit.errors import MtlkitError

READ = 20
"""Number of tables that one child reads."""

COLUMNS = {
    "file": [f"p{number}.png" for number in range(40)],
    "side": ["left", "right", None, "caf\xe9"] * 10,
    "age": [number * 1.5 for number in range(40)],
    "day": [None, *range(39)],
}


def tables(home: Path, done: set[str], most: int, seed: int) -> Iterator[Case]:
    """Yield a case for each of `most` damaged tables, half in CSV and half in Parquet."""
    rng = random.Random(seed)
    originals = {"csv": _csv(), "parquet": _parquet(home / "whole.parquet")}
    cases = []
    for number in range(most):
        form = ("csv", "parquet")[number % 2]
        how, content = _damaged(originals[form], rng)
        cases.append((f"damage to a table in {form}", f"{number} {how}", form, content))
    cases = [case for case in cases if f"{case[0]} {case[1]}" not in done]
    for start in range(0, len(cases), READ):
        yield from _tried(home, cases[start : start + READ])


def _csv() -> bytes:
    rows = zip(*COLUMNS.values(), strict=True)
    lines = [",".join("" if value is None else str(value) for value in row) for row in rows]
    return "\n".join([",".join(COLUMNS), *lines]).encode()


def _parquet(path: Path) -> bytes:
    columns = {
        **COLUMNS,
        "day": pa.array(COLUMNS["day"], pa.date32()),
        "at": pa.array(range(40), pa.timestamp("us")),
        "word": pa.array(COLUMNS["side"]).dictionary_encode(),
    }
    pq.write_table(pa.table(columns), path, write_page_checksum=True)
    return path.read_bytes()


def _damaged(content: bytes, rng: random.Random) -> tuple[str, bytes]:
    """Return a name of the damage, and the content with a bit flipped, cut, or bytes replaced."""
    at, way = rng.randrange(len(content)), rng.random()
    if way < 0.2:
        return f"cut at {at}", content[:at]
    changed = bytearray(content)
    if way < 0.7:
        bit = rng.randrange(8)
        changed[at] ^= 1 << bit
        return f"flip bit {bit} of {at}", bytes(changed)
    length = rng.randrange(1, 16)
    changed[at : at + length] = rng.randbytes(length)
    return f"replace {length} bytes at {at}", bytes(changed)


def _tried(home: Path, cases: list[tuple[str, str, str, bytes]]) -> Iterator[Case]:
    """Read the tables in one child; if it breaks, each in a separate child."""

    def act() -> None:
        for _, _, form, content in cases:
            path = home / f"table.{form}"
            path.write_bytes(content)
            print(_read(path))

    child = in_child(act)
    if child.code == 0:
        for (kind, key, *_), answer in zip(cases, child.out.split(), strict=True):
            yield Case(kind, key, Verdict(answer))
    elif len(cases) > 1:
        for case in cases:
            yield from _tried(home, [case])
    else:
        verdict = Verdict.STUCK if child.stuck else Verdict.TRACEBACK
        yield Case(cases[0][0], cases[0][1], verdict, f"{child.code}: {child.err[-800:]}")


def _read(path: Path) -> str:
    clear = False
    for read in (lambda: read_table(path), lambda: new_rows(path, None)):
        try:
            read()
        except MtlkitError as error:
            if path.name not in str(error):
                raise
            clear = True
    return (Verdict.CLEAR if clear else Verdict.SAME).value
