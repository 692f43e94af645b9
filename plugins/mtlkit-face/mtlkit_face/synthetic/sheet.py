"""A contact sheet: identities by pose, by light and by expression."""

import numpy as np
import numpy.typing as npt

from mtlkit_face.synthetic.face_set import FaceSet
from mtlkit_face.synthetic.plan import Rows
from mtlkit_face.synthetic.protocol import FRONTAL_POSE, NEUTRAL_EXPRESSION, NEUTRAL_LIGHT

Images = npt.NDArray[np.uint8]
_GAP = 2
_FRONTAL_FLASH, _HALF_PROFILE = 7, 9


def tiled(images: Images, columns: int) -> Images:
    """Pictures (N,C,H,W) side by side on white, row after row: (rows, columns, C).

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


def _columns(faces: FaceSet) -> list[tuple[int, int, int, int]]:
    """(session, pose, light, expression) of the columns of the three blocks."""
    flash = _FRONTAL_FLASH if _FRONTAL_FLASH in faces.light_numbers else NEUTRAL_LIGHT
    neutral = NEUTRAL_EXPRESSION
    poses = [(0, pose, flash, neutral) for pose in range(faces.poses)]
    lights = [(0, FRONTAL_POSE, light, neutral) for light in faces.light_numbers]
    faces_made = [(0, FRONTAL_POSE, flash, e) for e in range(faces.expressions)]
    turned = [(0, _HALF_PROFILE, flash, e) for e in range(faces.expressions)]
    days = [(s, FRONTAL_POSE, NEUTRAL_LIGHT, neutral) for s in range(faces.sessions)]
    return poses + lights + faces_made + turned + days


def contact_sheet(faces: FaceSet, *, subjects: int = 8) -> Images:
    """The first subjects of a set, one line each: (rows, columns, C) uint8.

    From left to right: every pose, every light, every expression from the front and at 45 degrees,
    every session.
    """
    from mtlkit_face.synthetic.render import Sitting, Studio

    studio = Studio.open(faces)
    columns = _columns(faces)
    lines = []
    for subject in range(faces.first_subject, faces.first_subject + min(subjects, faces.subjects)):
        line = np.empty((len(columns), faces.channels, faces.size, faces.size), np.uint8)
        for session in {column[0] for column in columns}:
            index = [i for i, column in enumerate(columns) if column[0] == session]
            rows = Rows.of([(subject, *columns[i]) for i in index])
            line[index] = Sitting.of(studio, subject, session).photographs(rows)
        lines.append(line)
    return tiled(np.concatenate(lines), len(columns))
