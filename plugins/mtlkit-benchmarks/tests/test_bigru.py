"""The backbone `bigru`."""

import pytest
import torch
from mtlkit_benchmarks.bigru import BiGRU

from mtlkit.data import InputSpec
from mtlkit.plugins import AssemblyError

IDS = InputSpec(shape=(5,), dtype="int64", vocabulary=9)
MASK = InputSpec(shape=(5,), dtype="bool")


def test_features_are_those_of_torchs_bidirectional_gru_of_packed_sequences():
    module = BiGRU(embedding=4, width=3).build({"ids": IDS, "mask": MASK}).eval()
    peer = torch.nn.GRU(4, 3, batch_first=True, bidirectional=True)
    for suffix, own in (("", module.onward), ("_reverse", module.backward_)):
        for name, values in own.named_parameters():
            getattr(peer, name + suffix).data.copy_(values)
    lengths = torch.tensor([5, 2])
    mask, ids = torch.arange(5) < lengths[:, None], torch.randint(9, (2, 5))
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        module.embeddings[0](ids), lengths, batch_first=True
    )
    expected, _ = torch.nn.utils.rnn.pad_packed_sequence(peer(packed)[0], batch_first=True)
    torch.testing.assert_close(module({"ids": ids, "mask": mask}), expected)


@pytest.mark.parametrize(
    ("inputs", "fault"),
    [
        (IDS, "got inputs one tensor, expected ids and 'mask' by name"),
        ({"ids": IDS}, "got inputs ids, expected ids and 'mask' by name"),
        ({"x": MASK, "mask": MASK}, r"x: got samples of shape \(5,\) and vocabulary None"),
    ],
)
def test_other_inputs_are_refused(inputs, fault):
    with pytest.raises(AssemblyError, match=fault):
        BiGRU().build(inputs)
