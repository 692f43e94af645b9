"""Several sources as one: joined splits, missing labels, merged classes, and refusals."""

from pathlib import Path

import attrs
import pytest
import torch

from mtlkit import fit, load_catalog
from mtlkit.data import (
    Categorical,
    ClassMapTarget,
    Concat,
    Data,
    DataSource,
    InputSpec,
    Labels,
    Loading,
    NamedInputs,
    Numeric,
    RealMapTarget,
    Split,
    Table,
    VectorTarget,
)
from mtlkit.errors import DataError
from mtlkit.recipe_io import parse_recipe


@attrs.frozen(kw_only=True)
class Fixed(DataSource):
    """A source of the given data."""

    data: Data = attrs.field(eq=False)

    def load(self, loading):
        return self.data


@attrs.frozen(eq=False)
class OnAccess:
    rows: torch.Tensor

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        return self.rows[index].clone()


def split_of(count, start=0, inputs=None, **columns):
    values = torch.arange(start, start + count).float().reshape(-1, 1)
    ids = [str(number) for number in range(start, start + count)]
    return Split(inputs=values if inputs is None else inputs, columns=columns, ids=ids)


def data_of(train, **settings):
    return Data(train=train, **{"mean": 0.0, "std": 1.0, **settings})


def concat(first, second, **options):
    return Concat(sources={"a": Fixed(data=first), "b": Fixed(data=second)}, **options).load(
        Loading()
    )


def test_a_sample_lacks_the_labels_of_the_other_sources():
    place = Labels(VectorTarget(names=("x", "y")), torch.tensor([[1.0, torch.nan]]))
    first = split_of(2, kind=Categorical.of(["u", "v"]), age=Numeric(torch.tensor([1.0, 2.0])))
    train = concat(data_of(first), data_of(split_of(1, 5, place=place))).train
    assert train.inputs.flatten().tolist() == [0, 1, 5]
    assert train.ids == ["a/0", "a/1", "b/5"]
    assert train.column("kind").codes.tolist() == [0, 1, -1]
    assert train.column("age").values[:2].tolist() == [1, 2]
    assert [c.present().tolist() for c in (train.column("age"), train.column("place"))] == [
        [True, True, False],
        [False, False, True],
    ]
    assert train.column("source").values() == ["a", "a", "b"]


def test_splits_are_joined_and_may_be_absent():
    kind = Categorical.of(["u"])
    first = data_of(split_of(1, kind=kind), validation=split_of(1, 1, kind=kind))
    second = data_of(split_of(1, 7, kind=kind), test=split_of(1, 8, kind=kind))
    joined = concat(first, second)
    assert {name: split.ids for name, split in joined.splits().items()} == {
        "train": ["a/0", "b/7"],
        "validation": ["a/1"],
        "test": ["b/8"],
    }
    assert joined.test.column("source").names == ("a", "b")


def test_classes_are_merged_and_codes_agree_between_splits():
    first = data_of(
        split_of(2, kind=Categorical.of(["u", "v"])),
        validation=split_of(1, 2, kind=Categorical.of(["new"], ["u", "v", "new"])),
    )
    joined = concat(first, data_of(split_of(2, 5, kind=Categorical.of(["w", "u"]))))
    train = joined.train.column("kind")
    assert train.names == ("u", "v", "w")  # not the class that only validation has
    assert train.values() == ["u", "v", "w", "u"]
    assert joined.validation.column("kind").names == ("u", "v", "w", "new")
    assert joined.validation.column("kind").values() == ["new"]


def test_renamed_labels_are_apart():
    first = data_of(split_of(1, kind=Categorical.of(["u"])), open_labels=frozenset({"kind"}))
    second = data_of(split_of(1, 5, kind=Numeric(torch.tensor([4.0]))))
    joined = concat(first, second, rename={"a": {"kind": "person"}})
    assert sorted(joined.train.columns) == ["kind", "person", "source"]
    assert joined.open_labels == {"person"}


def test_maps_are_read_on_access_and_missing_ones_have_their_shape():
    depth = torch.rand(3, 1, 4, 4)
    first = split_of(3, depth=Labels(RealMapTarget(), OnAccess(depth)))
    classes = Labels(ClassMapTarget(names=("sky",)), torch.zeros(2, 4, 4, dtype=torch.int64))
    train = concat(data_of(first), data_of(split_of(2, 5, parts=classes))).train
    read = train.column("depth")[torch.tensor([4, 2, 0, 3])]
    assert read[1:3].equal(depth[[2, 0]])
    assert read[[0, 3]].isnan().all()
    assert train.column("parts").rows[torch.tensor([0])].eq(-1).all()
    assert train.column("depth").present().tolist() == [True] * 3 + [False] * 2


def named(count, length):
    spec = {"ids": InputSpec(shape=(4,), dtype="int64", vocabulary=9)}
    inputs = NamedInputs({"ids": torch.ones(count, length, dtype=torch.int64)})
    kind = Categorical.of(["u"] * count)
    return Data(train=split_of(count, inputs=inputs, kind=kind), inputs=spec)


def test_named_inputs_are_read_on_access():
    inputs = concat(named(2, 4), named(1, 4)).train.inputs
    assert inputs[torch.tensor([2, 0])]["ids"].shape == (2, 4)
    assert len(inputs) == 3


def kinds(count=1, start=0, **settings):
    return data_of(split_of(count, start, kind=Categorical.of(["u"] * count)), **settings)


