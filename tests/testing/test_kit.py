"""Each check of the kit can fail: a component that breaks its promise is told by it."""

import ast
import importlib
import inspect
import pkgutil
from pathlib import Path

import attrs
import pytest
import torch
from torch import nn

from mtlkit import testing
from mtlkit.backbones import Backbone, BackboneModule, MapFeatures, NodeFeatures, Pool
from mtlkit.data import InputSpec, Mirror, VectorTarget
from mtlkit.errors import MtlkitError
from mtlkit.heads import Segmentation
from mtlkit.metrics import MAE
from mtlkit.plugins.catalog import load_catalog
from mtlkit.plugins.hooks import API
from mtlkit.plugins.registry import Entry, Origin
from mtlkit.testing import checks as kit
from mtlkit.testing import values
from mtlkit.testing.check import Check, Subject
from mtlkit.testing.checks import metrics, transforms
from mtlkit.testing.harness import harness_of
from mtlkit.testing.head_batches import head_batch, new_head
from mtlkit.testing.suite import CHECKS, Case

DEAR = {
    "survives-spawn", "compiles", "exports", "trains-equally-on-two-ranks",
    "can-be-traced", "can-be-exported",
}  # fmt: skip
"""Checks that take long: tried on the component that breaks them, not on all others."""


def names_of_the_broken():
    """What `broken.py` breaks, read without importing it: (family, check) of each."""
    tree = ast.parse((Path(__file__).parent / "broken.py").read_text(encoding="utf-8"))
    [table] = [node.value for node in tree.body if isinstance(node, ast.AnnAssign)
               and node.target.id == "BROKEN"]  # fmt: skip
    return [
        (family.value, line.elts[0].value)
        for family, lines in zip(table.keys, table.values, strict=True)
        for line in lines.elts
    ]


BROKEN = names_of_the_broken()


def subject_of(family, value, shape=(4, 2, 2)):
    catalog = load_catalog("none")
    registry = catalog.families()[family]
    kind = type(value)
    is_op = family in ("ops", "implementations")
    entry = Entry(
        registry.family,
        value.name if is_op else f"broken/{kind.__name__.lower()}",
        f"{kind.__module__}:{kind.__qualname__}",
        "it breaks a promise",
        Origin("mtlkit-broken", "1.0", "broken.py"),
    )
    registry.add(entry, value if is_op else kind)
    inputs = getattr(value, "example_inputs", InputSpec(shape=shape))
    example = testing.Example(value=value, inputs=inputs)
    return Subject(catalog=catalog, plural=family, entry=entry, example=example)


def failures(subject, names):
    """Which of the checks called `names` the subject fails, and what each says."""
    found = {}
    for check in CHECKS[subject.plural]:
        if check.name in names:
            try:
                Case(subject, check).run()
            except AssertionError as error:
                found[check.name] = str(error)
    return found


@pytest.mark.filterwarnings("ignore")  # what is broken may warn; the host's tests must not
@pytest.mark.parametrize(("family", "name"), BROKEN)
def test_a_broken_promise_is_noticed(family, name, broken):
    [(_, value, said)] = [line for line in broken.BROKEN[family] if line[0] == name]
    found = failures(subject_of(family, value), {name})
    assert name in found
    assert said in found[name]
    assert f"{family}/broken/" in found[name]
    assert "(mtlkit-broken 1.0) breaks a promise of every" in found[name]


def test_every_check_can_fail():
    """A check that nothing fails would prove nothing; families may share one."""
    noticed = {check.run for family, name in BROKEN for check in CHECKS[family]
               if check.name == name}  # fmt: skip
    known = {check.run: f"{family}:{check.name}" for family, checks in CHECKS.items()
             for check in checks}  # fmt: skip
    assert [label for run, label in known.items() if run not in noticed] == []
    assert len(BROKEN) >= 25


def test_checks_have_names_and_promises():
    for family, checks in CHECKS.items():
        names = [check.name for check in checks]
        assert len(set(names)) == len(names), family
        for check in checks:
            assert check.promise.endswith((".", ":")), check.name
            assert check.since <= API


