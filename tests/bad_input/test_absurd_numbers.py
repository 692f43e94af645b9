"""Numbers that no machine can use are refused by name, before anything is made."""

from pathlib import Path

import pytest

from mtlkit.data.listing.image_listing import Row
from mtlkit.data.table_features import FeatureColumn, FeatureColumns
from mtlkit.errors import DataError


@pytest.mark.parametrize(
    ("override", "words"),
    [
        (f"seed={2**64}", "seed: expected a whole number from 0 to 18446744073709551615"),
        ("optimizer={type: sgd, lr: 1e300}", "optimizer.lr: expected at most 3.402823"),
        ("backbone.hidden=[1000000000000]", "the model does not fit into memory"),
        (f"backbone.hidden=[{2**62}]", "the model does not fit into memory"),
    ],
)
def test_in_a_recipe(override, words, home, refused):
    arguments = ("train", "good.yaml", "--quiet", "--out", "run", "--set", override)
    assert words in refused(*arguments)


@pytest.mark.parametrize(("x", "y", "column"), [("1e300", "1", "x"), ("1", "-1e300", "y")])
def test_in_a_table(x, y, column, home, refused):
    rows = "".join(f"{number},{number}\n" for number in range(20))
    Path("numbers.csv").write_text(f"x,y\n{rows}{x},{y}\n")
    Path("numbers.yaml").write_text(
        "data: {type: table, file: numbers.csv, labels: [y], numeric: [y]}\n"
        "backbone: {type: mlp, hidden: [4]}\ntasks: {y: {head: regression}}\n"
    )
    message = refused("train", "numbers.yaml", "--quiet", "--out", "run")
    assert "numbers.csv:22" in message
    assert column in message
    assert "expected at most 1e+140" in message


def test_in_new_rows():
    columns = (FeatureColumn(name="x", mean=1.0, std=2.0),)
    features = FeatureColumns(columns=columns, known=("x",))
    rows = [Row("a", {"x": "5"}, "row 1"), Row("b", {"x": "-1e139"}, "row 2")]
    with pytest.raises(DataError, match=r"^row 2: the column 'x' is '-1e139', too far from"):
        features.encode(rows, fill=True, new=True)


@pytest.mark.parametrize(
    "arguments",
    [
        ("ops", "tune", "--rows", "-1", "--out", "x.json"),
        ("ops", "tune", "--classes", "0", "--out", "x.json"),
        ("ops", "tune", "--out", "nowhere/x.json"),
        ("report", "good.yaml", "--out", "."),
    ],
)
def test_on_the_command_line(arguments, home, refused):
    refused(*arguments)


def test_a_report_is_not_written_over_a_folder(home, whole, call):
    code, _, err = call("report", whole, "--out", ".")
    assert code == 2
    assert err.endswith("Error: Invalid value for '--out': File '.' is a directory.\n")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"problems: {{p: good.yaml}}\nseeds: 1{'0' * 399}\n", "seeds: expected at most 10000"),
        (f"problems: {{p: {'x' * 300}}}\n", "cannot be read: File name too long"),
        (f"problems: {{{'p' * 300}: good.yaml}}\n", "is not a name for a problem"),
    ],
)
def test_in_a_comparison(text, words, home, refused):
    (home / "comparison.yaml").write_text(text)
    assert words in refused("compare", "comparison.yaml", "--dry-run")
