"""Random inputs and features of every kind, and a small backbone for each kind of features."""

from collections.abc import Mapping

import attrs
import torch
from torch import Tensor, nn

from mtlkit.backbones.base import Backbone, BackboneModule
from mtlkit.component import one_of
from mtlkit.features.base import Context, FeatureSpec
from mtlkit.features.inputs import Batch, InputSpec, InputSpecs, image_input
from mtlkit.features.maps import MapFeatures
from mtlkit.features.nodes import GRAPH, SIZES, NodeFeatures
from mtlkit.features.pyramid import PyramidFeatures, PyramidLevel
from mtlkit.features.tokens import MASK, TokenFeatures
from mtlkit.features.vectors import VectorFeatures

WIDTH = 8

SPECS: Mapping[type[FeatureSpec], FeatureSpec] = {
    VectorFeatures: VectorFeatures(width=WIDTH),
    MapFeatures: MapFeatures(channels=WIDTH, stride=4),
    PyramidFeatures: PyramidFeatures(
        levels=(
            PyramidLevel(channels=4, stride=4, height=4, width=4),
            PyramidLevel(channels=WIDTH, stride=8, height=2, width=2),
        )
    ),
    TokenFeatures: TokenFeatures(width=WIDTH),
    NodeFeatures: NodeFeatures(width=WIDTH),
}
"""Features of images of 16 by 16 pixels, by kind."""

KINDS: Mapping[str, type[FeatureSpec]] = {kind.kind: kind for kind in SPECS}


def random_inputs(inputs: InputSpecs, count: int) -> Batch:
    """Return normalized inputs of `count` samples; the second half of a mask varies."""
    generator = torch.Generator().manual_seed(1)
    if isinstance(inputs, Mapping):
        return {name: _random(spec, count, generator) for name, spec in inputs.items()}
    return _random(inputs, count, generator)


def _random(spec: InputSpec, count: int, generator: torch.Generator) -> Tensor:
    shape = (count, *spec.shape)
    if spec.vocabulary is not None:
        return torch.randint(spec.vocabulary, shape, generator=generator)
    if spec.dtype == "bool":
        mask = torch.rand(shape, generator=generator) < 0.5
        mask[:, : (spec.shape[0] + 1) // 2] = True
        return mask
    return torch.randn(shape, generator=generator)


def random_features(spec: FeatureSpec, count: int) -> tuple[Tensor, Context]:
    """Return features of `count` samples, in sizes of 16 by 16 pixels, and their context."""
    generator = torch.Generator().manual_seed(1)
    context = small_context(spec, count)
    match spec:
        case MapFeatures():
            side = max(1, 16 // spec.stride)
            shape: tuple[int, ...] = (count, spec.channels, side, side)
        case PyramidFeatures():
            shape = (count, spec.size)
        case TokenFeatures():
            shape = (count, 4, spec.width)
        case NodeFeatures():
            shape = (int(context[SIZES].sum()), spec.width)
        case _:
            shape = (count, spec.width)
    return torch.randn(shape, generator=generator), context


def small_context(spec: FeatureSpec, count: int, device: torch.device | None = None) -> Context:
    """Return the mask of four tokens, or the graphs of one to four nodes, of `count` samples."""
    sizes = torch.arange(count, device=device) % 4 + 1
    if isinstance(spec, TokenFeatures):
        return {MASK: torch.arange(4, device=device) < sizes.unsqueeze(1)}
    if isinstance(spec, NodeFeatures):
        index = torch.arange(count, device=device)
        return {GRAPH: torch.repeat_interleave(index, sizes), SIZES: sizes}
    return {}


@attrs.frozen(kw_only=True)
class SmallFeatures(Backbone):
    """A linear layer of patches of images, whose features are of the kind `kind`."""

    kind: str = attrs.field(validator=one_of(*KINDS))

    @property
    def gives(self) -> type[FeatureSpec]:
        return KINDS[self.kind]

    def build(self, inputs: InputSpecs) -> "BackboneModule":
        return SmallFeaturesModule(SPECS[self.gives], image_input(inputs, "small features", 16))


class SmallFeaturesModule(BackboneModule):
    """Maps images (N, C, 16, 16) to maps (N, 8, 4, 4), and these to the kind of features."""

    def __init__(self, features: FeatureSpec, inputs: InputSpec) -> None:
        super().__init__()
        self.features = features
        self.patches = nn.Conv2d(inputs.shape[0], WIDTH, kernel_size=4, stride=4)

    def forward(self, inputs: Batch) -> Tensor:
        assert isinstance(inputs, Tensor)
        maps: Tensor = self.patches(inputs).tanh()
        match self.features:
            case MapFeatures():
                return maps
            case PyramidFeatures():
                return self.features.join([maps[:, :4], nn.functional.avg_pool2d(maps, 2)])
            case TokenFeatures():
                return maps.mean(dim=3).transpose(1, 2)
            case NodeFeatures():
                tokens = maps.mean(dim=3).transpose(1, 2)
                mask = small_context(SPECS[TokenFeatures], len(tokens), tokens.device)[MASK]
                return tokens[mask]
            case _:
                return maps.mean(dim=(2, 3))

    def context(self, inputs: Batch) -> Context:
        assert isinstance(inputs, Tensor)
        return small_context(self.features, len(inputs), inputs.device)
