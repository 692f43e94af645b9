"""Small copies of the official layouts."""

import csv
import gzip
import pickle
import struct

import numpy as np
import pytest
from mtlkit_benchmarks.cli import PROTOCOLS
from mtlkit_benchmarks.office_caltech import CLASSES, DOMAINS
from mtlkit_benchmarks.photos.celeba import NAMES
from mtlkit_benchmarks.tox21 import ASSAYS
from PIL import Image
from scipy.io import savemat

from mtlkit import load_catalog, load_recipe

RANDOM = np.random.default_rng(0)


def save(path, values):
    """Write an image or an array, with its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, values)
    else:
        Image.fromarray(values).save(path)


def photo(path, height=12, width=10):
    """Write noise in color."""
    save(path, RANDOM.integers(0, 256, (height, width, 3), dtype=np.uint8))


def text(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def mat(path, **variables):
    scipy = pytest.importorskip("scipy.io", reason="needs scipy")
    path.parent.mkdir(parents=True, exist_ok=True)
    scipy.savemat(path, variables)


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


def write_nyuv2(folder, size=(32, 64), counts=(4, 2)):
    """Write arrays with pixels without a class, a depth or a normal."""
    for part, count in zip(("train", "val"), counts, strict=True):
        for number in range(count):
            name = f"{number}.npy"
            normal = RANDOM.normal(size=(*size, 3))
            normal /= np.linalg.norm(normal, axis=2, keepdims=True)
            normal[0, 0] = 0
            depth = RANDOM.uniform(1, 9, (*size, 1))
            depth[0, 1] = 0
            label = RANDOM.integers(-1, 13, size).astype(float)
            save(folder / part / "image" / name, RANDOM.uniform(0, 1, (*size, 3)))
            save(folder / part / "label" / name, label)
            save(folder / part / "depth" / name, depth)
            save(folder / part / "normal" / name, normal)


def write_nyuv2_raw(folder, images=4):
    """Write a file of MATLAB 7.3, whose axes h5py reverses, and numbers that start at 1."""
    h5py = pytest.importorskip("h5py", reason="needs h5py")
    folder.mkdir(parents=True, exist_ok=True)
    with h5py.File(folder / "nyu_depth_v2_labeled.mat", "w") as file:
        file["images"] = RANDOM.integers(0, 256, (images, 3, 16, 12), dtype=np.uint8)
        file["labels"] = RANDOM.integers(0, 895, (images, 16, 12)).astype(np.uint16)
        file["depths"] = RANDOM.uniform(1, 9, (images, 16, 12)).astype(np.float32)
        raw = file["depths"][:]
        raw[:, 0, 0] = 0
        file["rawDepths"] = raw
    mat(folder / "splits.mat", trainNdxs=np.array([[4], [1], [2]]), testNdxs=np.array([[3]]))
    names = np.array([f"class {n}" for n in range(1, 41)], dtype=object)[None]
    mat(
        folder / "classMapping40.mat",
        mapClass=RANDOM.integers(1, 41, (1, 894)).astype(np.uint8),
        className=names,
    )
    labels13 = np.arange(40, dtype=np.uint8)[None] % 14
    mat(folder / "class13Mapping.mat", classMapping13={"labels13": labels13})


def write_cityscapes(folder, labels="label_7", counts=(4, 2)):
    for part, count in zip(("train", "val"), counts, strict=True):
        for number in range(count):
            name = f"{number}.npy"
            depth = RANDOM.uniform(0.01, 0.5, (32, 64, 1))
            depth[0, 0] = 0
            save(folder / part / "image" / name, RANDOM.uniform(0, 1, (32, 64, 3)))
            save(folder / part / labels / name, RANDOM.integers(-1, 7, (32, 64)).astype(float))
            save(folder / part / "depth" / name, depth)


def write_cityscapes_official(folder):
    """Write ids that do not count, an instance, and disparities in 16 bits."""
    for part, city in (("train", "aachen"), ("train", "bochum"), ("val", "munster")):
        name = f"{city}_000000_000019"
        photo(folder / "leftImg8bit" / part / city / f"{name}_leftImg8bit.png", 16, 32)
        ids = RANDOM.integers(0, 34, (16, 32)).astype(np.uint8)
        ids[0, :2] = (7, 33)
        save(folder / "gtFine" / part / city / f"{name}_gtFine_labelIds.png", ids)
        instances = ids.astype(np.uint16)
        instances[4:8, 4:8] = 26001
        save(folder / "gtFine" / part / city / f"{name}_gtFine_instanceIds.png", instances)
        codes = np.full((16, 32), 513, dtype=np.uint16)
        codes[0, 0] = 0
        save(folder / "disparity" / part / city / f"{name}_disparity.png", codes)


def write_pascal_context(folder):
    """Write an image with a person and one without, whose classes are in the other folder."""
    for number, (part, name) in enumerate(
        (("train", "2008_000002"), ("train", "2008_000003"), ("val", "2008_000004"))
    ):
        photo(folder / "JPEGImages" / f"{name}.jpg", 16, 20)
        codes = RANDOM.choice(np.array([0, 1, 15, 20, 255], np.uint8), (16, 20))
        source = "pascal-context" if number == 1 else "VOC12"
        save(folder / "semseg" / source / f"{name}.png", codes)
        vectors = RANDOM.integers(0, 256, (16, 20, 3), np.uint8)
        save(folder / "normals_distill" / f"{name}.png", vectors)
        save(folder / "sal_distill" / f"{name}.png", RANDOM.integers(0, 256, (16, 20), np.uint8))
        label_map = np.zeros((16, 20), np.uint16)
        label_map[:, 10:] = 23
        mat(folder / "pascal-context" / "trainval" / f"{name}.mat", LabelMap=label_map)
        mask = np.zeros((16, 20), np.uint8)
        mask[2:6, 2:6] = 1
        head = {"part_name": "head", "mask": mask}
        kind = 1 if number == 1 else 15
        one = {"class": "any", "class_ind": kind, "mask": mask, "parts": [head]}
        mat(folder / "human_parts" / f"{name}.mat", anno={"imname": name, "objects": [one]})
        listed = folder / "ImageSets" / "Context" / f"{part}.txt"
        before = listed.read_text().split() if listed.is_file() else []
        text(listed, *before, name)


def write_taskonomy(folder):
    """Write rooms with depths that are missing, 65535, and normals that are gray."""
    text(folder / "train_val_test_tiny.csv", "id,train,val,test", "allen,1,0,0", "bonn,0,1,0",
         "cody,0,0,1", "unused,0,0,0")  # fmt: skip
    for building in ("allen", "bonn", "cody"):
        for view in range(2):
            stem = f"point_0_view_{view}_domain"
            photo(folder / "rgb" / building / f"{stem}_rgb.png", 16, 16)
            depth = RANDOM.integers(1, 5000, (16, 16)).astype(np.uint16)
            depth[0, 0] = 65535
            normal = RANDOM.integers(0, 256, (16, 16, 3), dtype=np.uint8)
            normal[0, 0] = 127
            save(folder / "depth_zbuffer" / building / f"{stem}_depth_zbuffer.png", depth)
            save(folder / "normal" / building / f"{stem}_normal.png", normal)
            for name in ("edge_texture", "keypoints2d"):
                values = RANDOM.integers(0, 65536, (16, 16)).astype(np.uint16)
                save(folder / name / building / f"{stem}_{name}.png", values)


def write_celeba(folder, beside=False, suffix="jpg", lie=0):
    """Write lists with runs of blanks; `beside` places them next to the images."""
    images = "img_align_celeba_png" if suffix == "png" else "img_align_celeba"
    place = folder if beside else folder / "Img"
    rows, parts = [], []
    for number in range(8):
        photo(place / images / f"{number + 1:06}.{suffix}", 18, 16)
        values = " ".join(f"{value:2}" for value in RANDOM.choice([-1, 1], 40))
        rows.append(f"{number + 1:06}.jpg {values}")
        parts.append(f"{number + 1:06}.jpg {0 if number < 4 else number % 2 + 1}")
    text((folder if beside else folder / "Anno") / "list_attr_celeba.txt",
         str(8 + lie), "  ".join(NAMES), *rows)  # fmt: skip
    text((folder if beside else folder / "Eval") / "list_eval_partition.txt", *parts)


def write_fairface(folder):
    for part, count in (("train", 4), ("val", 2)):
        rows = ["file,age,gender,race,service_test"]
        for number in range(1, count + 1):
            photo(folder / part / f"{number}.jpg")
            rows.append(f"{part}/{number}.jpg,more than 70,Female,East Asian,True")
        text(folder / f"fairface_label_{part}.csv", *rows)


def write_raf_db(folder, manual=True):
    """Write labels that start at 1, and a gender that is unsure."""
    rows = []
    for name, code in zip(
        ("train_00001", "train_00002", "train_00003", "test_0001"), "5714", strict=True
    ):
        photo(folder / "Image" / "aligned" / f"{name}_aligned.jpg")
        rows.append(f"{name}.jpg {code}")
        if manual:
            points = ["1.5\t2.5"] * 5
            text(
                folder / f"Annotation/manual/{name}_manu_attri.txt",
                *points,
                str(2 * (code in "14")),
                "1",
                "4",
            )
    text(folder / "EmoLabel" / "list_patition_label.txt", *rows)


def write_affectnet(folder):
    """Write numbers as text, an image without a face, and one without valence and arousal."""
    for part, count in (("train_set", 4), ("val_set", 2)):
        for number in range(count):
            photo(folder / part / "images" / f"{number}.jpg")
            values = {"exp": "8" if number == 1 else str(number), "val": "-0.5", "aro": "0.25"}
            values |= {"val": "-2", "aro": "-2"} if number == 0 else {}
            for kind, value in values.items():
                save(folder / part / "annotations" / f"{number}_{kind}.npy", np.array(value))


def write_head_pose(folder):
    """Write landmarks outside the image, and a profile beyond 99 degrees."""
    trees = (("300W_LP/AFW/a_1", 0.5), ("300W_LP/AFW_Flip/a_1", -0.5), ("300W_LP/IBUG/i_2", 0.1),
             ("AFLW2000/image00002", 0.3), ("AFLW2000/image00004", 1.9))  # fmt: skip
    for name, yaw in trees:
        photo(folder / f"{name}.jpg", 40, 40)
        points = np.array([[-3.0, 30.0], [10.0, 35.0]])
        parameters = np.array([[0.1, yaw, -0.2, 0.0, 0.0, 0.0, 1.0]])
        mat(folder / f"{name}.mat", Pose_Para=parameters, pt2d=points)


def write_biwi(folder):
    for sequence in ("01", "02", "17"):
        for number in (3, 4):
            stem = folder / sequence / f"frame_{number:05}"
            photo(stem.with_name(f"{stem.name}_rgb.png"))
            text(stem.with_name(f"{stem.name}_pose.txt"),
                 "1 0 0 ", "0 0 -1 ", "0 1 0 ", "", "10.5 20.5 900.1 ")  # fmt: skip


def write_office(folder, variant="31", blank=False, lists=False, count=5):
    """Write domains with two classes; `blank` uses ``Real World`` and a class with a blank."""
    domains = {
        "31": ("amazon", "dslr", "webcam"),
        "home": ("Art", "Clipart", "Product", "Real_World"),
    }
    middle = "images/" if variant == "31" else ""
    for domain in domains[variant]:
        below = domain.replace("_", " ") if blank else domain
        listed = []
        for code, kind in enumerate(("bike", "desk chair" if blank else "desk_chair")):
            for number in range(count):
                photo(folder / f"{below}/{middle}{kind}/frame_{number:04}.jpg")
                listed.append(f"{domain}/{middle}{kind}/frame_{number:04}.jpg {code}")
        if lists:
            text(folder / "lists" / f"{domain}_train.txt", *listed[:3], *listed[5:8])
            text(folder / "lists" / f"{domain}_val.txt", listed[3], listed[8])
            text(folder / "lists" / f"{domain}_test.txt", listed[4], listed[9])


def write_idx(path, values):
    header = b"\0\0\x08" + bytes([values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = header + values.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def write_mnist(folder, train=True, digits=20):
    """Write images whose pixels all have the number of the image, the test files compressed."""
    for name, first, suffix in (("train", 1, ""), ("t10k", 101, ".gz")):
        if name == "t10k" or train:
            images = np.full((digits, 28, 28), np.arange(first, first + digits)[:, None, None])
            write_idx(folder / f"{name}-images-idx3-ubyte{suffix}", images)
            write_idx(folder / f"{name}-labels-idx1-ubyte{suffix}", np.arange(digits) % 10)


def write_pareto_mnist(folder, protocol=2):
    folder.mkdir(parents=True, exist_ok=True)
    arrays = [
        RANDOM.integers(0, 256, (count, 36, 36)).astype(np.float32) if image
        else RANDOM.integers(0, 10, (count, 2))
        for count in (6, 3)
        for image in (True, False)
    ]  # fmt: skip
    (folder / "multi_mnist.pickle").write_bytes(pickle.dumps(tuple(arrays), protocol))


def census_row(number):
    cells = ["Not in universe"] * 42
    for place in (0, 5, 16, 17, 18, 30, 39):
        cells[place] = str(number + place)
    cells[4] = "Bachelors degree(BA AB BS)" if number % 3 else "Children"
    cells[7] = "Never married" if number % 2 else "Divorced"
    cells[24], cells[25] = "1032.38", "?"
    cells[41] = "50000+." if number % 4 == 0 else "- 50000."
    return ", ".join(cells)


def write_census(folder, train=True):
    if train:
        text(folder / "census-income.data", *map(census_row, range(12)))
    folder.mkdir(parents=True, exist_ok=True)
    rows = "".join(f"{census_row(number)}\n" for number in range(10))
    (folder / "census-income.test.gz").write_bytes(gzip.compress(rows.encode()))


def write_aliexpress(folder, country="NL", rows=6):
    """Write a test file with larger ids than the training file."""
    header = ",".join(f"c{place}" for place in range(22))
    for name, count, largest in (("train", rows, 5), ("test", 3, 9)):
        lines = [
            ",".join([str(n), *(str((n + k) % largest) for k in range(16)), "0.5", "1.5", "-2.0",
                      str(n % 2), str(int(n % 4 == 3))])
            for n in range(count)
        ]  # fmt: skip
        text(folder / f"AliExpress_{country}" / f"{name}.csv", header, *lines)


def write_school(folder, sizes=(8, 12)):
    cells = [np.empty((1, len(sizes)), dtype=object) for _ in range(2)]
    for place, size in enumerate(sizes):
        cells[0][0, place] = RANDOM.normal(size=(size, 28))
        cells[1][0, place] = RANDOM.integers(0, 70, (size, 1)).astype(float)
    mat(folder / "school.mat", X=cells[0], Y=cells[1])


def write_mulan(folder, name="enb"):
    """Write quoted names, a nominal column, missing features, comments and a blank at the end."""
    rows = [f"{n}, {'red' if n % 2 else 'blue'}, {'?' if n == 3 else n / 2}, {n}, -{n}.5"
            for n in range(10)]  # fmt: skip
    text(folder / f"{name}.arff", "% comment", "@relation 'a b'", "",
         "@attribute 'the size' numeric", "@ATTRIBUTE color {red, blue}", "@attribute x REAL",
         "@attribute Y1 numeric", "@attribute Y2 numeric", "@data", *rows, "")  # fmt: skip


def write_mulan_labels(folder, name="emotions"):
    """Write the official cut, with sparse rows and nested labels."""
    head = ("@relation e", "@attribute x numeric", "@attribute y numeric", "@attribute happy {0,1}",
            "@attribute sad {0,1}", "@data")  # fmt: skip
    text(folder / f"{name}-train.arff", *head, *(f"{n},{-n},{n % 2},0" for n in range(10)))
    text(folder / f"{name}-test.arff", *head, "{0 1.5, 3 1}", "{}", "2,2,1,0")
    text(folder / f"{name}.xml", '<?xml version="1.0"?>', "<labels>", '<label name="happy">',
         '  <label name="sad"></label>', "</label>", "</labels>")  # fmt: skip


def write_paws_x(folder):
    """Write one language as the official files have it, and one as XTREME has it."""
    for part, count in (("train", 6), ("dev", 2), ("test", 2)):
        rows = [f"The cat {n} sat .\tA cat {n} sat .\t{n % 2}" for n in range(count)]
        text(folder / f"{part}-en.tsv", "id\tsentence1\tsentence2\tlabel",
             *(f"{n}\t{row}" for n, row in enumerate(rows)))  # fmt: skip
        for language in ("zh", "de", "es"):
            rows = [f"猫{n}\t狗{n}\t{n % 2}" for n in range(count)]
            text(folder / f"{part}-{language}.tsv", *rows)
    text(folder / "vocab.txt", "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "sat")


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


def write_office_caltech(folder, samples=10):
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


def write_qm9_pack(folder, molecules=4):
    """Write methane and water in three parts, with lists in cells."""
    head = "XYZ_file,Elements,XYZ_Ang,Dipole_debye,Polarizability_bohr3,HOMO_au,LUMO_au,R2_bohr2,"
    head += "ZPVE_au,InternalEnergy_0K_au,InternalEnergy_298K_au,Enthalphy_298K_au,"
    head += "GibbsFreeEnergy_298K_au,Heatcapacity_Cv_cal_mol_K"
    methane = "\"['C','H','H','H','H']\",\"[[0,0,0],[1,1,1],[1,-1,-1],[-1,1,-1],[-1,-1,1]]\""
    water = "\"['O','H','H']\",\"[[0,0,0],[0.9,0,0],[0,0.9,0]]\""
    energies = "-40.47893,-40.476062,-40.475117,-40.498597"
    for part in (1, 2, 3):
        rows = [
            f"{part}_{n}.xyz,{methane if n % 2 == 0 else water},0.{n},13.21,-0.3877,0.1171,35.4,"
            f"0.04,{energies},6.469"
            for n in range(molecules)
        ]
        text(folder / f"qm9_part{part}.csv", head, *rows)


WRITERS = {
    "qm9-pack": write_qm9_pack,
    "tox21": write_tox21,
    "utkface": write_utkface,
    "ud": write_treebank,
    "nyuv2": write_nyuv2,
    "nyuv2-raw": write_nyuv2_raw,
    "cityscapes": write_cityscapes,
    "cityscapes-official": write_cityscapes_official,
    "pascal-context": write_pascal_context,
    "taskonomy": write_taskonomy,
    "celeba": write_celeba,
    "fairface": write_fairface,
    "raf-db": write_raf_db,
    "affectnet": write_affectnet,
    "head-pose": write_head_pose,
    "biwi": write_biwi,
    "office": write_office,
    "mnist": write_mnist,
    "pareto-mnist": write_pareto_mnist,
    "census-income": write_census,
    "aliexpress": write_aliexpress,
    "school": write_school,
    "mulan": write_mulan,
    "mulan-labels": write_mulan_labels,
    "paws-x": write_paws_x,
    "camvid": write_camvid,
    "officecaltech10": write_office_caltech,
    "qm9": write_qm9,
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


@pytest.fixture(scope="session")
def recipe():
    """Reads the recipe of a protocol with settings."""
    catalog = load_catalog()

    def read(name, *settings):
        return load_recipe(PROTOCOLS / f"{name}.yaml", catalog, settings)

    return read
