"""Published tables: deltas and mean ranks follow from their rows, and doubts are marked."""

import math

import pytest
from mtlkit_benchmarks.published.protocol import differences, protocol_of
from mtlkit_benchmarks.published.sections import published_sections
from mtlkit_benchmarks.published.tables import (
    BY_METRIC,
    BY_TASK,
    mean_ranks,
    published_tables,
    tables_of,
)

from mtlkit.cli import main
from mtlkit.comparison import delta_by_metric, delta_by_task

TABLES = {table.name: table for table in published_tables()}
TOLERANCES = {
    "nyuv2-segnet-mtan": 0.02,
    "cityscapes-segnet-mtan": 0.12,
    "qm9": 0.5,
    "celeba": 0.0005,
    "cityscapes-three-tasks": 1.0,
    "nyuv2-split-resnet": 0.02,
}
"""Largest difference of a delta from its row, in percent, by table."""


def deltas():
    for name, table in TABLES.items():
        for row in table.rows:
            if row.whole and not math.isnan(row.delta):
                yield pytest.param(table, row, id=f"{name}:{row.method}")


@pytest.mark.parametrize(("table", "row"), [*deltas()])
def test_a_printed_delta_follows_from_its_row_or_is_marked(table, row):
    follows = abs(table.computed(row) - row.delta) <= TOLERANCES[table.name] + 1e-9
    assert follows != row.doubtful


def test_every_table_with_rows_has_a_tolerance_and_enough_rows():
    assert {table.name for table, _ in (p.values for p in deltas())} == set(TOLERANCES)
    assert sum(1 for _ in deltas()) >= 20 + 18 + 13 + 1


def test_fairgrad_on_celeba_pins_the_formula_down():
    table = TABLES["celeba"]
    assert round(table.computed(table.row("FairGrad")), 3) == 0.370


@pytest.mark.parametrize(
    ("method", "by_metric", "by_task"),
    [("STCH", -1.35, -7.39), ("CAGrad .4", 0.19, -4.33), ("LS", 5.59, -0.88), ("STL", 0.0, 0.0)],
)
def test_the_two_definitions_differ_on_nyuv2(method, by_metric, by_task):
    table = TABLES["nyuv2-segnet-mtan"]
    values, base = (
        dict(zip(table.metrics, table.row(name).values, strict=True)) for name in (method, "STL")
    )
    assert delta_by_metric(values, base, table.tasks) == pytest.approx(by_metric, abs=0.01)
    assert -delta_by_task(values, base, table.tasks) == pytest.approx(by_task, abs=0.01)


def test_the_orders_of_two_definitions_may_differ():
    table = TABLES["nyuv2-segnet-mtan"]
    base = table.row("STL")

    def deltas_of(method):
        values = (dict(zip(table.metrics, row.values, strict=True)) for row in (method, base))
        one, other = values
        return delta_by_metric(one, other, table.tasks), -delta_by_task(one, other, table.tasks)

    stch, mgda = deltas_of(table.row("STCH")), deltas_of(table.row("FAMO"))
    assert stch[0] > mgda[0]
    assert stch[1] < mgda[1]


def test_libmtl_prints_no_delta_and_the_notes_ones_follow():
    table = TABLES["nyuv2-segnet-mtan-libmtl"]
    computed = {row.method: table.computed(row) for row in table.rows if row.whole}
    for method, delta in (("EW", 2.35), ("UW", -0.09), ("GradNorm", -4.03), ("Nash-MTL", -4.37)):
        assert computed[method] == pytest.approx(delta, abs=0.02)
    deeplab = TABLES["nyuv2-deeplab"]
    assert deeplab.delta == BY_TASK
    assert "EW, one run" in [row.method for row in deeplab.rows if row.whole]


def test_mean_ranks_are_those_of_the_rows_shown():
    table = TABLES["nyuv2-segnet-mtan"]
    eleven = ("LS", "SI", "RLW", "DWA", "UW", "MGDA", "PCGrad", "GradDrop", "CAGrad .4", "IMTL-G",
              "Nash-MTL")  # fmt: skip
    ranks = mean_ranks({name: table.row(name).values for name in eleven}, table.higher)
    printed = {"LS": 8.11, "Nash-MTL": 1.55, "CAGrad .4": 3.77, "MGDA": 5.44, "IMTL-G": 3.11}
    for method, value in printed.items():
        assert ranks[method] == pytest.approx(value, abs=0.02)
    for method, value in {"SI": 7.00, "RLW": 10.22, "UW": 6.56, "GradDrop": 6.33}.items():
        assert ranks[method] == pytest.approx(value, abs=0.06)
    assert mean_ranks({"a": (1.0,), "b": (1.0,), "c": (2.0,)}, (True,)) == {
        "c": 1,
        "a": 2.5,
        "b": 2.5,
    }


def test_marked_rows_are_the_known_ones():
    marked = {f"{t.name}:{r.method}" for t in TABLES.values() for r in t.rows if r.doubtful}
    assert {"nyuv2-segnet-mtan:IMTL-G", "nyuv2-segnet-mtan:Aligned-MTL", "celeba:LS"} <= marked
    assert "nyuv2-segnet-mtan:LS" not in marked


def test_both_code_families_of_nyuv2_are_shown():
    titles = [table.title for table in tables_of("benchmarks/nyuv2")]
    assert any("Nash-MTL" in title for title in titles)
    assert any("LibMTL" in title for title in titles)
    assert [table.name for table in tables_of("benchmarks/office", "home")] == ["office-home"]


