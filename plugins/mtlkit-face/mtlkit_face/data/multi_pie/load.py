"""From a Multi-PIE tree to data: choose, count, check, label."""

from collections.abc import Sequence
from pathlib import Path

import attrs
import numpy as np
import torch

from mtlkit.data.configs import Loading
from mtlkit.data.dataset import Categorical, Data, Split
from mtlkit.data.decode import Frame, threads
from mtlkit.errors import DataError
from mtlkit_face.data.face_loading import found
from mtlkit_face.data.holdout import held_out
from mtlkit_face.data.multi_pie.names import CAMERAS, EXPRESSIONS, LIGHTS, RECORDED, ROOM_AGAIN
from mtlkit_face.data.multi_pie.settings import SETTINGS, Setting
from mtlkit_face.data.multi_pie.source import MultiPie
from mtlkit_face.data.multi_pie.tree import CAMERA_NUMBERS, Index, Ints, Pictures, read_tree
from mtlkit_face.data.multi_pie.whole import Shortfall
from mtlkit_face.data.stored_faces import FileStore, StoredFaces, complaint, faults


def load_multi_pie(source: MultiPie, loading: Loading) -> Data:
    """The pictures of `source`'s setting; `DataError` where the tree is not what it asks for."""
    setting = SETTINGS[source.setting]
    folder = found(source.folder, (loading.base, Path()), "folder")
    every, names, other = read_tree(folder)
    chosen = every.chosen(setting, source.neutral_light)
    pictures = every.take(chosen)
    shortfall = Shortfall.of(pictures, setting, source.neutral_light)
    if shortfall.numbers and not source.incomplete:
        raise DataError(_refusal(folder, source.setting, shortfall))
    store = FileStore(folder, [names[place] for place in chosen])
    frame = Frame(source.size, source.size, source.channels)
    bad = faults(store, frame, loading) if source.check else {}
    if bad:
        raise DataError(f"{complaint(str(folder), store, bad)}\nmend them, or copy them anew")
    parts = _Parts.of(pictures, source, setting)
    faces = _Faces(store, pictures, setting, source.neutral_light, frame, threads(loading))
    return Data(
        train=faces.split(parts.train),
        validation=faces.split(parts.validation) if len(parts.validation) else None,
        test=faces.split(parts.test),
        open_labels=frozenset({"subject"}),
        summary=_summary(source, pictures, parts, shortfall, len(every), other),
    )


def _refusal(folder: Path, setting: str, shortfall: Shortfall) -> str:
    lines = [f"{folder}: is not the whole of setting {setting} of Multi-PIE:"]
    lines += [f"  {line}" for line in (*shortfall.numbers, *shortfall.places)]
    lines.append(
        "bring what is missing, or let `incomplete: true` take what is there: its numbers are not "
        "comparable with published ones"
    )
    return "\n".join(lines)


@attrs.frozen(eq=False)
class _Parts:
    """Positions of the splits among the chosen pictures, and of the test subjects left out."""

    train: Index
    validation: Index
    test: Index
    without_gallery: Sequence[int]

    @classmethod
    def of(cls, pictures: Pictures, source: MultiPie, setting: Setting) -> "_Parts":
        trained = pictures.subject <= setting.trained
        tested = ~trained
        if source.development:
            people = np.unique(pictures.subject[trained])
            if source.development >= len(people):
                raise DataError(
                    f"data.development: expected fewer than the {len(people)} training subjects, "
                    f"found {source.development}"
                )
            tested = np.isin(pictures.subject, people[-source.development :])
            trained &= ~tested
        for what, mask in (("training", trained), ("test", tested)):
            if not mask.any():
                raise DataError(f"{source.folder}: holds no {what} subject of this setting")
        galleries = pictures.subject[pictures.gallery_like(source.neutral_light)]
        enrolled = np.isin(pictures.subject, galleries)
        without = np.unique(pictures.subject[tested & ~enrolled])
        own = np.flatnonzero(trained)
        apart = held_out(pictures.subject[own], source.validation, source.seed)
        return cls(own[~apart], own[apart], np.flatnonzero(tested & enrolled), without.tolist())


