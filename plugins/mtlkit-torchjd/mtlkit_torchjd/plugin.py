"""What this plugin brings to mtlkit."""

from mtlkit.plugins import Registrar, hookimpl

WEIGHTINGS = {
    "upgrad": ("of_gramians:UpGrad", "each gradient freed of conflict, then their mean"),
    "dual-proj": ("of_gramians:DualProj", "the mean gradient freed of conflict"),
    "pcd": ("of_gramians:Pcd", "the main task first, side tasks a guaranteed share"),
    "krum": ("of_gramians:Krum", "the gradients nearest to most others"),
    "config": ("directions:ConFig", "equal progress along every unit gradient"),
    "graddrop": ("directions:GradDrop", "one sign for each coordinate, drawn by its majority"),
    "trimmed-mean": ("directions:TrimmedMean", "the mean of each coordinate without its extremes"),
}
"""Where the options of each weighting are, and what it does."""


@hookimpl
def mtlkit_register(catalog: Registrar) -> None:
    """Eight weightings of gradients."""
    for name, (target, summary) in WEIGHTINGS.items():
        catalog.weightings.add(f"torchjd/{name}", f"mtlkit_torchjd.configs.{target}", summary)
