"""A contact sheet: identities by pose, by light and by expression."""

import numpy as np
import numpy.typing as npt

from mtlkit_synthetic_faces.face_set import FaceSet
from mtlkit_synthetic_faces.plan import FacePlan
from mtlkit_synthetic_faces.protocol import FRONTAL_POSE, NEUTRAL_EXPRESSION, NEUTRAL_LIGHT

Images = npt.NDArray[np.uint8]
_GAP = 2
_FRONTAL_FLASH, _HALF_PROFILE = 7, 9


def tiled(images: Images, columns: int) -> Images:
    """Return pictures (N,C,H,W) in a grid on white: (rows, columns, C).

    >>> tiled(np.zeros((3, 1, 8, 8), np.uint8), 2).shape
    (22, 22, 1)
    """
    count, channels, height, width = images.shape
    lines = -(-count // columns)
    shape = (lines * (height + _GAP) + _GAP, columns * (width + _GAP) + _GAP, channels)
    sheet = np.full(shape, 255, np.uint8)
    for number, image in enumerate(images):
        line, column = divmod(number, columns)
        top, left = line * (height + _GAP) + _GAP, column * (width + _GAP) + _GAP
        sheet[top : top + height, left : left + width] = image.transpose(1, 2, 0)
    return sheet


def _blocks(faces: FaceSet) -> tuple[list[tuple[int, int, int, int]], ...]:
    """Return (session, pose, light, expression) of the columns of each of the three blocks."""
    flash = _FRONTAL_FLASH if _FRONTAL_FLASH in faces.light_numbers else NEUTRAL_LIGHT
    neutral = NEUTRAL_EXPRESSION
    poses = [(0, pose, flash, neutral) for pose in range(faces.poses)]
    lights = [(0, FRONTAL_POSE, light, neutral) for light in faces.light_numbers]
    front = [(0, FRONTAL_POSE, flash, e) for e in range(faces.expressions)]
    turned = [(0, _HALF_PROFILE, flash, e) for e in range(faces.expressions)]
    days = [(s, FRONTAL_POSE, NEUTRAL_LIGHT, neutral) for s in range(min(faces.sessions, 8))]
    return poses, lights, front + turned + days


def contact_sheet(faces: FaceSet, *, subjects: int = 8) -> Images:
    """Render the first subjects of a set, one line each in three blocks: (rows, columns, C) uint8.

    The blocks show every pose; every light; and every expression from the front and at 45 degrees,
    followed by every session.
    """
    from mtlkit_synthetic_faces.rendering.render import PhotoSession, Studio

    studio = Studio.open(faces)
    count = min(subjects, faces.subjects)
    photo_sessions = {
        (subject, day): PhotoSession.of(studio, subject, day)
        for subject in range(faces.first_subject, faces.first_subject + count)
        for day in range(min(faces.sessions, 8))
    }
    blocks = []
    for columns in _blocks(faces):
        block = np.empty((count, len(columns), faces.channels, faces.size, faces.size), np.uint8)
        for (subject, day), photo_session in photo_sessions.items():
            index = [i for i, column in enumerate(columns) if column[0] == day]
            if index:
                rows = FacePlan.of([(subject, *columns[i]) for i in index])
                block[subject - faces.first_subject, index] = photo_session.photographs(rows)
        blocks.append(tiled(block.reshape(-1, *block.shape[2:]), len(columns)))
    width = max(block.shape[1] for block in blocks)
    white = [((0, _GAP), (0, width - block.shape[1]), (0, 0)) for block in blocks]
    padded = [np.pad(b, w, constant_values=255) for b, w in zip(blocks, white, strict=True)]
    return np.concatenate(padded)
