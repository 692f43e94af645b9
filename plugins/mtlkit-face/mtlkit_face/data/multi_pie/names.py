"""File names of Multi-PIE: ``SSS_ss_RR_CCC_LL.png``.

SSS is the subject, ss the session, RR the recording within it, CCC the camera and LL the light.
Source: R. Gross, I. Matthews, J. Cohn, T. Kanade, S. Baker, "Multi-PIE", Image and Vision
Computing 28(5), 2010.
"""

import re
from collections.abc import Mapping

import attrs

CAMERAS: Mapping[str, int] = {
    "110": -90,
    "120": -75,
    "090": -60,
    "080": -45,
    "130": -30,
    "140": -15,
    "051": 0,
    "050": 15,
    "041": 30,
    "190": 45,
    "200": 60,
    "010": 75,
    "240": 90,
    "081": -45,
    "191": 45,
}
"""Yaw in degrees of each camera: 13 at head height, and two overhead ones (081 and 191) that count
as -45 and 45. At -90 the camera sees the left profile, and the face looks to the left edge."""

OVERHEAD = ("081", "191")

LIGHTS = 20
ROOM_AGAIN = 19
"""Each recording has 20 pictures: 1 to 18 with a flash, 0 and 19 with the room's light alone."""

EXPRESSIONS = ("neutral", "smile", "surprise", "squint", "disgust", "scream")

RECORDED: Mapping[int, tuple[str, ...]] = {
    1: ("neutral", "smile"),
    2: ("neutral", "surprise", "squint"),
    3: ("neutral", "smile", "disgust"),
    4: ("neutral", "neutral", "scream"),
}
"""Expressions of the recordings of each session, in order."""

NAME = re.compile(
    r"(?P<subject>\d{3})_(?P<session>\d\d)_(?P<recording>\d\d)_(?P<camera>\d{3})_(?P<light>\d\d)"
    r"\.(?:png|jpe?g|bmp|ppm|pgm|webp)",
    re.IGNORECASE,
)


@attrs.frozen
class PictureName:
    """Parsed file name of a picture.

    >>> PictureName(subject=1, session=4, recording=3, camera="190", light=19).expression
    'scream'
    """

    subject: int
    session: int
    recording: int
    camera: str
    light: int

    @property
    def expression(self) -> str:
        """Expression of the recording."""
        return RECORDED[self.session][self.recording - 1]

    @property
    def folder(self) -> str:
        """Folder in the official tree: ``session01/multiview/001/01/19_0``."""
        camera = f"{self.camera[:2]}_{self.camera[2]}"
        return (
            f"session{self.session:02d}/multiview/{self.subject:03d}/{self.recording:02d}/{camera}"
        )

    @property
    def name(self) -> str:
        """File name without the suffix: ``001_01_01_190_07``."""
        return (
            f"{self.subject:03d}_{self.session:02d}_{self.recording:02d}_{self.camera}"
            f"_{self.light:02d}"
        )


def parse_name(name: str) -> PictureName | None:
    """Parse a file name; returns None if it does not have the form of a multi-view picture.

    Raises `ValueError` for a number that Multi-PIE does not have.

    >>> parse_name("001_01_02_051_07.png")
    PictureName(subject=1, session=1, recording=2, camera='051', light=7)
    """
    match = NAME.fullmatch(name)
    if match is None:
        return None
    session, recording, light = (int(match[key]) for key in ("session", "recording", "light"))
    camera = match["camera"]
    if session not in RECORDED:
        raise ValueError(f"session {session:02d}, expected 01 to 04")
    if not 1 <= recording <= len(RECORDED[session]):
        raise ValueError(
            f"recording {recording:02d} of session {session:02d}, expected 01 to "
            f"{len(RECORDED[session]):02d}"
        )
    if camera not in CAMERAS:
        raise ValueError(f"camera {camera}, expected one of {', '.join(sorted(CAMERAS))}")
    if light >= LIGHTS:
        raise ValueError(f"light {light:02d}, expected 00 to {LIGHTS - 1}")
    return PictureName(int(match["subject"]), session, recording, camera, light)
