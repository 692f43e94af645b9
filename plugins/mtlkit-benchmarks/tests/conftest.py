"""Small copies of the official layouts."""

import csv
import gzip

import numpy as np
import pytest
from mtlkit_benchmarks.tox21 import ASSAYS
from PIL import Image


def write_tox21(folder, molecules=12):
    """Write a table in which an empty cell is missing, and the last molecule has no fingerprint."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    with gzip.open(folder / "tox21.csv.gz", "wt", newline="") as file:
        table = csv.writer(file)
        table.writerow([*ASSAYS, "mol_id", "smiles"])
        for number in range(molecules):
            labels = random.choice(["0", "1", ""], len(ASSAYS))
            table.writerow([*labels, f"TOX{number}", "C"])
    bits = random.integers(1, 256, (molecules, 2), dtype=np.uint8)
    bits[-1] = 0
    np.savez(folder / "features.npz", fingerprint=bits)


def write_utkface(folder):
    """Write noise under official names, one of which has the space of the official set."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for number in range(8):
        space = " " if number == 0 else ""
        name = f"{20 + number}_{number % 2}_{number % 5}_2017{number}{space}.jpg.chip.jpg"
        pixels = random.integers(0, 256, (12, 12, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name)


SENTENCE = (
    "# sent_id = {name}\n"
    "1-2\tThe dog\t_\t_\t_\t_\t_\t_\t_\t_\n"
    "1\tThe\tthe\tDET\t_\t_\t2\tdet\t_\t_\n"
    "2\tdog\tdog\tNOUN\t_\t_\t3\tnsubj\t_\t_\n"
    "3\tsleeps\tsleep\tVERB\t_\t_\t0\t{root}\t_\t_\n"
    "3.1\tsoundly\t_\tADV\t_\t_\t_\t_\t_\t_\n"
    "\n"
)


def write_treebank(folder, root="root"):
    """Write two sentences for training; the others are one with the relation `root`."""
    folder.mkdir(parents=True)
    train = "".join(SENTENCE.format(name=f"train-{n}", root="root") for n in range(2))
    (folder / "en_small-ud-train.conllu").write_text(train)
    for part in ("dev", "test"):
        text = SENTENCE.format(name=part, root=root)
        (folder / f"en_small-ud-{part}.conllu").write_text(text)


WRITERS = {"tox21": write_tox21, "utkface": write_utkface, "ud": write_treebank}


@pytest.fixture
def tree(tmp_path):
    """Writes the small tree of a data set, and returns its folder."""

    def write(name, **options):
        WRITERS[name](tmp_path / name, **options)
        return tmp_path / name

    return write


@pytest.fixture
def sentence():
    """A sentence with the fields `name` and `root`."""
    return SENTENCE
