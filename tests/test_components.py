"""What every component is, whoever brings it: a frozen value that says what it is."""

import copy
import importlib
import inspect
import multiprocessing
import pickle
import re
import types
import typing
from collections.abc import Mapping
from enum import Enum
from pathlib import Path

import attrs
import pytest
from mtlkit_face.networks.second_head import SharedPart
from mtlkit_face.protocols.pairs.cfp import Faces
from mtlkit_face.protocols.protocol import Mode

from mtlkit.cli import main
from mtlkit.component import Component
from mtlkit.data import Images, LabelMaps, RandomSplit, Table
from mtlkit.heads import PointLoss
from mtlkit.plugins.catalog import load_catalog
from mtlkit.recipe_io.structuring import options_of
from mtlkit.routers import BlockBranch, BranchSelection
from mtlkit.weightings import GradientLocation, HeadGradients, Normalization, PCGrad, Singular

CATALOG = load_catalog("all")
OURS = ("mtlkit", "mtlkit-face", "mtlkit-torchjd")
NAMES = [
    f"{plural}/{entry.name}"
    for plural, registry in CATALOG.families().items()
    for entry in registry
    if entry.origin.distribution in OURS and plural not in ("ops", "implementations")
]

EXAMPLES = {
    "backbones/casia-net": {"width": 0.25, "dropout": 0.1},
    "backbones/timm": {"model": "resnet10t", "weights": Path("a.safetensors"), "dropout": 0.5},
    "backbones/mlp": {"hidden": (3, 5), "dropout": 0.5},
    "backbones/segnet": {"width": 0.25},
    "backbones/transformer": {"width": 16, "layers": 1, "positions": "sinusoidal"},
    "backbones/unet": {"channels": 8, "depth": 2},
    "adapters/fpn": {"channels": 8},
    "adapters/gather": {"token": "last"},
    "adapters/level": {"index": 1},
    "adapters/pool": {"by": "max"},
    "adapters/upsample": {"stride": 4},
    "heads/classification": {"classes": 3, "label_smoothing": 0.1},
    "heads/margin": {"scale": 30.0, "angle": 0.0, "additive": 0.35, "easy_margin": True},
    "heads/regression": {},
    "heads/ordinal": {"hidden": (4,)},
    "heads/multi-label": {"positive_weights": {"bald": 2.0}, "focal": 2.0, "hidden": (4,)},
    "heads/vector-regression": {"loss": PointLoss.HUBER, "delta": 0.5, "standardize": False},
    "heads/segmentation": {"atrous": (2, 4), "channels": 8, "class_weights": {"road": 2.0}},
    "heads/dense-regression": {"loss": PointLoss.SQUARED, "log": True, "hidden": (4,)},
    "heads/normals": {"hidden": (4,)},
    "heads/latent-tasks": {"latent": 2, "groups": {"hair": ("bald",)}, "sparsity": 0.1},
    "heads/deep-cca": {"components": 2, "hidden": (4,), "regularization": 0.1},
    "heads/token-classification": {"label_smoothing": 0.1},
    "routers/shared": {},
    "routers/grouped": {
        "task": "who",
        "by": "pose",
        "groups": {"left": (-90, "x"), "right": (0.5,)},
        "branch": BlockBranch(),
        "test": BranchSelection.BEST,
    },
    "routers/cross-stitch": {"same_task": 0.5},
    "routers/mmoe": {"experts": 3, "width": 8},
    "routers/cgc": {"shared": 1, "per_task": 2, "width": 8},
    "routers/ple": {"levels": 3, "shared": 1, "per_task": 2, "width": 8},
    "routers/mtan": {"maps": False, "reduction": 2},
    "routers/dselect-k": {"experts": 8, "k": 3, "gamma": 0.5, "per_sample": True, "width": 8},
    "routers/learn-to-branch": {"levels": 1, "nodes": 4, "temperature": 5.0, "cooling": 0.5},
    "branches/linear": {},
    "branches/block": {},
    "targets/class": {"names": ("ann", "bob")},
    "targets/class-map": {"names": ("road", "sky")},
    "targets/multi-label": {"names": ("young", "smiling")},
    "targets/number": {},
    "targets/real-map": {"channels": 2},
    "targets/tokens": {"names": ("NOUN", "VERB")},
    "targets/unit-vector-map": {},
    "targets/vector": {"names": ("x", "y")},
    "weightings/fixed": {"weights": {"pose": 0.5}},
    "weightings/equal": {"total": 0.1},
    "weightings/uncertainty": {"learning_rate": 0.1},
    "weightings/dynamic": {"total": 0.2, "form": "product-of-means", "normalize": True},
    "weightings/bounded-uncertainty": {"learning_rate": 0.1},
    "weightings/harder-first": {"total": 0.2, "normalize": True},
    "weightings/imtl-l": {"learning_rate": 0.1},
    "weightings/log": {},
    "weightings/gls": {},
    "weightings/stch": {"smoothing": 0.5, "preferences": {"pose": 0.5}, "ideal": {"who": 0.1}},
    "weightings/stch-log": {"smoothing": 0.5, "warmup": 2},
    "weightings/pbi": {"penalty": 1.0, "preferences": {"pose": 0.5}, "ideal": {"who": 0.1}},
    "weightings/cosmos": {"penalty": 0.5, "preferences": {"pose": 0.5}},
    "weightings/epo": {"preferences": {"pose": 0.5}, "tolerance": 1e-3},
    "weightings/go4align": {"groups": 3, "rate": 0.1},
    "weightings/ldc-mtl": {"penalty": 0.5, "of": "plain", "learning_rate": 0.1},
    "weightings/task-sampling": {"tasks": 2},
    "weightings/dwa": {"temperature": 1.0},
    "weightings/cov": {"decay": 0.9},
    "weightings/rlw": {},
    "weightings/famo": {"learning_rate": 0.1, "decay": 0.0},
    "weightings/gradnorm": {"alpha": 0.5, "at": GradientLocation.LAST_SHARED_LAYER},
    "weightings/mgda": {"normalize": Normalization.LOSS, "heads": HeadGradients.WEIGHTED},
    "weightings/pcgrad": {"at": GradientLocation.PARAMETERS},
    "weightings/gradvac": {"rate": 0.25},
    "weightings/imtl-g": {"at": GradientLocation.PARAMETERS},
    "weightings/imtl": {"learning_rate": 0.1, "heads": HeadGradients.UNWEIGHTED},
    "weightings/cagrad": {"c": 0.25},
    "weightings/conicgrad": {"c": 0.25},
    "weightings/nash-mtl": {"largest_mean": None, "largest_norm": None, "every": 3},
    "weightings/fairgrad": {"alpha": 1.5, "largest_mean": 2.0},
    "weightings/aligned-mtl": {"scale": Singular.MEDIAN},
    "weightings/db-mtl": {
        "momentum": 0.5,
        "momentum_decay": 0.5,
        "at": GradientLocation.PARAMETERS,
    },
    "weightings/moco": {"tracking": 0.25, "rate": 0.5, "pull": 0.1, "form": "released"},
    "weightings/excess-mtl": {"rate": 0.5},
    "weightings/cr-mogm": {"of": PCGrad(), "momentum": 0.5},
    "weightings/modo": {"rate": 0.5, "pull": 0.0},
    "weightings/sdmgrad": {"nearness": 0.5, "steps": 5},
    "weightings/auto-lambda": {"start": 1.0, "learning_rate": 0.1},
    "weightings/torchjd/upgrad": {"preferences": {"pose": 2.0}, "ridge": 1e-5},
    "weightings/torchjd/dual-proj": {"ridge": 1e-3, "heads": HeadGradients.WEIGHTED},
    "weightings/torchjd/pcd": {"share": 0.1, "decay": 0.9, "floor": 0.0},
    "weightings/torchjd/krum": {"suspects": 0, "chosen": 2},
    "weightings/torchjd/config": {"preferences": {"who": 0.5}, "at": GradientLocation.PARAMETERS},
    "weightings/torchjd/graddrop": {"steepness": 2.0, "leak": {"who": 0.5}},
    "weightings/torchjd/trimmed-mean": {"trim": 2},
    "data/images": {
        "folder": Path("faces"),
        "size": (6, 8),
        "pattern": "{who}_{age}.png",
        "numeric": ("age",),
        "vocabulary": {"who": ("ann", "bob")},
        "split": RandomSplit(validation=0.5, test=0.0, seed=3),
        "maps": {"ground": LabelMaps(files="{stem}.png", classes=("road", "sky"), void=(255,))},
    },
    "data/table": {
        "file": Path("rows.csv"),
        "labels": ("who", "age"),
        "numeric": ("age",),
        "vocabulary": {"who": ("ann", "bob")},
        "key": "name",
        "fill": True,
        "split": RandomSplit(validation=0.5, test=0.0, groups="house"),
    },
    "data/concat": {
        "sources": {
            "a": Table(file=Path("a.csv"), labels=("who",)),
            "b": Images(folder=Path("b"), size=8, pattern="{who}.png"),
        },
        "rename": {"b": {"who": "person"}},
        "label": "origin",
    },
    "data/mix": {
        "sources": {
            "a": Table(file=Path("a.csv"), labels=("who",)),
            "b": Images(folder=Path("b"), size=8, pattern="{who}.png"),
        },
        "ratios": {"a": 3.0},
        "epoch": "a",
        "separate": ("who",),
        "label": "origin",
    },
    "data/shards": {
        "shards": ("train-{000..127}.tar",),
        "validation": ("validation.tar",),
        "image": "jpg",
        "size": 8,
        "order": "full",
        "reduce": True,
        "cache": 2.0,
    },
    "data/face/folder": {
        "folder": Path("faces"),
        "labels": Path("poses.csv"),
        "classes": ("pose",),
        "mirror": True,
        "swap": {"pose": ("left", "right")},
    },
    "data/face/multi-pie": {
        "folder": Path("data"),
        "setting": "III",
        "neutral_light": 7,
        "development": 20,
    },
    "data/face/recordio": {
        "file": Path("train.rec"),
        "size": 112,
        "channels": 3,
        "validation": 0.1,
        "check": False,
    },
    "data/face/rendered": {"subjects": 3, "size": 32, "seed": 5, "noise": 0.0},
    "optimizers/sgd": {"lr": 0.5, "momentum": 0.5, "nesterov": True},
    "optimizers/adamw": {"lr": 0.5, "beta1": 0.5},
    "optimizers/adam": {"lr": 0.5, "amsgrad": True},
    "optimizers/nadam": {"lr": 0.5, "momentum_decay": 0.5},
    "optimizers/radam": {"lr": 0.5, "layer_decay": 0.5},
    "optimizers/timm": {"name": "lamb", "options": {"betas": (0.5, 0.9)}},
    "optimizers/schedule-free": {"base": "sgd", "warmup_steps": 3},
    "schedules/polynomial": {"power": 2.0},
    "schedules/exponential": {"final": 0.5},
    "schedules/one-cycle": {"rise": 0.5},
    "callbacks/early-stopping": {"metric": "who/loss", "patience": 3},
    "callbacks/best-weights": {"metric": "who/loss"},
    "callbacks/ema": {"decay": 0.5, "recalculate_batch_norm": True},
    "callbacks/swa": {"start": 0.5, "every": 3},
    "callbacks/plateau": {"metric": "who/loss", "factor": 0.5},
    "callbacks/freeze": {"parameters": ("heads",), "epochs": 2.0},
    "callbacks/feature-learning": {"strength": 0.1, "norm": "l21", "parameters": ("heads.*",)},
    "callbacks/sam": {"rho": 0.1},
    "callbacks/gradient-noise": {"window": 5},
    "schedules/constant": {"warmup_steps": 3},
    "schedules/cosine": {"floor": 0.5},
    "schedules/steps": {"at_progress": (0.25,), "factor_each": 0.5},
    "evaluators/pictures": {"samples": 2, "inputs": True},
    "evaluators/tasks": {},
    "metrics/accuracy": {},
    "metrics/angle-mean": {},
    "metrics/angle-median": {},
    "metrics/angle-within": {"degrees": 22.5},
    "metrics/auroc": {"average": "micro"},
    "metrics/average-precision": {"average": "micro"},
    "metrics/balanced-accuracy": {},
    "metrics/ccc": {},
    "metrics/delta": {"power": 2},
    "metrics/ece": {"bins": 10},
    "metrics/f1": {"average": "micro"},
    "metrics/mae": {},
    "metrics/mean-iou": {},
    "metrics/nll": {},
    "metrics/nme": {"between": ("left_eye", "right_eye")},
    "metrics/r2": {},
    "metrics/relative-error": {},
    "metrics/rmse": {},
    "metrics/top-k": {"k": 3},
    "transforms/center-crop": {"size": 8},
    "transforms/color-jitter": {"brightness": 0.0, "hue": 0.5},
    "transforms/crop": {"size": (8, 6), "padding": 2},
    "transforms/erase": {"p": 1.0, "max_area": 0.1},
    "transforms/gray": {"p": 1.0},
    "transforms/mirror": {"p": 1.0, "negate": ("yaw",), "swap": {"pose": {"left": "right"}}},
    "transforms/mixup": {"alpha": 1.0},
    "transforms/resize": {"size": (8, 6)},
    "transforms/resized-crop": {"size": 8, "min_area": 0.5, "max_ratio": 2.0},
    "transforms/rotate": {"degrees": 45.0},
    "transforms/scale": {"low": 0.5, "high": 2.0},
    "evaluators/face/identification": {"task": "who", "gallery": {"yaw": 15}, "by": "light"},
    "evaluators/face/pose-errors": {"shares": (0.0, 0.5), "seed": 2},
    "routers/face/side-block": {"tasks": ("age",)},
    "routers/face/second-head": {"task": "who", "shares": SharedPart.STEM},
    "evaluators/face/lfw": {"images": Path("lfw"), "pairs": Path("a.txt"), "far": (0.1,)},
    "evaluators/face/cfp": {
        "images": Path("cfp"),
        "faces": (Faces.FRONTAL_PROFILE,),
        "mode": Mode.COMPATIBLE,
    },
    "evaluators/face/ijb-a": {"images": Path("ijb"), "margin": 0.1, "count_failures": True},
    "evaluators/face/verification-bin": {"file": Path("a.bin"), "fold_count": 5, "mirror": False},
    "evaluators/face/energy": {"task": "who", "probes": ("yaw",), "points": 5, "upper": 0.75},
    "loggers/jsonl": {},
    "loggers/csv": {},
    "loggers/tensorboard": {"figures": True},
    "loggers/wandb": {"project": "faces", "mode": "offline", "tags": ("a",)},
    "loggers/mlflow": {"tracking_uri": "sqlite:///mlflow.db", "images": True},
    "loggers/trackio": {"project": "faces"},
}
"""The options of one value of each component; as many as there are kinds of them."""


