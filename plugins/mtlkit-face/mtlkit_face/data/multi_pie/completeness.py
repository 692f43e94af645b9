"""Whether a tree has all that a setting counts, and what it lacks."""

from collections.abc import Iterator, Mapping

import attrs
import numpy as np

from mtlkit_face.data.multi_pie.names import LIGHTS
from mtlkit_face.data.multi_pie.settings import SESSION_SUBJECTS, Counts, MultiPieSetting
from mtlkit_face.data.multi_pie.tree import CAMERA_NUMBERS, Pictures

SHOWN = 10
"""How many recordings a message names before it only counts them."""

WHAT: Mapping[str, str] = {
    "training_subjects": "training subjects",
    "training_images": "training images",
    "gallery": "gallery images",
    "probes": "probes",
}


def count(pictures: Pictures, setting: MultiPieSetting, neutral_light: int) -> Counts:
    """What there is of `pictures`, chosen by `setting`."""
    trained = pictures.subject <= setting.trained
    gallery = pictures.gallery_like(neutral_light) & ~trained
    subjects = len(np.unique(pictures.subject[gallery]))
    return Counts(
        training_subjects=len(np.unique(pictures.subject[trained])),
        training_images=int(trained.sum()),
        gallery=subjects,
        probes=int((~trained).sum()) - subjects,
    )


def differences(found: Counts, expected: Counts) -> list[str]:
    """Each number that is not the published one."""
    return [
        f"{words}: {getattr(found, name):,} of {getattr(expected, name):,}"
        for name, words in WHAT.items()
        if getattr(found, name) != getattr(expected, name)
    ]


def lacking(pictures: Pictures, setting: MultiPieSetting) -> list[str]:
    """What the chosen `pictures` lack: subjects of sessions, and pictures of recordings."""
    return [*_sessions(pictures, setting), *_recordings(pictures, setting)]


def _sessions(pictures: Pictures, setting: MultiPieSetting) -> Iterator[str]:
    for session in setting.sessions:
        there = len(np.unique(pictures.subject[pictures.session == session]))
        if there != SESSION_SUBJECTS[session]:
            yield f"session {session:02d}: {there} of {SESSION_SUBJECTS[session]} subjects"


def _recordings(pictures: Pictures, setting: MultiPieSetting) -> Iterator[str]:
    """The recordings that lack some of the pictures that a setting takes of each."""
    each = len(setting.cameras) * (LIGHTS if setting.every_light else 1)
    table = np.stack([pictures.session, pictures.subject, pictures.recording], 1)
    kinds, place, sizes = np.unique(table, axis=0, return_inverse=True, return_counts=True)
    short = np.flatnonzero(sizes != each)
    for number in short[:SHOWN]:
        session, subject, recording = map(int, kinds[number])
        own = pictures.take(np.flatnonzero(place.reshape(-1) == number))
        yield (
            f"session {session:02d}, subject {subject:03d}, recording {recording:02d}: "
            f"{len(own)} of {each} pictures{_cameras(own, setting)}"
        )
    if len(short) > SHOWN:
        yield f"and {len(short) - SHOWN} more recordings"


def _cameras(own: Pictures, setting: MultiPieSetting) -> str:
    """Which cameras of a recording lack pictures, in words."""
    each = LIGHTS if setting.every_light else 1
    numbers = np.bincount(own.camera, minlength=len(CAMERA_NUMBERS))
    short = [camera for camera in setting.cameras if numbers[CAMERA_NUMBERS.index(camera)] != each]
    more = f" and {len(short) - 3} more" if len(short) > 3 else ""
    return f" (camera {', '.join(short[:3])}{more})"


@attrs.frozen(eq=False)
class Shortfall:
    """What a tree lacks of a setting: numbers, and where they come from."""

    numbers: list[str]
    places: list[str]

    @classmethod
    def of(cls, pictures: Pictures, setting: MultiPieSetting, neutral_light: int) -> "Shortfall":
        """That of the chosen `pictures`; places are looked for only where a number is wrong."""
        numbers = differences(count(pictures, setting, neutral_light), setting.counts)
        return cls(numbers, lacking(pictures, setting) if numbers else [])
