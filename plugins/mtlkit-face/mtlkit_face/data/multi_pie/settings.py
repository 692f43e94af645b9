"""Published settings I to V and the full set: training subjects, test subjects and pictures.

Source: X. Yin, X. Liu (TIP 2018), the table of Multi-PIE settings. Its counts follow from the sizes
of the sessions: 249, 203, 230 and 239 subjects, with 2, 3, 3 and 3 recordings.
"""

from collections.abc import Mapping

import attrs

from mtlkit_face.data.multi_pie.names import CAMERAS, OVERHEAD


@attrs.frozen
class Counts:
    """Numbers of subjects and images."""

    training_subjects: int
    training_images: int
    gallery: int
    probes: int

    @property
    def images(self) -> int:
        """Number of all images."""
        return self.training_images + self.gallery + self.probes


@attrs.frozen(kw_only=True)
class MultiPieSetting:
    """Selection of pictures; the subjects 1 to `trained` are the training subjects.

    With `every_light`, all 20 pictures of a recording are used, otherwise the neutral one. With
    `every_expression`, all recordings are used, otherwise the neutral ones.
    """

    sessions: tuple[int, ...]
    cameras: tuple[str, ...]
    every_light: bool
    every_expression: bool
    trained: int
    counts: Counts


def _within(degrees: int) -> tuple[str, ...]:
    """Return the cameras at head height from -`degrees` to `degrees`."""
    return tuple(
        camera for camera, yaw in CAMERAS.items() if abs(yaw) <= degrees and camera not in OVERHEAD
    )


ALL_SESSIONS = (1, 2, 3, 4)

SETTINGS: Mapping[str, MultiPieSetting] = {
    "I": MultiPieSetting(
        sessions=ALL_SESSIONS,
        cameras=_within(45),
        every_light=False,
        every_expression=False,
        trained=200,
        counts=Counts(200, 5_383, 137, 2_600),
    ),
    "II": MultiPieSetting(
        sessions=(1,),
        cameras=_within(45),
        every_light=True,
        every_expression=False,
        trained=100,
        counts=Counts(100, 14_000, 149, 20_711),
    ),
    "III": MultiPieSetting(
        sessions=(1,),
        cameras=tuple(CAMERAS),
        every_light=True,
        every_expression=False,
        trained=150,
        counts=Counts(150, 45_000, 99, 29_601),
    ),
    "IV": MultiPieSetting(
        sessions=ALL_SESSIONS,
        cameras=_within(60),
        every_light=True,
        every_expression=False,
        trained=200,
        counts=Counts(200, 138_420, 137, 70_243),
    ),
    "V": MultiPieSetting(
        sessions=ALL_SESSIONS,
        cameras=_within(90),
        every_light=True,
        every_expression=False,
        trained=200,
        counts=Counts(200, 199_940, 137, 101_523),
    ),
    "full": MultiPieSetting(
        sessions=ALL_SESSIONS,
        cameras=tuple(CAMERAS),
        every_light=True,
        every_expression=True,
        trained=200,
        counts=Counts(200, 498_900, 137, 255_163),
    ),
}
"""Published settings by name; V is not the full set."""

SESSION_SUBJECTS: Mapping[int, int] = {1: 249, 2: 203, 3: 230, 4: 239}
"""Number of subjects of each session."""
