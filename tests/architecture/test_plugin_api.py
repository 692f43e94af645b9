"""What plugins may import is one frozen list; our own plugins keep to it, and the docs show it."""

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import mtlkit
import mtlkit.errors
import mtlkit.ops
import mtlkit.testing
from mtlkit.plugins.families import FAMILIES

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = {
    package.name: sorted(package.rglob("*.py"))
    for package in sorted((ROOT / "plugins").glob("*/mtlkit_*"))
    if package.suffix == ""
}

PLUGIN_API: dict[str, set[str]] = {
    "mtlkit": set(mtlkit.__all__),
    "mtlkit.backbones.base": {"Backbone"},
    "mtlkit.backbones.base": {"BackboneModule", "SplittableBackbone"},
    "mtlkit.plugins.catalog": {"Registrar"},
    "mtlkit.cli.options": {"cache_option"},
    "mtlkit.comparison.execute.run_many": {"make_runs"},
    "mtlkit.comparison.execute.executor_config": {"Place"},
    "mtlkit.comparison.execute.worker": {"Job", "Outcome"},
    "mtlkit.component": {
        "Component", "Problem", "Rule", "above", "at_least", "at_least_number", "below", "between",
        "each", "member_of", "one_of", "optional",
    },
    "mtlkit.data.source": {"DataSource", "Loading"},
    "mtlkit.data.dataset": {"Categorical", "Data", "Inputs", "Numeric", "Split"},
    "mtlkit.data.decode": {"FORMATS", "Frame", "decode", "read_images", "threads"},
    "mtlkit.data.image_listing": {"Row"},
    "mtlkit.data.read_table": {"read_table"},
    "mtlkit.errors": {
        "AssemblyError", "ComponentError", "DataError", "DuplicateNameError", "ImplementationError",
        "IncompatibleError", "InterruptedRunError", "InvalidNameError", "LoadFailedError",
        "MissingExtraError", "MtlkitError", "NotFiniteError", "NotInstalledError", "RecipeError",
        "RunError", "UnknownComponentError", "did_you_mean",
    },
    "mtlkit.evaluators.base": {"Evaluator", "Findings"},
    "mtlkit.evaluators.context": {"Predictions", "Trained"},
    "mtlkit.heads.classification": {"ClassificationHead"},
    "mtlkit.heads.base": {"Head"},
    "mtlkit.heads.base": {"HeadModule"},
    "mtlkit.plugins.hooks": {"hookimpl"},
    "mtlkit.loggers.base": {"LogWriter", "Logger"},
    "mtlkit.loggers.events": {"EvaluationEvent", "Event", "Speed", "StepEvent"},
    "mtlkit.loggers.read_events": {"read_events"},
    "mtlkit.model": {"MultiTaskModel"},
    "mtlkit.ops": set(mtlkit.ops.__all__),
    "mtlkit.ops.dispatch.choice": {"choose"},
    "mtlkit.ops.configs": {"HeadOp", "OpImplementation", "implementation_for"},
    "mtlkit.ops.kernels.costs": {"products", "refuses_forward_mode"},
    "mtlkit.ops.dispatch.implementation": {"Cost", "Implementation", "Op", "Request", "serves_all"},
    "mtlkit.ops.linear_call": {"Call"},
    "mtlkit.ops.trials": {"Trial"},
    "mtlkit.optim.base": {"Optimizer", "Schedule"},
    "mtlkit.report.blocks": {
        "Block", "Chart", "Gallery", "Picture", "Section", "Series", "Table", "Text",
    },
    "mtlkit.report.evaluation": {"Evaluation", "evaluation_to_json"},
    "mtlkit.report.page": {"RunRecord", "number", "render_page"},
    "mtlkit.routers.base": {"Branch", "Router", "Unbranched", "Wiring", "class_name"},
    "mtlkit.routers.grouped": {"BranchesModule", "GroupedRouter"},
    "mtlkit.routers.base": {"BranchOutputs", "Features", "RouterModule", "UnbranchedRouter"},
    "mtlkit.runs.evaluate": {"load_trained"},
    "mtlkit.runs.folder": {"RunFolder", "State", "open_run", "read_json", "write_json"},
    "mtlkit.runs.report": {"read_evaluation"},
    "mtlkit.testing": set(mtlkit.testing.__all__),
    "mtlkit.atomic_files": {"write_file"},
    "mtlkit.task_types": {"Kind", "LossTerm", "MISSING", "Role"},
    "mtlkit.weightings.base": {"At", "GradientWeighting", "HeadGradients", "Weighting"},
    "mtlkit.weightings.kinds": {
        "AfterStep", "BatchLossWeighting", "Directed", "GramianWeighting", "JacobianWeighting",
        "Known", "Lookahead", "LossWeighting", "Moment", "DoubleSampling", "RequiresPositiveLosses",
        "StatefulJacobian", "StepLosses", "Weighted", "WeightingModule", "WholeBatch", "positive",
        "spread",
    },
}  # fmt: skip
"""The public modules and their names; who takes one away, or renames it, breaks plugins."""


