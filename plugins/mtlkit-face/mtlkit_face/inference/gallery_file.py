"""Files of templates, with the fingerprint of the model that computed them.

Parquet (columns `file`, `name`, `template`) or safetensors (the tensor `templates`). The file's
metadata has the model's origin as JSON, under `mtlkit-face`.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from mtlkit.data import escaped, is_utf8
from mtlkit.plugins import DataError, checksum
from mtlkit_face.inference.atomic_file import atomic_path, exclusive_lock
from mtlkit_face.inference.model import FaceModel

KEY = "mtlkit-face"
FORMAT = 2


@attrs.frozen(kw_only=True)
class TemplateOrigin:
    """Model that computed templates: its fingerprint, SHA-256 of its weights, task and size."""

    fingerprint: str
    weights: str
    task: str
    size: int

    @classmethod
    def of(cls, model: FaceModel) -> "TemplateOrigin":
        """Return the origin of templates of `model`."""
        return cls(
            fingerprint=model.fingerprint,
            weights=model.weights,
            task=model.task,
            size=model.size,
        )


@attrs.frozen(eq=False, kw_only=True)
class TemplateGallery:
    """Templates (S, K) of image files, each with the name of its person ("" if unknown)."""

    files: tuple[str, ...]
    names: tuple[str, ...]
    templates: Tensor
    origin: TemplateOrigin

    def __len__(self) -> int:
        return len(self.files)

    def people(self) -> dict[str, int]:
        """Return the number of templates of each name, in order of first appearance."""
        counts: dict[str, int] = {}
        for name in self.names:
            counts[name] = counts.get(name, 0) + 1
        return counts

    def require(self, model: FaceModel, place: Path | str) -> "TemplateGallery":
        """Return the gallery itself; raises `DataError` if another model computed it."""
        if self.origin.fingerprint != model.fingerprint:
            raise DataError(
                f"{place}: is from another model: its templates have the fingerprint "
                f"{self.origin.fingerprint[:12]}, those of {model.folder.path} have "
                f"{model.fingerprint[:12]}, so scores between them are meaningless; enroll the "
                f"images again with this model, or use the gallery's model"
            )
        return self

    def require_names(self, place: Path | str) -> "TemplateGallery":
        """Return the gallery itself; raises `DataError` if a template has no name."""
        nameless = sum(not name for name in self.names)
        if nameless:
            raise DataError(
                f"{place}: {nameless} of its {len(self)} templates have no name, like those of "
                f"`mtlkit face embed`; create a gallery of people in another file with `mtlkit "
                f"face enroll`"
            )
        return self

    def merged(self, other: "TemplateGallery") -> "TemplateGallery":
        """Return both galleries of one model; `other` replaces equal pairs of file and name."""
        new = set(zip(other.names, other.files, strict=True))
        old = zip(self.names, self.files, strict=True)
        kept = [index for index, key in enumerate(old) if key not in new]
        return attrs.evolve(
            self,
            files=(*(self.files[index] for index in kept), *other.files),
            names=(*(self.names[index] for index in kept), *other.names),
            templates=torch.cat([self.templates[kept], other.templates]),
        )


def write_gallery(gallery: TemplateGallery, path: Path) -> None:
    """Write `gallery` to `path` atomically, in the format of its suffix.

    Raises `DataError` for an unknown suffix, and if the file system refuses the write.
    """
    write, _ = _format(path)
    with atomic_path(path) as partial:
        write(gallery, partial)


def read_gallery(path: Path) -> TemplateGallery:
    """Read the gallery at `path`; raises `DataError` if it is missing or damaged."""
    _, read = _format(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file; create one with `mtlkit face enroll`")
    try:
        return read(path)
    except (
        OSError, pa.ArrowException, SafetensorError, KeyError, TypeError, ValueError, RecursionError
    ) as cause:  # fmt: skip
        raise DataError(
            f"{path}: cannot be read as templates ({type(cause).__name__}: {cause}); expected a "
            f"file of `mtlkit face enroll` or `mtlkit face embed`"
        ) from cause


def enroll(new: TemplateGallery, path: Path, model: FaceModel) -> TemplateGallery:
    """Add the templates `new` of `model` to the gallery at `path`, and return the merged gallery.

    Creates the file if it is missing. A lock lets one process write at a time, so that no
    enrollment is lost. Files are named by `gallery_key`. Raises `DataError` if the gallery is from
    another model, if a template has no name, and if reading or writing fails.
    """
    check_suffix(path)
    new.require_names("the new templates")
    lock = path.with_name(f".{path.name}.lock")
    with exclusive_lock(lock):
        merged = new
        if path.exists():
            merged = read_gallery(path).require(model, path).require_names(path).merged(new)
        write_gallery(merged, path)
    return merged


def check_suffix(path: Path) -> None:
    """Raise `DataError` if no format has the suffix of `path`."""
    _format(path)


_Writer = Callable[[TemplateGallery, Path], None]
_Reader = Callable[[Path], TemplateGallery]


def _format(path: Path) -> tuple[_Writer, _Reader]:
    """Return the functions that write and read files with the suffix of `path`."""
    formats: Mapping[str, tuple[_Writer, _Reader]] = {
        ".parquet": (_write_parquet, _read_parquet),
        ".safetensors": (_write_safetensors, _read_safetensors),
    }
    if not is_utf8(str(path)):  # which the libraries of both formats require
        raise DataError(f"{escaped(str(path))}: got a path that is not UTF-8; choose another")
    if path.suffix not in formats:
        raise DataError(f"{path}: got the suffix {path.suffix!r}, expected {' or '.join(formats)}")
    return formats[path.suffix]


def _header(gallery: TemplateGallery, **more: Any) -> str:
    content = _checksum(gallery.origin, gallery.files, gallery.names, gallery.templates)
    header = {"format": FORMAT, "checksum": content, **attrs.asdict(gallery.origin), **more}
    return json.dumps(header)


def _checksum(
    origin: TemplateOrigin, files: Sequence[str], names: Sequence[str], templates: Tensor
) -> str:
    """Return the checksum of everything in a gallery."""
    texts = json.dumps([attrs.asdict(origin), [*files], [*names], [*templates.shape]])
    return checksum([texts.encode(), templates.float().contiguous().numpy().tobytes()])


def _origin(text: str | bytes) -> tuple[TemplateOrigin, dict[str, Any]]:
    """Return the origin in a header, and its other entries."""
    entries = json.loads(text)
    version = entries.pop("format")
    if version != FORMAT:
        raise ValueError(f"got format {version!r}, expected {FORMAT}")
    names = [field.name for field in attrs.fields(TemplateOrigin)]
    return TemplateOrigin(**{name: entries.pop(name) for name in names}), entries


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
    origin, header = _origin((table.schema.metadata or {})[KEY.encode()])
    templates = table["template"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    numbers = np.array(templates, dtype=np.float32).reshape(-1, origin.size)
    files, names = table["file"].to_pylist(), table["name"].to_pylist()
    return _checked(files, names, torch.from_numpy(numbers), origin, header["checksum"])


def _write_safetensors(gallery: TemplateGallery, path: Path) -> None:
    header = _header(gallery, files=gallery.files, names=gallery.names)
    save_file({"templates": gallery.templates.contiguous()}, path, {KEY: header})


def _read_safetensors(path: Path) -> TemplateGallery:
    with safe_open(path, "pt") as file:
        origin, header = _origin((file.metadata() or {})[KEY])
        templates = file.get_tensor("templates")
        return _checked(header["files"], header["names"], templates, origin, header["checksum"])


def _checked(
    files: list[str], names: list[str], templates: Tensor, origin: TemplateOrigin, recorded: str
) -> TemplateGallery:
    if not len(files) == len(names) == len(templates) or templates.shape[1:] != (origin.size,):
        raise ValueError(
            f"got {len(files)} files, {len(names)} names and templates {tuple(templates.shape)}, "
            f"expected equal numbers of each and templates of {origin.size} numbers"
        )
    if _checksum(origin, files, names, templates) != recorded:
        raise ValueError("its checksum does not match, so it was damaged or edited")
    return TemplateGallery(
        files=tuple(files), names=tuple(names), templates=templates.float(), origin=origin
    )
