"""Multi-PIE as a data source: choose the pictures of a setting, count, check and label them."""

from collections.abc import Sequence
from pathlib import Path

import attrs
import numpy as np

from mtlkit.data import Data, DataSource, Frame, Loading, Split, threads
from mtlkit.plugins import DataError, at_least, between, one_of
from mtlkit_face.data.holdout import holdout_mask
from mtlkit_face.data.image_source import gray_or_colour
from mtlkit_face.data.input_files import locate
from mtlkit_face.data.label_columns import label_column
from mtlkit_face.data.multi_pie.completeness import Shortfall
from mtlkit_face.data.multi_pie.names import CAMERAS, EXPRESSIONS, LIGHTS, RECORDED, ROOM_AGAIN
from mtlkit_face.data.multi_pie.settings import SETTINGS, MultiPieSetting
from mtlkit_face.data.multi_pie.tree import CAMERA_NUMBERS, Index, Pictures, read_tree
from mtlkit_face.data.stored_faces import FileStore, StoredFaces, complaint, faults


def _neutral(_: object, field: "attrs.Attribute[int]", value: object) -> None:
    if value not in (0, 7, 19):
        raise ValueError(
            f"{field.name}: expected 0 or 19 (the room's light) or 7 (the frontal flash), found "
            f"{value!r}"
        )


@attrs.frozen(kw_only=True)
class MultiPie(DataSource):
    """CMU Multi-PIE in its official tree, under one of the published settings.

    Labels are read from the names of the files, ``SSS_ss_RR_CCC_LL.png``, wherever in `folder` they
    lie: subject, session, recording, camera, yaw, light and expression. The two overhead cameras
    count as -45 and 45 degrees of yaw, the picture 19, a second one without a flash, as light 0.
    One more label, `neutral_light`, is yes for the pictures of that number and no for others.
    Images are square and aligned (`mtlkit face align` keeps the tree), and brought to `size` and
    `channels`.

    `setting` is I, II, III, IV, V or full. The subjects of low number are trained on, the others
    are the test. A subject's first frontal, neutral picture under `neutral_light` is the gallery's:
    an identification asks for it by ``{yaw: 0, neutral_light: yes, expression: neutral}``, and
    refuses a gallery under another light. Where a setting has one light, it is that one.
    The tree must hold exactly what the paper counts; `incomplete: true` admits another one, whose
    numbers are then no longer comparable: the summary says what is missing.

    `validation` is the part of each training subject's images that is held out. With `development`,
    so many of the training subjects, those of the highest numbers, are tested instead of the test
    subjects: to search for a weight, the paper takes 20.

    Images are decoded when they are asked for, and once before training, unless `check` is false.

    >>> MultiPie(folder=Path("Multi-Pie/data"), setting="III").neutral_light
    0
    """

    folder: Path
    setting: str = attrs.field(default="full", validator=one_of(*SETTINGS))
    size: int = attrs.field(default=100, validator=at_least(8))
    channels: int = attrs.field(default=1, validator=gray_or_colour)
    neutral_light: int = attrs.field(default=0, validator=_neutral)
    validation: float = attrs.field(default=0.0, validator=between(0, 0.9))
    development: int = attrs.field(default=0, validator=at_least(0))
    seed: int = attrs.field(default=0, validator=at_least(0))
    incomplete: bool = False
    check: bool = True

    def load(self, loading: Loading) -> Data:
        """The pictures of the setting; `DataError` where the tree is not what it asks for."""
        setting = SETTINGS[self.setting]
        folder = locate(self.folder, (loading.base, Path()), "folder")
        every, names, other = read_tree(folder)
        chosen = every.chosen(setting, self.neutral_light)
        pictures = every.take(chosen)
        shortfall = Shortfall.of(pictures, setting, self.neutral_light)
        if shortfall.numbers and not self.incomplete:
            lines = [f"{folder}: is not the whole of setting {self.setting} of Multi-PIE:"]
            lines += [f"  {line}" for line in (*shortfall.numbers, *shortfall.places)]
            lines.append(
                "bring what is missing, or let `incomplete: true` take what is there: its numbers "
                "are not comparable with published ones"
            )
            raise DataError("\n".join(lines))
        store = FileStore(folder, [names[place] for place in chosen])
        frame = Frame(self.size, self.size, self.channels)
        bad = faults(store, frame, loading) if self.check else {}
        if bad:
            raise DataError(f"{complaint(str(folder), store, bad)}\nmend them, or copy them anew")
        parts = _Parts.of(pictures, self, setting)
        faces = _MultiPieFaces(
            store, pictures, setting, self.neutral_light, frame, threads(loading)
        )
        return Data(
            train=faces.split(parts.train),
            validation=faces.split(parts.validation) if len(parts.validation) else None,
            test=faces.split(parts.test),
            open_labels=frozenset({"subject"}),
            summary=_summary(self, pictures, parts, shortfall, len(every), other),
        )


@attrs.frozen(eq=False)
class _Parts:
    """Positions of the splits among the chosen pictures, and of the test subjects left out."""

    train: Index
    validation: Index
    test: Index
    without_gallery: Sequence[int]

    @classmethod
    def of(cls, pictures: Pictures, source: "MultiPie", setting: MultiPieSetting) -> "_Parts":
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
        apart = holdout_mask(pictures.subject[own], source.validation, source.seed)
        return cls(own[~apart], own[apart], np.flatnonzero(tested & enrolled), without.tolist())


@attrs.frozen(eq=False)
class _MultiPieFaces:
    """What splits are made of."""

    store: FileStore
    pictures: Pictures
    setting: MultiPieSetting
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
            "subject": label_column(shown.subject, people, [f"{number:03d}" for number in people]),
            "session": label_column(shown.session, setting.sessions),
            "recording": label_column(shown.recording, range(1, recordings + 1)),
            "camera": label_column(shown.camera, cameras, setting.cameras),
            "yaw": label_column(shown.yaw, yaws),
            "light": label_column(shown.light % ROOM_AGAIN, lights),
            "neutral_light": label_column(neutral, (0, 1), ("no", "yes")),
            "expression": label_column(shown.expression, expressions, EXPRESSIONS),
        }
        nowhere = np.zeros(len(positions), bool)
        return Split(
            inputs=StoredFaces(self.store, positions, nowhere, self.frame, self.workers),
            columns=columns,
            ids=[Path(self.store.names[place]).stem for place in positions],
        )


def _summary(
    source: "MultiPie",
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