def class_of(name):
    plural, _, bare = name.partition("/")
    return CATALOG.families()[plural].get(bare)


def value_of(name):
    return class_of(name)(**copy.deepcopy(EXAMPLES[name]))


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


def test_every_component_has_an_example():
    assert sorted(EXAMPLES) == sorted(NAMES)


def test_an_example_is_no_default(name):
    """An example of nothing but defaults would show nothing of the options."""
    value, options = value_of(name), options_of(class_of(name))
    left = [key for key in EXAMPLES[name] if getattr(value, key) == options[key].default]
    assert left == []


def test_it_is_frozen(name):
    value = value_of(name)
    before = repr(value)
    for key in [*options_of(type(value)), "something_else"]:
        with pytest.raises((attrs.exceptions.FrozenInstanceError, AttributeError)):
            setattr(value, key, 1)
        with pytest.raises((attrs.exceptions.FrozenInstanceError, AttributeError)):
            delattr(value, key)
    assert repr(value) == before


def test_its_options_are_named(name):
    with pytest.raises(TypeError, match="positional"):
        class_of(name)(1)
    parameters = inspect.signature(class_of(name)).parameters.values()
    assert {parameter.kind for parameter in parameters} <= {inspect.Parameter.KEYWORD_ONLY}


def test_an_option_that_it_does_not_have_is_an_error(name):
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
        class_of(name)(**EXAMPLES[name], colour="red")


