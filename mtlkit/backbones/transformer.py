"""A transformer encoder for sequences of token ids.

Paper: Ashish Vaswani, Noam Shazeer, Niki Parmar, Jakob Uszkoreit, Llion Jones, Aidan N. Gomez,
Lukasz Kaiser and Illia Polosukhin, "Attention Is All You Need", NeurIPS 2017; with the layer
normalization before each sublayer (Xiong et al., ICML 2020).
"""

import math
from collections.abc import Mapping
from typing import Any

import attrs
import torch
from torch import Tensor, nn

from mtlkit.backbones.base import Backbone, BackboneModule
from mtlkit.component import at_least, between, one_of
from mtlkit.errors import AssemblyError, DataError
from mtlkit.features.base import Context, FeatureSpec
from mtlkit.features.inputs import Batch, InputSpec, InputSpecs
from mtlkit.features.tokens import MASK, TokenFeatures

IDS = "ids"
"""Name of the token ids (N, L) in inputs of several tensors."""


@attrs.frozen(kw_only=True)
class Transformer(Backbone):
    """A transformer encoder for token ids (Vaswani et al., NeurIPS 2017).

    Inputs are ids (N, L), or several tensors: `ids` (N, L) and a boolean `mask` (N, L), which is
    False for padding. `heads` divides `width`. `positions` are learned, or sinusoidal (section
    3.5). Sequences have at most `max_length` tokens.
    """

    width: int = attrs.field(default=128, validator=at_least(1))
    layers: int = attrs.field(default=2, validator=at_least(1))
    heads: int = attrs.field(default=4, validator=at_least(1))
    feedforward: int = attrs.field(default=256, validator=at_least(1))
    dropout: float = attrs.field(default=0.1, validator=between(0, 1))
    positions: str = attrs.field(default="learned", validator=one_of("learned", "sinusoidal"))
    max_length: int = attrs.field(default=512, validator=at_least(1))

    @heads.validator
    def _divides_width(self, _: "attrs.Attribute[int]", value: Any) -> None:
        if self.width % value:
            raise ValueError(f"heads: expected a divisor of the width {self.width}, got {value!r}")

    @property
    def gives(self) -> type[FeatureSpec]:
        return TokenFeatures

    def build(self, inputs: InputSpecs) -> "BackboneModule":
        return TransformerBackbone(self, _ids_of(self, inputs))


class TransformerBackbone(BackboneModule):
    """Maps token ids (N, L) to features (N, L, width); those of padding are 0.

    >>> ids = InputSpec(shape=(10,), dtype="int64", vocabulary=50)
    >>> TransformerBackbone(Transformer(width=16), ids).features
    TokenFeatures(width=16)
    """

    positions: Tensor

    def __init__(self, config: Transformer, ids: InputSpec) -> None:
        super().__init__()
        assert ids.vocabulary is not None
        self.embedding = nn.Embedding(ids.vocabulary, config.width)
        nn.init.normal_(self.embedding.weight, std=config.width**-0.5)
        self.scale = math.sqrt(config.width)
        if config.positions == "learned":
            self.positions = nn.Parameter(torch.randn(config.max_length, config.width) * 0.02)
        else:
            table = sinusoids(config.max_length, config.width)
            self.register_buffer("positions", table, persistent=False)
        self.dropout = nn.Dropout(config.dropout)
        layer = nn.TransformerEncoderLayer(
            config.width,
            config.heads,
            config.feedforward,
            config.dropout,
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        self.encoder = nn.TransformerEncoder(
            layer, config.layers, norm=nn.LayerNorm(config.width), enable_nested_tensor=False
        )
        for parameter in self.encoder.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)  # the layers are copies of one
        self.features = TokenFeatures(width=config.width)

    def forward(self, inputs: Batch) -> Tensor:
        ids, mask = _ids_and_mask(inputs)
        length, limit = ids.shape[1], len(self.positions)
        if length > limit:
            raise DataError(_too_long(length, limit))
        embedded = self.embedding(ids) * self.scale + self.positions[:length]
        embedded = self.dropout(embedded)
        if mask is None:
            whole: Tensor = self.encoder(embedded)
            return whole
        # a sequence of padding alone would attend to nothing, which is NaN
        hidden = ~mask & mask.any(dim=1, keepdim=True)
        features: Tensor = self.encoder(embedded, src_key_padding_mask=hidden)
        return features * mask.unsqueeze(-1)

    def context(self, inputs: Batch) -> Context:
        _, mask = _ids_and_mask(inputs)
        return {} if mask is None else {MASK: mask}


def sinusoids(length: int, width: int) -> Tensor:
    """Return the positions (L, D) of section 3.5: sines at even columns, cosines at odd ones.

    >>> sinusoids(2, 2)[0].tolist()
    [0.0, 1.0]
    """
    column = torch.arange(0, width, 2, dtype=torch.float64)
    angle = torch.arange(length).unsqueeze(1) / 10_000 ** (column / width)
    table = torch.stack([angle.sin(), angle.cos()], dim=2).flatten(1)
    return table[:, :width].float()


def _ids_and_mask(inputs: Batch) -> tuple[Tensor, Tensor | None]:
    if isinstance(inputs, Tensor):
        return inputs, None
    mask = inputs.get(MASK)
    return inputs[IDS], None if mask is None else mask.bool()


def _ids_of(config: Transformer, inputs: InputSpecs) -> InputSpec:
    """Return the spec of the ids. Raises `AssemblyError` if there are none, or too long ones."""
    if isinstance(inputs, Mapping):
        unread = [name for name in inputs if name not in (IDS, MASK)]
        if IDS not in inputs or unread:
            raise AssemblyError(
                f"transformer: got inputs named {', '.join(inputs)}, expected {IDS!r} and, for "
                f"padded sequences, {MASK!r}"
            )
        inputs = inputs[IDS]
    if inputs.vocabulary is None or len(inputs.shape) != 1:
        raise AssemblyError(
            f"transformer: got inputs of shape {inputs.shape} and vocabulary {inputs.vocabulary}, "
            f"expected token ids (L,) of a vocabulary; state its size in the data source"
        )
    if inputs.shape[0] > config.max_length:
        raise AssemblyError(_too_long(inputs.shape[0], config.max_length))
    return inputs


def _too_long(length: int, limit: int) -> str:
    return (
        f"transformer: got a sequence of {length} tokens, expected at most {limit}; raise "
        f"`backbone.max_length`, or shorten the sequences"
    )
