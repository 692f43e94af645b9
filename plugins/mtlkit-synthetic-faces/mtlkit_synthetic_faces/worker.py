"""A worker process that reads rows from its input and writes their pictures to its output.

The first line of the input is the face set (JSON); every further line is the table of rows of one
(subject, session), and the response is the bytes of their pictures. The worker ends with its input,
which the system closes when the parent process ends.
"""

import json
import signal
import sys

import numpy as np
import numpy.typing as npt

from mtlkit_synthetic_faces.face_set import FaceSet
from mtlkit_synthetic_faces.plan import FacePlan
from mtlkit_synthetic_faces.rendering.render import PhotoSession, Studio


def photographs(studio: Studio, rows: FacePlan) -> npt.NDArray[np.uint8]:
    """Render pictures (N,C,H,W) of rows of one subject in one session."""
    return PhotoSession.of(studio, int(rows.subject[0]), int(rows.session[0])).photographs(rows)


def main() -> None:
    """Render every line of the standard input until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process handles Ctrl-C
    requests, responses = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # keeps prints of libraries out of the pictures
    studio = Studio.open(FaceSet(**json.loads(requests.readline())))
    for line in requests:
        responses.write(photographs(studio, FacePlan.of(json.loads(line))).tobytes())
        responses.flush()
