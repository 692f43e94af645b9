"""The command `check`: what is there, what is missing, and where it can be had."""

import re

import numpy as np
import pytest
from mtlkit_benchmarks.check import check_tree, source_of
from mtlkit_benchmarks.sources import CHECKED
from mtlkit_benchmarks.trees.on_access import Numbered

from mtlkit.cli import main
from mtlkit.data import Loading
from mtlkit.plugins import DataError


@pytest.mark.parametrize("name", CHECKED)
def test_an_empty_folder_gives_the_list_of_what_to_do(name, tmp_path):
    lines, sound = check_tree(name, tmp_path)
    layout = source_of(name, tmp_path).layout()
    assert not sound
    missing = [line.split()[-1] for line in lines if line.startswith("  missing")]
    assert missing == [part.pattern for part in layout.parts]
    assert f"  1. get what is missing from {layout.page}" in lines
    with pytest.raises(DataError, match="the data set can be had from") as caught:
        source_of(name, tmp_path).load(Loading())
    first, *faults, remedy = caught.value.message_lines
    assert first.endswith(f": is not {layout.title}:")
    assert all("got 0 files, expected" in fault for fault in faults)
    assert len(faults) == len(layout.parts)
    assert remedy.startswith("set the folder by `folder`")


def check(*arguments):
    with pytest.raises(SystemExit) as caught:
        main(["benchmarks", "check", *map(str, arguments)])
    return caught.value.code


def test_a_part_of_a_tree_is_counted_and_read(tree, capsys):
    folder = tree("nyuv2")
    assert check("nyuv2", folder) == 1
    out = capsys.readouterr().out
    assert "partly           4 of        795  train/image/*.npy" in out
    assert "2. place it in" in out
    assert check("nyuv2", folder, "--part") == 0
    out = capsys.readouterr().out
    assert "samples: 4 train, 2 test" in out
    assert "labels: classes, depth, normals" in out


def test_a_tree_of_the_published_size_is_sound(tree, capsys):
    assert check("universal-dependencies", tree("ud")) == 0
    assert "samples: 2 train, 1 validation, 1 test" in capsys.readouterr().out


def test_files_that_are_there_but_wrong_are_told(tree, capsys):
    assert check("celeba", tree("celeba", lie=1), "--part") == 1
    out = capsys.readouterr().out
    assert "cannot be read: " in out
    assert "to do:\n  1. correct what is named, or get it again from the page" in out


def test_a_file_that_is_read_on_access_is_tried(tree, capsys):
    folder = tree("nyuv2")
    np.save(folder / "val" / "label" / "1.npy", np.full((32, 64), 13.0))
    assert check("nyuv2", folder, "--part") == 1
    assert "1.npy: got the code 13, expected 0 to 12" in capsys.readouterr().out


def test_too_many_files_are_told(tree, capsys):
    folder = tree("ud")
    (folder / "fr_other-ud-dev.conllu").touch()
    assert check("universal-dependencies", folder) == 1
    out = capsys.readouterr().out
    assert "too many         2 of          1  *-ud-dev.conllu" in out
    assert "to do:\n  1. remove files that are not of the data set" in out


def test_the_wrong_number_of_samples_is_refused(tree):
    source = source_of("pareto-mnist", tree("pareto-mnist"))
    with pytest.raises(
        DataError, match="got 6 samples for train, expected the 120,000 of the data"
    ):
        source.load(Loading())


def test_an_unknown_name_gets_the_nearest(tmp_path, capsys):
    assert check("celebA", tmp_path) != 0
    assert "celeba" in capsys.readouterr().err


def test_numbered_ids_are_a_sequence():
    ids = Numbered("train", 3)
    assert ids[-1] == "train 2"
    assert ids[1:] == ["train 1", "train 2"]
    with pytest.raises(IndexError):
        ids[3]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("qm9", "expected 'qm9-pack' (QM9, all molecules: eleven properties)"),
        ("ud", "expected 'universal-dependencies' (UD treebanks"),
        ("300W-LP", "expected 'head-pose' (300W-LP and AFLW2000"),
        ("office", "expected one of office-31, office-home"),
        ("celebra", "did you mean 'celeba'?"),
        ("", "expected one of affectnet, aliexpress, "),
        ("mulan", "expected one of mulan-atp1d, mulan-edm, "),
    ],
)
def test_an_unknown_name_lists_the_data_sets_that_it_may_mean(name, hint, tmp_path):
    with pytest.raises(DataError, match=re.escape(hint)):
        source_of(name, tmp_path)
