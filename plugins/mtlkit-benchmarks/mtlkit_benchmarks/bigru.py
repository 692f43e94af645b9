"""A bidirectional GRU for sequences of token ids.

Paper: Kyunghyun Cho, Bart van Merrienboer, Caglar Gulcehre, Dzmitry Bahdanau, Fethi Bougares,
Holger Schwenk and Yoshua Bengio, "Learning Phrase Representations using RNN Encoder-Decoder for
Statistical Machine Translation", EMNLP 2014.
"""

from collections.abc import Mapping

import attrs
import torch
from torch import Tensor, nn

from mtlkit.backbones import (
    Backbone,
    BackboneModule,
    Batch,
    Context,
    FeatureSpec,
    InputSpecs,
    TokenFeatures,
)
from mtlkit.plugins import AssemblyError, at_least, between

MASK = "mask"


@attrs.frozen(kw_only=True)
class BiGRU(Backbone):
    """A GRU in each direction over the sum of the embeddings of one or several ids of each token.

    Inputs are tensors of ids (N, L), each with a vocabulary, and the boolean `mask` (N, L), which
    is False for padding at the end. Features have twice the `width`: the states of both directions.
    """

    embedding: int = attrs.field(default=64, validator=at_least(1))
    width: int = attrs.field(default=64, validator=at_least(1))
    dropout: float = attrs.field(default=0.3, validator=between(0, 1))

    @property
    def gives(self) -> type[FeatureSpec]:
        return TokenFeatures

    def build(self, inputs: InputSpecs) -> BackboneModule:
        if not isinstance(inputs, Mapping) or MASK not in inputs or len(inputs) < 2:
            named = ", ".join(inputs) if isinstance(inputs, Mapping) else "one tensor"
            raise AssemblyError(f"bigru: got inputs {named}, expected ids and {MASK!r} by name")
        sizes: dict[str, int] = {}
        for name, spec in inputs.items():
            if name == MASK:
                continue
            if spec.vocabulary is None or len(spec.shape) != 1:
                raise AssemblyError(
                    f"bigru: {name}: got samples of shape {spec.shape} and vocabulary "
                    f"{spec.vocabulary}, expected token ids (L,) of a vocabulary"
                )
            sizes[name] = spec.vocabulary
        return BiGRUModule(self, sizes)


class BiGRUModule(BackboneModule):
    """Map ids (N, L) by name to features (N, L, 2 width); those of padding are 0.

    >>> module = BiGRUModule(BiGRU(embedding=4, width=3), {"ids": 10})
    >>> mask = torch.ones(2, 5, dtype=torch.bool)
    >>> module({"ids": torch.zeros(2, 5, dtype=torch.int64), "mask": mask}).shape
    torch.Size([2, 5, 6])
    """

    def __init__(self, config: BiGRU, sizes: Mapping[str, int]) -> None:
        super().__init__()
        self.names = tuple(sizes)
        self.embeddings = nn.ModuleList(nn.Embedding(n, config.embedding) for n in sizes.values())
        self.dropout = nn.Dropout(config.dropout)
        self.onward = nn.GRU(config.embedding, config.width, batch_first=True)
        self.backward_ = nn.GRU(config.embedding, config.width, batch_first=True)
        self.features = TokenFeatures(width=2 * config.width)

    def forward(self, inputs: Batch) -> Tensor:
        assert isinstance(inputs, Mapping)
        mask = inputs[MASK].bool()
        parts = [
            table(inputs[name]) for name, table in zip(self.names, self.embeddings, strict=True)
        ]
        embedded = self.dropout(torch.stack(parts).sum(dim=0))
        order = reversal(mask)
        # padding is at the end in both orders, so that no state of a token depends on it
        onward, _ = self.onward(embedded)
        reverse, _ = self.backward_(_gathered(embedded, order))
        both = torch.cat([onward, _gathered(reverse, order)], dim=2)
        features: Tensor = self.dropout(both) * mask.unsqueeze(-1)
        return features

    def context(self, inputs: Batch) -> Context:
        assert isinstance(inputs, Mapping)
        return {MASK: inputs[MASK].bool()}


def reversal(mask: Tensor) -> Tensor:
    """Return the index (N, L) that reverses the tokens of each sequence and leaves its padding.

    >>> reversal(torch.tensor([[True, True, True, False]])).tolist()
    [[2, 1, 0, 3]]
    """
    place = torch.arange(mask.shape[1], device=mask.device).expand(mask.shape)
    return torch.where(mask, mask.sum(dim=1, keepdim=True) - 1 - place, place)


def _gathered(values: Tensor, order: Tensor) -> Tensor:
    return values.gather(1, order.unsqueeze(-1).expand_as(values))
