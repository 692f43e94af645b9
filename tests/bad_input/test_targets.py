"""Labels and inputs that do not fit the tasks: told when the recipe or the data is read."""

from pathlib import Path

import attrs
import pytest
import torch

from mtlkit import Task, Train, fit
from mtlkit.backbones import MLP, Transformer, UNet
from mtlkit.data import (
    Categorical,
    ClassMapTarget,
    Data,
    DataSource,
    InputSpec,
    Labels,
    Loading,
    MultiLabelTarget,
    NamedInputs,
    RealMapTarget,
    Split,
    TokenTarget,
    UnitVectorMapTarget,
    VectorTarget,
)
from mtlkit.errors import MtlkitError
from mtlkit.heads import (
    DenseRegression,
    MultiLabel,
    Normals,
    Regression,
    Segmentation,
    TokenClassification,
)
from mtlkit.plugins.catalog import load_catalog
from mtlkit.plugins.families import Registrar
from mtlkit.plugins.registry import Origin
from mtlkit.recipe import Recipe

SAMPLES = 4
GROUND = ClassMapTarget(names=("sky", "road"))
WORDS = {"ids": InputSpec(shape=(6,), dtype="int64", vocabulary=9)}


def images(side=8):
    return torch.zeros(SAMPLES, 1, side, side, dtype=torch.uint8)


def split(labels, inputs=None, name="s"):
    inputs = images() if inputs is None else inputs
    ids = [f"{name}{number}" for number in range(SAMPLES)]
    return Split(inputs=inputs, columns={"y": labels}, ids=ids)


def spoiled(labels, value, sample=2):
    labels = labels.clone()
    labels[sample] = value
    return labels


def classes(*values):
    return Categorical.of(values)


def sentences(words):
    return NamedInputs({"ids": torch.zeros(SAMPLES, words, dtype=torch.int64)})


def ground(side=8, value=0):
    return Labels(GROUND, torch.full((SAMPLES, side, side), value))


def normals(value):
    up = torch.tensor([0.0, 0.0, 1.0]).reshape(1, 3, 1, 1).expand(SAMPLES, 3, 8, 8)
    return Labels(UnitVectorMapTarget(), spoiled(up, value))


def tags(length):
    return Labels(TokenTarget(names=("a", "b")), torch.zeros(SAMPLES, length, dtype=torch.int64))


