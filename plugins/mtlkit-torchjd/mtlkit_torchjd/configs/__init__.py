"""The options of the weightings; no torch is imported here."""

from mtlkit_torchjd.configs.directions import ConFig, GradDrop, TrimmedMean
from mtlkit_torchjd.configs.of_gramians import DualProj, Krum, Pcd, UpGrad

__all__ = [
    "ConFig",
    "DualProj",
    "GradDrop",
    "Krum",
    "Pcd",
    "TrimmedMean",
    "UpGrad",
]
