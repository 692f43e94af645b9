from .base import Adapter as Adapter
from .base import AdapterModule as AdapterModule
from .fpn import FPN as FPN
from .gather import Gather as Gather
from .level import Level as Level
from .pool import Pool as Pool
from .upsample import Upsample as Upsample