RIGHT = {
    "schedules": "Rate", "backbones": "Net", "heads": "Guesser", "metrics": "Offset",
    "targets": "Amount", "weightings": "Weigh", "routers": "Route", "adapters": "Adapt",
    "data": "Feed", "optimizers": "Step", "callbacks": "Deed", "evaluators": "Ask",
    "transforms": "Moved", "implementations": "Right", "ops": "Hinge",
}  # fmt: skip


@pytest.mark.parametrize("family", RIGHT)
def test_the_same_component_without_the_defect_passes(family, broken):
    """So that what is noticed above is the defect, and nothing else about these components."""
    is_op = family in ("implementations", "ops")
    right = getattr(broken.broken_ops if is_op else broken, RIGHT[family])
    subject = subject_of(family, right if is_op else right())
    names = {check.name for check in CHECKS[family]} - DEAR
    assert failures(subject, names) == {}


ONLY = [pair for pair in BROKEN if pair[0] in ("heads", "data", "optimizers")]  # the quick ones
SPREADS = {
    "declares-its-targets",  # every check of a head asks for its targets
    "returns-outputs-for-its-targets",  # and for outputs
    "gathers-samples",
    "ignores-each-missing-target",  # nor do several
    "loads-deterministically",  # whatever the circumstances
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("family", "name"), [pair for pair in ONLY if pair[1] not in SPREADS])
def test_a_defect_is_told_by_the_check_that_is_meant(family, name, broken):
    [(_, value, _)] = [line for line in broken.BROKEN[family] if line[0] == name]
    names = {check.name for check in CHECKS[family]} - DEAR
    assert set(failures(subject_of(family, value), names)) == {name}


PLUGIN = """
    import attrs
    from mtlkit.plugins.hooks import hookimpl
    from mtlkit.optim import Schedule

    @attrs.frozen(kw_only=True)
    class Slow(Schedule):
        '''A constant factor.'''

        rate: float

        def factor(self, progress):
            return self.rate

    @hookimpl
    def mtlkit_register(catalog):
        catalog.schedules.add("acme/slow", Slow)
"""


class TestSuite:
    def slow(self, distribution):
        module = distribution("acme", PLUGIN)
        catalog = load_catalog("acme")
        return catalog, catalog.schedules.get("acme/slow"), module

    def test_it_holds_every_check_of_every_component(self, distribution):
        catalog, slow, _ = self.slow(distribution)
        suite = testing.suite_of("acme", {"schedules/acme/slow": slow(rate=0.5)}, catalog=catalog)
        assert [case.check for case in suite.cases] == list(CHECKS["schedules"])
        assert str(suite) == ("11 checks of 1 component are required: 11 must pass, 0 must fail")
        for case in suite.cases:
            case.run()

    def test_excuses_are_counted(self, distribution):
        catalog, slow, _ = self.slow(distribution)
        suite = testing.suite_of(
            "acme",
            {"schedules/acme/slow": slow(rate=0.5)},
            {"schedules/acme/slow": {"pickles": "a file handle, #12"}},
            catalog,
        )
        assert str(suite) == (
            "11 checks of 1 component are required: 10 must pass, 1 must fail\n"
            "  schedules/acme/slow:pickles: a file handle, #12"
        )

    def test_what_all_subjects_share_is_not_shown(self, distribution):
        """pytest shows the `repr` of a case that fails, excused or not."""
        catalog, slow, _ = self.slow(distribution)
        suite = testing.suite_of("acme", {"schedules/acme/slow": slow(rate=0.5)}, catalog=catalog)
        case = suite.cases[0]
        case.subject.answers["two ranks"] = torch.zeros(1)
        shown = repr(case)
        assert "name='acme/slow'" in shown
        assert shown.count("Subject(") == 1
        assert "tensor(" not in shown
        assert "Catalog(" not in shown

    @pytest.mark.parametrize(
        ("examples", "excuses", "words"),
        [
            ({}, {}, "examples: schedules/acme/slow cannot be made from its defaults"),
            ({"schedules/acme/slo": None}, {}, "did you mean 'schedules/acme/slow'?"),
            ({}, {"heads/acme/slow": {}}, "excuses: no component 'heads/acme/slow'"),
            (None, {"schedules/acme/slow": {"pickle": "x"}}, "did you mean 'pickles'?"),
            (None, {"schedules/acme/slow": {"pickles": " "}}, "an excuse needs a reason"),
        ],
    )
    def test_what_names_nothing_is_an_error(self, examples, excuses, words, distribution):
        catalog, slow, _ = self.slow(distribution)
        if examples is None:
            examples = {"schedules/acme/slow": slow(rate=0.5)}
        with pytest.raises(MtlkitError, match=r".*") as caught:
            testing.suite_of("acme", examples, excuses, catalog)
        assert words in str(caught.value)

    def test_a_plugin_that_is_not_there_or_did_not_load(self, distribution):
        with pytest.raises(MtlkitError, match=r"no plugin 'acme' is installed.*pip install"):
            testing.suite_of("acme", catalog=load_catalog("none"))
        distribution("bad", "raise ImportError('no wheel')")
        with pytest.raises(MtlkitError, match=r"the plugin 'bad' failed to load: .*no wheel"):
            testing.suite_of("bad", catalog=load_catalog("bad"))
        distribution("void", "from mtlkit.plugins.hooks import hookimpl\n\n@hookimpl\n"
                     "def mtlkit_register(catalog): ...")  # fmt: skip
        with pytest.raises(MtlkitError, match="'void' registers no component"):
            testing.suite_of("void", catalog=load_catalog("void"))


