"""Synthetic faces with the labels of Multi-PIE, rendered from CC0 geometry.

>>> from mtlkit_synthetic_faces import FaceSet, render_set
>>> faces = FaceSet(subjects=1, images_per_subject=2, size=32)
>>> render_set(faces, cache=None, workers=1).images.shape
(2, 1, 32, 32)
"""

from importlib import import_module
from typing import TYPE_CHECKING

from mtlkit_synthetic_faces.face_set import FaceSet

if TYPE_CHECKING:
    from mtlkit_synthetic_faces.plan import FacePlan
    from mtlkit_synthetic_faces.png_folder import write_png_folder
    from mtlkit_synthetic_faces.rendered import RenderedSet, render_set
    from mtlkit_synthetic_faces.sheet import contact_sheet

__all__ = [
    "FacePlan",
    "FaceSet",
    "RenderedSet",
    "contact_sheet",
    "render_set",
    "write_png_folder",
]
_HOME = {
    "RenderedSet": "rendered",
    "FacePlan": "plan",
    "contact_sheet": "sheet",
    "render_set": "rendered",
    "write_png_folder": "png_folder",
}


def __getattr__(name: str) -> object:
    """Import the compiled parts on first access; `FaceSet` alone needs neither numba nor numpy."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
