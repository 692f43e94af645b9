"""Whole sets: processes, cache, folder of PNGs, contact sheet, progress bar."""

import csv
import io
import json
import logging
import subprocess
import sys
import threading
from pathlib import Path

import attrs
import numpy as np
import pytest
from mtlkit_synthetic_faces import (
    FaceSet,
    contact_sheet,
    png_folder,
    render_set,
    write_png_folder,
)
from mtlkit_synthetic_faces.cache import cache_key, cached_images
from mtlkit_synthetic_faces.plan import plan
from mtlkit_synthetic_faces.protocol import EXPRESSIONS
from PIL import Image

FACES = FaceSet(subjects=2, size=32, sessions=2, images_per_subject=6, lights_per_geometry=2)
SHAPE = (12, 1, 32, 32)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def final(root: Path) -> Path:
    return root / f"faces-{cache_key(FACES)}"


def kept(root: Path) -> list[Path]:
    """All that is in a cache but the lock files, which stay."""
    return [path for path in root.iterdir() if path.suffix != ".lock"]


def test_the_number_of_processes_does_not_matter() -> None:
    calls: list[tuple[int, int]] = []
    one = render_set(FACES, cache=None, workers=1)
    two = render_set(FACES, cache=None, workers=2, progress=lambda *done: calls.append(done))
    assert np.array_equal(one.images, two.images)
    assert calls[-1] == (12, 12)
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)


@pytest.mark.parametrize("workers", [0, -1])
def test_workers_must_be_some(workers: int) -> None:
    with pytest.raises(ValueError, match=r"render_set\.workers: got .*, expected a whole number"):
        render_set(FACES, cache=None, workers=workers)


def test_a_cached_set_is_used_again(root: Path) -> None:
    first = render_set(FACES, cache=root, workers=1)
    calls: list[tuple[int, int]] = []
    second = render_set(FACES, cache=root, workers=1, progress=lambda *done: calls.append(done))
    assert (first.reused, second.reused) == (False, True)
    assert not calls
    assert isinstance(second.images, np.memmap)
    assert not second.images.flags.writeable
    assert np.array_equal(first.images, second.images)
    assert np.array_equal(second.images, render_set(FACES, cache=None, workers=1).images)
    assert kept(root) == [final(root)]  # nothing temporary left


def test_the_key_follows_every_value() -> None:
    changes = [{"seed": 1}, {"size": 33}, {"noise": 0.5}, {"subjects": 3}, {"lights": 19}]
    keys = {cache_key(attrs.evolve(FACES, **change)) for change in changes}  # type: ignore[arg-type]
    assert len(keys | {cache_key(FACES)}) == len(changes) + 1
    assert cache_key(FACES) == cache_key(attrs.evolve(FACES))


def _flip(folder: Path) -> None:
    with (folder / "images.npy").open("r+b") as stream:
        stream.seek(-5, io.SEEK_END)
        stream.write(b"\x01\x02")


