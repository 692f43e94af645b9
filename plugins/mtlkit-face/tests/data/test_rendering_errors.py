"""Errors of rendering processes, as the data source and the command report them."""

from pathlib import Path

import pytest
from mtlkit_face.data.rendered import Rendered
from mtlkit_synthetic_faces import worker_pool

from mtlkit.cli import main
from mtlkit.data import Loading
from mtlkit.plugins import DataError

DYING = (
    "import sys, os; sys.stdin.buffer.readline(); sys.stderr.write('no more memory\\n'); exit(3)"
)


@pytest.fixture(autouse=True)
def dying(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_pool, "_PROGRAM", DYING)


def test_a_dying_worker_is_a_data_error_of_a_recipe() -> None:
    source = Rendered(subjects=2, test_subjects=1, size=32, images_per_subject=4)
    with pytest.raises(DataError, match=r"rendering training faces: .*use workers=1"):
        source.load(Loading(workers=2))


def test_a_dying_worker_is_an_error_of_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["face", "render", "--out", str(tmp_path / "out"), "--workers", "2",
              "--size", "32"])  # fmt: skip
    assert caught.value.code == 2
    assert "a worker process ended with code 3" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
