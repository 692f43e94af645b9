"""From data to report for combinations of parts, and what must hold among their results."""

import json
from pathlib import Path

import attrs
import pytest
import torch
from safetensors.torch import load_file, save_file

from mtlkit.assembly import assembly_of, encode_targets
from mtlkit.backbones import MLP, CasiaNet, TimmModel
from mtlkit.data import Categorical, Data, DataSource, Loading, Numeric, Split
from mtlkit.heads import Classification, Regression
from mtlkit.model import assemble
from mtlkit.optim import SGD, AdamW
from mtlkit.plugins.catalog import load_catalog
from mtlkit.plugins.families import Registrar
from mtlkit.plugins.registry import Origin
from mtlkit.recipe import Recipe, Train
from mtlkit.routers import BlockBranch, BranchSelection, Grouped, LinearBranch
from mtlkit.runs.evaluate import evaluate
from mtlkit.runs.fit import fit
from mtlkit.runs.prediction.predict import load_model
from mtlkit.task import Task
from mtlkit.task_types import Role
from mtlkit.training.gradients.batch import MicroBatch, UpdateInfo
from mtlkit.training.gradients.factory import training_step
from mtlkit.weightings import (
    DBMTL,
    DWA,
    FAMO,
    MGDA,
    AutoLambda,
    Dynamic,
    Equal,
    Fixed,
    GradientLocation,
    MoDo,
    Normalization,
    PCGrad,
    Uncertainty,
)

SAMPLES = 120


def labels(signal, missing):
    """Columns that follow from a signal (N, 3): two of classes with gaps, a number with gaps."""
    who = signal.argmax(dim=1)
    side = (signal[:, 0] > 0).long()
    age = 40 + 10 * signal[:, 1]
    if missing:
        who[::6], side[1::3], age[2::4] = -1, -1, torch.nan
    return {
        "who": Categorical(who, ("ann", "bob", "cid")),
        "side": Categorical(side, ("left", "right")),
        "age": Numeric(age),
    }


def divided(inputs, columns, **options):
    whole = Split(inputs=inputs, columns=columns, ids=[f"row{i}" for i in range(len(inputs))])
    third = len(inputs) // 3
    train, test = torch.arange(third, len(inputs)), torch.arange(third)
    return Data(train=whole.subset(train), test=whole.subset(test), **options)


@attrs.frozen(kw_only=True)
class Rows(DataSource):
    """Rows of a table: seven numbers, of which three decide the labels."""

    missing: bool = True

    def load(self, loading: Loading) -> Data:
        generator = torch.Generator().manual_seed(3)
        inputs = torch.randn(SAMPLES, 7, generator=generator)
        return divided(inputs, labels(inputs[:, :3], self.missing), mean=0.0, std=1.0)


