"""Damaged and odd tables, names of files, weights and networks: each is a named error."""

import errno
import os
import random
from pathlib import Path

import pyarrow as pa
import pytest
import torch
from pyarrow import parquet

from mtlkit.backbones.timm_weights import read_weights
from mtlkit.data.listing.table_files import new_rows, read_table
from mtlkit.data.source import Loading
from mtlkit.errors import AssemblyError, DataError, RecipeError
from mtlkit.plugins.catalog import load_catalog
from mtlkit.recipe_io import load_recipe


@pytest.fixture
def table(tmp_path):
    """A Parquet table of 200 rows with text, numbers, dates and a dictionary."""
    rows = 200
    words = pa.array([f"word {number % 7}" for number in range(rows)])
    columns = {
        "file": [f"p{number}.png" for number in range(rows)],
        "side": words,
        "kind": words.dictionary_encode(),
        "age": [number * 1.5 for number in range(rows)],
        "day": pa.array(range(rows), pa.date32()),
    }
    parquet.write_table(pa.table(columns), tmp_path / "t.parquet", write_page_checksum=True)
    return tmp_path / "t.parquet"


def test_a_table_whose_name_is_not_utf8_is_read_and_its_rows_are_named(table):
    odd = table.rename(table.with_name("t\udce9.parquet"))
    assert new_rows(odd, None)[0].place == r"t\xe9.parquet, row 1"
    odd = table.with_name("t\udce9.csv")
    odd.write_text("a,b\n1,2\n")
    assert new_rows(odd, None)[0].file == r"t\xe9.csv:2"


def test_a_damaged_parquet_table_is_read_or_refused_by_its_name(table):
    content, rng, refusals = table.read_bytes(), random.Random(0), []
    for _ in range(150):
        at = rng.randrange(len(content))
        damaged = bytearray(content)
        damaged[at] ^= 0xFF
        table.write_bytes(damaged if rng.random() < 0.8 else content[:at])
        for read in (read_table, lambda path: new_rows(path, None)):
            try:
                read(table)
            except DataError as error:
                refusals.append(str(error))
    assert len(refusals) > 200
    assert all(text.startswith(str(table)) and "\n" not in text for text in refusals)


def test_the_checksums_of_pages_are_verified(table):
    content = table.read_bytes()
    table.write_bytes(content[:60] + bytes([content[60] ^ 1]) + content[61:])  # in a first page
    with pytest.raises(DataError, match=r"t\.parquet: cannot be read: .*checksum.*repair the file"):
        read_table(table)


class PanicError(BaseException):
    """As the panics of libraries in Rust."""


@pytest.mark.parametrize(
    ("raised", "text"),
    [
        (
            PanicError("index out of range"),
            "is not a Parquet table: PanicError: index out of range",
        ),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), "is not a Parquet table: Unicode"),
        (pa.ArrowInvalid("odd"), "is not a Parquet table: ArrowInvalid: odd; write the file anew"),
        (
            OSError("Couldn't deserialize"),
            "cannot be read: OSError: Couldn't deserialize; expected",
        ),
        (MemoryError("10 TB"), "is not a Parquet table: MemoryError: 10 TB"),
    ],
)
def test_whatever_a_decoder_raises(raised, text, table, monkeypatch):
    def decode(*_, **__):
        raise raised

    monkeypatch.setattr(parquet, "read_table", decode)
    with pytest.raises(DataError) as caught:
        read_table(table)
    assert str(caught.value).startswith(f"{table}: {text}")


