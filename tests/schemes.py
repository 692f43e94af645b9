"""Every weighting, with options that fit a main and three side tasks, one of them a regression.

Those of our plugin `mtlkit-torchjd` are among them where it is installed.
"""

from importlib.util import find_spec

from mtlkit.weighting.configs import (
    AlignedMtl,
    At,
    AutoLambda,
    BoundedUncertainty,
    CaGrad,
    Cov,
    CrMogm,
    DbMtl,
    Dwa,
    Dynamic,
    Equal,
    ExcessMtl,
    FairGrad,
    Famo,
    Fixed,
    Gls,
    GradNorm,
    GradVac,
    HarderFirst,
    HeadGradient,
    ImtlG,
    ImtlL,
    Log,
    Mgda,
    MoCo,
    MoDo,
    NashMtl,
    PcGrad,
    Rlw,
    SdmGrad,
    Stch,
    Uncertainty,
)

PARAMETERS, LAST, WEIGHTED = At.PARAMETERS, At.LAST_SHARED_LAYER, HeadGradient.WEIGHTED

SCHEMES = {
    "fixed": Fixed(weights={"age": 0.5}),
    "equal": Equal(total=0.5),
    "uncertainty": Uncertainty(),
    "bounded-uncertainty": BoundedUncertainty(),
    "dynamic": Dynamic(total=1.0, learning_rate=0.01),
    "dynamic product-of-means": Dynamic(total=1.0, form="product-of-means", learning_rate=0.01),
    "dynamic released": Dynamic(total=1.0, form="released", learning_rate=0.01),
    "dynamic gate_main": Dynamic(total=1.0, gate_main=True, normalise=True),
    "harder-first": HarderFirst(total=1.0, normalise=True, learning_rate=0.01),
    "imtl-l": ImtlL(learning_rate=0.01),
    "log": Log(),
    "gls": Gls(),
    "stch": Stch(preferences={"age": 0.5}, ideal={"who": 0.01}),
    "dwa": Dwa(),
    "cov": Cov(),
    "cov with decay": Cov(decay=0.9),
    "rlw": Rlw(),
    "famo": Famo(),
    "gradnorm": GradNorm(),
    "gradnorm at the last layer": GradNorm(at=LAST, heads=WEIGHTED),
    "mgda": Mgda(),
    "mgda at parameters": Mgda(at=PARAMETERS),
    "pcgrad": PcGrad(),
    "pcgrad at parameters": PcGrad(at=PARAMETERS, heads=WEIGHTED),
    "gradvac": GradVac(),
    "imtl-g": ImtlG(),
    "cagrad": CaGrad(),
    "cagrad at the last layer": CaGrad(at=LAST),
    "nash-mtl": NashMtl(),
    "nash-mtl every 2": NashMtl(every=2),
    "fairgrad": FairGrad(alpha=2.0),
    "aligned-mtl": AlignedMtl(),
    "db-mtl": DbMtl(),
    "db-mtl with momentum": DbMtl(momentum=0.9, at=PARAMETERS),
    "moco": MoCo(),
    "excess-mtl": ExcessMtl(),
    "cr-mogm": CrMogm(of=Mgda()),
    "modo": MoDo(),
    # at the authors' rate of 10 its inner steps swing between corners and enlarge every rounding
    "sdmgrad": SdmGrad(rate=0.5),
    "auto-lambda": AutoLambda(),
}
"""By name; what follows the name of a component says which of its options are not the default."""

if find_spec("mtlkit_torchjd") is not None:
    from mtlkit_torchjd.configs import (
        ConFig,
        DualProj,
        GradDrop,
        Krum,
        Pcd,
        TrimmedMean,
        UpGrad,
    )

    SCHEMES |= {
        "torchjd/upgrad": UpGrad(),
        "torchjd/upgrad at parameters": UpGrad(at=PARAMETERS, preferences={"age": 0.5}),
        "torchjd/dual-proj": DualProj(heads=WEIGHTED),
        "torchjd/pcd": Pcd(decay=0.5, share=0.5),
        "torchjd/config": ConFig(),
        "torchjd/graddrop": GradDrop(leak={"age": 0.5}),
        "torchjd/graddrop at parameters": GradDrop(at=PARAMETERS),
        "torchjd/krum": Krum(),
        "torchjd/trimmed-mean": TrimmedMean(),
    }
