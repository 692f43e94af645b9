"""The reader of UTKFace."""

from pathlib import Path

import pytest
from mtlkit_benchmarks.utkface import UTKFace

from mtlkit.data import Loading, RandomSplit
from mtlkit.plugins import DataError

SPLIT = RandomSplit(validation=0.25, test=0.25)
REAL = Path(__file__).parents[3].parent / "shared" / "data" / "utkface"


def load(folder, **options):
    return UTKFace(folder=folder, size=8, split=SPLIT, complete=False, **options).load(Loading())


def test_labels_are_those_of_the_names(tree):
    folder = tree("utkface")
    for split in load(folder).splits().values():
        genders, races = (split.categorical(name).values() for name in ("gender", "race"))
        for row, name in enumerate(split.ids):
            number = int(name.split("_")[0]) - 20
            assert split.columns["age"].values[row] == 20 + number
            assert genders[row] == ("male", "female")[number % 2]
            assert races[row] == ("White", "Black", "Asian", "Indian", "Others")[number % 5]


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("39_1_20170116174525126.jpg.chip.jpg", "expected a name AGE_GENDER_RACE_DATE"),
        ("39_2_1_20170116174525125.jpg.chip.jpg", "got the gender 2, expected 0 to 1"),
        ("39_1_5_20170116174525125.jpg.chip.jpg", "got the race 5, expected 0 to 4"),
        ("39_1_1_20170116174525125.jpg.chip.jpg", "is empty"),
    ],
)
def test_a_bad_file_is_refused_or_skipped_and_counted(tree, name, fault):
    folder = tree("utkface")
    (folder / name).touch()
    with pytest.raises(DataError, match=f"got 1 bad files: .*{name}: {fault}.*skip_bad: true"):
        load(folder)
    data = load(folder, skip_bad=True)
    assert data.summary == {"skipped files": "1"}
    assert sum(map(len, data.splits().values())) == 8


def test_the_odd_names_of_the_official_set_are_read(tree):
    folder = tree("utkface")
    picture = next(folder.iterdir()).read_bytes()
    races = {
        "39_1_20170116174525125.jpg.chip.jpg": None,
        "61_1_20170109142408075.jpg.chip.jpg": None,
        "61_1_20170109150557335.jpg.chip.jpg": None,
        "24_0_1_20170116220224657 .jpg.chip.jpg": "Black",
        "44_1_4_20170116235150272.pg.chip.jpg": "Others",
        "55_0_0_20170116232725357jpg.chip.jpg": "White",
    }
    for name in races:
        (folder / name).write_bytes(picture)
    (folder / "Thumbs.db").touch()
    data = load(folder)
    assert data.summary == {"skipped files": "0"}
    read = {
        name: race
        for split in data.splits().values()
        for name, race in zip(split.ids, split.categorical("race").values(), strict=True)
    }
    assert races == {name: read[name] for name in races}


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(DataError, match="is not UTKFace:\n  no such folder"):
        load(tmp_path / "u")
    (tmp_path / "u").mkdir()
    with pytest.raises(DataError, match=r"\*.jpg: got 0 files, expected at least 1"):
        load(tmp_path / "u")


def test_the_real_files_are_all_read():
    if not REAL.is_dir():
        pytest.skip("needs the UTKFace data set in ../shared/data/utkface")
    data = UTKFace(folder=REAL, size=4, complete=False).load(Loading())
    assert sum(map(len, data.splits().values())) == 1800
    assert data.summary == {"skipped files": "0"}
