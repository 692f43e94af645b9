"""A table as data: what a model sees of it, and what must not be in it."""

import attrs
import pytest
import torch

from mtlkit.data import Categorical, Loading, Numeric, RandomSplit, Table
from mtlkit.errors import DataError

ROWS = """name,split,height,weight,colour,flat,kind,price
a,train,1,10,red,5,cat,1.5
b,train,3,10,blue,5,dog,
c,train,5,40,red,5,,2.5
d,validation,3,,green,5,cat,3
e,test,7,20,blue,5,dog,4
"""


@pytest.fixture
def table(tmp_path):
    (tmp_path / "rows.csv").write_text(ROWS)

    def load(text: str | None = None, **options):
        if text is not None:
            (tmp_path / "rows.csv").write_text(text)
        asked = {"labels": ("kind", "price"), "numeric": ("price",), "key": "name", "fill": True}
        config = Table(file="rows.csv", **{**asked, **options})
        return attrs.evolve(config).load(Loading(base=tmp_path))

    return load


def test_features_are_standardised_by_the_training_rows(table):
    data = table()
    train, test = data.train.inputs, data.test.inputs
    assert (data.mean, data.std) == (0, 1)
    torch.testing.assert_close(train[:, :2].mean(0), torch.zeros(2), atol=1e-6, rtol=0)
    torch.testing.assert_close(train[:, :2].std(0, correction=0), torch.ones(2))
    deviation = torch.tensor([1.0, 3.0, 5.0]).std(correction=0)
    assert test[0, 0].item() == pytest.approx(((7 - 3) / deviation).item())


def test_words_become_indicators_of_the_training_values_and_a_stranger_is_none_of_them(table):
    data = table()
    assert data.train.inputs[:, 2:4].tolist() == [[0, 1], [1, 0], [0, 1]]  # blue, red
    assert data.validation.inputs[0, 2:4].tolist() == [0, 0]  # green


def test_a_missing_number_becomes_the_mean_and_a_flat_column_zero(table):
    data = table()
    assert data.validation.inputs[0, 1] == 0
    assert data.train.inputs[:, 4].tolist() == [0, 0, 0]
    assert data.test.inputs[0, 4] == 0


def test_the_text_nan_in_a_column_of_numbers_is_a_missing_number(table):
    text = ROWS.replace("c,train,5,40", "c,train,NaN,40")
    data = table(text)
    assert data.train.inputs[2, 0] == 0
    message = "rows.csv:4: the column 'height' is 'NaN'; complete it"
    with pytest.raises(DataError, match=message):
        table(text, features=("height",), fill=False)
    words = table(ROWS.replace("c,train,5,40,red", "c,train,5,40,nan"), features=("colour",))
    assert words.train.inputs.shape[1] == 3  # a word like others among words


def test_labels_are_classes_or_numbers_and_may_be_missing(table):
    data = table()
    kind, price = data.train.column("kind"), data.train.column("price")
    assert isinstance(kind, Categorical)
    assert kind.values() == ["cat", "dog", None]
    assert isinstance(price, Numeric)
    assert price.present().tolist() == [True, False, True]
    assert list(data.train.ids) == ["a", "b", "c"]
    assert data.summary["kind"] == "2 classes: cat, dog; missing for 1 rows"