@attrs.frozen(kw_only=True)
class Stripes(DataSource):
    """Images whose three bands are as bright as three numbers, which decide the labels."""

    size: int = 16
    channels: int = 1

    def load(self, loading: Loading) -> Data:
        generator = torch.Generator().manual_seed(4)
        signal = torch.randn(SAMPLES, 3, generator=generator)
        bands = signal.repeat_interleave(-(-self.size // 3), dim=1)[:, : self.size]
        noise = 0.2 * torch.randn(SAMPLES, self.channels, self.size, self.size, generator=generator)
        pixels = (128 + 50 * (bands[:, None, :, None] + noise)).clamp(0, 255).to(torch.uint8)
        return divided(pixels, labels(signal, missing=False))


TASKS = {
    "who": Task(role=Role.MAIN),
    "side": Task(head=Classification(label_smoothing=0.1)),
    "age": Task(head=Regression()),
}
TABLE = Recipe(
    data=Rows(),
    backbone=MLP(hidden=(16,)),
    tasks=TASKS,
    optimizer=AdamW(lr=0.02),
    train=Train(epochs=8, batch=20, log_every=1, threads=1, device="cpu"),
)
GROUPED = Grouped(task="who", by="side", groups={"west": ("left",), "east": ("right",)})
IMAGES = attrs.evolve(
    TABLE,
    data=Stripes(),
    backbone=CasiaNet(width=0.05, dropout=0.2),
    optimizer=SGD(lr=0.05),
    train=attrs.evolve(TABLE.train, epochs=2),
)
WEIGHTINGS = {
    "fixed": Fixed(weights={"side": 0.5, "age": 0.25}),
    "equal": Equal(total=0.5),
    "uncertainty": Uncertainty(),
    "dynamic": Dynamic(total=1.0, learning_rate=0.01),
    "dynamic product-of-means": Dynamic(total=1.0, form="product-of-means"),
    "dynamic normalize": Dynamic(total=1.0, normalize=True),
    "dwa": DWA(),
    "famo": FAMO(),
    "pcgrad": PCGrad(),
    "mgda at parameters": MGDA(at=GradientLocation.PARAMETERS, normalize=Normalization.NORM),
    "db-mtl with momentum": DBMTL(momentum=0.5, at=GradientLocation.PARAMETERS),
    "modo": MoDo(),
    "auto-lambda": AutoLambda(start=1.0),
}
BRANCHES = {"linear": LinearBranch(), "block": BlockBranch()}


@pytest.fixture(scope="module")
def catalog():
    """The built-in components and the data of this file."""
    found = load_catalog("none")
    own = Registrar(found, "", Origin("chain", "0", __file__))
    own.data.add("rows", Rows, "a table")
    own.data.add("stripes", Stripes, "bands of brightness")
    own.commit()
    return found


@pytest.fixture(scope="module")
def run_of(catalog, tmp_path_factory):
    """The run of a recipe, made once for all tests that ask for it."""
    made = []

    def run(recipe):
        for known, folder in made:
            if known == recipe:
                return folder
        torch.manual_seed(0)
        made.append(
            (recipe, fit(recipe, tmp_path_factory.mktemp("run"), catalog=catalog, quiet=True))
        )
        return made[-1][1]

    return run


def events(run, kind="step"):
    lines = (run.path / "log.jsonl").read_text().splitlines()
    return [event for event in map(json.loads, lines) if event["kind"] == kind]


def losses(run, first, last):
    """The mean loss of each term over some of the logged steps."""
    chosen = [event["losses"] for event in events(run)[first:last]]
    return {term: sum(loss[term] for loss in chosen) / len(chosen) for term in chosen[0]}


def test_every_weighting_and_every_branch_is_tried(catalog):
    # every weighting trains in tests/train; here one of each kind goes the whole way
    assert {name.split()[0] for name in WEIGHTINGS} <= set(catalog.weightings.names())
    assert set(BRANCHES) == set(catalog.branches.names())


@pytest.fixture(scope="module", params=sorted(WEIGHTINGS))
def mixed(request, run_of):
    """A run of classes and numbers together, with gaps in the labels."""
    return run_of(attrs.evolve(TABLE, weighting=WEIGHTINGS[request.param]))


class TestMixedTasksWithGaps:
    def test_every_task_learns(self, mixed):
        begin, end = losses(mixed, 0, 4), losses(mixed, -4, None)
        assert all(end[term] < 0.8 * begin[term] for term in TASKS), (begin, end)
        metrics = mixed.metrics
        assert metrics["train/who/accuracy"] > 0.8
        assert metrics["train/side/accuracy"] > 0.8
        assert metrics["test/who/accuracy"] > 0.6
        assert metrics["test/age/r2"] > 0.5

    def test_labels_that_are_missing_are_not_counted(self, mixed):
        data = TABLE.data.load(Loading())
        for name, split in data.splits().items():
            for task in TASKS:
                present = int(split.column(task).present().sum())
                assert 0 < present < len(split)
                assert mixed.metrics[f"{name}/{task}/labels"] == present

    def test_the_saved_model_says_what_was_measured(self, mixed, catalog):
        model = load_model(mixed.path, catalog).network
        for name, split in TABLE.data.load(Loading()).splits().items():
            with torch.inference_mode():
                said = model(split.inputs[torch.arange(len(split))]).outputs
            for task in ("who", "side"):
                column = split.categorical(task)
                right = (said[task].argmax(1) == column.codes)[column.present()]
                found = mixed.metrics[f"{name}/{task}/accuracy"]
                assert right.float().mean().item() == pytest.approx(found)
            ages = split.column("age")
            error = (said["age"] - ages.values)[ages.present()]
            found = mixed.metrics[f"{name}/age/mae"]
            assert error.abs().mean().item() == pytest.approx(found, rel=1e-5)

    def test_the_report_names_every_task_and_part(self, mixed):
        text = mixed.report.read_text()
        for word in (*TASKS, "Rows", "MLP", "AdamW"):
            assert word in text
        assert "http://" not in text.replace("http://www.w3.org", "")

    def test_evaluating_again_changes_nothing(self, mixed, catalog):
        before = (mixed.path / "evaluation.json").read_bytes()
        evaluate(mixed.path, catalog=catalog, loading=Loading())
        assert (mixed.path / "evaluation.json").read_bytes() == before

    def test_the_logged_weights_are_finite_and_of_every_term(self, mixed):
        for event in events(mixed):
            assert set(event["weights"]) == set(event["losses"]) == set(TASKS)
            assert all(0 <= weight < 1e3 for weight in event["weights"].values())


class TestBackbones:
    @pytest.mark.parametrize("channels", [1, 3])
    def test_a_timm_model_learns_tiny_images(self, channels, run_of, catalog):
        data = Stripes(size=32, channels=channels)
        backbone, gentle = TimmModel(model="resnet10t"), AdamW(lr=0.002)
        run = run_of(attrs.evolve(IMAGES, data=data, backbone=backbone, optimizer=gentle))
        assert sum(losses(run, -3, None).values()) < sum(losses(run, 0, 3).values())
        assert not any(key.endswith("fc.weight") for key in load_file(run.model))
        model = load_model(run.path, catalog).network
        inputs = data.load(Loading()).test.inputs[torch.arange(4)]
        assert model(inputs).outputs["who"].shape == (4, 3)

    def test_a_saved_model_does_not_look_for_the_weights_it_started_from(
        self, run_of, catalog, tmp_path_factory
    ):
        start = tmp_path_factory.mktemp("weights") / "start.safetensors"
        plain = attrs.evolve(IMAGES, data=Stripes(size=32), backbone=TimmModel(model="resnet10t"))
        trained = load_file(run_of(plain).model)
        own = {k.removeprefix("router.backbone.model."): v for k, v in trained.items()
               if k.startswith("router.backbone.model.")}  # fmt: skip
        save_file(own, start)
        run = run_of(attrs.evolve(plain, backbone=TimmModel(model="resnet10t", weights=start)))
        begin, fresh = losses(run, 0, 1), losses(run_of(plain), 0, 1)
        assert begin != fresh
        start.unlink()
        load_model(run.path, catalog)

    def test_an_mlp_takes_images_too(self, run_of):
        run = run_of(attrs.evolve(IMAGES, backbone=MLP(hidden=(8,)), optimizer=SGD(lr=0.01)))
        assert losses(run, -2, None)["who"] < losses(run, 0, 2)["who"]


@pytest.mark.parametrize("branch", BRANCHES)
class TestRouting:
    LONGER = attrs.evolve(
        IMAGES,
        backbone=CasiaNet(width=0.05, dropout=0.0),
        optimizer=AdamW(lr=0.005),
        train=attrs.evolve(IMAGES.train, epochs=4),
    )

    @pytest.mark.parametrize("name", [*sorted(WEIGHTINGS), "dynamic gate_main"])
    def test_every_weighting_trains_branches(self, name, branch, run_of):
        weighting = WEIGHTINGS.get(name, Dynamic(total=1.0, gate_main=True))
        router = attrs.evolve(GROUPED, branch=BRANCHES[branch])
        run = run_of(attrs.evolve(self.LONGER, weighting=weighting, router=router))
        begin, end = losses(run, 0, 2), losses(run, -2, None)
        assert set(begin) == {*TASKS, "who.branches"}
        # what a gate starves may rest; all together, and the task with two losses, must learn
        assert sum(end.values()) < sum(begin.values())
        assert end["who"] + end["who.branches"] < begin["who"] + begin["who.branches"]
        assert 0 <= run.metrics["test/who/branches/accuracy"] <= 1
        assert json.loads((run.path / "status.json").read_text())["untrained"] == []

    def test_the_way_of_routing_at_test_changes_no_weight(self, branch, run_of):
        runs = {
            choice: run_of(
                attrs.evolve(
                    IMAGES, router=attrs.evolve(GROUPED, branch=BRANCHES[branch], test=choice)
                )
            )
            for choice in BranchSelection
        }
        assert len({run.model.read_bytes() for run in runs.values()}) == 1
        generic = {run.metrics["test/who/accuracy"] for run in runs.values()}
        assert len(generic) == 1

    @pytest.mark.parametrize("choice", list(BranchSelection))
    def test_the_routed_accuracy_is_that_of_the_saved_model(self, choice, branch, run_of, catalog):
        router = attrs.evolve(GROUPED, branch=BRANCHES[branch], test=choice)
        run = run_of(attrs.evolve(IMAGES, router=router))
        model = load_model(run.path, catalog).network
        test = IMAGES.data.load(Loading()).test
        codes = {task: test.categorical(task).codes for task in ("who", "side")}
        with torch.inference_mode():
            branches = model(test.inputs[torch.arange(len(test))], codes).branches["who"]
        posterior = branches.logits.softmax(-1)
        if choice is BranchSelection.EXPECTED:
            mixed = (posterior * branches.probability.unsqueeze(-1)).sum(1)
        else:
            best = branches.probability.argmax(1)
            group = best if choice is BranchSelection.BEST else codes["side"]
            mixed = posterior[torch.arange(len(test)), group]
        accuracy = (mixed.argmax(1) == codes["who"]).float().mean().item()
        assert run.metrics["test/who/branches/accuracy"] == pytest.approx(accuracy)


def state(run, *parts):
    """The tensors of a saved model whose names begin with one of `parts`."""
    return {key: value for key, value in load_file(run.model).items() if key.startswith(parts)}


def same(one, other, parts=("router.backbone", "heads.who_head")):
    """Whether two runs have the very same weights, to the bit, in some parts."""
    mine, theirs = state(one, *parts), state(other, *parts)
    assert mine
    assert mine.keys() == theirs.keys()
    return all(torch.equal(value, theirs[key]) for key, value in mine.items())


def close(one, other):
    mine, theirs = load_file(one.model), load_file(other.model)
    shared = mine.keys() & theirs.keys()
    assert len(shared) > 5
    return all(torch.allclose(mine[key], theirs[key], rtol=1e-4, atol=1e-6) for key in shared)


class TestSpecialCases:
    """Networks that must be another network, weight for weight, when a weight is 0 or all agree."""

    S_CNN = attrs.evolve(IMAGES, tasks={"who": TASKS["who"]}, weighting=Fixed())
    NO_SIDE = Fixed(weights={"side": 0.0, "age": 0.0})
    ONE = attrs.evolve(IMAGES, train=attrs.evolve(IMAGES.train, epochs=1, batch=SAMPLES))

    def test_side_tasks_of_no_weight_leave_the_single_task_network(self, run_of):
        assert same(run_of(self.S_CNN), run_of(attrs.evolve(IMAGES, weighting=self.NO_SIDE)))

    def test_side_tasks_of_some_weight_do_not(self, run_of):
        assert not same(
            run_of(self.S_CNN), run_of(attrs.evolve(IMAGES, weighting=Equal(total=0.1)))
        )

    @pytest.mark.parametrize("branch", BRANCHES)
    def test_branches_of_no_weight_leave_the_multi_task_network(self, branch, run_of):
        weights = {"side": 0.5, "age": 0.25}
        plain = run_of(attrs.evolve(IMAGES, weighting=Fixed(weights=weights)))
        silent = Fixed(weights={**weights, "who.branches": 0.0})
        router = attrs.evolve(GROUPED, branch=BRANCHES[branch])
        routed = run_of(attrs.evolve(IMAGES, weighting=silent, router=router))
        assert same(plain, routed, ("router.backbone", "heads."))
        heard = run_of(attrs.evolve(IMAGES, weighting=Fixed(weights=weights), router=router))
        assert not same(plain, heard, ("router.backbone",))

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            (Equal(), Fixed()),
            (Equal(total=0.5), Fixed(weights={"side": 0.25, "age": 0.25})),
            (Equal(total=2.0), Equal()),
            (Fixed(weights={"who": 1.0}), Fixed()),
        ],
    )
    def test_weightings_of_equal_weights_are_one(self, one, other, run_of):
        first, second = (run_of(attrs.evolve(IMAGES, weighting=w)) for w in (one, other))
        assert same(first, second, ("router.", "heads."))

    @pytest.mark.parametrize(
        ("learned", "start"),
        [
            (Uncertainty(), Equal()),
            (Dynamic(total=0.5), Equal(total=0.5)),
            (Dynamic(total=0.5, form="product-of-means"), Equal(total=0.5)),
        ],
    )
    def test_learned_weights_begin_as_equal_ones(self, learned, start, run_of):
        """After one update the network is that of equal weights; after two it is not."""
        first, second = (run_of(attrs.evolve(self.ONE, weighting=w)) for w in (learned, start))
        assert len(events(first)) == 1
        assert close(first, second)
        longer = [run_of(attrs.evolve(IMAGES, weighting=w)) for w in (learned, start)]
        assert not close(*longer)

    def test_the_role_of_a_task_is_the_weightings_business_alone(self, run_of):
        tasks = {name: attrs.evolve(task, role=Role.MAIN) for name, task in TASKS.items()}
        first, second = (run_of(attrs.evolve(IMAGES, tasks=t)) for t in (TASKS, tasks))
        assert same(first, second, ("router.", "heads."))

    def test_a_tasks_name_is_not_its_label(self, run_of):
        tasks = {
            "who": TASKS["who"],
            "direction": attrs.evolve(TASKS["side"], target="side"),
            "years": attrs.evolve(TASKS["age"], target="age"),
        }
        assert same(run_of(IMAGES), run_of(attrs.evolve(IMAGES, tasks=tasks)))


