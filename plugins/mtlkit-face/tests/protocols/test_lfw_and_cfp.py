"""Readers of LFW and CFP, with invalid and malicious lists."""

import re

import numpy as np
import pytest
from mtlkit_face.protocols.mode import Mode
from mtlkit_face.protocols.pairs.cfp import CFP, Faces, read_cfp
from mtlkit_face.protocols.pairs.lfw import LFW, read_lfw

from mtlkit.plugins import DataError

BOTH = pytest.mark.parametrize("faces", Faces)


def refused(call, message):
    with pytest.raises(DataError) as caught:
        call()
    assert re.sub(r"[^\s(]*/sets/", "", str(caught.value)) == message


def test_lfw_is_read_in_the_order_of_its_folds(sets):
    pairs = read_lfw(sets / "lfw")
    assert len(pairs) == 8
    assert pairs.same.tolist() == [True, True, False, False] * 2
    assert pairs.fold.tolist() == [0] * 4 + [1] * 4
    assert pairs.version == "View 2, 2 folds of 2 + 2 pairs"
    lines = (sets / "lfw/pairs.txt").read_text().splitlines()[1:]
    for index, line in enumerate(lines):
        fields = line.split("\t")
        name, other = fields[0], fields[-2] if len(fields) == 4 else fields[0]
        named = [f"{n}/{n}_{int(i):04d}.jpg" for n, i in ((name, fields[1]), (other, fields[-1]))]
        both = [pairs.pictures[int(side[index])] for side in (pairs.first, pairs.second)]
        assert [picture.name for picture in both] == named
        assert [p.source.relative_to(sets / "lfw").as_posix() for p in both] == named
    person = pairs.person
    assert ((person[pairs.first] == person[pairs.second]) == pairs.same).all()
    # nobody is in two folds
    people = [set(person[pairs.first[pairs.fold == k]].tolist()) for k in (0, 1)]
    assert not people[0] & people[1]


def test_the_list_of_lfw_may_be_elsewhere_have_other_ends_and_spaces(sets):
    expected = read_lfw(sets / "lfw")
    text = (sets / "lfw/pairs.txt").read_text()
    (sets / "lfw/pairs.txt").unlink()
    (sets / "pairs.txt").write_bytes(
        b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode() + b"\r\n"
    )
    (sets / "mine.txt").write_text(text.replace("\t", "  "))
    for other in (read_lfw(sets / "lfw"), read_lfw(sets / "lfw", sets / "mine.txt")):
        assert [p.name for p in other.pictures] == [p.name for p in expected.pictures]
        np.testing.assert_array_equal(other.first, expected.first)


def test_aligned_copies_may_have_another_format(sets):
    for picture in (sets / "lfw").rglob("*.jpg"):
        picture.rename(picture.with_suffix(".png"))
    pairs = read_lfw(sets / "lfw")
    assert not pairs.missing()
    assert {p.source.suffix for p in pairs.pictures} == {".png"}
    assert pairs.pictures[0].name.endswith(".jpg")  # the listed name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda lines: ["10", *lines[1:]],
            "lfw/pairs.txt:1: expected the number of folds and of pairs of each kind, such as "
            "`10 300`, got '10'; use View 2's list",
        ),
        (
            lambda lines: lines[:-1],
            "lfw/pairs.txt: expected 2 folds of 2 + 2 pairs, 8 lines after the first, which "
            "states these numbers; got 7. The list is incomplete",
        ),
        (
            lambda lines: [lines[0], lines[3], *lines[2:]],
            "lfw/pairs.txt:2: expected `name i j`, one person; got 'LINE'",
        ),
        (
            lambda lines: [lines[0], "Person_0000\t1\tx", *lines[2:]],
            "lfw/pairs.txt:2: expected the number of an image, got 'x'",
        ),
        (
            lambda lines: [*lines[:3], "A\t1\tA\t2", *lines[4:]],
            "lfw/pairs.txt:4: expected two people, got 'A' twice",
        ),
        (
            lambda lines: [lines[0], "../../etc/x\t1\t2", *lines[2:]],
            "lfw/pairs.txt:2: the path '../../etc/x/../../etc/x_0001.jpg' leaves the folder of the "
            "set (lfw); expected one inside. Do not trust a list that names other files",
        ),
        (
            lambda lines: [lines[0], "a/b\t1\t2", *lines[2:]],
            "lfw/pairs.txt:2: the name 'a/b' is not the name of a folder",
        ),
        (
            lambda lines: [],
            "lfw/pairs.txt: is empty; expected the list of pairs of LFW's View 2 (`pairs.txt`)",
        ),
    ],
)
def test_an_invalid_list_of_lfw_is_an_error(sets, change, message):
    path = sets / "lfw/pairs.txt"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(change(lines)))
    refused(lambda: read_lfw(sets / "lfw"), message.replace("LINE", lines[3].replace("\t", "\\t")))