def test_labels_and_what_divides_are_no_features(table):
    text = "\n".join(["house,x,kind", *(f"h{n // 3},{n},{'ab'[n % 2]}" for n in range(30))])
    data = table(text, labels=("kind",), numeric=(), key=None,
                 split=RandomSplit(validation=0, test=0.3, groups="house"))  # fmt: skip
    assert data.train.inputs.shape[1] == 1
    houses = {
        name: set(split.categorical("house").values()) for name, split in data.splits().items()
    }
    assert houses["train"].isdisjoint(houses["test"])
    assert "house" in data.open_labels


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"labels": ("kin",), "numeric": ()},
            "data.labels: the table has no column 'kin'; did you mean 'kind'?",
        ),
        (
            {"features": ("hight",)},
            "data.features: the table has no column 'hight'; did you mean 'height'?",
        ),
        (
            {"fill": False},
            "rows.csv:5: the column 'weight' is empty; complete it, "
            "remove it from `features`, or set `fill: true`",
        ),
        (
            {"key": "id"},
            "expected a column 'id' with the names of the samples, got the columns: name, split",
        ),
        ({"numeric": ("kind", "price")}, "rows.csv:2: kind: expected a number, got 'cat'"),
    ],
)
def test_what_the_table_lacks_is_named(table, options, message):
    with pytest.raises(DataError) as caught:
        table(**options)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,kind,price\n", "the table has no rows"),
        (ROWS + "a,train,1,1,red,5,cat,1\n", "rows.csv:7: the row 'a' is in rows.csv:2 already"),
        (ROWS.replace("e,test,7", "e,test,inf"), "the column 'height' is 'inf', expected a finite"),
        (
            "name,kind,price\na,cat,1\n",
            "every column is a label; add a column of features",
        ),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(table, text, message):
    with pytest.raises(DataError) as caught:
        table(text)
    assert message in str(caught.value)


@pytest.mark.parametrize("cell", ["1_000", '"1,5"', "1e", "N/A", "-", "\u0663"])
def test_a_column_of_numbers_with_another_cell_is_noted(tmp_path, cell):
    rows = [f"{i},{'ab'[i % 2]}" for i in range(20)]
    rows[4] = rows[7] = f"{cell},a"
    (tmp_path / "rows.csv").write_text("\n".join(["x,y", *rows]) + "\n")

    def load(**options):
        return Table(file="rows.csv", labels=("y",), **options).load(Loading(base=tmp_path))

    [note] = load().notes
    text = cell.strip('"')
    assert note.startswith(
        f"rows.csv:6: the column 'x' is {text!r}. Cells that are not numbers: 2 of 20. The column"
    )
    with pytest.raises(DataError, match=r"rows\.csv:6: the column 'x' is .*`numeric`; correct it"):
        load(numeric=("x",))
    (tmp_path / "rows.csv").write_text("\n".join(["x,y", *rows]).replace(cell, "") + "\n")
    data = load(numeric=("x",), fill=True)
    assert data.train.inputs.shape[1] == 1
    assert data.notes == ()


def test_columns_of_words_and_of_numbers_are_not_noted(tmp_path):
    rows = [f"{'ab7'[i % 3]},{i if i else ' nan'},{'ab'[i % 2]}" for i in range(20)]
    (tmp_path / "rows.csv").write_text("\n".join(["word,number,y", *rows]) + "\n")
    table = Table(file="rows.csv", labels=("y",), fill=True)
    assert table.load(Loading(base=tmp_path)).notes == ()
    with pytest.raises(DataError, match=r"data\.numeric: the table has no column 'numbr'; did you"):
        Table(file="rows.csv", labels=("y",), numeric=("numbr",)).load(Loading(base=tmp_path))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels": ()}, "labels: expected different columns, got []"),
        (
            {"labels": ("a",), "features": ("c",), "numeric": ("b",)},
            "numeric: 'b' is neither a label nor a feature; expected one of a, c",
        ),
        ({"labels": ("a",), "features": ("a",)}, "features: 'a' is a label or the key"),
        (
            {"labels": ("a",), "numeric": ("b",), "units": {"b": "m"}},
            "units: 'b' is not a label; the labels are a",
        ),
    ],
)
def test_options_that_cannot_be_are_refused_at_once(options, message):
    with pytest.raises(ValueError, match=message.replace("[", r"\[")):
        Table(file="rows.csv", **options)


def test_a_missing_file_is_named_with_where_it_was_looked_for(tmp_path):
    with pytest.raises(DataError, match=r"data.file: no such file: rows.csv \(tried "):
        Table(file="rows.csv", labels=("a",)).load(Loading(base=tmp_path))