class TestUnlabelledSamples:
    """Samples without a task's label do not exist for that task."""

    def gradients(self, weighting, task, extra):
        """The gradient of the head of `task` from 12 samples and `extra` ones without its label."""
        data = Rows(missing=False).load(Loading())
        split = data.train.subset(torch.arange(12 + extra))
        assembly = assembly_of(data, TASKS)
        targets = encode_targets(split, TASKS, assembly)
        missing = torch.nan if targets[task].is_floating_point() else -1
        targets[task][12:] = missing
        torch.manual_seed(0)
        model = assemble(TABLE.backbone, TABLE.router, TASKS, assembly)
        for name in TASKS:
            model.head(name).fit_targets(targets[name][:12])
        module = weighting.build(model.terms, model.router.features.width)
        step = training_step(model, module, weighting)
        counts = model.counts(targets)
        whole = UpdateInfo(counts, counts.nonzero().flatten())
        inputs = split.inputs[torch.arange(len(split))]
        result = step(MicroBatch(inputs, targets), whole)
        result.total.backward()
        return {name: p.grad for name, p in model.head(task).named_parameters()}, result

    @pytest.mark.parametrize("task", TASKS)
    # FAMO's weights have a fixed sum: those of one task follow the losses of the others
    @pytest.mark.parametrize("name", sorted(set(WEIGHTINGS) - {"famo"}))
    def test_they_change_no_gradient_of_its_head(self, name, task):
        alone, _ = self.gradients(WEIGHTINGS[name], task, 0)
        among, result = self.gradients(WEIGHTINGS[name], task, 9)
        assert any(grad.abs().max() > 1e-3 for grad in alone.values())
        for key, grad in alone.items():
            assert torch.allclose(grad, among[key], rtol=1e-4, atol=1e-7), key
        place = list(TASKS).index(task)
        assert (result.per_sample[place, 12:] == 0).all()

    def test_with_its_label_they_would_change_it(self):
        """The check above is no check of nothing."""
        alone, _ = self.gradients(Equal(), "who", 0)
        fewer, _ = self.gradients(Equal(), "who", -3)
        assert not torch.allclose(alone["linear.weight"], fewer["linear.weight"], rtol=1e-2)


def test_every_file_of_a_run_is_the_same_from_another_folder(run_of, catalog, tmp_path):
    again = fit(TABLE, tmp_path / "deep" / "er", catalog=catalog, quiet=True)
    first = run_of(TABLE)
    for name in ("model.safetensors", "log.jsonl", "recipe.yaml", "assembly.json"):
        assert (Path(first.path) / name).read_bytes() == (again.path / name).read_bytes()
