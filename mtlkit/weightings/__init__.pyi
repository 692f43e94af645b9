# weightings/fixed: constant weights, by name
from .fixed import Fixed as Fixed

# weightings/equal: the same weight for every side task
from .equal import Equal as Equal

# weightings/uncertainty: learned uncertainty (Kendall 2018)
from .uncertainty import Uncertainty as Uncertainty

# weightings/bounded-uncertainty: above 0 (Liebel 2018)
from .bounded_uncertainty import BoundedUncertainty as BoundedUncertainty

# weightings/dynamic: a softmax gate on features (Yin & Liu 2018)
from .dynamic import Dynamic as Dynamic

# weightings/harder-first: a softmax for harder tasks (Ming 2019)
from .harder_first import HarderFirst as HarderFirst

# weightings/imtl-l: learned scales (Liu 2021)
from .imtl_l import IMTLL as IMTLL

# weightings/log: the sum of log losses, scale-invariant (SI)
from .log import Log as Log

# weightings/gls: the geometric mean (Chennupati 2019)
from .gls import GLS as GLS

# weightings/stch: a smooth maximum (Lin 2024)
from .stch import STCH as STCH

# weightings/stch-log: a smooth maximum of logs (Lin 2024)
from .stch_log import STCHLog as STCHLog

# weightings/pbi: along a ray of preferences (Zhang & Li 2007)
from .pbi import PBI as PBI

# weightings/cosmos: a weighted sum with a cosine (Ruchte & Grabocka 2021)
from .cosmos import COSMOS as COSMOS

# weightings/epo: the Pareto optimum on a ray (Mahapatra & Rajan 2020)
from .epo import EPO as EPO

# weightings/go4align: groups of similar risk (Shen 2024)
from .go4align import GO4Align as GO4Align

# weightings/ldc-mtl: a gate that evens out the losses (Xiao 2025)
from .ldc_mtl import LDCMTL as LDCMTL

# weightings/task-sampling: a random subset of the tasks (Liu 2019)
from .task_sampling import TaskSampling as TaskSampling

# weightings/dwa: by the change over epochs (Liu 2019)
from .dwa import DWA as DWA

# weightings/cov: by the coefficient of variation (Groenendijk 2021)
from .cov import CoV as CoV

# weightings/rlw: random weights, a placebo (Lin 2022)
from .rlw import RLW as RLW

# weightings/famo: by the change in an update (Liu 2023)
from .famo import FAMO as FAMO

# weightings/gradnorm: similar training rates (Chen 2018)
from .gradnorm import GradNorm as GradNorm

# weightings/mgda: the shortest combination (Sener & Koltun 2018)
from .mgda import MGDA as MGDA

# weightings/pcgrad: conflicts projected away (Yu 2020)
from .pcgrad import PCGrad as PCGrad

# weightings/gradvac: cosines raised to a target (Wang 2021)
from .gradvac import GradVac as GradVac

# weightings/imtl-g: equal projections (Liu 2021)
from .imtl_g import IMTLG as IMTLG

# weightings/imtl: imtl-g on the scales of imtl-l (Liu 2021)
from .imtl import IMTL as IMTL

# weightings/cagrad: the best worst case near the mean (Liu 2021)
from .cagrad import CAGrad as CAGrad

# weightings/conicgrad: the best worst case in a cone around the mean (Hassanpour 2025)
from .conicgrad import ConicGrad as ConicGrad

# weightings/nash-mtl: the Nash bargaining solution (Navon 2022)
from .nash_mtl import NashMTL as NashMTL

# weightings/fairgrad: alpha-fair shares of the progress (Ban & Ji 2024)
from .fairgrad import FairGrad as FairGrad

# weightings/aligned-mtl: gradients made orthogonal (Senushkin 2023)
from .aligned_mtl import AlignedMTL as AlignedMTL

# weightings/db-mtl: log losses, equally long gradients (Lin 2023)
from .db_mtl import DBMTL as DBMTL

# weightings/moco: MGDA on running means (Fernando 2023)
from .moco import MoCo as MoCo

# weightings/excess-mtl: by excess risk (He 2024)
from .excess_mtl import ExcessMTL as ExcessMTL

# weightings/cr-mogm: averaged weights of another weighting (Zhou 2022)
from .cr_mogm import CRMOGM as CRMOGM

# weightings/modo: MGDA by double sampling (Chen 2024)
from .modo import MoDo as MoDo

# weightings/sdmgrad: between MGDA and the mean (Xiao 2023)
from .sdmgrad import SDMGrad as SDMGrad

# weightings/auto-lambda: by what helps the main tasks (Liu 2022)
from .auto_lambda import AutoLambda as AutoLambda

from .aligned_mtl import Singular as Singular
from .base import GradientLocation as GradientLocation
from .base import GradientWeighting as GradientWeighting
from .base import HeadGradients as HeadGradients
from .base import Weighting as Weighting
from .kinds import AfterStep as AfterStep
from .kinds import BatchLossWeighting as BatchLossWeighting
from .kinds import Direction as Direction
from .kinds import DoubleSampling as DoubleSampling
from .kinds import GramianWeighting as GramianWeighting
from .kinds import JacobianWeighting as JacobianWeighting
from .kinds import LookaheadWeighting as LookaheadWeighting
from .kinds import LossWeighting as LossWeighting
from .kinds import ReadsFeatures as ReadsFeatures
from .kinds import RequiresPositiveLosses as RequiresPositiveLosses
from .kinds import StatefulJacobian as StatefulJacobian
from .kinds import StepInfo as StepInfo
from .kinds import StepLosses as StepLosses
from .kinds import UpdateStats as UpdateStats
from .kinds import WeightedLoss as WeightedLoss
from .kinds import WeightingModule as WeightingModule
from .kinds import WeightsHeads as WeightsHeads
from .kinds import WholeBatch as WholeBatch
from .kinds import positive as positive
from .kinds import scatter as scatter
from .mgda import Normalization as Normalization