def test_made_again_it_is_equal(name):
    one, other = value_of(name), value_of(name)
    assert one == other
    assert one is not other
    assert one != object()
    assert attrs.evolve(one) == one


def test_another_option_makes_another_value(name):
    required = {
        key: EXAMPLES[name][key]
        for key, field in options_of(class_of(name)).items()
        if field.default is attrs.NOTHING
    }
    if set(EXAMPLES[name]) - set(required) - {"pattern"}:
        bare = dict(required)
        if "pattern" in EXAMPLES[name]:  # images need one of two options
            bare["pattern"] = EXAMPLES[name]["pattern"]
        assert class_of(name)(**bare) != value_of(name)


def test_values_of_different_components_differ():
    values = [value_of(name) for name in NAMES]
    assert [sum(one == other for other in values) for one in values] == [1] * len(values)


@pytest.mark.parametrize(
    "again",
    [
        copy.copy,
        copy.deepcopy,
        *(lambda value, p=p: pickle.loads(pickle.dumps(value, p)) for p in range(2, 6)),
    ],
    ids=["copy", "deepcopy", *(f"pickle {p}" for p in range(2, 6))],
)
def test_a_copy_is_equal_and_of_the_same_class(name, again):
    value = value_of(name)
    found = again(value)
    assert found == value
    assert type(found) is type(value)
    assert repr(found) == repr(value)