def test_the_published_recipe_differs_from_its_table_in_the_rule_alone(recipe):
    table = TABLES["nyuv2-segnet-mtan-libmtl"]
    protocol = protocol_of(recipe("nyuv2-segnet-mtan"))
    assert protocol.network == "SegNet-MTAN"
    assert differences(table, protocol, set(table.metrics)) == [
        "selection: got last epoch, published best delta-m on test"
    ]


PRETRAINED, LISTS = "backbone.download=true", "data.lists=lists"


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("nyuv2-deeplab", [PRETRAINED]),
        ("cityscapes-deeplab", ["backbone.weights=resnet50.safetensors"]),
        ("celeba", []),
        ("office-31", [PRETRAINED, LISTS]),
        ("office-home", [PRETRAINED, LISTS]),
    ],
)
def test_a_recipe_of_a_protocol_is_comparable(recipe, name, settings):
    known = TABLES[name]
    assert differences(known, protocol_of(recipe(name, *settings)), set(known.metrics)) == []


def test_a_network_from_scratch_and_a_random_split_are_not_comparable(recipe):
    table = TABLES["office-31"]
    assert differences(table, protocol_of(recipe("office-31")), set(table.metrics)) == [
        "network: got ResNet-18 and a layer, published pretrained ResNet-18 and a layer",
        "data: got a random split, published the lists of LibMTL (`data.lists`)",
    ]


@pytest.mark.parametrize("name", [table.recipe for table in TABLES.values() if table.recipe])
def test_the_recipe_of_a_table_has_its_data(recipe, name):
    data = {table.data for table in TABLES.values() if table.recipe == name}
    assert data == {protocol_of(recipe(name)).data}


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        ("train.batch=4", "batch: got 4, published 8"),
        ("train.epochs=20", "epochs: got 20, published 200"),
        ("callbacks=[]", "selection: got last epoch, published best delta-m on test"),
        ("data.validation=0.1", "selection: got best delta-m on validation, published best"),
        (
            "backbone={type: timm, model: resnet50, features: map, output_stride: 16}",
            "network: got TimmModel with the options of the recipe, published Dee",
        ),
        ("data.complete=false", "data: got a part of it, published the whole"),
        ("optimizer.lr=0.001", "settings: got other optimizer than the recipe nyuv2-deeplab"),
        ("schedule=constant", "settings: got other schedule than"),
        ("transforms.train=[mirror]", "settings: got other transforms than"),
        ("tasks.depth.reduction=samples", "settings: got other tasks than"),
    ],
)
def test_each_difference_is_not_comparable(recipe, setting, line):
    table = TABLES["nyuv2-deeplab"]
    (difference,) = differences(
        table, protocol_of(recipe("nyuv2-deeplab", setting, PRETRAINED)), set(table.metrics)
    )
    assert difference.startswith(line)


def test_own_rows_stand_beside_the_published_ones(recipe):
    table = TABLES["nyuv2-deeplab"]
    base = dict(zip(table.metrics, table.row("STL").values, strict=True))
    alone = {
        name: value / scale for (name, value), scale in zip(base.items(), table.scale, strict=True)
    }
    better = {**alone, "classes/mean-iou": alone["classes/mean-iou"] * 1.06}
    pretrained = recipe("nyuv2-deeplab", PRETRAINED)
    sections = published_sections(pretrained, {"single-task": alone, "equal": better})
    (section,) = [s for s in sections if s.title.endswith(table.title)]
    assert section.blocks[1].text.startswith("comparable")
    rows = {row[0]: row for row in section.blocks[2].rows}
    header = section.blocks[2].header
    assert rows["here: equal"][header.index("delta-m computed")] == pytest.approx(1.0)
    assert rows["here: equal"][header.index("mean rank")] is not None
    (other,) = [s for s in sections if "Nash-MTL" in s.title]
    assert other.blocks[1].text.startswith("not comparable: network: got DeepLab on pretrained")
    assert TABLES["nyuv2-segnet-mtan"].delta == BY_METRIC
    own_row = {row[0]: row for row in other.blocks[2].rows}["here: equal"]
    assert own_row[-1] == "not comparable"
    assert own_row[other.blocks[2].header.index("mean rank")] is None


def test_a_searched_setting_of_training_is_not_comparable_but_one_of_a_weighting_is(recipe):
    table = TABLES["nyuv2-deeplab"]
    alone = dict(zip(table.metrics, table.row("STL").values, strict=True))
    sections = published_sections(
        recipe("nyuv2-deeplab", PRETRAINED),
        {"single-task": alone, "equal": alone, "tuned": alone},
        searched={"equal": ["optimizer.lr"], "tuned": ["weighting.weights.depth"]},
    )
    (section,) = [s for s in sections if s.title.endswith(table.title)]
    assert section.blocks[1].text.startswith("comparable, except for the rows that are marked")
    rank = section.blocks[2].header.index("mean rank")
    rows = {row[0]: (row[-1], row[rank] is None) for row in section.blocks[2].rows}
    assert rows["here: equal"] == ("not comparable: other optimizer.lr", True)
    assert rows["here: tuned"] == ("", False)


def run(*arguments):
    with pytest.raises(SystemExit) as caught:
        main(["benchmarks", *map(str, arguments)])
    return caught.value.code


def test_the_command_prints_a_table(capsys):
    assert run("published") == 0
    assert "celeba: CelebA, 40 attributes" in capsys.readouterr().out
    assert run("published", "nyuv2-segnet-mtan") == 0
    out = capsys.readouterr().out
    assert "SegNet-MTAN, batch 2, 200 epochs; rule: mean of the last 10 epochs on test" in out
    assert "misprinted: the delta does not follow from the row" in out
    assert run("published", "nyuv3") != 0
