"""Layers of a recipe: what it extends, what it says, and what ``--set`` changes."""

import pytest
from yaml import MappingNode, SequenceNode

import mtlkit
from mtlkit.callbacks import SWA, EarlyStopping
from mtlkit.errors import RecipeError
from mtlkit.optim import SGD, AdamW
from mtlkit.recipe_io import load_recipe, parse_recipe, read_recipe
from mtlkit.recipe_io.layers import merge
from mtlkit.recipe_io.yaml_reader import read_yaml
from mtlkit.weightings import Dynamic, Equal


def mistakes(call):
    with pytest.raises(RecipeError) as caught:
        call()
    return list(caught.value.lines)


def bare(node):
    """A tree without its locations."""
    if isinstance(node, MappingNode):
        return {key.value: bare(value) for key, value in node.value}
    return [bare(item) for item in node.value] if isinstance(node, SequenceNode) else node.value


@pytest.mark.parametrize(
    ("base", "over", "merged"),
    [
        ("{a: 1, b: 2}", "{b: 3, c: 4}", {"a": 1, "b": 3, "c": 4}),
        ("{a: {b: {c: 1}}}", "{a: {b: {d: 2}}}", {"a": {"b": {"c": 1, "d": 2}}}),
        ("{a: [1, 2]}", "{a: [3]}", {"a": [3]}),
        ("{a: [1]}", "{a: {b: 1}}", {"a": {"b": 1}}),
        ("{a: {b: 1}}", "{a: null}", {"a": None}),
        ("{a: {type: x, n: 1}}", "{a: {type: y, m: 2}}", {"a": {"type": "y", "m": 2}}),
        ("{a: {type: x, n: 1}}", "{a: {type: x, m: 2}}", {"a": {"type": "x", "n": 1, "m": 2}}),
        ("{a: {type: x, n: 1}}", "{a: {m: 2}}", {"a": {"type": "x", "n": 1, "m": 2}}),
        ("{a: {type: x, n: 1}}", "{a: y}", {"a": {"type": "y"}}),
        ("{a: {type: x, n: 1}}", "{a: x}", {"a": {"type": "x", "n": 1}}),
        ("{a: x}", "{a: {n: 1}}", {"a": {"type": "x", "n": 1}}),
        ("{a: x}", "{a: {type: y}}", {"a": {"type": "y"}}),
        ("{a: x}", "{a: y}", {"a": "y"}),
        ("{a: {type: 1}}", "{a: {type: 2, b: 3}}", {"a": {"type": 2, "b": 3}}),
    ],
)
def test_mappings_merge_and_everything_else_replaces(base, over, merged):
    assert bare(merge(read_yaml(base, "base"), read_yaml(over, "over"))) == merged