def test_a_check_that_is_newer_than_the_plugin_may_fail(distribution, monkeypatch):
    """A check of a later plugin API than a plugin was made for is optional; else it is required."""
    newer = Check("is-new", "It is new.", lambda subject: None, since=(2, 1))
    monkeypatch.setitem(CHECKS, "schedules", (*CHECKS["schedules"], newer))
    monkeypatch.setattr("mtlkit.plugins.hooks.API", (2, 1))
    schedule = PLUGIN.replace("        rate: float\n", "        rate: float = 1.0\n")
    count = len(CHECKS["schedules"])
    for name, api, news in (("older", "2.0", ["is-new"]), ("newer", "2.1", [])):
        distribution(name, schedule.replace("acme/", f"{name}/"), api=api)
        catalog = load_catalog(name)
        suite = testing.suite_of(name, catalog=catalog)
        assert [case.check.name for case in suite.cases if case.news] == news
        required = count - len(news)
        head = f"{required} checks of 1 component are required: {required} must pass, 0 must fail"
        more = "; 1 more came with a later plugin API than it was made for, and may fail"
        assert str(suite) == head + (more if news else "")
        [mark] = testing.conformance(name, catalog=catalog).pytestmark
        lenient = {case.id: [m.kwargs for m in case.marks] for case in mark.args[1] if case.marks}
        assert [name.partition(":")[2] for name in lenient] == news
        for marks in lenient.values():
            assert marks == [{"reason": "new in plugin API 2.1", "strict": False}]


def test_an_excuse_that_is_no_longer_needed_fails(distribution):
    """Strict: what is excused must fail, and every other check must pass."""
    distribution("acme", PLUGIN)
    catalog = load_catalog("acme")
    slow = catalog.schedules.get("acme/slow")
    test = testing.conformance(
        "acme",
        examples={"schedules/acme/slow": slow(rate=0.5)},
        excuses={"schedules/acme/slow": {"pickles": "a file handle, #12"}},
        catalog=catalog,
    )
    [mark] = test.pytestmark
    excused = {case.id: [m.kwargs for m in case.marks] for case in mark.args[1] if case.marks}
    strictly = {"reason": "a file handle, #12", "strict": True}
    assert excused == {"schedules/acme/slow:pickles": [strictly]}
    assert len(mark.args[1]) == len(CHECKS["schedules"])
    assert "10 must pass, 1 must fail" in test.__doc__


