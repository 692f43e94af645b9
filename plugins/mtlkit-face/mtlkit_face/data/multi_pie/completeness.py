"""Compare the images of a tree with the published counts of a setting."""

from collections.abc import Iterator, Mapping

import attrs
import numpy as np

from mtlkit_face.data.multi_pie.names import LIGHTS
from mtlkit_face.data.multi_pie.settings import SESSION_SUBJECTS, Counts, MultiPieSetting
from mtlkit_face.data.multi_pie.tree import CAMERA_NUMBERS, PictureTable

MAX_SHOWN = 10
"""Maximum number of recordings that a message lists."""

TEXTS: Mapping[str, str] = {
    "training_subjects": "training subjects",
    "training_images": "training images",
    "gallery": "gallery images",
    "probes": "probes",
}


def count(pictures: PictureTable, setting: MultiPieSetting, neutral_light: int) -> Counts:
    """Return the counts of `pictures`, which `setting` selected."""
    trained = pictures.subject <= setting.trained
    gallery = pictures.is_gallery(neutral_light) & ~trained
    subjects = len(np.unique(pictures.subject[gallery]))
    return Counts(
        training_subjects=len(np.unique(pictures.subject[trained])),
        training_images=int(trained.sum()),
        gallery=subjects,
        probes=int((~trained).sum()) - subjects,
    )


def differences(counts: Counts, published: Counts) -> list[str]:
    """Return a text for each number that differs from the published one."""
    return [
        f"{text}: {getattr(counts, name):,} of {getattr(published, name):,}"
        for name, text in TEXTS.items()
        if getattr(counts, name) != getattr(published, name)
    ]


def _incomplete_sessions(pictures: PictureTable, setting: MultiPieSetting) -> Iterator[str]:
    for session in setting.sessions:
        subjects = len(np.unique(pictures.subject[pictures.session == session]))
        if subjects != SESSION_SUBJECTS[session]:
            yield f"session {session:02d}: {subjects} of {SESSION_SUBJECTS[session]} subjects"


def _incomplete_recordings(pictures: PictureTable, setting: MultiPieSetting) -> Iterator[str]:
    complete = len(setting.cameras) * (LIGHTS if setting.every_light else 1)
    table = np.stack([pictures.session, pictures.subject, pictures.recording], 1)
    recordings, number_of, sizes = np.unique(table, axis=0, return_inverse=True, return_counts=True)
    incomplete = np.flatnonzero(sizes != complete)
    for number in incomplete[:MAX_SHOWN]:
        session, subject, recording = map(int, recordings[number])
        present = pictures.take(np.flatnonzero(number_of.reshape(-1) == number))
        yield (
            f"session {session:02d}, subject {subject:03d}, recording {recording:02d}: "
            f"{len(present)} of {complete} pictures{_incomplete_cameras(present, setting)}"
        )
    if len(incomplete) > MAX_SHOWN:
        yield f"and {len(incomplete) - MAX_SHOWN} more recordings"


def _incomplete_cameras(recording: PictureTable, setting: MultiPieSetting) -> str:
    """Return a text on the cameras of a recording that lack pictures."""
    complete = LIGHTS if setting.every_light else 1
    counts = np.bincount(recording.camera, minlength=len(CAMERA_NUMBERS))
    names = [name for name in setting.cameras if counts[CAMERA_NUMBERS.index(name)] != complete]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f" (camera {', '.join(names[:3])}{more})"


@attrs.frozen(eq=False)
class Shortfall:
    """Counts of a tree that differ from those of a setting, and its incomplete recordings."""

    counts: list[str]
    recordings: list[str]

    @classmethod
    def of(
        cls, pictures: PictureTable, setting: MultiPieSetting, neutral_light: int
    ) -> "Shortfall":
        """Return the shortfall of `pictures`, which `setting` selected."""
        counts = differences(count(pictures, setting, neutral_light), setting.counts)
        if not counts:
            return cls([], [])
        sessions = _incomplete_sessions(pictures, setting)
        return cls(counts, [*sessions, *_incomplete_recordings(pictures, setting)])
