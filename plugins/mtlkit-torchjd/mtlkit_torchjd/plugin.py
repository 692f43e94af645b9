"""Registration of the weightings with mtlkit."""

from importlib.util import find_spec

from mtlkit.plugins import MissingExtraError, Registrar, hookimpl

REQUIRED = ("torchjd", "qpsolvers", "quadprog")

WEIGHTINGS = {
    "upgrad": ("upgrad:UPGrad", "each gradient freed of conflict, then their mean"),
    "dual-proj": ("dual_proj:DualProj", "the mean gradient freed of conflict"),
    "pcd": ("pcd:PCD", "the main task first, side tasks a guaranteed share"),
    "krum": ("krum:Krum", "the gradients nearest to most others"),
    "config": ("conflict_free:ConFIG", "equal progress along every unit gradient"),
    "graddrop": ("graddrop:GradDrop", "one sign for each feature, drawn by its majority"),
    "trimmed-mean": ("trimmed_mean:TrimmedMean", "the mean of each coordinate without extremes"),
}
"""The class and the summary of each weighting, by its name."""


@hookimpl
def mtlkit_register(catalog: Registrar) -> None:
    """Register all weightings. Raises `MissingExtraError` if TorchJD or a solver is missing."""
    missing = [name for name in REQUIRED if find_spec(name) is None]
    if missing:
        raise MissingExtraError(
            f"{', '.join(missing)} not installed; run `pip install 'mtlkit-torchjd'`, which "
            f"installs TorchJD with its solvers"
        )
    for name, (target, summary) in WEIGHTINGS.items():
        catalog.weightings.add(f"torchjd/{name}", f"mtlkit_torchjd.{target}", summary)