class TestSet:
    def parsed(self, good, catalog, *overrides):
        return parse_recipe(good, "r.yaml", catalog, overrides)

    def test_values_are_yaml(self, good, catalog):
        recipe = self.parsed(
            good,
            catalog,
            "optimizer.lr=3e-4",
            "train.clip_norm=5",
            "train.threads=auto",
            "backbone.width=0.25",
            "tasks.light={target: lamp}",
            "router.groups.left=[-90, '-45']",
            "train.epochs=1",
            "train.epochs=2",
        )
        assert recipe.optimizer.lr == 3e-4
        assert type(recipe.train.clip_norm) is float
        assert recipe.train.threads == "auto"
        assert recipe.backbone.width == 0.25
        assert list(recipe.tasks) == ["identity", "pose", "light"]
        assert recipe.router.groups["left"] == (-90, "-45")
        assert recipe.train.epochs == 2  # the last one counts

    def test_a_number_changes_an_item_of_a_list(self, good, catalog):
        text = good + "callbacks: [{type: early-stopping, patience: 2}, best-weights]\n"
        recipe = self.parsed(text, catalog, "callbacks.0.patience=3", "callbacks.1=swa")
        assert recipe.callbacks == (EarlyStopping(patience=3), SWA())
        [line] = mistakes(lambda: self.parsed(text, catalog, "callbacks.2.patience=3"))
        assert line == (
            "--set callbacks.2.patience=3: no item 2: the list has 2, counted from 0; "
            "change one of these, or write the list"
        )

    def test_a_new_type_replaces_the_component(self, good, catalog):
        for override in ("optimizer.type=adamw", "optimizer=adamw", "optimizer={type: adamw}"):
            assert self.parsed(good, catalog, override).optimizer == AdamW()
        kept = self.parsed(good, catalog, "optimizer.type=sgd").optimizer
        assert kept == SGD(lr=0.02, weight_decay=5e-4)

    def test_an_option_of_the_new_component(self, good, catalog):
        recipe = self.parsed(good, catalog, "weighting=equal", "weighting.total=0.5")
        assert recipe.weighting == Equal(total=0.5)

    @pytest.mark.parametrize(
        ("overrides", "weighting"),
        [
            (("weighting.total=0.5", "weighting.type=equal"), Equal(total=0.5)),
            (("weighting.total=0.5", "weighting=equal"), Equal(total=0.5)),
            (("weighting.total=0.5", "weighting={type: equal}"), Equal(total=0.5)),
            (("weighting.total=0.5", "weighting={type: equal, total: 2}"), Equal(total=0.5)),
            (("weighting.total=0.5", "weighting={total: 2}"), Dynamic(total=0.5)),
            (("weighting={type: fixed}", "weighting.type=equal"), Equal()),
        ],
    )
    def test_the_order_of_different_paths_is_nothing(self, overrides, weighting, good, catalog):
        for order in (overrides, overrides[::-1]):
            assert self.parsed(good, catalog, *order).weighting == weighting

    def test_nothing_that_is_set_is_dropped(self, good, catalog):
        wrong = "--set weighting.totl=0.5: weighting.totl: unknown option of 'equal' "
        contradiction = "--set tasks.a={}: contradicts --set tasks=null; remove one"
        for order in (1, -1):
            overrides = ("weighting.totl=0.5", "weighting.type=equal")[::order]
            [line] = mistakes(lambda o=overrides: self.parsed(good, catalog, *o))
            assert line.startswith(wrong)
            overrides = ("tasks=null", "tasks.a={}")[::order]
            [line] = mistakes(lambda o=overrides: self.parsed(good, catalog, *o))
            assert line == contradiction

    def test_one_path_set_twice_is_what_the_last_says(self, good, catalog):
        first = "optimizer={type: adamw, weight_decay: 0.5}"
        assert self.parsed(good, catalog, first, "optimizer=adamw").optimizer == AdamW()

    @pytest.mark.parametrize(
        ("override", "line"),
        [
            ("optimizer.lr=fast", "optimizer.lr: expected a number above 0, got the text 'fast'"),
            ("optimizer.lr=", "optimizer.lr: expected a number above 0, got null"),
            (
                "train=",
                "train: expected a mapping (train), got null; write {} for the defaults",
            ),
            (
                "seed=1.5",
                f"seed: expected a whole number from 0 to {2**64 - 1}, got the number 1.5",
            ),
            ("sead=1", "sead: unknown key of the recipe; did you mean 'seed'?"),
            (
                "schedule.warmup=3",
                f"schedule.warmup: unknown option of 'constant' (mtlkit {mtlkit.__version__}); "
                f"did you mean 'warmup_steps'?",
            ),
            (
                "callbacks.0=ema",
                "callbacks: expected a list (each item: a component (a callback)), got a mapping",
            ),
            (
                "train.device=gpu",
                "train.device: expected one of auto, cpu, cuda, xpu, or a number as in cuda:1, "
                "got 'gpu'; use cuda",
            ),
            (
                "train.device=CPU",
                "train.device: expected one of auto, cpu, cuda, xpu, or a number as in cuda:1, "
                "got 'CPU'; did you mean 'cpu'?",
            ),
            (
                "train.device=mps:0",
                "train.device: expected one of auto, cpu, cuda, xpu, or a number as in cuda:1, "
                "got 'mps:0', which has no float64, in which sums over gradients are computed; "
                "use cpu",
            ),
            (
                "train.checkpoint_every=0.5 min",
                "train.checkpoint_every: expected a number of steps of at least 1, or whole "
                "minutes such as '10 min', got '0.5 min'",
            ),
            ("data.folder.x=1", "data.folder: expected a path, got a mapping"),
            ("optimizer.lr", "expected PATH=VALUE, such as optimizer.lr=0.01"),
            ("=1", "expected PATH=VALUE, such as optimizer.lr=0.01"),
            ("a..b=1", "expected PATH=VALUE, such as optimizer.lr=0.01"),
            (
                "seed=[",
                "is not one YAML document: while parsing a flow node; expected the node content, "
                "but found '<stream end>'",
            ),
            ("seed=!x 1", "the tag '!x' is not allowed; components are named by `type`"),
            (
                "weighting.gate_main=1",
                "weighting.gate_main: expected true or false, got the number 1",
            ),
            ("router.by=light", "router.by: no task named 'light'; the tasks are identity, pose"),
        ],
    )
    def test_a_mistake_names_the_argument(self, override, line, good, catalog):
        found = mistakes(lambda: self.parsed(good, catalog, override))
        assert found == [f"--set {override}: {line}"]

    def test_mistakes_of_the_file_and_of_arguments_come_together(self, good, catalog):
        text = good.replace("0.02", "fast").replace("seed", "seed")
        found = mistakes(lambda: self.parsed(text, catalog, "seed=x", "train.epochs=0", "y"))
        assert len(found) == 1  # an argument that cannot be read comes before what it would change
        found = mistakes(lambda: self.parsed(text, catalog, "seed=x", "train.epochs=0"))
        assert [line.split(": ")[0] for line in found] == [
            "r.yaml:14:28",
            "--set seed=x",
            "--set train.epochs=0",
        ]


