from mtlkit.targets.geometry import Box as Box

from .base import Transform as Transform
from .center_crop import CenterCrop as CenterCrop
from .color_jitter import ColorJitter as ColorJitter
from .crop import Crop as Crop
from .draw import Draw as Draw
from .erase import Erase as Erase
from .gray import Gray as Gray
from .mirror import Mirror as Mirror
from .mixup import Mixup as Mixup
from .resize import Resize as Resize
from .resized_crop import ResizedCrop as ResizedCrop
from .rotate import Rotate as Rotate
from .sample import Sample as Sample
from .scale import Scale as Scale
