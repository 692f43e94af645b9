"""A component is added by its file and its entry in the stub of a namespace; its test comes on top.

A dummy of each family is added to a copy of the package, by copying a small component under another
name. Listing, documentation, schema, recipes, the public namespace and the conformance kit must
find it there, with no further file changed.
"""

import filecmp
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import attrs
import pytest

from mtlkit.plugins.catalog import Catalog

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "mtlkit"


@attrs.frozen
class Addition:
    """The component that a dummy copies: its file and class; and a recipe line with the dummy.

    A type of targets has none, because it is that of the data.
    """

    file: str
    name: str
    line: str
    options: str = "{}"  # of an example
    space: str = ""  # the namespace with its name, if not the folder

    @property
    def folder(self) -> str:
        return self.file.partition("/")[0]

    @property
    def stub(self) -> str:
        return f"{self.space or self.folder}/__init__.pyi"


ADDITIONS = {
    "backbones": Addition("backbones/mlp.py", "MLP", "backbone: dummy"),
    "heads": Addition("heads/regression.py", "Regression", "tasks: {number: {head: dummy}}"),
    "routers": Addition("routers/shared.py", "Shared", "router: dummy"),
    "metrics": Addition(
        "metrics/accuracy.py", "Accuracy", "tasks: {kind: {metrics: [dummy]}, side: {}}"
    ),
    "branches": Addition(
        "routers/linear_branch.py",
        "LinearBranch",
        "router: {type: grouped, task: kind, by: side, groups: {l: [a], r: [b]}, branch: dummy}",
    ),
    "weightings": Addition("weightings/gls.py", "GLS", "weighting: dummy"),
    "data": Addition(
        "data/table.py",
        "Table",
        "data: {type: dummy, file: rows.csv, labels: [kind, side]}",
        "{'file': Path('rows.csv'), 'labels': ('kind',)}",
    ),
    "targets": Addition("targets/number.py", "NumberTarget", "", space="data"),
    "transforms": Addition(
        "transforms/gray.py", "Gray", "transforms: {train: [dummy]}", space="data"
    ),
    "optimizers": Addition("optim/adamw.py", "AdamW", "optimizer: dummy"),
    "schedules": Addition("optim/cosine.py", "Cosine", "schedule: dummy"),
    "adapters": Addition(
        "adapters/pool.py",
        "Pool",
        "{backbone: unet, tasks: {kind: {adapter: dummy}}}",
        space="backbones",
    ),
    "callbacks": Addition("callbacks/gradient_noise.py", "GradientNoise", "callbacks: [dummy]"),
    "evaluators": Addition("evaluators/task_metrics.py", "TaskMetrics", "evaluators: [dummy]"),
    "loggers": Addition(
        "loggers/json_lines.py", "JsonLines", "train: {loggers: [dummy]}", space="callbacks"
    ),
}
FILES = "its file, its entry in `{}/__init__.pyi`; its test"

OPS = {"ops", "implementations"}
"""Families of computations: docs/guide/op.md adds one of each from a plugin, in one file each."""

