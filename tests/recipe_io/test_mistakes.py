"""Every mistake is reported at its place, with its path, all at once."""

import re
import textwrap
from pathlib import Path

import pytest

from mtlkit.errors import RecipeError
from mtlkit.recipe_io import load_recipe, parse_recipe
from mtlkit.recipe_io.structuring import new_converter
from mtlkit.recipe_io.yaml_nodes import entry
from mtlkit.recipe_io.yaml_reader import read_yaml
from mtlkit.weightings import Weighting


def mistakes(text, catalog, overrides=()):
    with pytest.raises(RecipeError) as caught:
        parse_recipe(text, "r.yaml", catalog, overrides)
    error = caught.value
    count = len(error.lines)
    assert str(error).splitlines()[-1].startswith(f"{count} mistake")
    return list(error.lines)


# a change of the good recipe, and the one line it must give
ONE_MISTAKE = [
    (
        "casia-net",
        "casianet",
        "r.yaml:2:18: backbone.type: no backbone named 'casianet'; did you mean 'casia-net' "
        "(built in)? `mtlkit list backbones` shows all 6",
    ),
    (
        "total:",
        "totl:",
        "r.yaml:13:28: weighting.totl: unknown option of 'dynamic' (mtlkit 0.1.0); "
        "did you mean 'total'?",
    ),
    (
        "0.02",
        "fast",
        "r.yaml:14:28: optimizer.lr: expected a number above 0, got the text 'fast'",
    ),
    ("lr: 0.02", "lr: -1", "r.yaml:14:28: optimizer.lr: expected a number above 0, got -1.0"),
    (
        "lr: 0.02",
        "lr: true",
        "r.yaml:14:28: optimizer.lr: expected a number above 0, got true",
    ),
    (
        "epochs: 20",
        "epochs: 2.5",
        "r.yaml:15:17: train.epochs: expected a whole number of at least 1, got the number 2.5",
    ),
    (
        "epochs: 20",
        "epochs: '20'",
        "r.yaml:15:17: train.epochs: expected a whole number of at least 1, got the text '20'",
    ),
    (
        "batch: 64",
        "batch: null",
        "r.yaml:15:28: train.batch: expected a whole number of at least 1, got null",
    ),
    (
        "precision: bf16",
        "precision: b16",
        "r.yaml:15:43: train.precision: expected one of fp32, bf16, fp16, got 'b16'; "
        "did you mean 'bf16'?",
    ),
    (
        "precision: bf16",
        "compile: yes",
        "r.yaml:15:41: train.compile: expected true or false, got the text 'yes'",
    ),
    (
        "test: expected",
        "test: expeced",
        "r.yaml:12:9: router.test: expected one of expected, best, label, got the text "
        "'expeced'; did you mean 'expected'?",
    ),
    (
        "role: main",
        "role: mian",
        "r.yaml:4:20: tasks.identity.role: expected one of main, side, got the text 'mian'; "
        "did you mean 'main'?",
    ),
    (
        "[-90, -45]",
        "[-90, null]",
        "r.yaml:10:24: router.groups.left.1: expected text or a whole number or a number, got null",
    ),
    (
        "[-90, -45]",
        "-90",
        "r.yaml:10:18: router.groups.left: expected a list (each item: text or a whole number "
        "or a number), got the number -90",
    ),
    (
        "[{type: tasks}]",
        "{type: tasks}",
        "r.yaml:16:13: evaluators: expected a list (each item: a component (an evaluator)), "
        "got a mapping",
    ),
    (
        "[{type: tasks}]",
        "[{type: task}]",
        "r.yaml:16:21: evaluators.0.type: no evaluator named 'task'; did you mean 'tasks' "
        "(built in)? `mtlkit list evaluators` shows all 2",
    ),
    (
        "head: classification",
        "head: {}",
        "r.yaml:5:29: tasks.pose.head: expected `type` with the name of a head: classification, "
        "deep-cca, dense-regression, latent-tasks, margin, multi-label, normals, ordinal, "
        "regression, segmentation, token-classification, vector-regression",
    ),
    (
        "{type: linear}",
        "{typ: linear}",
        "r.yaml:11:12: router.branch.typ: unknown key; did you mean 'type'?",
    ),
    (
        "{type: linear}",
        "{type: 3}",
        "r.yaml:11:18: router.branch.type: expected the name of a branch, got the number 3",
    ),
    (
        "branch: {type: linear}",
        "branch: {type: linear, width: 3}",
        "r.yaml:11:26: router.branch.width: unknown option of 'linear' (mtlkit 0.1.0); it has none",
    ),
    (
        "size: 32",
        "sise: 32",
        "r.yaml:1:69: data.sise: unknown option of 'images' (mtlkit 0.1.0); did you mean 'size'?",
    ),
    (
        ", size: 32",
        "",
        "r.yaml:1:7: data.size: missing; 'images' (mtlkit 0.1.0) needs a whole number or a list "
        "of 2 (a whole number, a whole number) here",
    ),
    (
        "size: 32",
        "size: [32, x]",
        "r.yaml:1:80: data.size.1: expected a whole number, got the text 'x'",
    ),
    (
        "size: 32",
        "size: 0",
        "r.yaml:1:75: data.size: expected a whole number of at least 1, got 0",
    ),
    (
        "optimizer:",
        "optimiser:",
        "r.yaml:14:1: optimiser: unknown key of the recipe; did you mean 'optimizer'?",
    ),
    (
        "router:",
        "routing:",
        "r.yaml:6:1: routing: unknown key of the recipe; did you mean 'router'?",
    ),
    (
        "evaluators:",
        "evaluation:",
        "r.yaml:16:1: evaluation: unknown key of the recipe; did you mean 'evaluators'?",
    ),
    (
        "by: pose",
        "by: yaw",
        "r.yaml:9:7: router.by: no task named 'yaw'; the tasks are identity, pose",
    ),
    (
        "role: main, ",
        "",
        "r.yaml:13:12: weighting: got no main task, expected at least 1 for dynamic weights; "
        "give one task `role: main`",
    ),
    (
        "casia-net, width: 0.5",
        "face/x",
        "r.yaml:2:18: backbone.type: the backbone 'face/x' is unavailable: left out by "
        "MTLKIT_PLUGINS=none",
    ),
    (
        "lr: 0.02, momentum: 0.9",
        "lr: 0.02, lr: 0.9",
        "r.yaml:14:34: the key 'lr' occurs twice, first at r.yaml:14:24; keep one",
    ),
]