class Graphs(BackboneModule):
    """Nodes minus the mean of their graph, or, with a defect, of the whole batch."""

    def __init__(self, whole):
        super().__init__()
        self.layer, self.whole, self.features = nn.Linear(3, 4), whole, NodeFeatures(width=4)

    def forward(self, inputs):
        nodes = self.layer(inputs["nodes"])
        if self.whole:
            return nodes - nodes.mean(dim=0)
        means = self.features.pool(nodes, self.context(inputs))
        return (nodes - means[inputs["graph"]]).square()

    def context(self, inputs):
        return {"graph": inputs["graph"], "sizes": inputs["sizes"]}


@attrs.frozen(kw_only=True)
class Graphic(Backbone):
    """A backbone of graphs."""

    whole: bool = False

    @property
    def gives(self):
        return NodeFeatures

    def build(self, inputs):
        return Graphs(self.whole)


def graphs(count):
    """Graphs of one to four nodes; the first ones are the same for any number."""
    sizes = torch.arange(count) % 4 + 1
    nodes = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))[: int(sizes.sum())]
    graph = torch.repeat_interleave(torch.arange(count), sizes)
    return {"nodes": nodes, "graph": graph, "sizes": sizes}


@pytest.mark.parametrize("whole", [False, True])
def test_ragged_samples_are_compared_graph_by_graph(whole):
    subject = subject_of("backbones", Graphic(whole=whole))
    example = testing.Example(value=subject.value, batch=graphs)
    subject = attrs.evolve(subject, example=example)
    names = {check.name for check in CHECKS["backbones"]} - DEAR
    found = failures(subject, names)
    assert set(found) == ({"evaluates-samples-independently"} if whole else set())
    assert not whole or "change with the samples after them" in found.popitem()[1]


def test_an_adapter_is_tested_with_the_features_of_its_example():
    spec = MapFeatures(channels=5, stride=8)
    example = testing.Example(value=Pool(), features=spec)
    harness = harness_of(attrs.evolve(subject_of("adapters", Pool()), example=example))
    assert harness.batch(3)[0].shape == (3, 5, 2, 2)


def test_a_metric_and_a_transform_are_tested_on_the_target_of_their_example():
    target = VectorTarget(names=("tip_x", "tip_y"))
    metric = attrs.evolve(
        subject_of("metrics", MAE()), example=testing.Example(value=MAE(), target=target)
    )
    assert [given for given, _, _ in metrics._examples(metric)] == [target]
    moved = attrs.evolve(
        subject_of("transforms", Mirror()), example=testing.Example(value=Mirror(), target=target)
    )
    assert [sample.targets["task"] for sample in transforms._accepted(moved)] == [target]
    assert failures(moved, {check.name for check in CHECKS["transforms"]} - DEAR) == {}


def test_a_head_is_tested_with_the_features_of_its_example():
    spec = MapFeatures(channels=5, stride=8)
    example = testing.Example(value=Segmentation(), features=spec)
    features, labels = head_batch(example, 3)
    assert spec.mismatch(features, 3) is None
    outputs = new_head(example)(features)
    assert outputs.shape == (3, *outputs.shape[1:2], *labels.shape[1:])


def test_no_function_of_a_subject_alone_is_left_out_of_the_checks():
    """`checks_of` selects by annotations: one that is missing would leave a check out."""
    names = [f"{kit.__name__}.{info.name}" for info in pkgutil.iter_modules(kit.__path__)]
    for module in map(importlib.import_module, [*names, values.__name__]):
        lists = [value for value in vars(module).values() if isinstance(value, tuple)]
        listed = {check.run for part in lists for check in part if isinstance(check, Check)}
        for name, function in vars(module).items():
            if inspect.isfunction(function) and function.__module__ == module.__name__:
                alone = list(inspect.signature(function).parameters) == ["subject"]
                returns = function.__annotations__.get("return", None)
                if alone and returns is None and not name.startswith("_"):
                    assert function in listed, f"{module.__name__}.{name}"
