"""Templates in a file of an open format, with the fingerprint of the model that made them.

Parquet (columns `file`, `name`, `template`) or safetensors (the tensor `templates`); what is known
of the model is JSON in the file's metadata, under `mtlkit-face`.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from mtlkit.plugins import DataError
from mtlkit_face.inference.atomic_file import atomic_path, exclusive_lock
from mtlkit_face.inference.model import FaceModel

KEY = "mtlkit-face"
FORMAT = 1


@attrs.frozen(kw_only=True)
class TemplateOrigin:
    """The model that made templates: its fingerprint, its weights' SHA-256, task and size."""

    fingerprint: str
    weights: str
    task: str
    size: int

    @classmethod
    def of(cls, model: FaceModel) -> "TemplateOrigin":
        """The origin of what `model` embeds."""
        return cls(
            fingerprint=model.fingerprint,
            weights=model.weights,
            task=model.task,
            size=model.size,
        )


@attrs.frozen(eq=False, kw_only=True)
class TemplateGallery:
    """Templates (S, K) of image files, each with the name of who it shows ("" where unknown)."""

    files: tuple[str, ...]
    names: tuple[str, ...]
    templates: Tensor
    origin: TemplateOrigin

    def __len__(self) -> int:
        return len(self.files)

    def people(self) -> dict[str, int]:
        """How many templates there are of each name, in order of first appearance."""
        counts: dict[str, int] = {}
        for name in self.names:
            counts[name] = counts.get(name, 0) + 1
        return counts

    def require(self, model: FaceModel, place: Path | str) -> "TemplateGallery":
        """The gallery itself; `DataError` where another model made it."""
        if self.origin.fingerprint != model.fingerprint:
            raise DataError(
                f"{place}: was made by another model: its templates have the fingerprint "
                f"{self.origin.fingerprint[:12]}, those of {model.folder.path} have "
                f"{model.fingerprint[:12]}; scores between them mean nothing. Enroll the images "
                f"anew with this model, or use the one of then"
            )
        return self

    def named(self, place: Path | str) -> "TemplateGallery":
        """The gallery itself; `DataError` where it does not say of every template who it shows."""
        nameless = sum(not name for name in self.names)
        if nameless:
            raise DataError(
                f"{place}: {nameless} of its {len(self)} templates have no name, as a file of "
                f"`mtlkit face embed`: nobody can be identified by them. Make a gallery of people "
                f"with `mtlkit face enroll`, in a file of its own"
            )
        return self

    def joined(self, other: "TemplateGallery") -> "TemplateGallery":
        """Both together; where `other` has the same file under the same name, it takes its place.

        Both must come from one model.
        """
        new = set(zip(other.names, other.files, strict=True))
        old = zip(self.names, self.files, strict=True)
        kept = [place for place, key in enumerate(old) if key not in new]
        return attrs.evolve(
            self,
            files=(*(self.files[place] for place in kept), *other.files),
            names=(*(self.names[place] for place in kept), *other.names),
            templates=torch.cat([self.templates[kept], other.templates]),
        )


def write_gallery(gallery: TemplateGallery, path: Path) -> None:
    """Put `gallery` at `path`, whole or not at all; its suffix says in which format.

    Raises `DataError` for another suffix, and where the disk refuses.
    """
    write, _ = _format(path)
    with atomic_path(path) as place:
        write(gallery, place)


def read_gallery(path: Path) -> TemplateGallery:
    """The gallery at `path`; `DataError` where there is none, or it is damaged."""
    _, read = _format(path)
    if not path.is_file():
        raise DataError(f"{path}: there is no such file; make one with `mtlkit face enroll`")
    try:
        return read(path)
    except (pa.ArrowException, SafetensorError, KeyError, TypeError, ValueError) as cause:
        raise DataError(
            f"{path}: holds no templates of this plugin ({type(cause).__name__}: {cause}); "
            f"expected a file of `mtlkit face enroll` or `mtlkit face embed`"
        ) from cause