@pytest.mark.parametrize(
    ("old", "new", "line"), ONE_MISTAKE, ids=[m[1] or m[0] for m in ONE_MISTAKE]
)
def test_one_mistake_gives_one_line(old, new, line, good, catalog):
    assert old in good
    assert mistakes(good.replace(old, new, 1), catalog) == [line]


def test_all_mistakes_are_reported_at_once_in_the_order_of_their_lines(good, catalog):
    changes = [ONE_MISTAKE[0], ONE_MISTAKE[2], ONE_MISTAKE[5], ONE_MISTAKE[10], ONE_MISTAKE[15]]
    text = good
    for old, new, _ in changes:
        text = text.replace(old, new, 1)
    expected = sorted((line for *_, line in changes), key=lambda line: int(line.split(":")[1]))
    assert mistakes(text, catalog) == expected


def test_an_unknown_key_hides_no_validator_and_no_other_mistake(good, catalog):
    text = good.replace("lr: 0.02, momentum: 0.9", "lr: 0, momentm: 0.9, nesterov: 1")
    lines = mistakes(text, catalog)
    assert [re.split(r": ", line)[1] for line in lines] == [
        "optimizer.lr",
        "optimizer.momentm",
        "optimizer.nesterov",
    ]


def test_two_validators_of_one_component_both_speak(good, catalog):
    text = good.replace("lr: 0.02, momentum: 0.9", "lr: 0, momentum: 2")
    assert [line.split(": ")[1] for line in mistakes(text, catalog)] == [
        "optimizer.lr",
        "optimizer.momentum",
    ]