def test_missing_files_are_errors(sets):
    (sets / "lfw/pairs.txt").unlink()
    refused(
        lambda: read_lfw(sets / "lfw"),
        "lfw/pairs.txt: is missing; expected the list of pairs of LFW's View 2 (`pairs.txt`). "
        "Correct the option `pairs`",
    )
    refused(
        lambda: read_lfw(sets / "nowhere"),
        "nowhere: is not a folder; expected the images of the set. Correct the option `images` (a "
        "relative path starts from the working directory)",
    )


@BOTH
def test_cfp_is_read_by_number(sets, faces):
    pairs = read_cfp(sets / "cfp", faces)
    assert len(pairs) == 8
    assert pairs.same.tolist() == [True, True, False, False] * 2
    assert pairs.fold.tolist() == [0] * 4 + [1] * 4
    first, second = ([pairs.pictures[i].name for i in side] for side in (pairs.first, pairs.second))
    assert all("/frontal/" in name for name in first)
    kind = "frontal" if faces is Faces.FRONTAL_FRONTAL else "profile"
    assert all(f"/{kind}/" in name for name in second)
    for one, other, same in zip(first, second, pairs.same, strict=True):
        assert (one.split("/")[2] == other.split("/")[2]) == same
    listed = (sets / "cfp/Protocol/Split" / pairs.version[:2] / "01/same.txt").read_text()
    a, b = listed.splitlines()[0].split(",")
    lists = [
        (sets / f"cfp/Protocol/Pair_list_{k[0].upper()}.txt").read_text().splitlines()
        for k in ("frontal", kind)
    ]
    assert lists[0][int(a) - 1] == f"{a} ../{first[0]}"
    assert lists[1][int(b) - 1] == f"{b} ../{second[0]}"


