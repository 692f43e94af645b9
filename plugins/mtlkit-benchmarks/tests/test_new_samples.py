"""`mtlkit.predict` on files: inputs are those of training, and predictions those of the run."""

import numpy as np
import pytest
import torch
from mtlkit_benchmarks.camvid import CamVid
from mtlkit_benchmarks.cli import RECIPES
from mtlkit_benchmarks.office_caltech import OfficeCaltech10
from mtlkit_benchmarks.qm9 import QM9
from mtlkit_benchmarks.scenes.source import Scenes
from mtlkit_benchmarks.tox21 import Tox21
from mtlkit_benchmarks.universal_dependencies import UniversalDependencies
from mtlkit_benchmarks.utkface import UTKFace
from PIL import Image

from mtlkit import fit, load_catalog, load_model, load_recipe, predict
from mtlkit.data import Loading, RandomSplit
from mtlkit.plugins import DataError
from mtlkit.runs import export_model

CATALOG = load_catalog()
SPLIT = RandomSplit(validation=0.25, test=0.25)


def test_images_are_read_as_in_training(tree, tmp_path):
    sources = {
        "camvid": CamVid(folder=tree("camvid"), size=(8, 12)),
        "officecaltech10": OfficeCaltech10(folder=tree("officecaltech10"), size=8),
        "utkface": UTKFace(folder=tree("utkface"), size=8, split=SPLIT, complete=False),
    }
    for name, source in sources.items():
        data = source.load(Loading())
        paths = [tmp_path / name / sample for sample in data.test.ids]
        split = source.read(paths, data.preprocessing, Loading())
        assert torch.equal(split.inputs, data.test.inputs)
        assert not split.columns


def test_drawn_scenes_are_read_from_files(tmp_path):
    source = Scenes(samples=1, validation=1, test=1, size=(8, 12))
    image = source.load(Loading()).test.inputs[0]
    Image.fromarray(image.movedim(0, 2).numpy()).save(tmp_path / "scene.png")
    assert torch.equal(source.read(tmp_path, {}, Loading()).inputs[0], image)


def test_fingerprints_are_read(tree, tmp_path):
    folder = tree("tox21")
    source = Tox21(folder=folder, split=SPLIT, complete=False)
    known = np.load(folder / "features.npz")["fingerprint"]
    np.savez(tmp_path / "new.npz", fingerprint=known[:3])
    inputs = source.read(tmp_path / "new.npz", {}, Loading()).inputs
    assert torch.equal(inputs, torch.from_numpy(np.unpackbits(known[:3], axis=1)).float())
    np.savez(tmp_path / "new.npz", fingerprint=known[:3].astype(int))
    with pytest.raises(DataError, match=r"expected packed bits \(N, bits / 8\) in uint8"):
        source.read(tmp_path / "new.npz", {}, Loading())


def test_histograms_are_read(tree):
    folder = tree("officecaltech10")
    source = OfficeCaltech10(folder=folder, surf=True)
    data = source.load(Loading())
    split = source.read(folder / "surf" / "dslr.mat", data.preprocessing, Loading())
    for row, name in enumerate(data.train.ids):
        if name.startswith("dslr/"):
            number = int(name.split("/")[1])
            assert torch.equal(split.inputs[number], data.train.inputs[row])


def test_sentences_are_read_with_the_vocabulary_of_training(tree):
    folder = tree("ud")
    source = UniversalDependencies(folder=folder, least=1)
    data = source.load(Loading())
    by_file = source.read(folder / "en_small-ud-dev.conllu", data.preprocessing, Loading())
    by_words = source.read([["The", "dog", "sleeps"]], data.preprocessing, Loading())
    index = torch.tensor([0])
    for name, values in data.validation.inputs[index].items():
        assert torch.equal(by_file.inputs[index][name], values)
        assert torch.equal(by_words.inputs[index][name], values)
    with pytest.raises(DataError, match="got a sentence of 4 words, expected at most 3"):
        source.read([["a"] * 4], data.preprocessing, Loading())
    with pytest.raises(DataError, match=r"expected the path of a file .conllu, or a list of sent"):
        source.read(["The dog"], data.preprocessing, Loading())


XYZ = "5\nmethane\nC 0 0 0\n" + "".join(
    f"H {x} {y} {z}\n" for x, y, z in [(1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)]
)


@pytest.fixture
def trained(tree, tmp_path):
    """Trains a recipe for an epoch on a small tree, and returns the run."""
    settings = {
        "qm9": ["data.split={validation: 0.25, test: 0.25}"],
        "ud": ["data.least=1"],
    }

    def train(name):
        where = [f"data.folder={tree(name)}", "train.epochs=1", "schedule=constant"]
        recipe = load_recipe(RECIPES / f"{name}.yaml", CATALOG, [*where, *settings[name]])
        return fit(recipe, tmp_path / "run", catalog=CATALOG, quiet=True, report=False)

    return train


def test_a_run_predicts_new_molecules(trained, tmp_path):
    path = tmp_path / "new.xyz"
    path.write_text(XYZ)
    predictions = predict(trained("qm9").path, path, catalog=CATALOG)
    assert predictions.ids == ["methane"]
    assert predictions.columns["u0_atom/unit"] == ["eV"]


def test_a_run_predicts_new_sentences(trained):
    predictions = predict(trained("ud").path, [["The", "dog"], ["sleeps"]], catalog=CATALOG)
    assert list(predictions.ids) == ["sentence 1", "sentence 2"]
    lengths = [len(tags) for tags in predictions.columns["upos"]]
    assert lengths == [2, 1]


def test_molecules_are_read_from_a_path_alone():
    with pytest.raises(DataError, match=r"rows: got list, expected the path of a file .xyz"):
        QM9().read([1], {}, Loading())


@pytest.mark.parametrize("name", ["qm9", "ud"])
@pytest.mark.parametrize("suffix", ["onnx", "pt2"])
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore:The tensor attributes")  # torch's own
def test_a_run_is_exported(name, suffix, trained, tmp_path):
    model = load_model(trained(name).path, CATALOG)
    exported = export_model(model, tmp_path / f"m.{suffix}")
    assert max(exported.differences.values()) <= 1e-4