def test_a_validator_that_looks_at_two_options(good, catalog):
    text = good.replace('pattern: "{subject}_{yaw}.png", ', "")
    [line] = mistakes(text, catalog)
    assert line.startswith("r.yaml:1:7: data.pattern: expected one of `labels` and `pattern`")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "r.yaml: is empty"),
        ("# nothing\n", "r.yaml: is empty"),
        ("- a\n", "r.yaml:1:1: expected a recipe with keys such as `data`, got a list"),
        ("3\n", "r.yaml:1:1: expected a recipe with keys such as `data`, got 3"),
        ("a: [", "r.yaml:1:5: is not one YAML document"),
        ("a: b: c", "r.yaml:1:5: is not one YAML document: mapping values are not allowed here"),
        ("a:\n\t- b", "r.yaml:2:1: is not one YAML document"),
        ("a: \x00", "r.yaml:1:4: is not YAML: the character U+0000 is not allowed"),
        ('a: "\\UFFFFFFFF"', "r.yaml: is not YAML"),
        ('a: "\\ud800"', "r.yaml:1:4: a text with half of a surrogate pair"),
        (
            "a: 1\n---\nb: 2",
            "r.yaml:2:1: is not one YAML document: expected a single "
            "document in the stream; but found another document",
        ),
        ("a: !!python/object:os.system x", "r.yaml:1:4: the tag"),
        ("a: !x {b: 1}", "r.yaml:1:4: the tag '!x' is not allowed"),
        ("a: *b", "r.yaml:1:4: no anchor named 'b'"),
        ("a: &b [*b]", "r.yaml:1:8: no anchor named 'b'"),
        ("a: &b 1\nc: &b [*b]", "r.yaml:2:8: no anchor named 'b'"),
        ("? [a]\n: b", "r.yaml:1:3: expected a name as the key, got a collection"),
        ("1: b", "r.yaml:1:1: expected a name as the key, got 1; put it in quotes"),
        ("true: b", "r.yaml:1:1: expected a name as the key, got True; put it in quotes"),
        ("a: 1e999", "r.yaml:1:4: the number 1e999 is too large"),
        ("a: " + "9" * 5000, "r.yaml:1:4: a whole number of more than 1000 digits"),
        ("[" * 5000, "r.yaml:1:42: nested more than 40 levels deep"),
        ("a: '" + "x" * 1_000_001 + "'", "r.yaml: expected at most 1000000 characters"),
    ],
)
def test_text_that_is_no_recipe(text, said, catalog):
    [line] = mistakes(text, catalog)
    assert line.startswith(said)


def test_a_whole_number_never_becomes_another(catalog, good):
    """2^53 + 1 is no floating-point number."""
    [line] = mistakes(good.replace("lr: 0.02", "lr: 9007199254740993"), catalog)
    assert line == (
        "r.yaml:14:28: optimizer.lr: expected a number, got the number 9007199254740993, which "
        "would become 9007199254740992.0; write that instead"
    )


def test_a_bomb_of_aliases_is_refused_quickly(catalog):
    levels = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    [line] = mistakes("\n".join(["a0: &a0 [x, x, x]", *levels]), catalog)
    assert "at most 50000 values, aliases expanded" in line


def test_an_anchor_may_be_defined_again(catalog):
    tree = read_yaml("{a: &x 1, b: *x, c: &x 2, d: *x}", "r.yaml")
    assert [value.value for _, value in tree.value] == [1, 1, 2, 2]


def test_an_alias_is_the_value_it_names(good, catalog):
    text = good.replace(
        "head: {type: classification}", "head: &h {type: classification, classes: 3}"
    )
    text = text.replace("head: classification", "head: *h")
    recipe = parse_recipe(text, "r.yaml", catalog)
    assert recipe.tasks["pose"].head == recipe.tasks["identity"].head
    assert recipe.tasks["pose"].head.classes == 3


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1e-4", 1e-4),
        ("1E+2", 100.0),
        (".5", 0.5),
        ("3.", 3.0),
        ("-.inf", float("-inf")),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("+7", 7),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("0b11", "0b11"),
        ("no", "no"),
        ("on", "on"),
        ("Yes", "Yes"),
        ("y", "y"),
        ("TRUE", True),
        ("false", False),
        ("NULL", None),
        ("~", None),
        ("2024-01-01", "2024-01-01"),
        ("=", "="),
        ("<<", "<<"),
        ("'1'", "1"),
        ('"true"', "true"),
        ("|\n  1", "1"),
    ],
)
def test_scalars_are_those_of_yaml_1_2(written, value):
    found = entry(read_yaml(f"a: {written}", "r.yaml"), "a").value
    assert type(found) is type(value)
    assert found == value


