"""CSV and Parquet say the same; what a table must not hold is named with its place."""

import pyarrow
import pytest
from pyarrow import parquet

from mtlkit.data import read_table
from mtlkit.errors import DataError

TEXT = "file,subject,yaw,glasses\na.png,ann,-30,yes\nb/c.png, bob ,,\n./d.png,15,1.5,no\n"
LABELS = [
    ("a.png", {"subject": "ann", "yaw": "-30", "glasses": "yes"}),
    ("b/c.png", {"subject": "bob", "yaw": None, "glasses": None}),
    ("d.png", {"subject": "15", "yaw": "1.5", "glasses": "no"}),
]


def test_csv(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("\ufeff" + TEXT + "\n", encoding="utf-8")  # as a spreadsheet saves it
    rows = read_table(path)
    assert [(row.file, row.labels) for row in rows] == LABELS
    assert [row.place for row in rows] == ["labels.csv:2", "labels.csv:3", "labels.csv:4"]


def test_a_line_number_counts_lines_within_cells(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text('file,note\na.png,"two\nlines"\n\nb.png,x\n')
    assert [row.place for row in read_table(path)] == ["labels.csv:2", "labels.csv:5"]


def test_parquet_says_the_same(tmp_path):
    table = {
        "file": ["a.png", "b/c.png", "./d.png"],
        "subject": ["ann", "bob", "15"],
        "yaw": [-30.0, float("nan"), 1.5],
        "glasses": ["yes", None, "no"],
    }
    path = tmp_path / "labels.parquet"
    parquet.write_table(pyarrow.table(table), path)
    rows = read_table(path)
    assert [(row.file, row.labels) for row in rows] == LABELS
    assert rows[1].place == "labels.parquet, row 2"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "labels.csv: the table is empty"),
        (
            "name,pose\na.png,left\n",
            "labels.csv: expected a column 'file' with the names of the images, got the "
            "columns: name, pose",
        ),
        (
            ",".join(map(str, range(100_000))) + "\n",
            "labels.csv: expected a column 'file' with the names of the images, got the "
            "columns: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ...",
        ),
        ("file,pose,pose\n", "labels.csv: two columns are named 'pose'; rename one"),
        ("file,pose\na.png\n", "labels.csv:2: expected 2 cells, got 1"),
        ("file,pose\na.png,left,x\n", "labels.csv:2: expected 2 cells, got 3"),
        ("file,pose\n,left\n", "labels.csv:2: the column 'file' is empty"),
        (
            'file,pose\n"a.png,left\n',
            "labels.csv: is not CSV in UTF-8: Error: unexpected end of data; write the file anew",
        ),
    ],
)
def test_what_is_no_table(tmp_path, monkeypatch, text, message):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "labels.csv"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        read_table(path.relative_to(tmp_path))
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("labels.csv", "labels.csv: is not CSV in UTF-8: "),
        ("labels.parquet", "labels.parquet: is not a Parquet table: "),
        ("labels.xlsx", "labels.xlsx: expected a table that ends in .csv or .parquet"),
    ],
)
def test_other_bytes(tmp_path, name, message):
    path = tmp_path / name
    path.write_bytes(b"\xff\xfe\x00nonsense")
    with pytest.raises(DataError) as caught:
        read_table(path)
    assert message in str(caught.value)
