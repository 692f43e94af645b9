"""Use of a trained network: embed, verify, enroll, identify, export, and say what it is.

from mtlkit_face.inference import embed_files, find_images, open_model, threshold_of

model = open_model("runs/p-cnn")
found = embed_files(model, find_images([Path("faces")]).files)
score = found.templates[0] @ found.templates[1]
same = score >= threshold_of(model).value
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mtlkit_face.inference.gallery_file import (
        TemplateGallery,
        TemplateOrigin,
        enroll,
        read_gallery,
        write_gallery,
    )
    from mtlkit_face.inference.model import Embedder, FaceModel, open_model
    from mtlkit_face.inference.pictures import Embedded, embed_files, find_images
    from mtlkit_face.inference.search import (
        Answer,
        Candidate,
        ExactIndex,
        FaissIndex,
        Index,
        identify,
    )
    from mtlkit_face.inference.threshold import Threshold, threshold_of

_MODULES = {
    "gallery_file": "TemplateGallery TemplateOrigin enroll read_gallery write_gallery",
    "model": "Embedder FaceModel open_model",
    "pictures": "Embedded embed_files find_images",
    "search": "Answer Candidate ExactIndex FaissIndex Index identify",
    "threshold": "Threshold threshold_of",
}
_HOME = {name: module for module, names in _MODULES.items() for name in names.split()}

__all__ = [
    "Answer",
    "Candidate",
    "Embedded",
    "Embedder",
    "ExactIndex",
    "FaceModel",
    "FaissIndex",
    "Index",
    "TemplateGallery",
    "TemplateOrigin",
    "Threshold",
    "embed_files",
    "enroll",
    "find_images",
    "identify",
    "open_model",
    "read_gallery",
    "threshold_of",
    "write_gallery",
]


def __getattr__(name: str) -> object:
    """Import a name's module on first use, so that listing the commands imports no torch."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
