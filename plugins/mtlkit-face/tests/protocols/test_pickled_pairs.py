"""`.bin` sets: readable from every pickle protocol, and never executed."""

import io
import os
import pickle
import pickletools
import re
import struct
import subprocess
import tracemalloc

import numpy as np
import pytest
from mtlkit_face.protocols.mode import Mode
from mtlkit_face.protocols.pairs import guarded_pickle, verification_bin
from mtlkit_face.protocols.pairs.verification_bin import VerificationBin, read_pickled_pairs

from mtlkit.plugins import DataError

IMAGES = [bytes([65 + i]) * (300 if i == 1 else 3) for i in range(8)]
SAME = [True, False, True, False]
EXPECTED = [(IMAGES[2 * i], IMAGES[2 * i + 1]) for i in range(4)]


def written(tmp_path, content):
    path = tmp_path / "a.bin"
    path.write_bytes(content)
    return path


def pairs_of(pairs):
    contents = [picture.source for picture in pairs.pictures]
    return [(contents[a], contents[b]) for a, b in zip(pairs.first, pairs.second, strict=True)]


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("wrap", [list, tuple])
def test_every_protocol_of_pickle_is_read(tmp_path, protocol, wrap):
    path = written(tmp_path, pickle.dumps((wrap(IMAGES), wrap(SAME)), protocol))
    pairs = read_pickled_pairs(path, 2)
    assert pairs_of(pairs) == EXPECTED
    assert pairs.same.tolist() == SAME
    assert pairs.fold.tolist() == [0, 0, 1, 1]
    assert pairs.person is None


@pytest.mark.parametrize("protocol", range(6))
def test_arrays_of_numpy_are_read_without_numpy(tmp_path, protocol, monkeypatch):
    arrays = [np.frombuffer(image, np.uint8).copy() for image in IMAGES]
    path = written(tmp_path, pickle.dumps((arrays, np.array(SAME)), protocol))
    monkeypatch.setattr(np, "ndarray", None)  # no name of numpy's is looked up
    pairs = read_pickled_pairs(path, 2)
    monkeypatch.undo()
    assert pairs_of(pairs) == EXPECTED
    assert pairs.same.tolist() == SAME


def test_a_file_of_python_2_is_read(tmp_path):
    """Strings of Python 2 are bytes: opcode U, and truth values are the numbers I01 and I00."""
    strings = b"".join(b"U" + bytes([len(i)]) + i for i in IMAGES if len(i) < 256)
    longer = b"T" + struct.pack("<i", 300) + IMAGES[1]
    first, rest = b"U" + bytes([3]) + IMAGES[0], strings[5:]
    truths = b"".join(b"I01\n" if same else b"I00\n" for same in SAME)
    content = b"\x80\x02](" + first + longer + rest + b"e](" + truths + b"e\x86."
    assert pairs_of(read_pickled_pairs(written(tmp_path, content), 2)) == EXPECTED


class Evil:
    """Runs a command when it is unpickled."""

    def __init__(self, function, *arguments):
        self.reduced = function, arguments

    def __reduce__(self):
        return self.reduced


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    ("function", "arguments", "named"),
    [
        (os.system, ("touch TRACE",), f"{os.name}.system"),
        (eval, ("open('TRACE', 'w')",), "builtins.eval"),
        (subprocess.Popen, (["touch", "TRACE"],), "subprocess.Popen"),
        (getattr, (pickle, "loads"), "builtins.getattr"),
        (np.load, ("TRACE",), "numpy.load"),
    ],
)
def test_whatever_else_a_file_names_is_refused_and_not_run(
    tmp_path, monkeypatch, protocol, function, arguments, named
):
    monkeypatch.chdir(tmp_path)
    if function is getattr:
        arguments = ("", "join")
    evil = pickle.dumps(([Evil(function, *arguments)], SAME), protocol)
    with pytest.raises(DataError) as caught:
        read_pickled_pairs(written(tmp_path, evil))
    if protocol < 3:  # which write the names of Python 2
        named = named.replace("builtins", "__builtin__").replace("subprocess", "commands")
    assert str(caught.value) == (
        f"{tmp_path}/a.bin: names {named}, which a set of image bytes does not need. Nothing "
        f"was executed; do not trust the file, and download it from its publisher"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]


