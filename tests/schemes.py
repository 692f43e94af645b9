"""Every weighting, with options that fit a main and three side tasks, one of them a regression.

Those of our plugin `mtlkit-torchjd` are among them where it is installed.
"""

from importlib.util import find_spec

from mtlkit.weightings import (
    COSMOS,
    CRMOGM,
    DBMTL,
    DWA,
    EPO,
    FAMO,
    GLS,
    IMTL,
    IMTLG,
    IMTLL,
    LDCMTL,
    MGDA,
    PBI,
    RLW,
    STCH,
    AlignedMTL,
    AutoLambda,
    BoundedUncertainty,
    CAGrad,
    ConicGrad,
    CoV,
    Dynamic,
    Equal,
    ExcessMTL,
    FairGrad,
    Fixed,
    GO4Align,
    GradientLocation,
    GradNorm,
    GradVac,
    HarderFirst,
    HeadGradients,
    Log,
    MoCo,
    MoDo,
    NashMTL,
    PCGrad,
    SDMGrad,
    STCHLog,
    TaskSampling,
    Uncertainty,
)

PARAMETERS, LAST, WEIGHTED = (
    GradientLocation.PARAMETERS,
    GradientLocation.LAST_SHARED_LAYER,
    HeadGradients.WEIGHTED,
)

SCHEMES = {
    "fixed": Fixed(weights={"age": 0.5}),
    "equal": Equal(total=0.5),
    "uncertainty": Uncertainty(),
    "bounded-uncertainty": BoundedUncertainty(),
    "dynamic": Dynamic(total=1.0, learning_rate=0.01),
    "dynamic product-of-means": Dynamic(total=1.0, form="product-of-means", learning_rate=0.01),
    "dynamic released": Dynamic(total=1.0, form="released", learning_rate=0.01),
    "dynamic gate_main": Dynamic(total=1.0, gate_main=True, normalize=True),
    "harder-first": HarderFirst(total=1.0, normalize=True, learning_rate=0.01),
    "imtl-l": IMTLL(learning_rate=0.01),
    "log": Log(),
    "gls": GLS(),
    "stch": STCH(preferences={"age": 0.5}, ideal={"who": 0.01}),
    "stch-log": STCHLog(warmup=1, smoothing=0.5),
    "pbi": PBI(penalty=0.5, preferences={"age": 2.0}, ideal={"who": 0.01}),
    "cosmos": COSMOS(penalty=0.1, preferences={"age": 0.5}),
    "go4align": GO4Align(rate=0.1),
    "ldc-mtl": LDCMTL(learning_rate=0.01),
    "ldc-mtl plain": LDCMTL(of="plain", penalty=0.5),
    "task-sampling": TaskSampling(tasks=2),
    "dwa": DWA(),
    "cov": CoV(),
    "cov with decay": CoV(decay=0.9),
    "rlw": RLW(),
    "famo": FAMO(),
    "gradnorm": GradNorm(),
    "gradnorm at the last layer": GradNorm(at=LAST, heads=WEIGHTED),
    "mgda": MGDA(),
    "mgda at parameters": MGDA(at=PARAMETERS),
    "pcgrad": PCGrad(),
    "pcgrad at parameters": PCGrad(at=PARAMETERS, heads=WEIGHTED),
    "gradvac": GradVac(),
    "epo": EPO(preferences={"age": 2.0}),
    "imtl-g": IMTLG(),
    "imtl": IMTL(learning_rate=0.01),
    "cagrad": CAGrad(),
    "cagrad at the last layer": CAGrad(at=LAST),
    "conicgrad": ConicGrad(),
    "nash-mtl": NashMTL(),
    "nash-mtl every 2": NashMTL(every=2),
    "nash-mtl unbounded": NashMTL(largest_mean=None, heads=WEIGHTED),
    "fairgrad": FairGrad(alpha=2.0),
    "aligned-mtl": AlignedMTL(),
    "db-mtl": DBMTL(),
    "db-mtl with momentum": DBMTL(momentum=0.9, at=PARAMETERS, heads=WEIGHTED),
    "moco": MoCo(),
    "moco released": MoCo(form="released", decay=0.5),
    "excess-mtl": ExcessMTL(),
    "cr-mogm": CRMOGM(of=MGDA()),
    "modo": MoDo(),
    # at the authors' rate of 10 its inner steps swing between corners and enlarge every rounding
    "sdmgrad": SDMGrad(rate=0.5),
    "auto-lambda": AutoLambda(),
}
"""By name; what follows the name of a component says which of its options are not the default."""

if find_spec("mtlkit_torchjd") is not None:
    from mtlkit_torchjd.conflict_free import ConFIG
    from mtlkit_torchjd.dual_proj import DualProj
    from mtlkit_torchjd.graddrop import GradDrop
    from mtlkit_torchjd.krum import Krum
    from mtlkit_torchjd.pcd import PCD
    from mtlkit_torchjd.trimmed_mean import TrimmedMean
    from mtlkit_torchjd.upgrad import UPGrad

    SCHEMES |= {
        "torchjd/upgrad": UPGrad(),
        "torchjd/upgrad at parameters": UPGrad(at=PARAMETERS, preferences={"age": 0.5}),
        "torchjd/dual-proj": DualProj(heads=WEIGHTED),
        "torchjd/pcd": PCD(decay=0.5, share=0.5),
        "torchjd/config": ConFIG(),
        "torchjd/graddrop": GradDrop(leak={"age": 0.5}),
        "torchjd/graddrop at parameters": GradDrop(at=PARAMETERS),
        "torchjd/krum": Krum(),
        "torchjd/trimmed-mean": TrimmedMean(),
    }
