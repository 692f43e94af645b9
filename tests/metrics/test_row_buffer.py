"""Rows of batches are kept in order, with their type and width."""

import pytest
import torch

from mtlkit.metrics.row_buffer import RowBuffer


@pytest.mark.parametrize("dtype", [torch.float32, torch.int8, torch.int32])
@pytest.mark.parametrize("width", [(), (3,)])
def test_rows_are_those_of_all_batches(dtype, width):
    batches = [torch.arange(12).view(-1, *width).to(dtype)[:size] for size in (2, 0, 4, 1)]
    buffer = RowBuffer()
    assert not buffer
    for batch in batches:
        buffer.append(batch)
        assert buffer.rows()[len(buffer) - len(batch) :].equal(batch)
    other = RowBuffer()
    other.append(batches[2] + 1)
    buffer.extend(other)
    expected = torch.cat([*batches, batches[2] + 1])
    assert buffer.rows().equal(expected)
    assert buffer.rows().dtype == dtype
    empty = RowBuffer()
    empty.extend(buffer)
    assert empty.rows().equal(expected)


def test_rows_of_a_transposed_batch_are_in_its_order():
    batch = torch.arange(6.0).view(2, 3).T
    buffer = RowBuffer()
    buffer.append(batch)
    assert buffer.rows().equal(batch)


def test_a_buffer_of_empty_batches_has_their_type_and_width():
    buffer = RowBuffer()
    buffer.append(torch.zeros(0, 3, dtype=torch.int8))
    assert not buffer
    assert buffer.rows().shape == (0, 3)
    for other in (torch.zeros(2, 3), torch.zeros(2, 4, dtype=torch.int8)):
        with pytest.raises(ValueError, match=r"expected torch.int8 of \(N, 3\)"):
            buffer.append(other)
    with pytest.raises(ValueError, match=r"rows: got no batch, expected at least one `append`"):
        RowBuffer().rows()