def enroll(new: TemplateGallery, path: Path, model: FaceModel) -> TemplateGallery:
    """Add `new` templates of `model` to the gallery at `path`, which may be new; all of it.

    One process at a time, so that no enrolment is lost. A file has one name in a gallery: that of
    `known_as`. Raises `DataError` where the gallery at `path` is another model's, where there or in
    `new` a template has no name, and what reading and writing raise.
    """
    check_suffix(path)
    new.named("what is to be enrolled")
    lock = path.with_name(f".{path.name}.lock")
    with exclusive_lock(lock):
        old = read_gallery(path).require(model, path).named(path) if path.exists() else None
        whole = new if old is None else old.joined(new)
        write_gallery(whole, path)
    return whole


def check_suffix(path: Path) -> None:
    """`DataError` where the suffix of `path` is that of no format."""
    _format(path)


_Writer = Callable[[TemplateGallery, Path], None]
_Reader = Callable[[Path], TemplateGallery]


def _format(path: Path) -> tuple[_Writer, _Reader]:
    """How files with the suffix of `path` are written and read."""
    formats: Mapping[str, tuple[_Writer, _Reader]] = {
        ".parquet": (_write_parquet, _read_parquet),
        ".safetensors": (_write_safetensors, _read_safetensors),
    }
    if path.suffix not in formats:
        raise DataError(
            f"{path}: expected a name that ends in {' or '.join(formats)}, "
            f"found {path.suffix or 'no suffix'!r}"
        )
    return formats[path.suffix]


def _header(gallery: TemplateGallery, **more: Any) -> str:
    return json.dumps({"format": FORMAT, **attrs.asdict(gallery.origin), **more})


def _origin(text: str | bytes) -> tuple[TemplateOrigin, dict[str, Any]]:
    """The origin in a header, and what else it holds."""
    found = json.loads(text)
    version = found.pop("format")
    if version != FORMAT:
        raise ValueError(f"expected format {FORMAT}, found {version!r}")
    names = [field.name for field in attrs.fields(TemplateOrigin)]
    return TemplateOrigin(**{name: found.pop(name) for name in names}), found


def _write_parquet(gallery: TemplateGallery, path: Path) -> None:
    numbers = pa.array(gallery.templates.numpy().ravel())
    templates = pa.FixedSizeListArray.from_arrays(numbers, gallery.origin.size)
    table = pa.table(
        {
            "file": pa.array(gallery.files, pa.string()),
            "name": pa.array(gallery.names, pa.string()),
            "template": templates,
        }
    ).replace_schema_metadata({KEY: _header(gallery)})
    pq.write_table(table, path)


def _read_parquet(path: Path) -> TemplateGallery:
    table = pq.read_table(path)
    origin, _ = _origin((table.schema.metadata or {})[KEY.encode()])
    templates = table["template"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    numbers = np.array(templates, dtype=np.float32).reshape(-1, origin.size)
    return _checked(
        table["file"].to_pylist(), table["name"].to_pylist(), torch.from_numpy(numbers), origin
    )


def _write_safetensors(gallery: TemplateGallery, path: Path) -> None:
    header = _header(gallery, files=gallery.files, names=gallery.names)
    path.write_bytes(save({"templates": gallery.templates.contiguous()}, {KEY: header}))


def _read_safetensors(path: Path) -> TemplateGallery:
    with safe_open(path, "pt") as found:
        origin, lists = _origin((found.metadata() or {})[KEY])
        return _checked(lists["files"], lists["names"], found.get_tensor("templates"), origin)


def _checked(
    files: list[str], names: list[str], templates: Tensor, origin: TemplateOrigin
) -> TemplateGallery:
    if not len(files) == len(names) == len(templates) or templates.shape[1:] != (origin.size,):
        raise ValueError(
            f"{len(files)} files, {len(names)} names and templates {tuple(templates.shape)} of "
            f"{origin.size} numbers do not fit together"
        )
    return TemplateGallery(
        files=tuple(files), names=tuple(names), templates=templates.float(), origin=origin
    )