def _cut(folder: Path) -> None:
    content = (folder / "images.npy").read_bytes()
    (folder / "images.npy").write_bytes(content[: len(content) // 2])


def _lose_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()


def _break_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_text("[]")


def _lose_images(folder: Path) -> None:
    (folder / "images.npy").unlink()


def _other_shape(folder: Path) -> None:
    np.save(folder / "images.npy", np.zeros((1, 1, 32, 32), np.uint8))


@pytest.mark.parametrize(
    "damage", [_flip, _cut, _lose_manifest, _break_manifest, _lose_images, _other_shape]
)
def test_a_damaged_set_is_rendered_again_with_a_warning(
    root: Path, damage: object, caplog: pytest.LogCaptureFixture
) -> None:
    whole = np.array(render_set(FACES, cache=root, workers=1).images)
    assert callable(damage)
    damage(final(root))
    with caplog.at_level(logging.WARNING, "mtlkit_synthetic_faces.cache"):
        again = render_set(FACES, cache=root, workers=1)
    assert not again.reused
    assert np.array_equal(again.images, whole)
    assert "got" in caplog.text
    assert "expected" in caplog.text
    assert render_set(FACES, cache=root, workers=1).reused
    assert kept(root) == [final(root)]


@pytest.mark.parametrize("fault", [KeyboardInterrupt, OSError])
def test_an_interrupted_rendering_leaves_nothing(root: Path, fault: type[BaseException]) -> None:
    def fill(images: np.ndarray) -> None:
        images[:3] = 7
        raise fault

    with pytest.raises(fault):
        cached_images(root, FACES, SHAPE, fill)
    assert kept(root) == []


def test_a_killed_process_leaves_no_set_under_the_final_name(root: Path) -> None:
    code = f"""
import os, signal
from pathlib import Path
from mtlkit_synthetic_faces.cache import cached_images
from mtlkit_synthetic_faces.face_set import FaceSet
def fill(images):
    images[:3] = 7
    os.kill(os.getpid(), signal.SIGKILL)
cached_images(Path({str(root)!r}), {FACES!r}, {SHAPE!r}, fill)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    assert not final(root).exists()
    other = root / ".faces-0123.rest"  # of another set, which may be in the making
    other.mkdir()
    assert len(kept(root)) == 2
    assert not render_set(FACES, cache=root, workers=1).reused
    assert sorted(kept(root)) == sorted([final(root), other])


def test_two_processes_may_make_the_same_set_at_once(root: Path) -> None:
    code = f"""
from pathlib import Path
from mtlkit_synthetic_faces import FaceSet, render_set
print(render_set({FACES!r}, cache=Path({str(root)!r}), workers=1).images.sum())
"""
    both = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) for _ in range(2)
    ]
    sums = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sums[0] == sums[1] != b""
    assert render_set(FACES, cache=root, workers=1).reused
    assert kept(root) == [final(root)]


def test_a_process_that_waits_for_another_uses_its_set(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[int] = []
    second: list[tuple[np.ndarray, bool]] = []

    def fill(images: np.ndarray) -> None:
        calls.append(1)
        if len(calls) == 1:
            waiting.start()
            while "waiting" not in caplog.text:
                waiting.join(0.01)
        images[:] = 9

    waiting = threading.Thread(
        target=lambda: second.append(cached_images(root, FACES, SHAPE, fill))
    )
    with caplog.at_level(logging.WARNING, "mtlkit_synthetic_faces.cache"):
        first = cached_images(root, FACES, SHAPE, fill)
    waiting.join()
    assert (first[1], second[0][1], len(calls)) == (False, True, 1)
    assert np.array_equal(first[0], second[0][0])
    assert "another process renders this set" in caplog.text


def test_a_set_in_a_read_only_cache_is_used(root: Path) -> None:
    render_set(FACES, cache=root, workers=1)
    (root / f".{final(root).name}.lock").unlink()
    root.chmod(0o500)
    try:
        assert render_set(FACES, cache=root, workers=1).reused
        assert list(root.iterdir()) == [final(root)]  # no lock was needed
    finally:
        root.chmod(0o700)


def test_the_key_follows_the_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    before = cache_key(FACES)
    backwards = plan(FACES).take(slice(None, None, -1))
    monkeypatch.setattr("mtlkit_synthetic_faces.cache.plan", lambda faces: backwards)
    assert cache_key(FACES) != before


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
def test_a_full_disk_is_an_error_before_anything_is_rendered(root: Path) -> None:
    code = f"""
import resource
from pathlib import Path
from mtlkit_synthetic_faces.cache import cached_images
from mtlkit_synthetic_faces.face_set import FaceSet
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
def fill(images):
    raise SystemExit("rendered")
cached_images(Path({str(root)!r}), {FACES!r}, {SHAPE!r}, fill)
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert "OSError: [Errno 27]" in done.stderr
    assert kept(root) == []


def test_the_manifest_holds_the_options_of_the_set(root: Path) -> None:
    render_set(FACES, cache=root, workers=1)
    manifest = json.loads((final(root) / "manifest.json").read_text())
    assert FaceSet(**manifest["faces"]) == FACES


def test_a_folder_of_pngs_has_its_labels(tmp_path: Path) -> None:
    rendered = render_set(FACES, cache=None, workers=1)
    write_png_folder(rendered, tmp_path / "out")
    with (tmp_path / "out" / "labels.csv").open(newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert list(lines[0]) == ["file", "subject", "session", "yaw", "light", "expression"]
    assert len({line["file"] for line in lines}) == len(rendered.rows) == len(lines)
    for i, line in enumerate(lines):
        picture = np.asarray(Image.open(tmp_path / "out" / line["file"]))
        assert np.array_equal(picture, rendered.images[i, 0])
        assert int(line["yaw"]) == rendered.rows.yaw[i]
        assert EXPRESSIONS.index(line["expression"]) == rendered.rows.expression[i]
    assert (tmp_path / "out" / "sheet.png").exists()


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    rendered = render_set(FACES, cache=None, workers=1)
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(FileExistsError, match=r"got 1 entries, expected a new or empty folder"):
        write_png_folder(rendered, tmp_path)
    with pytest.raises(NotADirectoryError, match="got a file, expected"):
        write_png_folder(rendered, tmp_path / "thesis.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("place", ["new", "below/new", "empty"])
@pytest.mark.parametrize("fault", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_folder_of_pngs_is_whole_or_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, fault: BaseException
) -> None:
    rendered = render_set(FACES, cache=None, workers=1)
    (tmp_path / "empty").mkdir()
    save, calls = png_folder._save, []

    def full(picture: np.ndarray, path: Path) -> None:
        calls.append(path)
        if len(calls) == 4:
            raise fault
        save(picture, path)

    with monkeypatch.context() as disk:
        disk.setattr(png_folder, "_save", full)
        with pytest.raises(type(fault)) as caught:
            write_png_folder(rendered, tmp_path / place)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not list(tmp_path.glob(".*"))
    assert list((tmp_path / "empty").iterdir()) == []
    if isinstance(caught.value, OSError):
        named = Path(caught.value.filename)
        assert named == tmp_path / place / calls[-1].parent.name / calls[-1].name
    write_png_folder(rendered, tmp_path / place)
    assert (tmp_path / place / "labels.csv").exists()
    assert not list(tmp_path.glob(".*"))


def test_a_folder_of_pngs_is_synced_before_it_is_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    monkeypatch.setattr("os.sync", lambda: seen.append((tmp_path / "out").exists()))
    write_png_folder(render_set(FACES, cache=None, workers=1), tmp_path / "out")
    assert seen == [False]


@pytest.mark.parametrize("channels", [1, 3])
def test_a_contact_sheet_has_a_line_for_each_subject(channels: int) -> None:
    faces = attrs.evolve(FACES, channels=channels, images_per_subject=None, lights=3)
    sheet = contact_sheet(faces, subjects=2)
    assert sheet.shape == (3 * (2 * 34 + 4), (6 + 6 + 2) * 34 + 2, channels)
    assert sheet[:2].min() == 255
