"""Embeddings of categorical fields and numbers, and fully connected layers, for recommendation.

Paper: Jiaqi Ma, Zhe Zhao, Xinyang Yi, Jilin Chen, Lichan Hong and Ed H. Chi, "Modeling Task
Relationships in Multi-task Learning with Multi-gate Mixture-of-Experts", KDD 2018 (the bottom of
its networks).
"""

from collections.abc import Mapping

import attrs
import torch
from torch import Tensor, nn

from mtlkit.backbones import Backbone, BackboneModule, Batch, InputSpecs, VectorFeatures
from mtlkit.plugins import AssemblyError, at_least, between, each

IDS, NUMBERS = "ids", "numbers"


@attrs.frozen(kw_only=True)
class FieldEmbedding(Backbone):
    """An embedding of each id, a linear map of the numbers, and layers of the widths `hidden`.

    Inputs are `ids` (N, F) of one vocabulary and `numbers` (N, P). Without `hidden` the features
    are the embeddings, of width (F + 1) `embedding`.
    """

    embedding: int = attrs.field(default=128, validator=at_least(1))
    hidden: tuple[int, ...] = attrs.field(default=(), validator=each(at_least(1)))
    dropout: float = attrs.field(default=0.2, validator=between(0, 1))

    def build(self, inputs: InputSpecs) -> BackboneModule:
        if not isinstance(inputs, Mapping) or set(inputs) != {IDS, NUMBERS}:
            named = ", ".join(inputs) if isinstance(inputs, Mapping) else "one tensor"
            raise AssemblyError(f"field-embedding: got inputs {named}, expected ids and numbers")
        ids, numbers = inputs[IDS], inputs[NUMBERS]
        if ids.vocabulary is None:
            raise AssemblyError("field-embedding: got ids without a vocabulary; state it")
        shape = (ids.shape[0], ids.vocabulary, numbers.shape[0])
        return FieldEmbeddingBackbone(self, *shape)


class FieldEmbeddingBackbone(BackboneModule):
    """Map `ids` (N, F) and `numbers` (N, P) to features (N, hidden[-1]).

    >>> FieldEmbeddingBackbone(FieldEmbedding(embedding=4), 3, 10, 2).features.width
    16
    """

    def __init__(self, config: FieldEmbedding, fields: int, vocabulary: int, numbers: int) -> None:
        super().__init__()
        self.table = nn.Embedding(vocabulary, config.embedding)
        nn.init.xavier_uniform_(self.table.weight)
        self.numbers = nn.Linear(numbers, config.embedding)
        layers: list[nn.Module] = []
        width = (fields + 1) * config.embedding
        for size in config.hidden:
            layers += [
                nn.Linear(width, size),
                nn.BatchNorm1d(size),
                nn.ReLU(),
                nn.Dropout(config.dropout),
            ]
            width = size
        self.layers = nn.Sequential(*layers)
        self.features = VectorFeatures(width=width)

    def forward(self, inputs: Batch) -> Tensor:
        assert isinstance(inputs, Mapping)
        embedded = self.table(inputs[IDS]).flatten(1)
        whole = torch.cat([embedded, self.numbers(inputs[NUMBERS].float())], dim=1)
        features: Tensor = self.layers(whole)
        return features
