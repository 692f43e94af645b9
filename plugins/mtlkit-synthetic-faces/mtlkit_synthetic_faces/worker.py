"""A worker process: it reads what to render from its input and writes pictures to its output.

The first line of the input is the face set (JSON); every further line is the table of rows of one
(subject, session), answered by the bytes of their pictures. The worker ends with its input: when
the program that feeds it ends in whatever way, the system closes the pipe.
"""

import json
import signal
import sys

import numpy as np
import numpy.typing as npt

from mtlkit_synthetic_faces.face_set import FaceSet
from mtlkit_synthetic_faces.plan import Rows
from mtlkit_synthetic_faces.rendering.render import PhotoSession, Studio


def photographs(studio: Studio, rows: Rows) -> npt.NDArray[np.uint8]:
    """Pictures (N,C,H,W) of rows that all show one subject in one session."""
    return PhotoSession.of(studio, int(rows.subject[0]), int(rows.session[0])).photographs(rows)


def main() -> None:
    """Answer every line of the standard input until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the feeding program's to handle
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # a library that prints must not print into the pictures
    studio = Studio.open(FaceSet(**json.loads(requests.readline())))
    for line in requests:
        answers.write(photographs(studio, Rows.of(json.loads(line))).tobytes())
        answers.flush()