def test_an_interruption_stays_one(table, monkeypatch):
    def decode(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(parquet, "read_table", decode)
    with pytest.raises(KeyboardInterrupt):
        read_table(table)


def test_a_table_that_may_not_be_read(home, refused, monkeypatch):
    plain = Path.open

    def refuse(path, *arguments, **options):
        if path.suffix == ".csv" and "encoding" in options:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return plain(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", refuse)  # as for a file of mode 000, which root may read
    said = refused("train", "good.yaml", "--quiet", "--out", "run")
    assert "labels.csv: cannot be read: Permission denied; expected CSV in UTF-8" in said


def test_a_name_that_the_system_refuses(home, refused):
    with (home / "labels.csv").open("a") as file:
        file.write(f"{'x' * 5000},ann,left,3\n")
    said = refused("train", "good.yaml", "--quiet", "--out", "run")
    assert "is missing (listed at labels.csv:18)" in said
    with pytest.raises(DataError, match="File name too long; expected a table"):
        new_rows("y" * 5000 + ".csv", None)


PATTERN = """\
data: {type: images, folder: named, pattern: "{who}_{n}.png", size: 8, channels: 1}
backbone: {type: mlp, hidden: [4]}
tasks: {who: {role: main}}
train: {epochs: 1, batch: 6, threads: 1, device: cpu}
"""


def test_a_name_of_an_image_that_is_not_utf8(home, refused, call):
    (home / "named").mkdir()
    for number, path in enumerate(sorted((home / "pictures").iterdir())):
        path.rename(home / "named" / f"{'ab'[number % 2]}_{number}.png")
    odd = os.fsencode(home / "named") + b"/caf\xe9_99.png"
    os.link(home / "named" / "a_0.png", odd)
    with open(os.fsencode(home / "named") + b"/note\xe9.txt", "wb"):
        (home / "good.yaml").write_text(PATTERN)
    said = refused("train", "good.yaml", "--quiet", "--out", "run")
    assert r"caf\xe9_99.png: its name is not UTF-8; rename it" in said
    done = call("train", "good.yaml", "--out", "run", "--set", "data.skip_bad=true")
    assert done[0] == 0, done[2]
    recipe = load_recipe("good.yaml", load_catalog("none"), ["data.skip_bad=true"])
    summary = recipe.data.load(Loading()).summary
    assert summary["skipped"] == r"1 file: caf\xe9_99.png"
    assert summary["not images"] == r"1 file: note\xe9.txt"
    said = call("predict", "run", "named")
    assert said[0] == 2
    assert r"caf\xe9_99.png: its name is not UTF-8; rename it" in said[2]


def test_batch_norm_on_one_sample(home, call, monkeypatch):
    # its inputs are vectors, so a batch norm has one value for each channel and sample
    monkeypatch.setattr("mtlkit.backbones.mlp.nn.ReLU", lambda: torch.nn.BatchNorm1d(4))
    start = ("train", "good.yaml", "--quiet", "--out", "run", "--set", "train.batch=1")
    code, out, said = call(*start)
    assert (code, out) == (2, ""), said
    assert (
        "train.batch: got an update of one sample, expected two or more for the batch norm "
        "router.backbone.layers.2, which has one value for each channel there; choose" in said
    )
    assert not list((home / "run" / "checkpoints").glob("*"))


def test_weights_without_values_and_with_code(tmp_path):
    path = tmp_path / "w.pt"
    torch.save({"a": torch.zeros(2), "b": torch.empty(3, device="meta")}, path)
    with pytest.raises(AssemblyError) as caught:
        read_weights(path)
    assert str(caught.value) == (
        f"backbone.weights: 1 of 2 tensors in {str(path)!r} have no values (meta tensors), such as "
        f"'b'; save the state_dict after loading the weights"
    )
    torch.save(torch.nn.Linear(1, 1), path)
    with pytest.raises(AssemblyError, match="is not a file of weights, or holds code or objects"):
        read_weights(path)


def test_other_files_are_not_quoted_as_recipes(tmp_path):
    (tmp_path / "shadow").write_text("admin: secret\n")
    (tmp_path / "r.yaml").write_text("extends: shadow\n")
    with pytest.raises(RecipeError) as caught:
        load_recipe(tmp_path / "r.yaml", load_catalog("none"))
    assert "secret" not in str(caught.value)
    assert "admin" not in str(caught.value)
    assert (
        "r.yaml:1:10: extends: got 'shadow', expected a recipe that ends in .yaml or .yml"
        in str(caught.value)
    )