@pytest.mark.parametrize(
    ("second", "options", "message"),
    [
        (
            data_of(split_of(1, kind=Numeric(torch.ones(1)))),
            {},
            "data.sources: the label 'kind' is a class (N,) in a, and a number (N,) in b; expected "
            "one type, so give one of them another name by `rename`",
        ),
        (
            kinds(std=2.0),
            {},
            "data.sources.b: got inputs of shape (1,) in float32, normalized by 0.0, 2.0; expected "
            "those of a, of shape (1,) in float32, normalized by 0.0, 1.0; give all sources ",
        ),
        (
            kinds(standardize=True),
            {},
            "data.sources.b: got inputs of shape (1,) in float32, normalized by 0.0, 1.0, each "
            "sample standardized; expected those of a, of shape (1,) in float32, normalized by ",
        ),
        (
            kinds(),
            {"label": "kind"},
            "data.label: 'kind' is a label of the source a; choose another name",
        ),
        (
            kinds(),
            {"rename": {"b": {"sort": "kind"}}},
            "data.sources.b: the data has no label 'sort'; it has: kind",
        ),
    ],
)
def test_sources_that_do_not_fit_are_refused(second, options, message):
    with pytest.raises(DataError) as raised:
        concat(kinds(), second, **options)
    assert str(raised.value).startswith(message)


def test_every_line_of_a_sources_error_stays_a_line(tmp_path):
    (tmp_path / "rows.csv").write_text("x,y\n1,one\n2,2\n3,three\n")
    table = Table(file=tmp_path / "rows.csv", labels=("y",), numeric=("y",))
    with pytest.raises(DataError) as raised:
        Concat(sources={"a": table, "b": table}).load(Loading())
    assert raised.value.message_lines == (
        "data.sources.a: 2 labels cannot be used:",
        "  rows.csv:2: y: expected a number, got 'one'",
        "  rows.csv:4: y: expected a number, got 'three'",
    )


def test_two_labels_do_not_get_one_name():
    both = data_of(split_of(1, u=Categorical.of(["x"]), v=Categorical.of(["x"])))
    with pytest.raises(DataError, match="two labels would be called 'v'; choose another name"):
        concat(both, kinds(), rename={"a": {"u": "v"}})


def test_samples_of_two_shapes_in_a_batch_are_refused():
    inputs = concat(named(1, 4), named(1, 3)).train.inputs
    with pytest.raises(DataError, match=r"ids: got samples of shape \(3,\) and \(4,\) in one batc"):
        inputs[torch.tensor([0, 1])]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"names": ["a"]}, "sources: expected two sources or more, got 1"),
        ({"names": ["a", "b/c"]}, "sources: expected names without a slash, got 'b/c'"),
        (
            {"names": ["faces", "b"], "rename": {"face": {}}},
            "rename: 'face' is not a source; did you mean 'faces'?",
        ),
    ],
)
def test_options_are_checked(options, message):
    table = Table(file=Path("t.csv"), labels=("k",))
    names = options.pop("names")
    with pytest.raises(ValueError, match=message.replace("?", r"\?")):
        Concat(sources=dict.fromkeys(names, table), **options)


RECIPE = """
data:
  type: concat
  sources:
    first: {type: table, file: first.csv, labels: [kind]}
    second: {type: table, file: second.csv, labels: [size], numeric: [size]}
backbone: {type: mlp, hidden: [4]}
tasks: {kind: {}, size: {head: regression}}
train: {epochs: 1, batch: 16, threads: 1, device: cpu, batches: {per: source}}
"""


def test_a_run_reads_two_tables_and_an_error_names_the_source(tmp_path, write_csv):
    write_csv(tmp_path / "first.csv", [{"x": n, "kind": "uv"[n % 2]} for n in range(40)])
    catalog = load_catalog("none")
    recipe = parse_recipe(RECIPE, "r.yaml", catalog)
    loading = Loading(base=tmp_path)
    with pytest.raises(DataError, match=r"data\.sources\.second: .*second\.csv"):
        recipe.data.load(loading)
    write_csv(tmp_path / "second.csv", [{"x": n, "size": 2 * n} for n in range(30)])
    run = fit(recipe, tmp_path / "run", catalog=catalog, loading=loading, quiet=True)
    assert {"test/kind/accuracy", "test/size/mae"} <= set(run.metrics)


def test_new_samples_are_read_by_the_source_that_is_named(tmp_path):
    for name, scale in (("one", 1), ("two", 10)):
        rows = [f"{scale * n},{'ab'[n % 2]}" for n in range(20)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["x,kind", *rows]))
    sources = {name: Table(file=Path(f"{name}.csv"), labels=("kind",)) for name in ("one", "two")}
    concat = Concat(sources=sources)
    data = concat.load(Loading(base=tmp_path))
    for name, scale in (("one", 1), ("two", 10)):
        split = concat.read({name: [{"x": 50.0}]}, data.preprocessing, Loading())
        alone = sources[name].load(Loading(base=tmp_path))
        (column,) = alone.preprocessing["columns"]
        expected = (50.0 - column["mean"]) / column["std"]
        assert split.inputs.item() == pytest.approx(expected), scale
    with pytest.raises(DataError) as caught:
        concat.read([{"x": 50.0}], data.preprocessing, Loading())
    assert str(caught.value) == (
        "rows: got samples of an unknown source, expected {NAME: rows} with one of one, two"
    )
