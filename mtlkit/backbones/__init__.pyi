from .base import Backbone as Backbone
from .base import BackboneModule as BackboneModule
from .base import SplittableBackbone as SplittableBackbone
from .casia_net import CasiaNet as CasiaNet
from .mlp import MLP as MLP
from .timm_model import TimmModel as TimmModel