def outside_the_api(tree: ast.AST) -> Iterator[str]:
    """Every import of something of mtlkit that is not in the list."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            module = node.module or ""
            if module.split(".")[0] == "mtlkit":
                public = PLUGIN_API.get(module, set())
                for alias in node.names:
                    if alias.name not in public:
                        yield f"line {node.lineno}: {module}: {alias.name}"
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "mtlkit":  # by way of it everything can be reached
                    yield f"line {node.lineno}: import {alias.name}"


@pytest.mark.parametrize("module", PLUGIN_API)
def test_every_public_name_exists_and_says_what_it_is(module):
    found = importlib.import_module(module)
    for name in PLUGIN_API[module]:
        value = getattr(found, name)
        assert not name.startswith("_")
        if isinstance(value, type):
            assert value.__doc__, name


def test_every_error_and_every_family_is_public():
    errors = {
        name
        for name, value in vars(mtlkit.errors).items()
        if isinstance(value, type) and issubclass(value, Exception)
    }
    assert PLUGIN_API["mtlkit.errors"] - {"did_you_mean"} == errors
    names = {name for names in PLUGIN_API.values() for name in names}
    assert names >= {family.base.partition(":")[2] for family in FAMILIES}


def test_the_docs_show_the_list():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = text.split("## What plugins may import\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(mtlkit[\w.]*)` \| (.*) \|$", section, re.MULTILINE)
    shown = {module: set(re.findall(r"`(\w+)`", names)) for module, names in rows}
    whole = ("mtlkit", "mtlkit.ops", "mtlkit.testing")
    expected = {**PLUGIN_API, **{module: {"__all__"} for module in whole}}
    assert shown == expected


def test_our_plugins_are_looked_at():
    assert set(PLUGINS) == {"mtlkit_face", "mtlkit_torchjd", "mtlkit_hello"}


@pytest.mark.parametrize("plugin", PLUGINS)
def test_our_plugin_imports_only_what_is_public(plugin):
    paths = PLUGINS[plugin]
    assert len(paths) > 5
    named = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in paths}
    found = {name: list(outside_the_api(ast.parse(text))) for name, text in named.items()}
    assert {name: lines for name, lines in found.items() if lines} == {}
    assert any("from mtlkit." in text for text in named.values())


@pytest.mark.parametrize(
    "text",
    [
        "from mtlkit._inner import x",
        "from mtlkit.plugins.catalog import _x",
        "from mtlkit.plugins.catalog import Registrar, load_catalog",  # one of two
        "from mtlkit.training.loop import Training",  # a module that is not public
        "from mtlkit import catalog",  # a module by way of the package
        "from mtlkit.errors import *",
        "import mtlkit",
        "import mtlkit.component as config",
        "def f():\n    from mtlkit.model import assemble",  # a late import
        "if TYPE_CHECKING:\n    from mtlkit.model import assemble",
    ],
)
def test_an_import_that_is_not_public_is_noticed(text):
    assert len(list(outside_the_api(ast.parse(text)))) == 1


@pytest.mark.parametrize(
    "text",
    [
        "from mtlkit import Recipe",
        "from mtlkit.plugins.catalog import Registrar",
        "from mtlkit_face.plugin import anything",
        "from .plugin import anything",
        "import attrs",
    ],
)
def test_a_public_import_is_none(text):
    assert not list(outside_the_api(ast.parse(text)))