def choices_in(value):
    """Yield the types of the choices in the options of `value` and of its parts."""
    if isinstance(value, Enum):
        yield type(value)
    elif attrs.has(type(value)):
        yield from choices_in([getattr(value, field.name) for field in attrs.fields(type(value))])
    elif isinstance(value, Mapping | list | tuple):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from choices_in(part)


def test_its_repr_is_python_that_makes_it_again(name):
    value = value_of(name)
    text = repr(value)
    assert text.startswith(f"{type(value).__name__}(")
    assert all(f"{key}=" in text for key in options_of(type(value)))
    words = {type(value).__name__: type(value), "RandomSplit": RandomSplit,
             "LabelMaps": LabelMaps, "BlockBranch": BlockBranch, "PosixPath": Path,
             "WindowsPath": Path, "Table": Table, "Images": Images}  # fmt: skip
    choices = {kind.__name__: kind for kind in choices_in(value)}
    plain = re.sub(r"<(\w+\.\w+): '[\w-]+'>", r"\1", text)  # how Python shows a choice
    assert eval(plain, {**words, **choices, "PCGrad": PCGrad}) == value


def test_its_documentation_begins_with_one_sentence_on_one_line(name):
    text = inspect.getdoc(class_of(name))
    assert class_of(name).__doc__, "a documentation of its own, not its parent's"
    first = text.split("\n\n")[0].splitlines()
    assert len(first) == 1, first
    assert first[0].endswith((".", ";", ":")) or ". " in first[0]
    assert first[0][0].isupper() or first[0][0].isdigit()


