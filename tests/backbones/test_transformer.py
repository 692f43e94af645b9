"""The transformer ignores padding, has the published positions, and refuses long sequences."""

import math

import pytest
import torch

from mtlkit.backbones import TokenFeatures, Transformer
from mtlkit.backbones.transformer import sinusoids
from mtlkit.data import InputSpec
from mtlkit.errors import AssemblyError, DataError

IDS = InputSpec(shape=(8,), dtype="int64", vocabulary=30)
MASK = InputSpec(shape=(8,), dtype="bool")
SMALL = Transformer(width=16, layers=2, heads=2, feedforward=32, max_length=8)


@pytest.mark.parametrize("positions", ["learned", "sinusoidal"])
def test_padding_changes_nothing(positions):
    config = Transformer(
        width=16, layers=2, heads=2, feedforward=32, max_length=8, positions=positions
    )
    backbone = config.build({"ids": IDS, "mask": MASK}).eval()
    ids = torch.randint(30, (1, 5))
    short = backbone({"ids": ids, "mask": torch.ones(1, 5, dtype=torch.bool)})
    padded = torch.nn.functional.pad(ids, (0, 3), value=7)
    long = backbone({"ids": padded, "mask": torch.arange(8).unsqueeze(0) < 5})
    torch.testing.assert_close(long[:, :5], short)
    assert (long[:, 5:] == 0).all()
    torch.testing.assert_close(backbone(ids), short)  # without a mask every token counts


def test_a_sequence_of_padding_alone_is_zero():
    backbone = SMALL.build({"ids": IDS, "mask": MASK}).train()
    ids = torch.randint(30, (2, 8))
    features = backbone({"ids": ids, "mask": torch.tensor([[True] * 8, [False] * 8])})
    assert (features[1] == 0).all()
    features.sum().backward()
    assert all(p.grad.isfinite().all() for p in backbone.parameters())


def test_the_order_of_tokens_matters():
    backbone = SMALL.build(IDS).eval()
    ids = torch.tensor([[1, 2, 3]])
    assert not torch.allclose(backbone(ids).sum(dim=1), backbone(ids.flip(1)).sum(dim=1))


def test_positions_are_those_of_the_paper():
    table = sinusoids(20, 6)
    for position in (0, 3, 19):
        for i in range(3):
            angle = position / 10_000 ** (2 * i / 6)
            assert table[position, 2 * i] == pytest.approx(math.sin(angle), abs=1e-6)
            assert table[position, 2 * i + 1] == pytest.approx(math.cos(angle), abs=1e-6)


def test_layers_start_from_different_weights():
    first, second = SMALL.build(IDS).encoder.layers
    assert not torch.equal(first.linear1.weight, second.linear1.weight)


def test_the_context_is_the_mask():
    backbone = SMALL.build({"ids": IDS, "mask": MASK})
    mask = torch.tensor([[True, False]])
    assert backbone.context({"ids": torch.zeros(1, 2), "mask": mask})["mask"].equal(mask)
    assert backbone.context(torch.zeros(1, 2)) == {}
    assert backbone.features == TokenFeatures(width=16)


LONG = (
    "transformer: got a sequence of 9 tokens, expected at most 8; raise `backbone.max_length`, or "
    "shorten the sequences"
)


def test_long_sequences_are_refused_when_the_data_is_read_and_when_they_come():
    with pytest.raises(AssemblyError) as caught:
        SMALL.build(InputSpec(shape=(9,), dtype="int64", vocabulary=30))
    assert str(caught.value) == LONG
    with pytest.raises(DataError) as later:
        SMALL.build(IDS)(torch.zeros(1, 9, dtype=torch.int64))
    assert str(later.value) == LONG


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (
            InputSpec(shape=(4,)),
            "transformer: got inputs of shape (4,) and vocabulary None, expected token ids (L,) of "
            "a vocabulary; state its size in the data source",
        ),
        (
            {"words": IDS},
            "transformer: got inputs named words, expected 'ids' and, for padded sequences, 'mask'",
        ),
        (
            {"ids": IDS, "extra": IDS},
            "transformer: got inputs named ids, extra, expected 'ids' and, for padded sequences, "
            "'mask'",
        ),
    ],
)
def test_other_inputs_are_refused(inputs, message):
    with pytest.raises(AssemblyError) as caught:
        SMALL.build(inputs)
    assert str(caught.value) == message


def test_heads_divide_the_width():
    with pytest.raises(ValueError, match="heads: expected a divisor of the width 16, got 3"):
        Transformer(width=16, heads=3)
