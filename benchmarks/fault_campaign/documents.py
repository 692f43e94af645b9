"""Mutated recipes and comparisons: each is refused, or equals itself after a dump."""

import random
import re
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from fault_campaign.home import COMPARISON, RECIPE
from fault_campaign.verdict import Case, Verdict
from mtlkit.comparison.spec.load import load_comparison
from mtlkit.errors import RecipeError
from mtlkit.plugins.catalog import Catalog, load_catalog
from mtlkit.recipe_io import dump_recipe, load_recipe, parse_recipe

Mutation = Callable[[bytearray, random.Random], None]

TOKENS = (
    *(b"{", b"}", b"[", b"]", b":", b",", b"\n", b"\t", b"  ", b"'", b'"', b"&a ", b"*a", b"!!x "),
    *(b"null", b"~", b"yes", b"1e999", b"-1", b"0", b".nan", b".inf", b"9" * 400, b"1e300"),
    *(
        b"\x00",
        b"\xff",
        b"\xed\xa0\x80",
        b"\xf3\xa0\x80\x81",
        b"\\u0000",
        b"\xe2\x80\xae",
        b"%YAML",
    ),
    *(b"type: ", b"type: sgd", b"extends: recipe.yaml\n", b"<<: ", b"? ", b"- ", b"---\n", b"#"),
)


VALUES = (
    *(b"0", b"1", b"-1", b"2.5", b"1e300", b"1e-300", b"9" * 30, b"1" + b"0" * 399, b"0x10", b"~"),
    *(b"true", b"no", b"''", b"'1'", b"[]", b"{}", b"[4]", b"[[4]]", b"{a: 1}", b"{type: sgd}"),
    *(b"sgd", b"adamw", b"equal", b"dynamic", b"cagrad", b"timm", b"table", b"images", b"acme/x"),
    *(
        b"side",
        b"height",
        b"main",
        b"x" * 300,
        b"../x",
        b"/dev/zero",
        b"caf\xc3\xa9",
        b"\xf0\x9f\x98\x80",
    ),
)
"""Values for a word or a number."""


def flip(text: bytearray, rng: random.Random) -> None:
    """Flip one bit."""
    text[rng.randrange(len(text))] ^= 1 << rng.randrange(8)


def insert(text: bytearray, rng: random.Random) -> None:
    """Insert a token."""
    at = rng.randrange(len(text) + 1)
    text[at:at] = rng.choice(TOKENS)


def remove(text: bytearray, rng: random.Random) -> None:
    """Remove a few bytes."""
    at = rng.randrange(len(text))
    del text[at : at + rng.randint(1, 20)]


def repeat(text: bytearray, rng: random.Random) -> None:
    """Copy a part to another place."""
    at, to = rng.randrange(len(text)), rng.randrange(len(text))
    text[to:to] = text[at : at + rng.randint(1, 60)]


def cut(text: bytearray, rng: random.Random) -> None:
    """Cut the end off."""
    del text[rng.randrange(1, len(text)) :]


def replace(text: bytearray, rng: random.Random) -> None:
    """Replace a word or a number by another value."""
    words = list(re.finditer(rb"[\w.]+", text))
    if words:
        word = rng.choice(words)
        text[word.start() : word.end()] = rng.choice(VALUES)


MUTATIONS: tuple[Mutation, ...] = (flip, insert, remove, repeat, cut, *[replace] * 7)


def mutated(text: str, rng: random.Random) -> bytes:
    """Return the text after one to four mutations."""
    changed = bytearray(text.encode())
    for _ in range(rng.randint(1, 4)):
        if len(changed) > 1:
            rng.choice(MUTATIONS)(changed, rng)
    return bytes(changed)


def documents(home: Path, done: set[str], most: int, seed: int) -> Iterator[Case]:
    """Yield a case for each of `most` mutated documents."""
    catalog = load_catalog("none")
    for number in range(most):
        kind = "mutated recipe" if number % 4 else "mutated comparison"
        if f"{kind} {number}" in done:
            continue
        rng = random.Random(f"{seed} {number}")
        content = mutated(RECIPE if number % 4 else COMPARISON, rng)
        path = home / "mutated.yaml"
        path.write_bytes(content)
        read = _read_recipe if number % 4 else _read_comparison
        yield Case(kind, str(number), *_verdict(lambda: read(path, catalog), content))  # noqa: B023


def _verdict(read: Callable[[], bool], content: bytes) -> tuple[Verdict, str]:
    try:
        equal = read()
    except RecipeError as error:
        # every line but the count of mistakes names its place
        *lines, _ = str(error).splitlines()
        clear = bool(lines) and all(".yaml" in line for line in lines)
        return (Verdict.CLEAR, "") if clear else (Verdict.WRONG, f"no place: {error}")
    except Exception:
        return Verdict.TRACEBACK, f"{content!r}\n{traceback.format_exc()[-800:]}"
    return (Verdict.SAME, "") if equal else (Verdict.WRONG, repr(content))


def _read_recipe(path: Path, catalog: Catalog) -> bool:
    recipe = load_recipe(path, catalog)
    return parse_recipe(dump_recipe(recipe, catalog), "dumped.yaml", catalog) == recipe


def _read_comparison(path: Path, catalog: Catalog) -> bool:
    return load_comparison(path, catalog) == load_comparison(path, catalog)
