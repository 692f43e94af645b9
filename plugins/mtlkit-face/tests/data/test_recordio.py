"""RecordIO: what is written is read, in parts or whole, and damage is told with its place."""

import contextlib
import io
import pickle
import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mtlkit_face.data.recordio.container import MAGIC, RecordFile, RecordWriter, read_index

from mtlkit.plugins import DataError

WORD = struct.pack("<I", MAGIC)


def written(path, *payloads):
    with path.open("wb") as file:
        writer = RecordWriter(file)
        return [writer.write(payload) for payload in payloads]


PIECES = st.lists(st.sampled_from([WORD, b"\0", b"\x0a", b"face", b"\xce\xd7"]), max_size=12)


@given(payloads=st.lists(PIECES.map(b"".join), min_size=1, max_size=6))
def test_what_is_written_is_read(tmp_path_factory, payloads):
    path = tmp_path_factory.mktemp("r") / "a.rec"
    offsets = written(path, *payloads)
    file = RecordFile.open(path)
    assert [file.read(offset) for offset in offsets] == payloads
    assert list(file.records()) == list(zip(offsets, payloads, strict=True))
    assert [file.end(offset) for offset in offsets] == [*offsets[1:], file.size]


def test_the_bytes_are_those_of_the_format(tmp_path):
    """Marks, words and zeros by hand: whole records, and one in three parts."""
    whole = WORD + struct.pack("<I", 5) + b"hello" + bytes(3)
    first = WORD + struct.pack("<I", 1 << 29 | 4) + b"abcd"
    middle = WORD + struct.pack("<I", 2 << 29)
    last = WORD + struct.pack("<I", 3 << 29 | 1) + b"e" + bytes(3)
    path = tmp_path / "a.rec"
    written(path, b"hello", b"abcd" + WORD + WORD + b"e")
    assert path.read_bytes() == whole + first + middle + last
    # a mark that does not stand at a multiple of four is no end of a part
    assert written(path, b"a" + WORD) == [0]
    assert path.read_bytes() == WORD + struct.pack("<I", 5) + b"a" + WORD + bytes(3)


def test_the_beginning_of_a_record_is_had_alone(tmp_path):
    path = tmp_path / "a.rec"
    written(path, b"0123456789")
    assert RecordFile.open(path).read(0, 4) == b"0123"


def test_a_file_goes_to_other_processes(tmp_path):
    path = tmp_path / "a.rec"
    written(path, b"face")
    again = pickle.loads(pickle.dumps(RecordFile.open(path)))
    assert again.read(0) == b"face"


@pytest.mark.parametrize(
    ("content", "offset", "message"),
    [
        (b"JPEG" * 4, 0, "byte 0: got the magic number 4745504a, expected ced7230a"),
        (WORD + struct.pack("<I", 9) + b"face", 0,
         "byte 0: got a record of 9 bytes, but the file ends at 12"),
        (WORD + struct.pack("<I", 4) + b"face", 12,
         "byte 12: the offset is outside of the file of 12 bytes; expected a record"),
        (WORD + struct.pack("<I", 4) + b"face", -8,
         "byte -8: the offset is outside of the file of 12 bytes; expected a record"),
        (WORD + struct.pack("<I", 5 << 29), 0,
         "byte 0: got the part number 5, expected 0 to 3"),
        (WORD + struct.pack("<I", 3 << 29), 0,
         "byte 0: got a later part of a record, expected the first one"),
        (WORD + struct.pack("<I", 1 << 29) + WORD + struct.pack("<I", 0), 0,
         "byte 8: got a new record, expected a further part of one"),
        (WORD + struct.pack("<I", 1 << 29), 0,
         "byte 8: the offset is outside of the file of 8 bytes; expected a record"),
        (WORD + struct.pack("<I", 2**29 - 1), 0,
         "byte 0: got a record of 536870911 bytes, expected 67108864 at most"),
    ],
)  # fmt: skip
def test_damage_is_told_with_file_and_offset(tmp_path, content, offset, message):
    path = tmp_path / "a.rec"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        RecordFile.open(path).read(offset)
    assert str(caught.value) == (
        f"{path}, {message}; the file is damaged or truncated, copy it again"
    )


def test_no_damage_goes_unnoticed_or_is_another_error(tmp_path):
    """Any byte changed: the payload changes, or it is a DataError; nothing else is raised."""
    path = tmp_path / "a.rec"
    written(path, b"ab" + WORD, b"cd" + WORD + b"xyzw", b"")
    good = path.read_bytes()
    chance = random.Random(0)
    for place in range(len(good)):
        bad = bytearray(good)
        bad[place] ^= 1 << chance.randrange(8)
        path.write_bytes(bad)
        with contextlib.suppress(DataError):
            list(RecordFile.open(path).records())
    for length in range(1, len(good)):
        path.write_bytes(good[:length])
        try:
            found = list(RecordFile.open(path).records())
        except DataError:
            continue
        assert len(found) < 3  # cut between two records, which only an index can tell


def test_an_empty_or_missing_file(tmp_path):
    (tmp_path / "a.rec").touch()
    with pytest.raises(DataError, match=r"a\.rec: is empty \(0 bytes\); expected a RecordIO file"):
        RecordFile.open(tmp_path / "a.rec")
    with pytest.raises(DataError, match=r"b\.rec: cannot be read: No such file"):
        RecordFile.open(tmp_path / "b.rec")


def test_a_payload_too_large_is_not_written(monkeypatch):
    monkeypatch.setattr("mtlkit_face.data.recordio.container.MAX_LENGTH", 3)
    with pytest.raises(ValueError, match="payload: got 4 bytes, expected 3 at most"):
        RecordWriter(io.BytesIO()).write(b"face")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0\t0\n1 x\n", ":2: got '1 x', expected a key and an offset"),
        ("0\t0\n\n", ":2: got '', expected a key and an offset"),
        ("0\t0\n0\t8\n", ":2: the key 0 is already listed"),
        ("", ": is empty; expected lines of a key and an offset"),
    ],
)
def test_an_index_that_is_none(tmp_path, text, message):
    path = tmp_path / "a.idx"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        read_index(path)
    assert str(caught.value) == f"{path}{message}"
