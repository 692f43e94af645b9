"""Readers of official trees: their odd cases, their counts, and their errors for a wrong tree."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mtlkit_benchmarks.dense.cityscapes import Cityscapes
from mtlkit_benchmarks.dense.cityscapes_official import CityscapesOfficial
from mtlkit_benchmarks.dense.nyuv2 import NYUv2
from mtlkit_benchmarks.dense.nyuv2_raw import NYUv2Raw
from mtlkit_benchmarks.dense.pascal_context import PascalContext, class_changes
from mtlkit_benchmarks.dense.taskonomy import Taskonomy
from mtlkit_benchmarks.photos.affectnet import AffectNet
from mtlkit_benchmarks.photos.biwi import BIWI, read_rotation
from mtlkit_benchmarks.photos.celeba import CelebA
from mtlkit_benchmarks.photos.fairface import FairFace
from mtlkit_benchmarks.photos.head_pose import HeadPose
from mtlkit_benchmarks.photos.multi_mnist import MultiMNIST, ParetoMNIST
from mtlkit_benchmarks.photos.office import Office
from mtlkit_benchmarks.photos.raf_db import RAFDB
from mtlkit_benchmarks.tables.aliexpress import AliExpress
from mtlkit_benchmarks.tables.census_income import CensusIncome
from mtlkit_benchmarks.tables.mulan import Mulan
from mtlkit_benchmarks.tables.qm9_pack import QM9Pack
from mtlkit_benchmarks.tables.school import School
from mtlkit_benchmarks.text.paws_x import PawsX

from mtlkit.data import Loading, RandomSplit
from mtlkit.plugins import DataError, MissingExtraError

SPLIT = RandomSplit(validation=0.25, test=0.25)
REAL = Path(__file__).parents[3].parent / "shared" / "data"


def load(source, folder, **options):
    return source(folder=folder, complete=False, **options).load(Loading(workers=1))


def every(split, label):
    return split.columns[label][torch.arange(len(split))]


def real(name):
    if not (REAL / name).is_dir():
        pytest.skip(f"needs the data set in ../shared/data/{name}")
    return REAL / name


def test_nyuv2_marks_what_is_missing(tree):
    data = load(NYUv2, tree("nyuv2"), validation="test")
    assert data.train.inputs[torch.tensor([0])].shape == (1, 3, 32, 64)
    assert every(data.train, "depth")[:, 0, 0, 1].isnan().all()
    assert (every(data.train, "normals")[:, :, 0, 0] == 0).all()
    classes = every(data.train, "classes")
    assert classes.min() == -1
    assert classes.dtype == torch.int64
    assert list(data.validation.ids) == [f"validation/test/{n}" for n in range(2)]


def test_a_part_of_the_training_samples_is_for_validation(tree):
    data = load(NYUv2, tree("nyuv2"), validation=0.25)
    assert [len(split) for split in data.splits().values()] == [3, 1, 2]
    again = load(NYUv2, tree("nyuv2"), validation=0.25)
    assert data.validation.ids == again.validation.ids


def test_an_array_that_is_left_out_is_named(tree):
    folder = tree("nyuv2")
    (folder / "train" / "depth" / "1.npy").unlink()
    with pytest.raises(DataError, match=r"has 3 arrays but no 1\.npy"):
        load(NYUv2, folder)


def test_a_wrong_class_is_named_with_its_file(tree):
    folder = tree("nyuv2")
    np.save(folder / "train" / "label" / "2.npy", np.full((32, 64), 13.0))
    data = load(NYUv2, folder)
    with pytest.raises(DataError, match=r"2\.npy: got the code 13, expected 0 to 12"):
        every(data.train, "classes")


def test_nyuv2_of_matlab_has_its_axes_and_numbers_put_right(tree):
    h5py = pytest.importorskip("h5py", reason="needs h5py")
    folder = tree("nyuv2-raw")
    data = load(NYUv2Raw, folder, depth="raw", classes=40)
    assert data.train.ids == ["train/4", "train/1", "train/2"]
    assert data.test.ids == ["test/3"]
    with h5py.File(folder / "nyu_depth_v2_labeled.mat") as file:
        image, depth = file["images"][3], file["rawDepths"][3]
    assert np.array_equal(data.train.inputs[torch.tensor([0])][0], image.transpose(0, 2, 1))
    assert every(data.train, "depth")[:, 0, 0, 0].isnan().all()
    assert every(data.train, "depth")[0, 0, 3, 5] == depth[5, 3]
    assert load(NYUv2Raw, folder).train.columns["classes"].target.names[3] == "chair"


def test_the_official_splits_and_classes_of_nyuv2(tree):
    from mtlkit_benchmarks.dense.nyuv2_raw import class_table, split_positions

    folder = real("nyuv2_meta")
    pytest.importorskip("scipy", reason="needs scipy")
    positions = split_positions(folder / "splits.mat", 1449)
    assert {name: len(part) for name, part in positions.items()} == {"train": 795, "test": 654}
    assert min(map(min, positions.values())) == 0
    names, table = class_table(folder, 40)
    assert (len(names), names[0], len(table), int(table[0])) == (40, "wall", 895, -1)
    names, table = class_table(folder, 13)
    assert sorted(set(table.tolist())) == [-1, *range(13)]
    wall = int(class_table(folder, 40)[1].eq(0).nonzero()[0])
    assert names[table[wall]] == "wall"


@pytest.mark.parametrize("labels", ["label_7", "label"])
def test_cityscapes_reads_both_names_of_the_labels(tree, labels):
    data = load(Cityscapes, tree("cityscapes", labels=labels))
    assert every(data.train, "classes").max() == 6
    assert data.train.columns["disparity"].target.quantity == "disparity"


def test_cityscapes_refuses_two_folders_of_labels(tree):
    folder = tree("cityscapes")
    tree("cityscapes", labels="label")
    with pytest.raises(DataError, match="got the folders label_7 and label, expected one of"):
        load(Cityscapes, folder)


def test_cityscapes_official_maps_ids_and_measures_offsets(tree):
    data = load(CityscapesOfficial, tree("cityscapes-official"), size=(16, 32))
    classes = every(data.train, "classes")
    assert classes[:, 0, :2].tolist() == [[0, 18]] * 2
    assert classes.min() == -1
    offsets = every(data.train, "offsets")
    assert offsets[0, :, 4, 4].tolist() == [1.5, 1.5]
    assert offsets[0, :, 7, 4].tolist() == [-1.5, 1.5]
    assert offsets[0, :, 0, 0].isnan().all()
    disparity = every(data.train, "disparity")[0, 0]
    assert disparity[0, 0].isnan()
    assert disparity[1, 1] == 2.0
    assert data.test.ids == ["val/munster/munster_000000_000019_leftImg8bit"]


def test_pascal_context_has_no_parts_without_people(tree):
    folder = tree("pascal-context")
    data = load(PascalContext, folder, size=20)
    parts = every(data.train, "parts")
    assert parts[0].max() == 1
    assert (parts[1] == -1).all()
    assert -1 in every(data.train, "classes")[1]
    edges = every(data.train, "edges")[0]
    assert edges.sum(dim=1).max() == 1
    assert edges.sum() >= 18
    assert set(edges.sum(dim=0).nonzero().flatten().tolist()) <= {9, 10}
    kept = load(PascalContext, folder, size=20, normal_classes=(23,))
    assert (every(kept.train, "normals")[:, :, :, :9] == 0).all()


def test_classes_change_on_both_sides_of_an_edge():
    labels = torch.zeros(4, 6, dtype=torch.int64)
    labels[:, 3:] = 2
    assert class_changes(labels).sum(dim=0).tolist() == [0, 0, 4, 4, 0, 0]


def test_taskonomy_marks_what_is_missing(tree):
    data = load(Taskonomy, tree("taskonomy"), size=16)
    assert every(data.train, "depth_zbuffer")[:, 0, 0, 0].isnan().all()
    assert (every(data.train, "normal")[:, :, 0, 0] == 0).all()
    assert data.train.ids[0] == "allen/point_0_view_0"
    assert [len(split) for split in data.splits().values()] == [2, 2, 2]


@pytest.mark.parametrize("options", [{}, {"beside": True}, {"beside": True, "suffix": "png"}])
def test_celeba_is_read_in_each_of_its_forms(tree, options):
    folder = tree("celeba", **options)
    data = load(CelebA, folder, size=8)
    assert [len(split) for split in data.splits().values()] == [4, 2, 2]
    assert len(data.train.columns) == 40
    assert every(data.train, "Smiling").shape == (4, 1)
    classes = load(CelebA, folder, size=8, labels="classes")
    column = classes.train.categorical("Smiling")
    assert torch.equal(column.codes, every(data.train, "Smiling")[:, 0])


def test_other_files_next_to_the_images_are_not_counted(tree):
    folder = tree("celeba")
    (folder / "Img" / "img_align_celeba" / "Thumbs.db").touch()
    part, *_ = CelebA(folder=folder).layout().parts
    assert part.found(folder) == ("Img/img_align_celeba/*.jpg", 8)


def test_celeba_refuses_a_count_that_lies(tree):
    with pytest.raises(DataError, match="got 8 images, expected the 9 of its first line"):
        load(CelebA, tree("celeba", lie=1))


def test_fairface_reads_its_bands(tree):
    data = load(FairFace, tree("fairface"), size=8)
    assert data.train.categorical("age").values() == ["more than 70"] * 4


def test_raf_db_starts_its_labels_at_one(tree):
    data = load(RAFDB, tree("raf-db"), size=8)
    assert data.train.categorical("expression").values() == ["sadness", "neutral", "surprise"]
    assert data.train.categorical("gender").values() == ["male", "male", None]
    assert data.train.categorical("age").values() == ["70+"] * 3
    assert set(load(RAFDB, tree("raf-db", manual=True)).test.columns) == set(data.test.columns)


def test_affectnet_reads_numbers_as_text_and_marks_what_is_missing(tree):
    data = load(AffectNet, tree("affectnet"), size=8)
    assert every(data.train, "expression").tolist() == [0, -1, 2, 3]
    assert every(data.train, "valence").isnan().tolist() == [True, False, False, False]


def test_head_pose_leaves_out_profiles_of_the_test(tree):
    data = load(HeadPose, tree("head-pose"), size=8)
    assert data.test.ids == ["AFLW2000/image00002.jpg"]
    assert data.summary == {"images beyond 99 degrees": "1"}
    angles = np.degrees([0.1, 0.5, -0.2])
    assert np.allclose(every(data.train, "pose")[0], angles, atol=1e-4)


def test_biwi_reads_rotations(tree, tmp_path):
    data = load(BIWI, tree("biwi"), size=8)
    assert [len(split) for split in data.splits().values()] == [4, 2]
    assert every(data.train, "pose")[0].tolist() == [-90.0, 0.0, 0.0]
    (tmp_path / "bad.txt").write_text("1 0 0\n0 2 0\n0 0 1\n")
    with pytest.raises(DataError, match="expected a rotation of 3 x 3 numbers"):
        read_rotation(tmp_path / "bad.txt")


def test_office_reads_blanks_in_paths_and_the_lists_of_libmtl(tree):
    folder = tree("office", variant="home", blank=True, lists=True)
    data = load(Office, folder, variant="home", lists=Path("lists"), size=8)
    assert data.train.ids[0] == "Art/bike/frame_0000.jpg"
    assert "Real World/desk chair/frame_0004.jpg" in data.test.ids
    column = data.train.categorical("Real_World")
    assert column.names == ("bike", "desk chair")
    inside = [domain == "Real_World" for domain in data.train.categorical("domain").values()]
    assert [value is not None for value in column.values()] == inside
    assert [len(split) for split in data.splits().values()] == [24, 8, 8]


def test_office_refuses_a_list_that_contradicts_itself(tree):
    folder = tree("office", lists=True)
    path = folder / "lists" / "dslr_val.txt"
    path.write_text("dslr/images/bike/frame_0000.jpg 0\ndslr/images/desk_chair/frame_0000.jpg 0\n")
    with pytest.raises(DataError, match="line 2: got 0 for desk_chair, which is bike before"):
        load(Office, folder, lists=Path("lists"))


@pytest.mark.parametrize(("style", "side", "partners"), [("pareto", 36, 2), ("mgda", 28, 1)])
def test_overlaid_digits_never_cross_the_split(tree, style, side, partners):
    data = load(MultiMNIST, tree("mnist"), style=style)
    assert data.train.inputs.shape == (20 * partners, 1, side, side)
    assert set(data.train.inputs.unique().tolist()) <= {0, *range(1, 21)}
    assert set(data.test.inputs.unique().tolist()) <= {0, *range(101, 121)}
    left = data.train.categorical("left").codes
    assert left.tolist() == [n % 10 for n in range(20)] * partners
    corner = data.train.inputs[:, 0, -1, -1].long()
    assert torch.equal(data.train.categorical("right").codes, (corner - 1) % 10)
    again = load(MultiMNIST, tree("mnist"), style=style)
    assert torch.equal(data.train.inputs, again.train.inputs)
    other = load(MultiMNIST, tree("mnist"), style=style, seed=1)
    assert not torch.equal(data.train.inputs, other.train.inputs)


def test_digits_for_testing_alone_are_divided_before_they_are_overlaid(tree):
    folder = tree("mnist", train=False)
    data = load(MultiMNIST, folder)
    assert [len(split) for split in data.splits().values()] == [32, 8]
    assert data.train.inputs.max() == 116
    assert data.test.inputs[data.test.inputs > 0].min() == 117
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte or .*: got 0 files, expected 1"):
        MultiMNIST(folder=folder).load(Loading())


@pytest.mark.parametrize("protocol", [2, 5])
def test_a_pickle_of_arrays_is_read_and_no_other(tree, protocol):
    folder = tree("pareto-mnist", protocol=protocol)
    data = load(ParetoMNIST, folder)
    assert data.train.inputs.shape == (6, 1, 36, 36)
    (folder / "multi_mnist.pickle").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(DataError, match=r"it names .*system, expected arrays alone"):
        load(ParetoMNIST, folder)


def test_census_income_leaves_labels_and_the_weight_out_of_its_features(tree):
    folder = tree("census-income")
    data = load(CensusIncome, folder)
    assert data.train.categorical("income").values()[:5] == ["yes", "no", "no", "no", "yes"]
    assert data.train.categorical("never_married").values()[:2] == ["no", "yes"]
    assert [len(split) for split in data.splits().values()] == [12, 5, 5]
    # 7 numbers; education has 2 values, and each of 30 other columns one
    assert data.train.inputs[torch.tensor([0])].shape == (1, 7 + 2 + 31)
    other = load(CensusIncome, folder, group="education")
    assert other.train.categorical("college").values()[:2] == ["no", "yes"]


def test_the_real_census_income():
    folder = real("census_income")
    data = load(CensusIncome, folder)
    counts = [len(split) for split in data.splits().values()]
    assert sum(counts) == 99_762
    rich = sum(
        int((split.categorical("income").codes == 1).sum()) for split in data.splits().values()
    )
    assert rich == 6_186


def test_aliexpress_takes_the_largest_ids_of_both_files(tree):
    folder = tree("aliexpress")
    data = load(AliExpress, folder)
    sizes = [1 + max(4, *((n + k) % 9 for n in range(3))) for k in range(16)]
    assert data.input_specs["ids"].vocabulary == sum(sizes)
    batch = data.test.inputs[torch.tensor([2, 0])]
    assert batch["ids"][0].tolist() == [sum(sizes[:k]) + (2 + k) % 9 for k in range(16)]
    assert batch["numbers"][0].tolist() == [0.5, 1.5, -2.0]
    assert every(data.train, "conversion").tolist() == [0, 0, 0, 1, 0, 0]
    path = folder / "AliExpress_NL" / "train.csv"
    path.write_text(path.read_text().replace("-2.0,1,1", "-2.0,1,3"))
    with pytest.raises(DataError, match=r"line 5: .*the last two 0 or 1"):
        load(AliExpress, folder)


def test_a_part_of_a_large_table_is_drawn_without_a_list_of_its_rows(tree):
    folder = tree("aliexpress", rows=50)
    whole = load(AliExpress, folder)
    data = load(AliExpress, folder, validation=0.3)
    parts = [data.train, data.validation]
    assert [len(part) for part in parts] == [35, 15]
    ids = [name for part in parts for name in part.ids]
    assert set(ids) == {f"train {number}" for number in range(50)}
    for part in parts:
        places = torch.tensor([int(name.split()[1]) for name in part.ids])
        read, expected = part.inputs[torch.arange(len(part))], whole.train.inputs[places]
        assert torch.equal(read["ids"], expected["ids"])
        assert torch.equal(every(part, "conversion"), every(whole.train, "conversion")[places])
    again = load(AliExpress, folder, validation=0.3)
    assert list(again.validation.ids) == list(data.validation.ids)
    other = load(AliExpress, folder, validation=0.3, seed=1)
    assert list(other.validation.ids) != list(data.validation.ids)
    tested = load(AliExpress, folder, validation="test")
    assert list(tested.validation.ids) == [f"validation/test {number}" for number in range(3)]
    with pytest.raises(DataError, match=r"validation: 0.001 of 50 rows is less than one; use 0"):
        load(AliExpress, folder, validation=0.001)


def test_qm9_gives_energies_of_atomization(tree):
    folder = tree("qm9-pack")
    data = load(QM9Pack, folder, split=SPLIT)
    assert [len(split) for split in data.splits().values()] == [6, 3, 3]
    carbon = data.train.inputs[torch.arange(6)]["mask"].sum(dim=1) == 5
    energies = every(data.train, "u0_atom")[carbon]
    assert torch.allclose(energies, torch.full_like(energies, -17.17), atol=0.01)
    path = folder / "qm9_part2.csv"
    path.write_text(path.read_text().replace("'O'", "'S'", 1))
    with pytest.raises(
        DataError, match=r"qm9_part2.csv: line 3: got a molecule that cannot be read"
    ):
        load(QM9Pack, folder, split=SPLIT)


def test_a_pupil_has_the_label_of_its_school_alone(tree):
    data = load(School, tree("school"))
    for split in data.splits().values():
        present = torch.stack([~every(split, f"school-{n}").isnan() for n in (1, 2)])
        assert (present.sum(dim=0) == 1).all()


def test_the_real_school():
    pytest.importorskip("scipy", reason="needs scipy")
    data = School(folder=real("school")).load(Loading())
    assert sum(map(len, data.splits().values())) == 15_362


def test_mulan_reads_nominal_and_missing_features(tree):
    data = load(Mulan, tree("mulan"), name="enb")
    assert data.train.columns["targets"].target.names == ("Y1", "Y2")
    assert data.train.inputs.shape[1] == 4
    assert data.summary == {"missing features": "1"}
    assert (every(data.train, "targets")[:, 1] == -every(data.train, "targets")[:, 0] - 0.5).all()


def test_mulan_reads_the_official_cut_and_sparse_rows(tree):
    data = load(Mulan, tree("mulan-labels"), name="emotions")
    assert [len(split) for split in data.splits().values()] == [9, 1, 3]
    assert every(data.test, "labels").tolist() == [[0, 1], [0, 0], [1, 0]]


@pytest.mark.parametrize(
    ("folder", "name", "rows", "features", "targets"),
    [
        ("mulan_mtr", "wq", 1060, 16, 14),
        ("mulan_mtr", "osales", 639, 401, 12),
        ("mulan_mtr", "scpf", 1137, 23, 3),
        ("mulan_mtr", "jura", 359, 15, 3),
        ("mulan_mtr", "slump", 103, 7, 3),
        ("mulan_ml/emotions", "emotions", 593, 72, 6),
    ],
)
def test_the_real_sets_of_mulan(folder, name, rows, features, targets):
    data = Mulan(folder=real(folder), name=name).load(Loading())
    assert sum(map(len, data.splits().values())) == rows
    assert data.train.inputs.shape[1] == features
    (column,) = data.train.columns.values()
    assert len(column.target.names) == targets


def test_paws_x_reads_both_layouts(tree):
    data = load(PawsX, tree("paws-x"), languages=("en", "zh"), length=16)
    assert data.train.categorical("en").values()[:3] == ["different", "paraphrase", "different"]
    assert data.train.categorical("zh").values()[:6] == [None] * 6
    batch = data.train.inputs[torch.tensor([0, 6])]
    assert batch["mask"].sum(dim=1).tolist() == [3 + 10, 3 + 4]
    assert (batch["ids"][~batch["mask"]] == 0).all()


def test_a_vocabulary_needs_the_extra_for_text(tree, monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'mtlkit-benchmarks\[text\]'"):
        load(PawsX, tree("paws-x"), languages=("en",), vocabulary=Path("vocab.txt"))


def test_paws_x_reads_a_vocabulary_of_word_pieces(tree):
    pytest.importorskip("tokenizers", reason="needs tokenizers")
    data = load(PawsX, tree("paws-x"), languages=("en",), vocabulary=Path("vocab.txt"), length=16)
    assert data.input_specs["ids"].vocabulary == 8
    assert data.train.inputs[torch.tensor([0])]["ids"][0, :4].tolist() == [2, 1, 6, 1]