class TestExtends:
    @pytest.fixture
    def base(self, tmp_path, good):
        (tmp_path / "parts").mkdir()
        path = tmp_path / "parts" / "base.yaml"
        path.write_text(good)
        return path

    def child(self, tmp_path, text):
        path = tmp_path / "child.yaml"
        path.write_text(text)
        return path

    def test_what_it_says_stands_on_top(self, tmp_path, base, catalog, good):
        path = self.child(
            tmp_path, "extends: parts/base.yaml\noptimizer: {lr: 0.5}\nweighting: {type: equal}\n"
        )
        recipe = load_recipe(path, catalog)
        assert recipe.optimizer == SGD(lr=0.5, weight_decay=5e-4)
        assert recipe.weighting == Equal()
        assert recipe.tasks == parse_recipe(good, "g", catalog).tasks
        assert load_recipe(path, catalog, ["optimizer.lr=1"]).optimizer.lr == 1.0

    def test_every_value_knows_its_file(self, tmp_path, base, catalog):
        path = self.child(tmp_path, "extends: parts/base.yaml\noptimizer: {lr: 0.5}\n")
        written = read_recipe(path, catalog, ["seed=3"])
        assert str(written.location(("optimizer", "lr"))) == f"{path}:2:17"
        assert str(written.location(("optimizer", "momentum"))) == f"{base}:14:44"
        assert str(written.location(("seed",))) == "--set seed=3"
        assert written.location(("train", "device")) is None

    def test_a_mistake_points_to_its_own_file(self, tmp_path, base, catalog, good):
        base.write_text(good.replace("0.02", "fast"))
        path = self.child(tmp_path, "extends: parts/base.yaml\ntrain: {epochs: x}\n")
        assert [line.split(": ")[0] for line in mistakes(lambda: load_recipe(path, catalog))] == [
            f"{path}:2:17",
            f"{base}:14:28",
        ]

    def test_one_level_only(self, tmp_path, base, catalog, good):
        base.write_text("extends: other.yaml\n" + good)
        path = self.child(tmp_path, "extends: parts/base.yaml\n")
        assert mistakes(lambda: load_recipe(path, catalog)) == [
            f"{path}:1:10: extends: {base} extends another recipe; expected one level"
        ]

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("extends: none.yaml", "1:10: extends: {folder}/none.yaml: no such file"),
            ("extends: parts", "1:10: extends: {folder}/parts: is a folder"),
            ("extends: [a]", "1:10: extends: expected the path of one recipe"),
            ("extends: child.yaml", "1:10: extends: {folder}/child.yaml extends another"),
            ("extends: 3", "1:10: extends: expected the path of one recipe"),
        ],
    )
    def test_a_base_that_cannot_be_had(self, text, said, tmp_path, base, catalog):
        path = self.child(tmp_path, text)
        [line] = mistakes(lambda: load_recipe(path, catalog))
        assert line.startswith(f"{path}:{said.format(folder=tmp_path)}")
