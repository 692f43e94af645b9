"""Write predictions as a table, with maps in files next to it."""

import io
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from PIL import Image
from torch import Tensor

from mtlkit.atomic_files import make_folder, write_file
from mtlkit.errors import DataError
from mtlkit.report.csv_file import rows_csv
from mtlkit.runs.prediction.predictions import SamplePredictions, joined

Rows = Sequence[Mapping[str, Any]]


def write_predictions(parts: Iterable[SamplePredictions], out: Path) -> int:
    """Write predictions to `out`, CSV, Parquet or JSON by its suffix, and return their number.

    Maps are written one batch at a time to the folder ``STEM_maps/TASK`` next to `out`: codes of
    classes as PNG, other maps as ``.npy``. The column of the task holds the path, relative to
    `out`. A list, such as the classes of tokens, is JSON text in CSV. Raises `DataError` for
    another suffix.
    """
    writer = table_writer(out)
    maps = out.with_name(f"{out.stem}_maps")
    written: list[SamplePredictions] = []
    count = 0
    for part in parts:
        paths = {
            task: [
                _write_map(maps / quote(task, safe=""), count + number, values)
                .relative_to(out.parent)
                .as_posix()
                for number, values in enumerate(stack, start=1)
            ]
            for task, stack in part.maps.items()
        }
        count += len(part)
        columns = {**part.columns, **paths}
        written.append(SamplePredictions(ids=part.ids, columns=columns, maps={}))
    write_file(out, writer(joined(written).rows()))
    return count


def table_writer(out: Path) -> Callable[[Rows], bytes]:
    """Return the function that encodes rows for the suffix of `out`; `DataError` for another."""
    writers = {".csv": _csv_bytes, ".parquet": _parquet_bytes, ".json": _json_bytes}
    writer = writers.get(out.suffix.lower())
    if writer is None:
        raise DataError(f"{out}: expected a name that ends in .csv, .parquet or .json")
    return writer


def csv_text(rows: Rows, *, safe: bool = True) -> str:
    """Return rows as CSV; lists are JSON text. `safe` is that of `rows_csv`."""
    plain = [
        {k: json.dumps(v) if isinstance(v, list) else v for k, v in row.items()} for row in rows
    ]
    return rows_csv(plain, safe=safe)


def _csv_bytes(rows: Rows) -> bytes:
    return csv_text(rows).encode()


def _json_bytes(rows: Rows) -> bytes:
    plain = [
        {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}
        for row in rows
    ]
    return (json.dumps(plain, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _parquet_bytes(rows: Rows) -> bytes:
    import pyarrow
    from pyarrow import parquet

    buffer = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(list(rows)), buffer)
    return buffer.getvalue()


def _write_map(folder: Path, number: int, values: Tensor) -> Path:
    """Write the map of a sample: codes (H, W) as PNG, numbers (C, H, W) as ``.npy``."""
    make_folder(folder)
    content = io.BytesIO()
    array = values.numpy()
    if values.dtype.is_floating_point:
        np.save(content, array)
        path = folder / f"{number:06d}.npy"
    else:
        small = array.astype(np.uint8 if array.max(initial=0) < 256 else np.uint16)
        Image.fromarray(small).save(content, format="PNG")
        path = folder / f"{number:06d}.png"
    write_file(path, content.getvalue())
    return path