def test_paths_of_windows_and_lists_elsewhere_are_read(sets):
    expected = read_cfp(sets / "cfp", Faces.FRONTAL_PROFILE)
    for name in ("F", "P"):
        path = sets / f"cfp/Protocol/Pair_list_{name}.txt"
        text = path.read_text().replace("/", "\\").replace("\n", "\r\n")
        path.write_bytes(text.encode())
    (sets / "cfp/Protocol").rename(sets / "lists")
    pairs = read_cfp(sets / "cfp", Faces.FRONTAL_PROFILE, sets / "lists")
    assert [p.source for p in pairs.pictures] == [p.source for p in expected.pictures]


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        (
            "Pair_list_F.txt",
            lambda text: text.replace("1 ../Data", "1 ../../Data", 1),
            "cfp/Protocol/Pair_list_F.txt:1: the path '../../Data/Images/001/frontal/01.jpg' "
            "leaves the folder of the set (cfp); expected one inside. Do not trust a list that "
            "names other files",
        ),
        (
            "Pair_list_F.txt",
            lambda text: text.replace("1 ../Data", "1 /Data", 1),
            "cfp/Protocol/Pair_list_F.txt:1: the path '/Data/Images/001/frontal/01.jpg' leaves the "
            "folder of the set (cfp); expected one inside. Do not trust a list that names other "
            "files",
        ),
        (
            "Pair_list_F.txt",
            lambda text: text.replace("2 ../", "1 ../", 1),
            "cfp/Protocol/Pair_list_F.txt:2: the number 1 is listed twice",
        ),
        (
            "Pair_list_F.txt",
            lambda text: "nonsense\n" + text,
            "cfp/Protocol/Pair_list_F.txt:1: expected `number path`, got 'nonsense'",
        ),
        (
            "Split/FF/01/same.txt",
            lambda text: "1;2\n",
            "cfp/Protocol/Split/FF/01/same.txt:1: expected two numbers, `3,7`; got '1;2'",
        ),
        (
            "Split/FF/01/same.txt",
            lambda text: "1,999\n",
            "cfp/Protocol/Split/FF/01/same.txt:1: the number 999 is not in Pair_list_F.txt, which "
            "has 18",
        ),
        (
            "Split/FF/02/diff.txt",
            lambda text: text.splitlines()[0],
            "cfp/Protocol/Split/FF/02: expected as many pairs in same.txt and diff.txt as in those "
            "of the first fold (2), got 2 and 1. The lists are incomplete",
        ),
        (
            "Split/FF/01/diff.txt",
            lambda text: "1,2\n1,2\n",
            "cfp/Protocol/Split/FF/01: a pair of diff.txt is of the person '001' and of '001'; the "
            "numbered list belongs to other pairs",
        ),
    ],
)
def test_inconsistent_lists_of_cfp_are_errors(sets, file, change, message):
    path = sets / "cfp/Protocol" / file
    path.write_text(change(path.read_text()))
    refused(lambda: read_cfp(sets / "cfp", Faces.FRONTAL_FRONTAL), message)


def test_a_gap_between_folds_is_an_error(sets):
    (sets / "cfp/Protocol/Split/FF/01").rename(sets / "cfp/Protocol/Split/FF/03")
    refused(
        lambda: read_cfp(sets / "cfp", Faces.FRONTAL_FRONTAL),
        "cfp/Protocol/Split/FF: expected folders 01, 02, ... for two folds or more, got 02, 03",
    )


def lfw(sets, **options):
    return LFW(images=sets / "lfw", **{"fold_count": 2, "fold_pairs": 2, **options})


def test_strict_expects_the_official_numbers(sets):
    lfw(sets).verify()
    refused(
        LFW(images=sets / "lfw").verify,
        "lfw: expected 10 folds of 300 + 300 pairs, got View 2, 2 folds of 2 + 2 pairs. Complete "
        "the lists, or set `fold_count` and `fold_pairs` of the set, or `mode: compatible`",
    )
    LFW(images=sets / "lfw", mode=Mode.COMPATIBLE).verify()
    with pytest.raises(DataError, match="cfp: expected 10 folds of 350"):
        CFP(images=sets / "cfp").verify()


def test_missing_files_are_counted_and_named(sets):
    first = read_lfw(sets / "lfw").pictures[0]
    first.source.unlink()
    refused(
        lfw(sets).verify,
        f"lfw: 1 picture cannot be used: {first.name} is missing. The set is incomplete. Complete "
        f"it, or set `count_failures: true` to count them as never matched",
    )
    lfw(sets, count_failures=True).verify()
    lfw(sets, mode=Mode.COMPATIBLE).verify()
    with pytest.raises(DataError, match="1 picture cannot be used"):
        lfw(sets, mode=Mode.COMPATIBLE, count_failures=False).verify()


def test_a_file_that_no_pair_names_may_be_missing(sets):
    pairs = read_cfp(sets / "cfp", Faces.FRONTAL_FRONTAL)
    unused = next(p for i, p in enumerate(pairs.pictures) if i not in pairs.used())
    unused.source.unlink()
    CFP(images=sets / "cfp", faces=(Faces.FRONTAL_FRONTAL,), fold_count=2, fold_pairs=2).verify()