OTHER = [
    (b"cos\nsystem\n(S'touch TRACE'\ntR.", "names os.system"),
    (b"(S'touch TRACE'\nios\nsystem\n.", "the pickle instruction INST creates more"),
    (b"(cos\nsystem\nS'touch TRACE'\no.", "names os.system"),
    (b"Pa name\n.", "the pickle instruction PERSID creates more"),
    (b"\x80\x02\x82\x01.", "the pickle instruction EXT1 creates more"),
    (b"\x80\x04}\x94.", "the pickle instruction EMPTY_DICT creates more"),
    (b"\x80\x04\x8f\x94.", "the pickle instruction EMPTY_SET creates more"),
    (b"\x80\x05\x97.", "the pickle instruction NEXT_BUFFER creates more"),
]


@pytest.mark.parametrize(("content", "message"), OTHER)
def test_other_instructions_are_refused(tmp_path, content, message):
    with pytest.raises(DataError, match=re.escape(message)):
        read_pickled_pairs(written(tmp_path, content))


def test_the_unpickler_alone_would_refuse_as_well(tmp_path):
    """The second check works without the first."""
    path = tmp_path / "a.bin"
    guarded = guarded_pickle._Guarded(path, io.BytesIO(b"cos\nsystem\n."))
    with pytest.raises(DataError, match=r"names os\.system"):
        guarded.load()
    with pytest.raises(pickle.UnpicklingError, match="persistent"):
        guarded_pickle._Guarded(path, io.BytesIO(b"Pa name\n.")).load()


def test_no_stand_in_is_a_function_of_another_module():
    for stand_in in guarded_pickle.ADMITTED.values():
        assert stand_in.__module__ == guarded_pickle.__name__


def test_only_latin1_is_an_encoding_of_bytes(tmp_path):
    content = pickle.dumps((IMAGES, SAME), 2).replace(b"latin1", b"base64")
    with pytest.raises(DataError, match=r"has bytes in the encoding 'base64'; expected latin1"):
        read_pickled_pairs(written(tmp_path, content))


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x04\x8e" + struct.pack("<Q", 1 << 50) + b"x.",  # BINBYTES8 of a petabyte
        b"\x80\x03B" + struct.pack("<I", 0xFFFFFFFF) + b"x.",
        pickle.dumps((IMAGES, SAME), 4)[:-20],
        b"",
        b"\x80\x04.",
        b"not a pickle at all",
        b"\x80\x63.",
    ],
)
def test_a_damaged_file_is_an_error_without_filling_the_memory(tmp_path, content):
    with pytest.raises(DataError, match=r"a\.bin: (is not a complete pickle|byte)"):
        read_pickled_pairs(written(tmp_path, content))


def test_a_memo_that_would_fill_the_memory_is_refused(tmp_path):
    content = b"\x80\x02]r" + struct.pack("<I", 0xFFFFFFF0) + b"."
    with pytest.raises(DataError, match=r"byte 3: stores a value as number 4294967280, of 2"):
        read_pickled_pairs(written(tmp_path, content))


NESTED = b"]" + b"2\x86" * 40  # DUP, TUPLE2: a pair of a pair of ..., 2 ** 40 lists if written out


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00a" + NESTED + b"\x86R.",
            "has bytes in the encoding tuple; expected latin1",
        ),
        (
            b"\x80\x03(cnumpy.core.numeric\n_frombuffer\nC\x01a" + NESTED + b"\x86R]t.",
            "expected a list of encoded images, got an array of tuple",
        ),
        (
            b"\x80\x03](cnumpy.core.numeric\n_frombuffer\nC\x01a" + NESTED + b"\x86Re]\x86.",
            "image 0: expected encoded bytes, got an array of tuple",
        ),
        (
            b"\x80\x03](cnumpy.core.numeric\n_frombuffer\nC\x01acnumpy\ndtype\n"
            + NESTED + b"\x85R\x86Re]\x86.",
            "image 0: expected encoded bytes, got an array of tuple",
        ),
        (b"\x80\x03](" + NESTED + b"e]\x86.", "image 0: expected encoded bytes, got 2 values"),
        (b"\x80\x03](c" + b"a" * 9000 + b"\n" + b"b" * 9000 + b"\ne.", f"{'a' * 40}.{'b' * 40},"),
        (
            pickle.dumps((["a" * 9000], SAME)),
            f"image 0: expected encoded bytes, got str '{'a' * 40}'",
        ),
    ],
)  # fmt: skip
def test_a_message_is_short_whatever_a_file_nests(tmp_path, content, message):
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        read_pickled_pairs(written(tmp_path, content))
    assert len(str(caught.value)) < 400 + len(str(tmp_path))


