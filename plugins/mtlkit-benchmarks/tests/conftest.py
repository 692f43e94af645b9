"""Small copies of the official layouts."""

import csv
import gzip

import numpy as np
import pytest
from mtlkit_benchmarks.office_caltech import CLASSES, DOMAINS
from mtlkit_benchmarks.tox21 import ASSAYS
from PIL import Image
from scipy.io import savemat


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


def write_camvid(folder):
    """Write noise, with label maps of squares of four pixels and a column without a class."""
    random = np.random.default_rng(0)
    for split in ("train", "val", "test"):
        for kind in (split, f"{split}annot"):
            (folder / kind).mkdir(parents=True)
        for number in range(3):
            pixels = random.integers(0, 256, (16, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / split / f"{split}{number}.png")
            codes = random.integers(0, 11, (4, 6), dtype=np.uint8).repeat(4, 0).repeat(4, 1)
            codes[:, 0] = 11
            Image.fromarray(codes).save(folder / f"{split}annot" / f"{split}{number}.png")
    (folder / "train.txt").write_text("train0\n")


ENERGIES = ("u0", "u298", "h298", "g298")


def write_qm9(folder, molecules=8):
    """Write methane several times, stretched by the number of the molecule."""
    folder.mkdir(parents=True)
    columns = ["mol_id", "smiles", "mu", "alpha", "homo", "lumo", "r2", "zpve", *ENERGIES, "cv"]
    with gzip.open(folder / "qm9.csv.gz", "wt", newline="") as file:
        table = csv.writer(file)
        table.writerow(columns)
        for number in range(molecules):
            values = [0.1 * number, 13.2, -0.4, 0.1, 35.4, 0.04]
            table.writerow([f"gdb_{number}", "C", *values, *([-40.47893] * 4), 6.5])
    corners = np.array([[0, 0, 0], [1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) * 0.63
    np.savez(
        folder / "geometry.npz",
        n_atoms=np.full(molecules, 5, np.uint8),
        Z=np.tile(np.array([6, 1, 1, 1, 1], np.uint8), molecules),
        pos=np.concatenate([corners * (1 + n / 20) for n in range(molecules)]).astype(np.float32),
    )


def write_office(folder, samples=10):
    """Write noise of each domain and class, and a file of histograms of each domain."""
    (folder / "surf").mkdir(parents=True)
    random = np.random.default_rng(0)
    for domain in DOMAINS:
        for number in range(samples):
            path = folder / domain / CLASSES[number % 10]
            path.mkdir(parents=True, exist_ok=True)
            pixels = random.integers(0, 256, (12, 12, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(path / f"frame_{number:04}.jpg")
        savemat(
            folder / "surf" / f"{domain}.mat",
            {
                "fts": random.integers(0, 3, (samples, 800), dtype=np.uint8),
                "labels": np.arange(1, samples + 1, dtype=np.uint8)[:, None],
            },
        )


WRITERS = {
    "camvid": write_camvid,
    "officecaltech10": write_office,
    "qm9": write_qm9,
    "tox21": write_tox21,
    "ud": write_treebank,
    "utkface": write_utkface,
}


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
