"""Files of tensors are those of safetensors, and are read by rows."""

import pytest
import torch
from safetensors.torch import load_file, save

from mtlkit.checksums import file_checksum
from mtlkit.errors import RunError
from mtlkit.training import tensor_files
from mtlkit.training.tensor_files import DTYPES, StoredTensors, write_tensors


@pytest.fixture
def tensors():
    values = torch.arange(24).reshape(2, 3, 4)
    result = {f'é"{number}': values.to(dtype) for number, dtype in enumerate(DTYPES)}
    return {
        **result,
        "scalar": torch.tensor(3.0),
        "count": torch.tensor(5),
        "empty": torch.zeros(0, 4),
        "image": torch.rand(4, 3, 5, 5).to(memory_format=torch.channels_last),
        "columns": torch.rand(6, 8)[:, ::2],
    }


@pytest.mark.parametrize(("piece", "large"), [(1, 0), (50, 2**30), (2**24, 0)])
def test_the_bytes_are_those_of_the_library(tmp_path, tensors, monkeypatch, piece, large):
    monkeypatch.setattr(tensor_files, "PIECE", piece)
    monkeypatch.setattr(tensor_files, "LARGE", large)
    path = tmp_path / "a"
    assert write_tensors(path, tensors) == file_checksum(path)
    assert path.read_bytes() == save({key: value.contiguous() for key, value in tensors.items()})


@pytest.mark.parametrize("large", [0, 2**30])
def test_a_file_that_cannot_be_synced_is_an_error(tmp_path, tensors, monkeypatch, large):
    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tensor_files, "LARGE", large)
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_tensors(tmp_path / "a", tensors)


def test_tensors_that_share_memory_are_written_each(tmp_path):
    weight = torch.rand(3)
    write_tensors(tmp_path / "a", {"one": weight, "other": weight})
    assert all(value.equal(weight) for value in load_file(tmp_path / "a").values())


@pytest.mark.parametrize(
    "value", [torch.zeros(1, dtype=torch.complex128), torch.eye(2).to_sparse()]
)
def test_what_the_format_lacks_is_refused(tmp_path, value):
    with pytest.raises(RunError, match=r"state.x: got a tensor of torch\..* which a file cannot"):
        write_tensors(tmp_path / "a", {"state.x": value})
    assert not (tmp_path / "a").exists()


def test_rows_are_read_from_all_files(tmp_path):
    whole = torch.arange(16).reshape(8, 2)
    spans = {"c": (7, 8), "a": (0, 5), "b": (5, 7), "d": (8, 8)}
    for name, (start, stop) in spans.items():
        write_tensors(tmp_path / name, {"x": whole[start:stop]})
    write_tensors(tmp_path / "e", {"y": whole})
    files = [(tmp_path / name, {"x": start}) for name, (start, _) in spans.items()]
    stored = StoredTensors([*files, (tmp_path / "e", {})])
    assert set(stored) == {"x", "y"}
    for name in stored:
        assert stored[name].equal(whole)
        assert stored.shape(name) == whole.shape
        for start in range(9):
            for stop in range(start, 9):
                assert stored.rows(name, start, stop).equal(whole[start:stop]), (start, stop)
