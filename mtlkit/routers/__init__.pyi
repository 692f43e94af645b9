# routers/shared: every head reads the shared features
from .shared import Shared as Shared

# routers/grouped: branches for groups of samples
from .grouped import Grouped as Grouped

# routers/cross-stitch: a network for each task, stitched
from .cross_stitch import CrossStitch as CrossStitch

# routers/mmoe: experts for all tasks, a gate for each
from .mmoe import MMoE as MMoE

# routers/cgc: experts for all tasks and experts of each
from .cgc import CGC as CGC

# routers/ple: several stacked levels of cgc
from .ple import PLE as PLE

# routers/mtan: an attention of each task to shared features
from .mtan import MTAN as MTAN

# routers/dselect-k: a sparse choice of k experts for each task
from .dselect_k import DSelectK as DSelectK

# routers/learn-to-branch: a tree with learned branches
from .learn_to_branch import LearnToBranch as LearnToBranch

# branches/linear: a separate head for each group
from .linear_branch import LinearBranch as LinearBranch

# branches/block: a separate last block for each group
from .block_branch import BlockBranch as BlockBranch

from .base import BranchOutputs as BranchOutputs
from .base import Features as Features
from .base import Router as Router
from .base import RouterModule as RouterModule
from .base import Unbranched as Unbranched
from .base import UnbranchedRouter as UnbranchedRouter
from .base import Wiring as Wiring
from .branches import Branch as Branch
from .branches import BranchesModule as BranchesModule
from .grouped import BranchSelection as BranchSelection
from .grouped import GroupedRouter as GroupedRouter
from .grouped import class_name as class_name
