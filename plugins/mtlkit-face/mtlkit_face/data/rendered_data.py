"""From rendered images and their plan to the splits that mtlkit trains and tests on."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from mtlkit_synthetic_faces import RenderedSet, render_set
from mtlkit_synthetic_faces.crew import WorkerError
from mtlkit_synthetic_faces.protocol import EXPRESSIONS, POSES
from torch import Tensor

from mtlkit.data.configs import Loading
from mtlkit.data.dataset import Categorical, Data, Split
from mtlkit.data.tables import read_table
from mtlkit.errors import DataError
from mtlkit_face.data.holdout import held_out
from mtlkit_face.data.rendered import Rendered


class ArrayImages:
    """Images (N, C, H, W) of an array in memory or on disk, chosen by `index`."""

    def __init__(self, images: npt.NDArray[np.uint8], index: npt.NDArray[np.intp]) -> None:
        self._images = images
        self._index = index

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, index: Tensor, /) -> Tensor:
        return torch.from_numpy(self._images[self._index[index.numpy()]])


def load_rendered(source: Rendered, loading: Loading) -> Data:
    """The data of `source`: subjects to train on, some of their images held out, and strangers.

    Raises `DataError` where the cache folder cannot be written, or a rendering process dies.
    """
    train = _render(source, loading, test=False)
    test = _render(source, loading, test=True)
    labels = read_labels(source.labels, loading.base)
    apart = held_out(train.rows.subject, source.validation, source.seed)
    summary = {
        "faces": f"rendered, {source.size} px, {'gray' if source.channels == 1 else 'RGB'}",
        "training subjects": str(source.subjects),
        "test subjects": f"{source.test_subjects}, none of them in training",
        "training images": str(int((~apart).sum())),
        "validation images": str(int(apart.sum())),
        "test images": str(len(test.rows)),
    }
    data = Data(
        train=_split(train, np.flatnonzero(~apart), labels),
        validation=_split(train, np.flatnonzero(apart), labels) if apart.any() else None,
        test=_split(test, np.arange(len(test.rows)), labels),
        open_labels=frozenset({"subject"}),
        summary=summary,
    )
    _refuse_strangers(source, labels, data)
    return data


def _render(source: Rendered, loading: Loading, *, test: bool) -> RenderedSet:
    label = "rendering test faces" if test else "rendering training faces"
    try:
        return render_set(
            source.faces(test=test),
            cache=loading.cache / "faces" if loading.cache is not None else None,
            workers=loading.workers,
            progress=lambda done, total: loading.progress(label, done, total),
        )
    except WorkerError as died:
        raise DataError(f"{label}: {died}") from died
    except OSError as cause:
        raise DataError(
            f"{loading.cache}: the rendered faces cannot be kept: {cause.strerror or cause}. "
            f"Nothing half-written was left; free some space, or choose another folder with --cache"
        ) from cause


def _split(
    rendered: RenderedSet, index: npt.NDArray[np.intp], labels: Mapping[str, Mapping[str, str]]
) -> Split:
    faces, rows = rendered.faces, rendered.rows.take(index)
    people = range(faces.first_subject, faces.first_subject + faces.subjects)
    # what the set may show, not what this split happens to show
    columns = {
        "subject": _column(rows.subject, people),
        "session": _column(rows.session, range(faces.sessions)),
        "yaw": _column(rows.yaw, sorted({camera.yaw for camera in POSES[: faces.poses]})),
        "light": _column(rows.light, faces.light_numbers),
        "expression": _column(rows.expression, range(faces.expressions), EXPRESSIONS),
    }
    expressions = [EXPRESSIONS[number] for number in rows.expression]
    ids = [
        f"subject{s}-session{t}-yaw{y:+d}-pose{p}-light{li}-{e}"
        for s, t, y, p, li, e in zip(
            rows.subject, rows.session, rows.yaw, rows.pose, rows.light, expressions, strict=True
        )
    ]
    for name, known in labels.items():
        if name in columns:
            raise DataError(f"data.labels: rendered faces have a label {name!r} of their own")
        names = Categorical.of(list(known.values())).names
        columns[name] = Categorical.of([known.get(each) for each in ids], names)
    return Split(inputs=ArrayImages(rendered.images, index), columns=columns, ids=ids)


def _refuse_strangers(
    source: Rendered, labels: Mapping[str, Mapping[str, str]], data: Data
) -> None:
    """`DataError` where a table has a label for an image that is not here: it is of other faces."""
    ids = {each for split in data.splits().values() for each in split.ids}
    strange = [each for known in labels.values() for each in known if each not in ids]
    if strange:
        raise DataError(
            f"data.labels: {source.labels}: {len(strange)} labels are for no face here, that of "
            f"{strange[0]!r} for one; is it the table of other faces?"
        )


def read_labels(table: Path | None, base: Path) -> dict[str, dict[str, str]]:
    """The labels of a table: for each column the label of each image that has one, by its id."""
    if table is None:
        return {}
    path = next((each / table for each in (base, Path()) if (each / table).is_file()), None)
    if path is None:
        raise DataError(f"data.labels: no such file: {table} (looked for it in {base.absolute()})")
    rows = read_table(path)
    found: dict[str, dict[str, str]] = {name: {} for row in rows[:1] for name in row.labels}
    seen: dict[str, str] = {}
    for row in rows:
        if row.file in seen:
            raise DataError(f"{row.place}: {row.file!r} was already listed at {seen[row.file]}")
        seen[row.file] = row.place
        for name, label in row.labels.items():
            if label is not None:
                found[name][row.file] = label
    return found


def _column(
    values: npt.NDArray[np.int32], vocabulary: Sequence[int], words: Sequence[str] = ()
) -> Categorical:
    """The column of `values`, which are of an ascending vocabulary; `words` name its members."""
    codes = np.searchsorted(np.array(vocabulary), values)
    names = tuple(words[number] if words else str(number) for number in vocabulary)
    return Categorical(torch.from_numpy(codes.astype(np.int64)), names)
