"""Inference with a trained network: embed, verify, enroll, identify, export, model card.

from mtlkit_face.inference import embed_files, find_images, open_model, threshold_of

model = open_model("runs/p-cnn")
embedded = embed_files(model, find_images([Path("faces")]).files)
score = embedded.templates[0] @ embedded.templates[1]
same = score >= threshold_of(model).value
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mtlkit_face.inference.calibrate import CalibratedThreshold, calibrate_model
    from mtlkit_face.inference.gallery_file import (
        TemplateGallery,
        TemplateOrigin,
        enroll,
        read_gallery,
        write_gallery,
    )
    from mtlkit_face.inference.labeled_pairs import LabeledPairs, read_pairs
    from mtlkit_face.inference.model import Embedder, FaceModel, open_model
    from mtlkit_face.inference.pictures import Embedded, embed_files, find_images
    from mtlkit_face.inference.search import (
        Answer,
        ExactIndex,
        FaissIndex,
        Index,
        SearchCandidate,
        identify,
    )
    from mtlkit_face.inference.threshold import Domain, Threshold, save_threshold, threshold_of

_MODULES = {
    "gallery_file": "TemplateGallery TemplateOrigin enroll read_gallery write_gallery",
    "model": "Embedder FaceModel open_model",
    "pictures": "Embedded embed_files find_images",
    "search": "Answer SearchCandidate ExactIndex FaissIndex Index identify",
    "calibrate": "CalibratedThreshold calibrate_model",
    "labeled_pairs": "LabeledPairs read_pairs",
    "threshold": "Domain Threshold save_threshold threshold_of",
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names.split()}

__all__ = [
    "Answer",
    "CalibratedThreshold",
    "Domain",
    "Embedded",
    "Embedder",
    "ExactIndex",
    "FaceModel",
    "FaissIndex",
    "Index",
    "LabeledPairs",
    "SearchCandidate",
    "TemplateGallery",
    "TemplateOrigin",
    "Threshold",
    "calibrate_model",
    "embed_files",
    "enroll",
    "find_images",
    "identify",
    "open_model",
    "read_gallery",
    "read_pairs",
    "save_threshold",
    "threshold_of",
    "write_gallery",
]


def __getattr__(name: str) -> object:
    """Import the module of a name on first use, so that listing commands does not import torch."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
