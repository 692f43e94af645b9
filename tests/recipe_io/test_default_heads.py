"""A task without a head gets the default head of the type of label that the data declare."""

from typing import ClassVar, final

import attrs
import pytest

from mtlkit import Recipe, Task, load_catalog
from mtlkit.backbones import MLP
from mtlkit.cli import main
from mtlkit.data import DataSource, Table, Target
from mtlkit.errors import RecipeError
from mtlkit.heads import Classification, Ordinal, Regression
from mtlkit.plugins.families import Registrar
from mtlkit.plugins.registry import Origin
from mtlkit.recipe_io.load import parse_recipe
from mtlkit.testing.labels import EXAMPLES
from mtlkit.testing.small_features import SmallFeatures

CATALOG = load_catalog("none")


@attrs.frozen(kw_only=True)
class Declared(DataSource):
    """A source that declares the type of its label `value`: that of the example `number`."""

    number: int

    @property
    def label_targets(self):
        return {"value": type(EXAMPLES[self.number])}

    def load(self, loading):
        raise AssertionError("the data is not loaded to read a recipe")


@pytest.fixture(scope="module")
def declaring():
    catalog = load_catalog("none")
    registrar = Registrar(catalog, "", Origin("mtlkit", "testing", __file__))
    registrar.data.add("declared", Declared, "a declared label")
    registrar.backbones.add("small-features", SmallFeatures, "a layer of patches")
    registrar.commit()
    return catalog


def test_every_type_of_target_is_tried(catalog):
    assert {type(target) for target in EXAMPLES} >= {
        catalog.targets.get(name) for name in catalog.targets.names()
    }


@pytest.mark.parametrize("number", range(len(EXAMPLES)), ids=lambda n: type(EXAMPLES[n]).__name__)
def test_the_head_is_that_of_the_target(number, declaring):
    head = CATALOG.heads.get(EXAMPLES[number].default_head)
    kind = head.reads[0].kind
    text = (
        f"{{data: {{type: declared, number: {number}}}, "
        f"backbone: {{type: small-features, kind: {kind}}}, tasks: {{mine: {{target: value}}}}}}"
    )
    task = parse_recipe(text, "r.yaml", declaring).tasks["mine"]
    assert task.head == head()
    assert task.primary_metric == head().default_metrics[0]
    in_python = Recipe(
        data=Declared(number=number),
        backbone=SmallFeatures(kind=kind),
        tasks={"mine": Task(target="value"), "stated": Task(target="value", head=Ordinal())},
    )
    assert in_python.tasks["mine"] == task
    assert in_python.tasks["stated"].head == Ordinal()
    assert attrs.evolve(in_python, seed=1).tasks == in_python.tasks


@final
class Ours(Target):
    """A type of label whose default head is that of a plugin."""

    default_head: ClassVar[str] = "ours/regression"


def test_a_default_head_of_a_plugin_is_found_when_a_recipe_file_is_read(monkeypatch):
    catalog = load_catalog("none")
    registrar = Registrar(catalog, "ours", Origin("ours", "testing", __file__))
    registrar.heads.add("ours/regression", Regression, "a head")
    registrar.data.add("ours/declared", Declared, "a declared label")
    registrar.commit()
    monkeypatch.setattr(Declared, "label_targets", {"value": Ours})
    monkeypatch.setattr(Regression, "targets", (Ours,))
    text = "{data: {type: ours/declared, number: 0}, backbone: mlp, tasks: {value: {}}}"
    assert isinstance(parse_recipe(text, "r.yaml", catalog).tasks["value"].head, Regression)
    monkeypatch.setattr(Ours, "default_head", "ours/absent")
    with pytest.raises(RecipeError, match=r"r.yaml:1:\d+: tasks: .*'ours/absent'"):
        parse_recipe(text, "r.yaml", catalog)


