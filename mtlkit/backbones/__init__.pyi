# backbones/casia-net: CASIA-Net with batch norm, 320 features
from .casia_net import CasiaNet as CasiaNet

# backbones/timm: any model of timm, by its name
from .timm_model import TimmModel as TimmModel

# backbones/mlp: fully connected layers, for tables
from .mlp import MLP as MLP

# backbones/unet: an encoder and a decoder with skip connections
from .unet import UNet as UNet

# backbones/segnet: an encoder and a decoder with pooling indices
from .segnet import SegNet as SegNet

# backbones/transformer: a transformer encoder for token ids
from .transformer import Transformer as Transformer

# adapters/pool: the mean or maximum over pixels, tokens or nodes
from mtlkit.adapters.pool import Pool as Pool

# adapters/upsample: maps of a finer resolution
from mtlkit.adapters.upsample import Upsample as Upsample

# adapters/fpn: maps of the finest level of a pyramid, joined with the others
from mtlkit.adapters.fpn import FPN as FPN

# adapters/gather: the first or last token of a sequence
from mtlkit.adapters.gather import Gather as Gather

# adapters/level: one level of a pyramid
from mtlkit.adapters.level import Level as Level

from mtlkit.adapters.base import Adapter as Adapter
from mtlkit.adapters.base import AdapterModule as AdapterModule
from mtlkit.features.base import Context as Context
from mtlkit.features.base import FeatureSpec as FeatureSpec
from mtlkit.features.inputs import Batch as Batch
from mtlkit.features.inputs import InputSpecs as InputSpecs
from mtlkit.features.inputs import image_input as image_input
from mtlkit.features.inputs import one_input as one_input
from mtlkit.features.maps import MapFeatures as MapFeatures
from mtlkit.features.nodes import NodeFeatures as NodeFeatures
from mtlkit.features.pyramid import PyramidFeatures as PyramidFeatures
from mtlkit.features.pyramid import PyramidLevel as PyramidLevel
from mtlkit.features.tokens import TokenFeatures as TokenFeatures
from mtlkit.features.vectors import VectorFeatures as VectorFeatures
from .base import Backbone as Backbone
from .base import BackboneModule as BackboneModule
from .base import SplittableBackbone as SplittableBackbone
