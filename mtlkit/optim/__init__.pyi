from .adamw import AdamW as AdamW
from .base import Optimizer as Optimizer
from .base import Schedule as Schedule
from .constant import Constant as Constant
from .cosine import Cosine as Cosine
from .sgd import SGD as SGD
from .steps import Steps as Steps