def test_its_entry_says_what_it_is_in_a_few_words(name):
    plural, _, bare = name.partition("/")
    entry = CATALOG.families()[plural].entry(bare)
    assert 5 < len(entry.summary) < 70
    assert not entry.summary.endswith(".")
    assert entry.origin.version
    assert Path(entry.origin.file).is_file()


def test_show_explains_every_option(name, capsys, monkeypatch):
    monkeypatch.setenv("MTLKIT_PLUGINS", "all")
    with pytest.raises(SystemExit) as caught:
        main(["show", name])
    said = capsys.readouterr()
    assert (caught.value.code, said.err) == (0, "")
    before, _, snippet = said.out.partition("\nin a recipe\n")
    if name.startswith("targets/"):  # those of the data, in no recipe
        assert snippet == ""
        return
    rows = {line.split()[0]: line.split() for line in before.splitlines() if line.startswith("  ")}
    for key, field in options_of(class_of(name)).items():
        assert len(rows[key]) >= 3, rows[key]  # what it may be, and its default
        assert ("required" in rows[key]) == (field.default is attrs.NOTHING)
        assert re.search(rf"\b{key}: ", snippet)
    bare = name.partition("/")[2]
    assert re.search(rf"(type: )?\b{re.escape(bare)}\b", snippet)


def test_its_defaults_are_not_shared_between_values(name):
    """A list or a mapping that two values had in common would change both."""
    required = {key: copy.deepcopy(value) for key, value in EXAMPLES[name].items()
                if options_of(class_of(name))[key].default is attrs.NOTHING}  # fmt: skip
    if "pattern" in EXAMPLES[name]:
        required["pattern"] = EXAMPLES[name]["pattern"]
    one, other = class_of(name)(**required), class_of(name)(**required)
    for key, field in options_of(class_of(name)).items():
        if key not in required:
            assert not isinstance(field.default, dict | list | set), key
            mine = getattr(one, key)
            if isinstance(mine, dict | list | set):
                assert mine is not getattr(other, key), key


def test_it_is_final_and_its_parent_is_abstract(name):
    cls = class_of(name)
    assert not inspect.isabstract(cls)
    registered = {class_of(other) for other in NAMES}
    assert not set(cls.__subclasses__()) & registered
    family = next(base for base in cls.__mro__ if base.__bases__ == (Component,))
    assert inspect.isabstract(family)
    # what a component has of its own is written in it or in its family, never overridden on the way
    assert all(base not in registered for base in cls.__mro__[1:])


def test_an_option_with_fractions_is_not_checked_as_whole(name):
    for field in attrs.fields(attrs.resolve_types(class_of(name))):
        union = typing.get_origin(field.type) in (typing.Union, types.UnionType)
        kinds = typing.get_args(field.type) if union else (field.type,)
        if float in kinds:
            said = ""
            try:
                attrs.evolve(value_of(name), **{field.name: 0.5})
            except ValueError as error:
                said = str(error)
            assert "whole number" not in said


def test_every_option_has_a_type(name):
    for key, field in options_of(class_of(name)).items():
        assert field.type is not None, key
        assert field.kw_only, key
        assert not key.startswith("_"), key


def test_another_process_gets_the_same_values():
    values = [value_of(name) for name in NAMES]
    # spawned: nothing of this process is there but what is pickled
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        back = pool.map(importlib.import_module("operator").itemgetter(slice(None)), [values])[0]
    assert back == values
    assert list(map(repr, back)) == list(map(repr, values))