class TestFiles:
    def lines(self, path, catalog, overrides=()):
        with pytest.raises(RecipeError) as caught:
            load_recipe(path, catalog, overrides)
        return list(caught.value.lines)

    def test_missing_folder_and_bytes(self, tmp_path, catalog):
        missing = tmp_path / "none.yaml"
        assert self.lines(missing, catalog) == [f"{missing}: no such file; expected a recipe"]
        assert self.lines(tmp_path, catalog) == [f"{tmp_path}: is a folder; expected a recipe"]
        (tmp_path / "latin.yaml").write_bytes(b"a: \xe9")
        assert self.lines(tmp_path / "latin.yaml", catalog) == [
            f"{tmp_path / 'latin.yaml'}: is not UTF-8 text: byte 3 is 0xe9"
        ]
        [line] = self.lines(Path("a\0b"), catalog)
        assert "cannot be read" in line

    def test_a_byte_order_mark_and_windows_lines_are_fine(self, tmp_path, good, catalog):
        path = tmp_path / "r.yaml"
        path.write_bytes(b"\xef\xbb\xbf" + good.replace("\n", "\r\n").encode())
        assert load_recipe(path, catalog) == parse_recipe(good, "r.yaml", catalog)

    def test_one_line_per_mistake_whatever_a_plugin_says(self, catalog):
        node = read_yaml("{type: fixed, weights: {a: -1}}", "r.yaml")
        with pytest.raises(Exception, match="weights: expected a number of at least 0, got -1"):
            new_converter(catalog).structure(node, Weighting)


@pytest.mark.parametrize("name", ["a.b", ""])
def test_a_task_that_no_module_can_be_named_after(name, good, catalog):
    lines = mistakes(good.replace("  pose:", f"  {name!r}: {{}}\n  pose:"), catalog)
    assert lines[0] == (
        f"r.yaml:5:{6 + len(name) + 1}: tasks.{name}: got {name!r}, expected a name without dots"
    )


class TestStrangersComponents:
    """What a plugin does wrong in its own class is a mistake at the place that uses it."""

    CODE = textwrap.dedent(
        """
        import attrs
        from collections.abc import Callable
        from typing import TYPE_CHECKING
        from mtlkit.heads import Classification
        from mtlkit.heads import Head
        from mtlkit.plugins.hooks import hookimpl
        from mtlkit.weightings import Weighting

        if TYPE_CHECKING:
            from decimal import Decimal

        class Base(Weighting):
            def build(self, terms, features): ...

        @attrs.frozen(kw_only=True)
        class Raises(Base):
            number: int = attrs.field(default=1, validator=lambda *_: {}["no"])

        @attrs.frozen(kw_only=True)
        class Types(Base):
            call: Callable[[int], int] = abs

        @attrs.frozen(kw_only=True)
        class Names(Base):
            number: "Decimal" = 1

        @attrs.frozen(kw_only=True)
        class Abstract(Weighting):
            number: int = 1

        @attrs.frozen(kw_only=True)
        class Post(Base):
            number: int = 1

            def __attrs_post_init__(self):
                raise ValueError("number: two\\nlines")

        @attrs.frozen(kw_only=True)
        class Converts(Base):
            number: int = attrs.field(default=1, converter=lambda n: 10 // n)

        @attrs.frozen(kw_only=True)
        class Checks(Base):
            def problems(self, terms):
                return [terms[99]]

        @hookimpl
        def mtlkit_register(catalog):
            for cls in (Checks, Raises, Types, Names, Abstract, Post, Converts, Classification):
                catalog.weightings.add(f"odd/{cls.__name__.lower()}", cls)
        """
    )

    @pytest.mark.parametrize(
        ("component", "path", "said"),
        [
            ("{type: odd/raises, number: 2}", "weighting.number", "KeyError: no"),
            ("{type: odd/types, call: abs}", "weighting.call", "cannot be written in a recipe"),
            ("odd/names", "weighting", "the types of 'odd/names' (mtlkit-odd 1.0) cannot be read"),
            ("odd/abstract", "weighting", "abstract"),
            ("odd/post", "weighting.number", "two lines"),
            ("{type: odd/converts, number: 0}", "weighting", "ZeroDivisionError"),
            (
                "odd/classification",
                "weighting",
                "'odd/classification' (mtlkit-odd 1.0) is not a weighting",
            ),
        ],
    )
    def test_it(self, component, path, said, good, distribution):
        from mtlkit.plugins.catalog import load_catalog

        distribution("odd", self.CODE)
        catalog = load_catalog("odd")
        text = good.replace("{type: dynamic, total: 0.1}", component)
        [line] = mistakes(text, catalog)
        assert re.match(r"r\.yaml:13:\d+: ", line)
        assert f": {path}: " in line
        assert said in line

    def test_a_check_of_the_parts_together_that_breaks(self, good, distribution):
        from mtlkit.plugins.catalog import load_catalog

        distribution("odd", self.CODE)
        text = good.replace("{type: dynamic, total: 0.1}", "odd/checks")
        [line] = mistakes(text, load_catalog("odd"))
        assert line.startswith("r.yaml:1:1: the check of the parts together failed: IndexError")