PROBE = """
import contextlib, importlib, io, json, re, sys
from pathlib import Path

import mtlkit, yaml
from mtlkit import testing
from mtlkit.cli import main
from mtlkit.recipe_io.load import parse_recipe
from mtlkit.recipe_io.schema import recipe_schema

assert Path(mtlkit.__file__).is_relative_to(Path.cwd()), mtlkit.__file__
catalog = mtlkit.load_catalog("none")
base = yaml.safe_load(
    "{data: {type: table, file: rows.csv, labels: [kind, side, number], numeric: [number]},"
    " backbone: mlp, tasks: {kind: {}, side: {}}}"
)


def printed(*arguments):
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
        main(arguments)
    return out.getvalue()


def uses(line, component):
    text = yaml.safe_dump({**base, **yaml.safe_load(line)})
    recipe = parse_recipe(text, "dummy.yaml", catalog)
    dumped = mtlkit.dump_recipe(recipe, catalog)
    return f"{component.__name__}(" in repr(recipe) and "dummy" in dumped


found, examples = {}, {}
for family, (namespace, line, options) in json.loads(sys.argv[1]).items():
    component = getattr(importlib.import_module(namespace), f"Dummy{family.capitalize()}")
    examples[f"{family}/dummy"] = testing.Example(value=component(**eval(options)))
    found[family] = {
        "registered": catalog.families()[family].get("dummy") is component,
        "listed": re.search("^  dummy +a dummy", printed("list", family), re.M) is not None,
        "shown": "dummy: a dummy" in printed("show", f"{family}/dummy"),
        "schema": not line or f"{family}/dummy" in recipe_schema(catalog)["$defs"],
        "recipe": not line or uses(line, component),
    }
Path("rows.csv").write_text("kind,side,x\\n" + "a,b,1\\nb,a,2\\n" * 20)
for family, registry in catalog.families().items():  # of the others no check is run
    for entry in registry:
        examples.setdefault(f"{family}/{entry.name}", testing.Example(value=None))
cases = testing.suite_of("", examples, catalog=catalog).cases
for family in found:
    mine = {c.check.name: c for c in cases if c.subject.label == f"{family}/dummy"}
    for check in ("is-documented", "is-frozen", "round-trips"):
        mine[check].run()
    found[family]["conformance kit"] = len(mine) > 5
print(json.dumps(found))
"""


def add(copy, family, addition):
    """Add a dummy of `family` to the `copy` of the package: a file, and an entry in a stub."""
    folder, new = addition.folder, f"Dummy{family.capitalize()}"
    lines = (copy / addition.file).read_text("utf-8").splitlines(keepends=True)
    renamed = [
        line if "from torch" in line else re.sub(rf"\b{addition.name}", new, line) for line in lines
    ]
    (copy / folder / f"dummy_{family}.py").write_text("".join(renamed))
    with open(copy / addition.stub, "a", encoding="utf-8") as stub:
        stub.write(f"\n# {family}/dummy: a dummy\n")
        stub.write(f"from mtlkit.{folder}.dummy_{family} import {new} as {new}\n")


def changed_files(copy):
    """Return the files of `copy` that differ from the package, or that it lacks."""
    paths = (path.relative_to(copy) for path in copy.rglob("*") if path.suffix in (".py", ".pyi"))
    return {
        path.as_posix()
        for path in paths
        if not (PACKAGE / path).exists()
        or not filecmp.cmp(copy / path, PACKAGE / path, shallow=False)
    }


@pytest.fixture(scope="module")
def probed(tmp_path_factory):
    """Return the answers of a process that imports the copy with all dummies, and its changes."""
    root = tmp_path_factory.mktemp("copy")
    copy = root / "mtlkit"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    for family, addition in ADDITIONS.items():
        add(copy, family, addition)
    questions = {
        family: (f"mtlkit.{a.space or a.folder}", a.line, a.options)
        for family, a in ADDITIONS.items()
    }
    done = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps(questions)],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "", "PYTHONPATH": str(root), "MTLKIT_PLUGINS": "", "HOME": str(root)},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), changed_files(copy)


@pytest.mark.parametrize("family", ADDITIONS)
def test_everything_finds_the_dummy(family, probed):
    assert set(probed[0][family].values()) == {True}, probed[0][family]


def test_two_files_are_touched(probed):
    """Its file and the stub; its own test comes on top."""
    expected = {
        file
        for family, addition in ADDITIONS.items()
        for file in (f"{addition.folder}/dummy_{family}.py", addition.stub)
    }
    assert set(probed[1]) == expected


def test_every_family_is_tried(catalog):
    assert set(ADDITIONS) | OPS == set(catalog.families())


def test_contributing_says_so():
    """Every row of the table that adds a component names the same files."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    rows = re.findall(r"^\| add an? (.+?) \| .+? \| (.+?) \|$", text, re.MULTILINE)
    named = {
        (family, files)
        for families, files in rows
        for family in re.split(r", | or an? | or ", families)
    }
    families = Catalog().families()
    assert named == {
        (families[plural].family, FILES.format(addition.space or addition.folder))
        for plural, addition in ADDITIONS.items()
    }