def test_a_giant_file_is_not_opened(tmp_path, monkeypatch):
    monkeypatch.setattr(guarded_pickle, "MAX_BYTES", 100)
    path = written(tmp_path, pickle.dumps((IMAGES, SAME)))
    with pytest.raises(DataError, match=r"has \d+ bytes; expected at most 100"):
        read_pickled_pairs(path)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (IMAGES, "expected two lists, of images and of whether pairs match, got 8 values"),
        ((IMAGES, SAME[:3]), "expected two images for each pair and 2 pairs or more, got 8 "
                             "images for 3 pairs"),
        ((IMAGES[:2], SAME[:1]), "expected two images for each pair and 2 pairs or more, got 2 "
                                 "images for 1 pairs"),
        ((["text"] * 8, SAME), "image 0: expected encoded bytes, got str 'text'"),
        (([[1]] * 8, SAME), "image 0: expected encoded bytes, got 1 values"),
        (([np.zeros(3)] * 8, SAME), "image 0: expected encoded bytes, got an array of 'f8'"),
        ((7, SAME), "expected a list of encoded images, got int '7'"),
        ((IMAGES, 7), "expected a list of truth values, got int '7'"),
        ((IMAGES, [True, 2, True, True]), "pair 1: expected True or False for a match, "
                                          "got int '2'"),
        ((IMAGES, [True, None, True, True]), "pair 1: expected True or False for a match, "
                                             "got NoneType 'None'"),
        (([b"x" * 99] * 8, SAME), "image 0: has 99 bytes; expected an encoded face of at most 50"),
    ],
)  # fmt: skip
def test_other_contents_are_errors(tmp_path, monkeypatch, value, message):
    if "at most 50" in message:
        monkeypatch.setattr(verification_bin, "MAX_IMAGE_BYTES", 50)
    path = written(tmp_path, pickle.dumps(value))
    with pytest.raises(DataError) as caught:
        read_pickled_pairs(path, 2)
    assert str(caught.value) == f"{path}: {message}"


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(DataError, match=r"is missing; expected a set of pairs"):
        read_pickled_pairs(tmp_path / "a.bin")


def test_folds_are_those_of_cross_validation_without_shuffling(tmp_path):
    from sklearn.model_selection import KFold

    same = [True, False] * 6 + [True]
    path = written(tmp_path, pickle.dumps(([b"x"] * 26, same)))
    pairs = read_pickled_pairs(path, 4)
    for fold, (_, test) in enumerate(KFold(4).split(same)):
        assert np.flatnonzero(pairs.fold == fold).tolist() == test.tolist()
    with pytest.raises(DataError, match="13 pairs do not divide into 4 equal folds"):
        VerificationBin(file=path, fold_count=4).verify()
    VerificationBin(file=path, fold_count=4, mode=Mode.COMPATIBLE).verify()


def test_a_fold_of_one_kind_is_refused_in_strict_mode(tmp_path):
    path = written(tmp_path, pickle.dumps((IMAGES, [True, True, False, False])))
    with pytest.raises(DataError, match="the fold 1 of 2 has pairs of one kind only"):
        VerificationBin(file=path, fold_count=2).verify()
    VerificationBin(file=path, fold_count=2, mode=Mode.COMPATIBLE).verify()
    path = written(tmp_path, pickle.dumps((IMAGES, [True] * 4)))
    with pytest.raises(DataError, match="all pairs are of one kind"):
        VerificationBin(file=path, fold_count=2, mode=Mode.COMPATIBLE).verify()


def test_an_image_without_bytes_is_missing(tmp_path):
    path = written(tmp_path, pickle.dumps(([b"", *IMAGES[1:]], SAME)))
    with pytest.raises(DataError, match="1 picture cannot be used: pair 1, image 1 is missing"):
        VerificationBin(file=path, fold_count=2).verify()


def test_reading_takes_little_more_than_the_file(tmp_path):
    """No image is decoded, and none is held twice."""
    random = np.random.default_rng(0)
    content = pickle.dumps(([random.bytes(7_000) for _ in range(400)], [True, False] * 100), 4)
    path = written(tmp_path, content)
    tracemalloc.start()
    pairs = read_pickled_pairs(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(content) < peak < 1.2 * len(content)
    assert len(pairs) == 200


def test_every_admitted_instruction_exists():
    known = {opcode.name for opcode in pickletools.opcodes}
    assert known >= guarded_pickle._PLAIN
    assert not guarded_pickle._PLAIN & {"INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "EXT1", "PERSID"}
