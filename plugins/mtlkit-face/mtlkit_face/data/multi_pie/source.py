"""Data source of Multi-PIE: select the pictures of a setting, count, check and label them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from mtlkit.data import (
    Data,
    DataSource,
    DecoderPool,
    FileStore,
    Frame,
    Loading,
    Split,
    StoredImages,
    read_new_images,
    threads,
)
from mtlkit.plugins import DataError, at_least, between, one_of
from mtlkit_face.data.holdout import holdout_mask
from mtlkit_face.data.image_source import gray_or_rgb
from mtlkit_face.data.input_files import locate
from mtlkit_face.data.label_columns import label_column
from mtlkit_face.data.multi_pie.completeness import Shortfall
from mtlkit_face.data.multi_pie.names import CAMERAS, EXPRESSIONS, LIGHTS, RECORDED, ROOM_AGAIN
from mtlkit_face.data.multi_pie.settings import SETTINGS, MultiPieSetting
from mtlkit_face.data.multi_pie.tree import CAMERA_NUMBERS, Index, PictureTable, read_tree
from mtlkit_face.data.stored_faces import SQUARE, StoredFaces, fault_report, find_faults


def _neutral(_: object, field: "attrs.Attribute[int]", value: object) -> None:
    if value not in (0, 7, 19):
        raise ValueError(
            f"{field.name}: got {value!r}, expected 0 or 19 (the room's light) or 7 (the frontal "
            f"flash)"
        )


@attrs.frozen(kw_only=True)
class MultiPie(DataSource):
    """CMU Multi-PIE in its official tree, with one of the published settings.

    Labels are read from file names, ``SSS_ss_RR_CCC_LL.png``, anywhere below `folder`: subject,
    session, recording, camera, yaw, light and expression. The two overhead cameras count as -45 and
    45 degrees of yaw; picture 19, the second one without a flash, counts as light 0. The label
    `neutral_light` is yes for pictures of that number and no for others. Images must be square and
    aligned (`mtlkit face align` keeps the tree); they are converted to `size` and `channels`.

    `setting` is I, II, III, IV, V or full. Subjects of low number are for training, the others for
    testing. The gallery image of a subject is the first frontal, neutral picture under
    `neutral_light`; for identification, use the gallery ``{yaw: 0, neutral_light: yes, expression:
    neutral}``. A setting with one light uses `neutral_light`. The tree must have exactly the
    paper's counts. `incomplete: true` accepts other trees, whose results are not comparable; the
    summary lists the missing pictures.

    `validation` is the fraction of each training subject's images that is held out. `development`
    is a number of training subjects, those of the highest numbers, that replace the test subjects;
    the paper uses 20 to tune a weight.

    With `standardize`, the network reads each image shifted and scaled to mean 0 and standard
    deviation 1.

    Images are decoded on access, and also once before training unless `check` is false.

    >>> MultiPie(folder=Path("Multi-Pie/data"), setting="III").neutral_light
    0
    """

    folder: Path
    setting: str = attrs.field(default="full", validator=one_of(*SETTINGS))
    size: int = attrs.field(default=100, validator=at_least(8))
    channels: int = attrs.field(default=1, validator=gray_or_rgb)
    standardize: bool = False
    neutral_light: int = attrs.field(default=0, validator=_neutral)
    validation: float = attrs.field(default=0.0, validator=between(0, 0.9))
    development: int = attrs.field(default=0, validator=at_least(0))
    seed: int = attrs.field(default=0, validator=at_least(0))
    incomplete: bool = False
    check: bool = True

    def read(self, rows: object, preprocessing: Mapping[str, Any], loading: Loading) -> Split:
        return read_new_images(rows, self.frame, loading)

    @property
    def frame(self) -> Frame:
        return Frame(self.size, self.size, self.channels, crop=1.0)

    def load(self, loading: Loading) -> Data:
        """Load the pictures of the setting; raises `DataError` if the tree does not match it."""
        setting = SETTINGS[self.setting]
        folder = locate(self.folder, (loading.base, Path()), "folder")
        every, names, other = read_tree(folder)
        chosen = every.chosen(setting, self.neutral_light)
        pictures = every.take(chosen)
        shortfall = Shortfall.of(pictures, setting, self.neutral_light)
        if shortfall.counts and not self.incomplete:
            lines = [f"{folder}: is incomplete for setting {self.setting} of Multi-PIE:"]
            lines += [f"  {line}" for line in (*shortfall.counts, *shortfall.recordings)]
            lines.append(
                "add the missing pictures, or accept the tree with `incomplete: true`; its results "
                "are not comparable with published ones"
            )
            raise DataError(*lines)
        store = FileStore(folder, [names[index] for index in chosen])
        frame = Frame(self.size, self.size, self.channels, square=SQUARE)
        bad = find_faults(store, frame, loading) if self.check else {}
        if bad:
            report = fault_report(str(folder), store, bad)
            raise DataError(*report, "repair them, or copy them again")
        splits = _SplitPositions.of(pictures, self, setting)
        pool = DecoderPool(threads(loading))
        images = StoredImages(store, frame, pool, checked_before=self.check)
        faces = _MultiPieFaces(store, pictures, setting, self.neutral_light, images)
        return Data(
            train=faces.split(splits.train),
            validation=faces.split(splits.validation) if len(splits.validation) else None,
            test=faces.split(splits.test),
            open_labels=frozenset({"subject"}),
            standardize=self.standardize,
            summary=_summary(self, pictures, splits, shortfall, len(every), other),
        )


@attrs.frozen(eq=False)
class _SplitPositions:
    """Positions of the splits among the selected pictures, and skipped test subjects."""

    train: Index
    validation: Index
    test: Index
    without_gallery: Sequence[int]

    @classmethod
    def of(
        cls, pictures: PictureTable, source: "MultiPie", setting: MultiPieSetting
    ) -> "_SplitPositions":
        trained = pictures.subject <= setting.trained
        tested = ~trained
        if source.development:
            people = np.unique(pictures.subject[trained])
            if source.development >= len(people):
                raise DataError(
                    f"data.development: got {source.development}, expected fewer than the "
                    f"{len(people)} training subjects"
                )
            tested = np.isin(pictures.subject, people[-source.development :])
            trained &= ~tested
        for split, mask in (("training", trained), ("test", tested)):
            if not mask.any():
                raise DataError(f"{source.folder}: contains no {split} subject of this setting")
        with_gallery = pictures.subject[pictures.is_gallery(source.neutral_light)]
        enrolled = np.isin(pictures.subject, with_gallery)
        without = np.unique(pictures.subject[tested & ~enrolled]).tolist()
        train = np.flatnonzero(trained)
        held_out = holdout_mask(pictures.subject[train], source.validation, source.seed)
        test = np.flatnonzero(tested & enrolled)
        return cls(train[~held_out], train[held_out], test, without)


@attrs.frozen(eq=False)
class _MultiPieFaces:
    """Images and labels of all selected pictures."""

    store: FileStore
    pictures: PictureTable
    setting: MultiPieSetting
    neutral_light: int
    images: StoredImages

    def split(self, positions: Index) -> Split:
        """Return the pictures at `positions`; vocabularies are those of the whole setting."""
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
        return Split(
            inputs=StoredFaces.at(self.images, positions),
            columns=columns,
            ids=[Path(self.store.names[position]).stem for position in positions],
        )


def _summary(
    source: "MultiPie",
    pictures: PictureTable,
    splits: _SplitPositions,
    shortfall: Shortfall,
    files: int,
    other: Sequence[str],
) -> dict[str, str]:
    setting = SETTINGS[source.setting]
    subjects = {
        name: len(np.unique(pictures.subject[positions]))
        for name, positions in (("train", splits.train), ("test", splits.test))
    }
    tested = "test subjects"
    if source.development:
        tested = "development subjects, tested instead of the test subjects"
    color = "gray" if source.channels == 1 else "RGB"
    facts = {
        "setting": f"{source.setting} of Multi-PIE",
        "size": f"{source.size} x {source.size} pixels, {color}",
        "cameras": f"{len(setting.cameras)}, {len({CAMERAS[c] for c in setting.cameras})} yaws",
        "lights": f"{LIGHTS} pictures of {ROOM_AGAIN} lights"
        if setting.every_light
        else f"light {source.neutral_light}",
        "images of the setting": f"{len(pictures):,} of {setting.counts.images:,}, among {files:,}",
        "training subjects": str(subjects["train"]),
        tested: str(subjects["test"]),
        "training images": f"{len(splits.train):,}",
        "validation images": f"{len(splits.validation):,}",
        "test images": f"{len(splits.test):,}",
    }
    if shortfall.counts:
        facts["incomplete, not comparable"] = "; ".join(shortfall.counts)
    if shortfall.recordings:
        facts["missing"] = "; ".join(shortfall.recordings)
    if splits.without_gallery:
        first = f"{splits.without_gallery[0]:03d}"
        facts["test subjects skipped, without a gallery image"] = (
            f"{len(splits.without_gallery)}, such as {first}"
        )
    if other:
        facts["other files"] = f"{len(other):,}, such as {other[0]}"
    return facts