MLPS, MAPS = MLP(hidden=(4,)), UNet(channels=2, depth=1)
WORDY = Transformer(width=8, layers=1, heads=2, feedforward=8, max_length=6)
NAMES = MultiLabelTarget(names=("p", "q"))
ABC = ("a", "b", "a", "b")
CASES = {
    "map head on a vector backbone": (
        MLPS, Segmentation(), lambda: Data(train=split(ground())),
        "tasks.y.head: got vectors (N, D) from the backbone MLP, Segmentation reads maps (N, C, H, "
        "W); use a backbone that returns maps (N, C, H, W), such as `unet`",
    ),
    "vector label on a scalar head": (
        MLPS, Regression(),
        lambda: Data(train=split(Labels(VectorTarget(names=("x", "z")), torch.ones(SAMPLES, 2)))),
        "tasks.y: the label 'y' is several numbers (N, K), the head Regression predicts a number "
        "(N,); use `head: {type: vector-regression}`",
    ),
    "mask without a valid pixel": (
        MAPS, Segmentation(), lambda: Data(train=split(ground(value=-1))),
        "tasks.y: every element of the label 'y' is missing in training, a class of each pixel "
        "(N, H, W); correct the codes of missing elements, or remove the task",
    ),
    "normal of length almost 0": (
        MAPS, Normals(), lambda: Data(train=split(normals(0.002))),
        "the label 'y': s2: expected vectors of length 1, or all zero for a pixel without one, got "
        "one of length 0.003464",
    ),
    "multi-label with a 2": (
        MLPS, MultiLabel(),
        lambda: Data(train=split(Labels(NAMES, spoiled(torch.ones(SAMPLES, 2).long(), 2)))),
        "the label 'y': s2: expected codes from 0 to 1, or -1 for a missing label, got 2",
    ),
    "multi-label of other columns": (
        MLPS, MultiLabel(), lambda: Data(train=split(Labels(NAMES, torch.ones(SAMPLES, 3).long()))),
        "the label 'y': expected 2 columns (p, q), got 3",
    ),
    "tokens beyond the limit": (
        WORDY, TokenClassification(),
        lambda: Data(train=split(tags(9), sentences(9)), inputs={
            "ids": InputSpec(shape=(9,), dtype="int64", vocabulary=9)}),
        "transformer: got a sequence of 9 tokens, expected at most 6; raise `backbone.max_length`, "
        "or shorten the sequences",
    ),
    "labels of other tokens": (
        WORDY, TokenClassification(),
        lambda: Data(train=split(tags(5), sentences(6)), inputs=WORDS),
        "tasks.y: the label 'y' of train: got labels of shape (2, 5), expected some that fit the "
        "outputs (2, 6, 2) of TokenClassifier; change the size of the labels or of the inputs",
    ),
    "tokens of a later split beyond the limit": (
        WORDY, TokenClassification(),
        lambda: Data(train=split(tags(6), sentences(6)), inputs=WORDS,
                     validation=split(tags(7), sentences(7), "v")),
        "the inputs of validation: transformer: got a sequence of 7 tokens, expected at most 6; "
        "raise `backbone.max_length`, or shorten the sequences",
    ),
    "images of a later split of another size": (
        MLPS, None,
        lambda: Data(train=split(classes(*ABC)), test=split(classes(*ABC), images(10), "t")),
        "the inputs of test have the shape (1, 10, 10), expected (1, 8, 8), that of training; "
        "resize them in the data source, or by `transforms: {test: [{type: resize, size: 8}]}`",
    ),
    "maps of another size than the images": (
        MAPS, Segmentation(), lambda: Data(train=split(ground(side=6))),
        "tasks.y: the label 'y' of train: got labels of shape (2, 6, 6), expected some that fit "
        "the outputs (2, 2, 8, 8) of PixelClassifier; change the size of the labels or of the "
        "inputs",
    ),
    "numbers below 0 under a logarithm": (
        MAPS, DenseRegression(log=True),
        lambda: Data(train=split(Labels(RealMapTarget(), torch.full((SAMPLES, 1, 8, 8), -2.0)))),
        "tasks.y.head: log: got a label of -2, expected numbers above 0; mark pixels without a "
        "number as missing, or use `log: false`",
    ),
    "class of a later split": (
        MLPS, None,
        lambda: Data(train=split(classes(*ABC)), test=split(classes("a", "b", "c", "a"), name="t")),
        "tasks.y: t2: the label 'y' is 'c', which no training sample has; expected one of a, b. "
        "Change the split, or correct the label",
    ),
    "label outside the vocabulary": (
        MLPS, None,
        lambda: Data(train=split(Categorical.of(ABC, names=("a", "c")))),
        "the label 'b' is outside the vocabulary: 'a', 'c'",
    ),
    "empty validation split": (
        MLPS, None,
        lambda: Data(train=split(classes(*ABC)),
                     validation=split(classes(*ABC), name="v").subset(torch.arange(0))),
        "the validation split is empty; add samples to it, or leave the split out of the data",
    ),
}  # fmt: skip


@attrs.frozen(kw_only=True)
class Spoiled(DataSource):
    """The data of a case."""

    case: str

    def load(self, loading: Loading) -> Data:
        return CASES[self.case][2]()


@pytest.mark.parametrize("case", CASES)
def test_what_does_not_fit_is_told_before_training(case, tmp_path):
    backbone, head, _, message = CASES[case]
    catalog = load_catalog("none")
    registrar = Registrar(catalog, "", Origin("mtlkit", "tests", __file__))
    registrar.data.add("spoiled", Spoiled, "data that does not fit")
    registrar.commit()
    recipe = Recipe(
        data=Spoiled(case=case),
        backbone=backbone,
        tasks={"y": Task() if head is None else Task(head=head)},
        train=Train(epochs=1, batch=2, threads=1, device="cpu"),
    )
    with pytest.raises(MtlkitError) as caught:
        fit(recipe, tmp_path / "run", catalog=catalog, quiet=True)
    assert str(caught.value).removesuffix("\n1 mistake, nothing was run") == message
    assert not Path(tmp_path / "run").exists()


def test_images_need_a_size(refused):
    recipe = Path("good.yaml").read_text().replace("  size: 8\n", "")
    Path("bad.yaml").write_text(recipe)
    assert (
        "bad.yaml:2:3: data.size: missing; 'images' (mtlkit 0.1.0) needs a whole number"
        in refused("train", "bad.yaml", "--quiet")
    )
