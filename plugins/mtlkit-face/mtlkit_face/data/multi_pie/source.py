"""Multi-PIE as a data source."""

from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from mtlkit.config import at_least, between, one_of
from mtlkit.data.configs import DataSource, Loading
from mtlkit_face.data.face_source import gray_or_colour
from mtlkit_face.data.multi_pie.settings import SETTINGS

if TYPE_CHECKING:
    from mtlkit.data.dataset import Data


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

    def load(self, loading: Loading) -> "Data":
        from mtlkit_face.data.multi_pie.load import load_multi_pie

        return load_multi_pie(self, loading)
