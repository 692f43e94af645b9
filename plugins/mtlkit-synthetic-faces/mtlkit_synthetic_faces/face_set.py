"""The options of a set of synthetic faces."""

from typing import Any

import attrs

from mtlkit_synthetic_faces.protocol import EXPRESSIONS, LIGHT_PRIORITY, LIGHTS, POSES


def _whole(low: int, high: int | None = None) -> Any:
    """Return a validator of whole numbers from `low` to `high`."""
    until = f"of at least {low}" if high is None else f"from {low} to {high}"
    expected = f"a whole number {until}"

    def check(instance: object, attribute: "attrs.Attribute[int]", value: object) -> None:
        good = isinstance(value, int) and not isinstance(value, bool)
        if not good or value < low or (high is not None and value > high):  # type: ignore[operator]
            raise ValueError(f"{attribute.name}: expected {expected}, got {value!r}")

    return check


def _number(low: float, high: float) -> Any:
    """Return a validator of numbers from `low` to `high`."""

    def check(instance: object, attribute: "attrs.Attribute[float]", value: object) -> None:
        good = isinstance(value, int | float) and not isinstance(value, bool)
        if not good or not low <= value <= high:  # type: ignore[operator]
            expected = f"a number from {low:g} to {high:g}"
            raise ValueError(f"{attribute.name}: expected {expected}, got {value!r}")

    return check


@attrs.frozen(kw_only=True)
class FaceSet:
    """A set of synthetic faces: its subjects, pictures of each, and difficulty.

    Sets with disjoint ranges of subjects share no person. Each picture depends on the options of
    the set other than the counts, and on (subject, session, pose, light, expression). Lengths are
    pixels of the picture; `noise` is a standard deviation relative to the full scale; `exposure`
    is the standard deviation of the logarithm of the brightness.

    `style` 2 has short hair above the ears and long hair over them, 20 different lights (19 is a
    lamp above; in style 1 it equals 0), room light that varies, and procedural scenes for walls.
    The other options make pictures like those of cameras, and are off by default: `accessories` is
    the chance of glasses, half of them dark, in a session and expression (hats and scarves have a
    third of it); `occlusion` the chance of an object in front of a face; `degradation`, 0 to 1, the
    loss by resolution, blur, contrast and JPEG; `jitter_deg` a standard deviation of the camera's
    yaw and elevation, in degrees; `zoom` the size of faces, of which 0.7 shows the whole head.

    Raises ValueError, "OPTION: expected ..., got ...", for a value out of its range.

    >>> faces = FaceSet(subjects=2, sessions=1, lights=2)
    >>> len(faces), faces.combinations
    (312, 156)
    """

    subjects: int = attrs.field(default=240, validator=_whole(1))
    first_subject: int = attrs.field(default=0, validator=_whole(0))
    size: int = attrs.field(default=48, validator=_whole(32, 112))
    channels: int = attrs.field(default=1, validator=_whole(1, 3))
    poses: int = attrs.field(default=13, validator=_whole(13, 15))
    lights: int = attrs.field(default=20, validator=_whole(1, len(LIGHTS)))
    expressions: int = attrs.field(default=6, validator=_whole(1, len(EXPRESSIONS)))
    sessions: int = attrs.field(default=4, validator=_whole(1))
    images_per_subject: int | None = attrs.field(default=None)
    lights_per_geometry: int = attrs.field(default=4, validator=_whole(1, len(LIGHTS)))
    supersampling: int = attrs.field(default=2, validator=_whole(1, 4))
    identity_amplitude: float = attrs.field(default=0.25, validator=_number(0, 1))
    skin_variation: float = attrs.field(default=1.0, validator=_number(0, 1))
    session_variation: float = attrs.field(default=0.25, validator=_number(0, 1))
    exposure: float = attrs.field(default=0.1, validator=_number(0, 1))
    noise: float = attrs.field(default=0.01, validator=_number(0, 0.5))
    blur: float = attrs.field(default=0.4, validator=_number(0, 1))
    jitter_px: float = attrs.field(default=0.7, validator=_number(0, 10))
    seed: int = attrs.field(default=0, validator=_whole(0))
    style: int = attrs.field(default=1, validator=_whole(1, 2))
    accessories: float = attrs.field(default=0.0, validator=_number(0, 1))
    occlusion: float = attrs.field(default=0.0, validator=_number(0, 1))
    degradation: float = attrs.field(default=0.0, validator=_number(0, 1))
    jitter_deg: float = attrs.field(default=0.0, validator=_number(0, 30))
    zoom: float = attrs.field(default=1.0, validator=_number(0.7, 1.5))

    @channels.validator
    def _gray_or_color(self, attribute: "attrs.Attribute[int]", value: int) -> None:
        if value not in (1, 3):
            raise ValueError(f"channels: expected 1 (gray) or 3 (RGB), got {value!r}")

    @poses.validator
    def _known_poses(self, attribute: "attrs.Attribute[int]", value: int) -> None:
        if value not in (13, len(POSES)):
            raise ValueError(
                f"poses: expected 13 (head height) or 15 (and overhead), got {value!r}"
            )

    @images_per_subject.validator
    def _possible_count(self, attribute: "attrs.Attribute[int]", value: int | None) -> None:
        if value is None:
            return
        _whole(1, self.combinations)(self, attribute, value)

    def __attrs_post_init__(self) -> None:
        if self.images_per_subject is None:
            return
        geometries = self.sessions * self.poses * self.expressions
        most = geometries * min(self.lights_per_geometry, self.lights)
        if self.images_per_subject > most:
            raise ValueError(
                f"images_per_subject: expected at most {most} ({geometries} geometries x "
                f"lights_per_geometry), got {self.images_per_subject}"
            )

    @property
    def combinations(self) -> int:
        """The number of pictures of one subject with every combination."""
        return self.sessions * self.poses * self.lights * self.expressions

    @property
    def light_numbers(self) -> tuple[int, ...]:
        """The Multi-PIE numbers of the lights, ascending."""
        return tuple(sorted(LIGHT_PRIORITY[: self.lights]))

    def __len__(self) -> int:
        return self.subjects * (self.images_per_subject or self.combinations)