def test_classification_is_not_replaced_if_it_is_stated():
    data = Table(file="rows.csv", labels=["size"], numeric=["size"])
    stated, default = (
        Recipe(data=data, backbone=MLP(), tasks={"size": task}).tasks["size"].head
        for task in (Task(head=Classification()), Task())
    )
    assert (stated, default) == (Classification(), Regression())


TABLE = """
data:
  type: table
  file: rows.csv
  labels: [kind, size]
  numeric: [size]
  vectors: {tip: [tip_x, tip_y]}
  multi_label: {traits: [red, round]}
backbone: mlp
tasks: {kind: {}, size: {}, tip: {}, traits: {}, stated: {target: kind, head: ordinal}}
"""


def test_a_table_declares_its_labels_and_a_stated_head_stays():
    recipe = parse_recipe(TABLE, "r.yaml", CATALOG)
    assert {name: type(task.head).__name__ for name, task in recipe.tasks.items()} == {
        "kind": "Classification",
        "size": "Regression",
        "tip": "VectorRegression",
        "traits": "MultiLabel",
        "stated": "Ordinal",
    }


IMAGES = """
data:
  type: images
  folder: scenes
  pattern: "{yaw}_{place}.png"
  numeric: [yaw]
  size: 16
  maps:
    ground: {files: "g/{stem}.png", classes: [sky, road]}
    depth: {files: "d/{stem}.npy"}
    normals: {files: "n/{stem}.npy", normals: true}
backbone: unet
tasks: {ground: {}, depth: {}, normals: {}, yaw: {adapter: pool}, place: {adapter: pool}}
"""


def test_images_declare_their_maps_and_numbers():
    recipe = parse_recipe(IMAGES, "r.yaml", CATALOG)
    assert {name: type(task.head).__name__ for name, task in recipe.tasks.items()} == {
        "ground": "Segmentation",
        "depth": "DenseRegression",
        "normals": "Normals",
        "yaw": "Regression",
        "place": "Classification",
    }


def test_joined_sources_declare_renamed_labels():
    text = """
    data:
      type: concat
      sources:
        one: {type: table, file: a.csv, labels: [size], numeric: [size]}
        two: {type: table, file: b.csv, labels: [length], numeric: [length]}
      rename: {two: {length: size}}
    backbone: mlp
    tasks: {"*": {}}
    """
    tasks = parse_recipe(text, "r.yaml", CATALOG).tasks
    assert {name: type(task.head).__name__ for name, task in tasks.items()} == {
        "size": "Regression"
    }


def test_a_default_head_that_reads_other_features_is_refused_with_its_name():
    with pytest.raises(RecipeError, match=r"tasks.ground.head: .* Segmentation reads maps"):
        parse_recipe(IMAGES.replace("backbone: unet", "backbone: casia-net"), "r.yaml", CATALOG)


@pytest.mark.parametrize(
    ("head", "words"),
    [
        ("classification", r"a class of each pixel \(N, H, W\), the head Classification predicts a "
         r"class \(N,\); use `head: {type: segmentation}`"),
        ("{type: dense-regression}", "use `head: {type: segmentation}`"),
    ],
)  # fmt: skip
def test_a_head_of_another_type_of_label_is_refused_when_the_recipe_is_read(head, words):
    text = IMAGES.replace("ground: {}", f"ground: {{head: {head}}}")
    with pytest.raises(
        RecipeError, match=r"r.yaml:13:\d+: tasks.ground.head: the label .*" + words
    ):
        parse_recipe(text, "r.yaml", CATALOG)


def test_explain_shows_the_chosen_heads(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("MTLKIT_PLUGINS", "")
    (tmp_path / "r.yaml").write_text(TABLE)
    with pytest.raises(SystemExit):
        main(["explain", str(tmp_path / "r.yaml")])
    shown = [line.split() for line in capsys.readouterr().out.splitlines() if " head: " in line]
    assert [(line[1], line[-1]) for line in shown[:4]] == [
        ("classification", "default"),
        ("regression", "default"),
        ("vector-regression", "default"),
        ("multi-label", "default"),
    ]