@attrs.frozen(eq=False)
class _Faces:
    """What splits are made of."""

    store: FileStore
    pictures: Pictures
    setting: Setting
    neutral_light: int
    frame: Frame
    workers: int

    def split(self, positions: Index) -> Split:
        """The pictures at `positions`, with what the setting may show for vocabularies."""
        shown = self.pictures.take(positions)
        setting = self.setting
        lights = range(ROOM_AGAIN) if setting.every_light else (self.neutral_light % ROOM_AGAIN,)
        recordings = max(len(RECORDED[session]) for session in setting.sessions)
        expressions = range(len(EXPRESSIONS) if setting.every_expression else 1)
        cameras = [CAMERA_NUMBERS.index(camera) for camera in setting.cameras]
        yaws = sorted({CAMERAS[camera] for camera in setting.cameras})
        people = np.unique(shown.subject).tolist()
        neutral = (shown.light == self.neutral_light).astype(np.int16)
        columns = {
            "subject": _column(shown.subject, people, [f"{number:03d}" for number in people]),
            "session": _column(shown.session, setting.sessions),
            "recording": _column(shown.recording, range(1, recordings + 1)),
            "camera": _column(shown.camera, cameras, setting.cameras),
            "yaw": _column(shown.yaw, yaws),
            "light": _column(shown.light % ROOM_AGAIN, lights),
            "neutral_light": _column(neutral, (0, 1), ("no", "yes")),
            "expression": _column(shown.expression, expressions, EXPRESSIONS),
        }
        nowhere = np.zeros(len(positions), bool)
        return Split(
            inputs=StoredFaces(self.store, positions, nowhere, self.frame, self.workers),
            columns=columns,
            ids=[Path(self.store.names[place]).stem for place in positions],
        )


def _column(
    values: Ints, vocabulary: Sequence[int], words: Sequence[str] | None = None
) -> Categorical:
    """The column of `values`, which are of a vocabulary; `words` name its members in order."""
    place = np.full(max(vocabulary) - min(vocabulary) + 1, -1, np.int64)
    place[np.array(vocabulary) - min(vocabulary)] = np.arange(len(vocabulary))
    names = [str(number) for number in vocabulary] if words is None else words[: len(vocabulary)]
    return Categorical(torch.from_numpy(place[values - min(vocabulary)]), tuple(names))


def _summary(
    source: MultiPie,
    pictures: Pictures,
    parts: _Parts,
    shortfall: Shortfall,
    files: int,
    other: Sequence[str],
) -> dict[str, str]:
    setting = SETTINGS[source.setting]
    subjects = {
        what: len(np.unique(pictures.subject[positions]))
        for what, positions in (("train", parts.train), ("test", parts.test))
    }
    tested = "test subjects"
    if source.development:
        tested = "development subjects, tested instead of the test subjects"
    colour = "gray" if source.channels == 1 else "RGB"
    facts = {
        "setting": f"{source.setting} of Multi-PIE",
        "size": f"{source.size} x {source.size} pixels, {colour}",
        "cameras": f"{len(setting.cameras)}, {len({CAMERAS[c] for c in setting.cameras})} yaws",
        "lights": f"{LIGHTS} pictures of {ROOM_AGAIN} lights"
        if setting.every_light
        else f"light {source.neutral_light}",
        "images of the setting": f"{len(pictures):,} of {setting.counts.images:,}, among {files:,}",
        "training subjects": str(subjects["train"]),
        tested: str(subjects["test"]),
        "training images": f"{len(parts.train):,}",
        "validation images": f"{len(parts.validation):,}",
        "test images": f"{len(parts.test):,}",
    }
    if shortfall.numbers:
        facts["incomplete, not comparable"] = "; ".join(shortfall.numbers)
    if shortfall.places:
        facts["missing"] = "; ".join(shortfall.places)
    if parts.without_gallery:
        first = f"{parts.without_gallery[0]:03d}"
        facts["test subjects left out, without a gallery image"] = (
            f"{len(parts.without_gallery)}, such as {first}"
        )
    if other:
        facts["no multi-view pictures"] = f"{len(other):,}, such as {other[0]}"
    return facts
