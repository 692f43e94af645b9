# optimizers/sgd: gradient descent with momentum
from .sgd import SGD as SGD

# optimizers/adamw: Adam with decoupled weight decay
from .adamw import AdamW as AdamW

# optimizers/adam: adaptive moments (Kingma & Ba 2015)
from .adam import Adam as Adam

# optimizers/nadam: Adam with Nesterov momentum (Dozat 2016)
from .nadam import NAdam as NAdam

# optimizers/radam: Adam with a rectified variance (Liu 2020)
from .radam import RAdam as RAdam

# optimizers/timm: lion, lamb, adan, muon ..., by name
from .timm_optimizer import TimmOptimizer as TimmOptimizer

# optimizers/schedule-free: averages, no schedule (Defazio 2024)
from .schedule_free import ScheduleFree as ScheduleFree

# schedules/constant: the same learning rate throughout
from .constant import Constant as Constant

# schedules/cosine: half a cosine down to a floor
from .cosine import Cosine as Cosine

# schedules/steps: drops at given parts of training
from .steps import Steps as Steps

# schedules/polynomial: linear, or by a power
from .polynomial_decay import PolynomialDecay as PolynomialDecay

# schedules/exponential: by a constant ratio
from .exponential_decay import ExponentialDecay as ExponentialDecay

# schedules/one-cycle: one rise and fall (Smith & Topin 2019)
from .one_cycle import OneCycle as OneCycle

from .base import Optimizer as Optimizer
from .base import PartRates as PartRates
from .base import Schedule as Schedule
