"""The index of a shard: keys, places and labels of its samples."""

import contextlib
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
from numpy.typing import NDArray

from mtlkit.checksums import checksum
from mtlkit.data.listing.image_listing import SUFFIXES
from mtlkit.data.listing.table_files import cell_text
from mtlkit.data.sharded.shard_files import ShardFile
from mtlkit.errors import DataError, error_text

if TYPE_CHECKING:
    import pyarrow

KEYS = ("__key__", "key")
"""Columns of Parquet files that name the samples, and labels of JSON files that do."""

TEXTS = (".cls", ".txt")
"""Suffixes of files in a tar that hold one label, named by the suffix."""

CHECKSUM = 32
"""Number of bytes before the Parquet file of a stored index: its checksum."""


@attrs.frozen(eq=False)
class ShardIndex:
    """Samples of a shard: `keys` (N,), `labels` by name, and where the image of each is.

    In a tar, `first` and `second` (N,) are the image's first byte and number of bytes; in a Parquet
    file they are its group of rows and its row in the group.
    """

    keys: Sequence[str]
    first: NDArray[np.int64]
    second: NDArray[np.int32]
    labels: Mapping[str, Sequence[str | None]]


def shard_index(file: ShardFile, image: str | None, cache: Path | None) -> ShardIndex:
    """Return the index of a shard, from the folder `cache` if it has it.

    `image` is the suffix of images in a tar, or the column of images in a Parquet file; None finds
    it. Raises `DataError` for a shard that is damaged or truncated.
    """
    build = _builder(file.name)
    if cache is None:
        return build(file, image)
    from pyarrow import parquet

    text = f"{file.name}\0{file.identity}\0{image}"
    path = cache / "shards" / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.index"
    with contextlib.suppress(OSError):  # none yet
        stored = path.read_bytes()
        if stored[:CHECKSUM] == checksum([stored[CHECKSUM:]]).encode():
            return _from_table(parquet.read_table(io.BytesIO(stored[CHECKSUM:])))
    index, content = build(file, image), io.BytesIO()
    parquet.write_table(_to_table(index), content)
    whole = checksum([content.getvalue()]).encode() + content.getvalue()
    partial = path.with_suffix(f".{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(whole)
        partial.replace(path)
    except OSError as cause:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise DataError(
            f"{path.parent}: cannot keep the index of {file.name}: {cause.strerror or cause}; free "
            f"space, or use another folder by `--cache`"
        ) from cause
    return index


def _builder(name: str) -> Callable[[ShardFile, str | None], ShardIndex]:
    suffix = PurePosixPath(name).suffix.lower()
    builder = {".tar": _index_tar, ".parquet": _index_parquet}.get(suffix)
    if builder is None:
        raise DataError(f"{name}: got a shard that ends in {suffix!r}, expected .tar or .parquet")
    return builder


def _to_table(index: ShardIndex) -> "pyarrow.Table":
    import pyarrow

    labels = {
        f"label {name}": pyarrow.array(v, pyarrow.string()) for name, v in index.labels.items()
    }
    places = {"key": index.keys, "first": index.first, "second": index.second}
    return pyarrow.table({**places, **labels})


def _from_table(table: "pyarrow.Table") -> ShardIndex:
    key, first, second = (table[name] for name in ("key", "first", "second"))
    labels = {
        name.removeprefix("label "): table[name].to_pylist() for name in table.column_names[3:]
    }
    return ShardIndex(key.to_pylist(), first.to_numpy(), second.to_numpy(), labels)


def _index_tar(shard: ShardFile, image: str | None) -> ShardIndex:
    """Index a tar as WebDataset writes it: the files of a sample have one name but for suffixes."""
    samples: dict[str, tuple[int, int]] = {}
    labels: dict[str, dict[str, str | None]] = {}
    path = shard.open().path
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                name = PurePosixPath(member.name)
                stem, _, suffix = name.name.partition(".")
                if not member.isfile() or not stem:
                    continue
                key, suffix = (name.parent / stem).as_posix(), f".{suffix.lower()}"
                if suffix == ".json" or suffix in TEXTS:
                    source = tar.extractfile(member)
                    assert source is not None, "a regular file"
                    place = f"{shard.name}, {member.name}"
                    labels.setdefault(key, {}).update(_labels(place, suffix, source.read()))
                elif _is_image_file(suffix, image):
                    if key in samples:
                        raise DataError(
                            f"{shard.name}, {member.name}: got a second image of the sample {key}, "
                            f"expected one; name the suffix to read by `image`"
                        )
                    samples[key] = member.offset_data, member.size
            _require_end(shard.name, path, tar.offset)
    except tarfile.TarError as cause:
        raise DataError(
            f"{shard.name}: got {error_text(cause)}, expected a complete tar; the shard is damaged "
            f"or truncated, copy it again"
        ) from cause
    if not samples:
        raise DataError(
            f"{shard.name}: got no image, expected files that end in "
            f"{image or ', '.join(sorted(SUFFIXES))}; correct `image`"
        )
    names = dict.fromkeys(name for key in samples for name in labels.get(key, ()))
    places = np.array([*samples.values()], np.int64).reshape(-1, 2)
    columns = {name: [labels.get(key, {}).get(name) for key in samples] for name in names}
    return ShardIndex([*samples], places[:, 0].copy(), places[:, 1].astype(np.int32), columns)


def _is_image_file(suffix: str, image: str | None) -> bool:
    return (
        f".{suffix}".endswith(f".{image}") if image else f".{suffix.rpartition('.')[2]}" in SUFFIXES
    )


def _require_end(name: str, path: Path, offset: int) -> None:
    """Raise `DataError` unless zeros follow the last file: readers of tars ignore what is cut."""
    with path.open("rb") as file:
        file.seek(max(0, offset - tarfile.BLOCKSIZE))
        rest = file.read(2 * tarfile.BLOCKSIZE)
    if len(rest) < tarfile.BLOCKSIZE or any(rest[-tarfile.BLOCKSIZE :]):
        raise DataError(
            f"{name}: got no end of the archive after byte {offset}, expected blocks of zeros; the "
            f"shard is damaged or truncated, copy it again"
        )


def _labels(place: str, suffix: str, content: bytes) -> dict[str, str | None]:
    try:
        text = content.decode()
        values = json.loads(text) if suffix == ".json" else {suffix[1:]: text}
    except ValueError as cause:
        raise DataError(f"{place}: got {error_text(cause)}, expected text in UTF-8") from cause
    if not isinstance(values, dict):
        raise DataError(f"{place}: got {type(values).__name__}, expected labels by name")
    return {name: cell_text(value) for name, value in values.items() if _is_label(name, value)}


def _is_label(name: str, value: Any) -> bool:
    return name not in KEYS and (value is None or isinstance(value, str | int | float))


def _index_parquet(shard: ShardFile, image: str | None) -> ShardIndex:
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(shard.open().path) as file:
            image = image_column(shard.name, file.schema_arrow, image)
            columns = [
                field.name
                for field in file.schema_arrow
                if field.name != image and not pyarrow.types.is_nested(field.type)
                and not _is_bytes(field.type)
            ]  # fmt: skip
            table = file.read(columns)
            groups = range(file.num_row_groups)
            sizes = [file.metadata.row_group(group).num_rows for group in groups]
    except (pyarrow.ArrowException, OSError) as cause:
        raise DataError(
            f"{shard.name}: got {error_text(cause)}, expected a Parquet file; the shard is damaged "
            f"or truncated, copy it again"
        ) from cause
    count = sum(sizes)
    key = next((name for name in KEYS if name in columns), None)
    keys = [f"row {row}" for row in range(count)] if key is None else table[key].to_pylist()
    return ShardIndex(
        [str(value) for value in keys],
        np.repeat(np.arange(len(sizes)), sizes),
        np.concatenate([np.arange(size, dtype=np.int32) for size in sizes] or [np.zeros(0)]),
        {
            name: [cell_text(value) for value in table[name].to_pylist()]
            for name in columns
            if name != key
        },
    )


def image_column(place: str, schema: "pyarrow.Schema", stated: str | None) -> str:
    """Return the column of encoded images: bytes, or a structure with a field ``bytes``."""
    columns = [field.name for field in schema if _is_image(field.type)]
    if stated in columns or (stated is None and len(columns) == 1):
        return stated or columns[0]
    raise DataError(
        f"{place}: got {stated or 'no column'} for the images, expected one of the columns of "
        f"bytes: {', '.join(columns) or 'none'}; state it by `image`"
    )


def _is_image(kind: "pyarrow.DataType") -> bool:
    import pyarrow

    if pyarrow.types.is_struct(kind):
        return int(kind.get_field_index("bytes")) >= 0
    return _is_bytes(kind)


def _is_bytes(kind: "pyarrow.DataType") -> bool:
    import pyarrow

    types = pyarrow.types
    return bool(types.is_binary(kind) or types.is_large_binary(kind))
