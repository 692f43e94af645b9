"""Images of every kind come out as (C, H, W) in 8 bits, and damaged ones with their reason."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mtlkit.data import (
    DecoderPool,
    FileStore,
    Frame,
    Images,
    Loading,
    StoredImages,
    decode,
    read_images,
)
from mtlkit.errors import DataError

GRADIENT = np.linspace(0, 255, 64 * 48).reshape(48, 64).astype(np.uint8)


def test_gray_of_the_right_size_is_untouched(tmp_path):
    Image.fromarray(GRADIENT).save(tmp_path / "a.pgm")
    assert np.array_equal(decode(tmp_path / "a.pgm", Frame(48, 64, 1)), GRADIENT[None])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1", "CMYK", "LA"])
def test_every_mode_has_the_frame_s_shape(tmp_path, mode, channels):
    path = tmp_path / "a.tif" if mode == "CMYK" else tmp_path / "a.png"
    Image.fromarray(GRADIENT).convert("RGB").convert(mode).save(path)
    found = decode(path, Frame(20, 30, channels))
    assert found.shape == (channels, 20, 30)
    assert found.dtype == np.uint8
    assert abs(found.mean() - GRADIENT.mean()) < 3


def test_colours_keep_their_order(tmp_path):
    Image.new("RGB", (4, 4), (250, 100, 5)).save(tmp_path / "a.png")
    assert decode(tmp_path / "a.png", Frame(2, 2, 3))[:, 0, 0].tolist() == [250, 100, 5]


def test_a_transparent_palette_makes_no_warning(tmp_path):
    image = Image.fromarray(GRADIENT).convert("P")
    image.save(tmp_path / "a.png", transparency=bytes([0, 100, 255]))
    assert decode(tmp_path / "a.png", Frame(48, 64, 3)).shape == (3, 48, 64)


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
def test_sixteen_bits_are_scaled_not_clipped(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(GRADIENT.astype(np.uint16) * 257).save(path)
    assert np.array_equal(decode(path, Frame(48, 64, 1)), GRADIENT[None])


def test_a_photograph_is_turned_upright(tmp_path):
    image = Image.fromarray(GRADIENT)
    exif = image.getexif()
    exif[0x0112] = 6  # the camera was turned: rotate by 270 degrees to see it upright
    image.save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(decode(tmp_path / "a.png", Frame(64, 48, 1))[0], np.rot90(GRADIENT, 3))


def test_shrinking_averages(tmp_path):
    checks = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    Image.fromarray(checks).save(tmp_path / "a.png")
    found = decode(tmp_path / "a.png", Frame(8, 8, 1)).astype(int)
    assert abs(found - 127.5).max() < 8  # without antialias: 0 or 255


def damaged(folder, kind):
    path = folder / f"{kind}.png"
    whole = folder / "whole.png"
    Image.fromarray(GRADIENT).save(whole)
    if kind == "float":
        path = folder / "float.tif"
        Image.fromarray(GRADIENT.astype(np.float32)).save(path)
    elif kind == "deep":
        path = folder / "deep.tif"
        Image.fromarray(GRADIENT.astype(np.int32) * 100_000).save(path)
    elif kind == "folder":
        path.mkdir()
    else:
        content = whole.read_bytes()
        path.write_bytes(
            {"empty": b"", "text": b"hello", "short": content[: len(content) // 2]}[kind]
        )
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("empty", "is empty (0 bytes)"),
        ("text", "is not an image of a supported format"),
        ("short", "cannot be read: "),
        ("folder", "cannot be read: is a folder; expected a file"),
        ("float", "has pixels of floating point; expected 8 or 16 bits"),
        ("deep", "has pixels of 32 bits; expected 8 or 16"),
    ],
)
def test_what_is_no_image(tmp_path, kind, message):
    with pytest.raises(DataError) as caught:
        decode(damaged(tmp_path, kind), Frame(8, 8, 1))
    assert message in str(caught.value)


@pytest.mark.parametrize("limit", [1000, 2000])  # above half of it Pillow only warns
def test_a_decompression_bomb_is_a_damaged_file(tmp_path, monkeypatch, limit):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    Image.fromarray(GRADIENT).save(tmp_path / "a.png")
    _, faults = read_images([tmp_path / "a.png"], Frame(8, 8, 1), Loading())
    assert "DecompressionBomb" in faults[0]


@pytest.fixture
def paths(tmp_path, write_image):
    found = [tmp_path / f"{place}.png" for place in range(9)]
    for place, path in enumerate(found):
        write_image(path, seed=place, size=(20 + place, 30))
    return found


def files(paths):
    return FileStore(paths[0].parent, [path.name for path in paths])


def test_stored_images_are_those_in_memory(paths):
    frame = Frame(16, 12, 3)
    pixels, faults = read_images(paths, frame, Loading())
    left, none = read_images(paths, frame, Loading(), memory=1)
    assert (left, faults, none) == (None, {}, {})
    stored = StoredImages(files(paths), frame, DecoderPool(2))
    assert len(stored) == len(pixels)
    index = torch.tensor([3, 0, 3, 8])
    assert torch.equal(stored[index], pixels[index])


@pytest.mark.parametrize("memory", [1, 10**6])
def test_damaged_files_are_found_whatever_the_memory(paths, memory):
    paths[4].write_bytes(b"")
    _, faults = read_images(paths, Frame(8, 8, 1), Loading(), memory=memory)
    assert faults == {4: "is empty (0 bytes)"}


def test_a_stored_image_that_is_lost_later_is_named(paths):
    stored = StoredImages(files(paths), Frame(8, 8, 1), DecoderPool(1))
    paths[2].unlink()
    with pytest.raises(DataError, match=r"2\.png: cannot be read: No such file"):
        stored[torch.tensor([2])]


@pytest.mark.parametrize("workers", [1, 3, None])
def test_progress_ends_with_all_images(paths, workers):
    seen = []
    loading = Loading(workers=workers, progress=lambda *report: seen.append(report))
    pixels, _ = read_images(paths, Frame(8, 8, 1), loading)
    assert seen[-1] == ("reading images", 9, 9)
    assert torch.equal(pixels, read_images(paths, Frame(8, 8, 1), Loading())[0])


def test_the_bytes_of_a_file_are_decoded_as_the_file(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(GRADIENT).save(path)
    frame = Frame(20, 30, 3)
    assert np.array_equal(decode(path.read_bytes(), frame), decode(path, frame))
    for content, message in (
        (b"", r"is empty \(0 bytes\)"),
        (b"x", "is not an image of a supported format"),
    ):
        with pytest.raises(DataError, match=message):
            decode(content, frame)


def jpeg(size=256, **options):
    """A JPEG file of noise on a gradient."""
    target = io.BytesIO()
    shades = np.add.outer(np.arange(size), np.arange(size)) // 2
    noise = np.random.default_rng(0).integers(0, 20, (size, size))
    Image.fromarray((shades % 230 + noise).astype(np.uint8)).save(target, "JPEG", **options)
    return target.getvalue()


DAMAGES = {
    "zeros": lambda content, at: content[:at] + bytes(200) + content[at + 200 :],
    "a gap": lambda content, at: content[:at] + content[at + 500 :],
    "other bytes": lambda content, at: content[:at] + bytes(range(200)) + content[at + 200 :],
}


@pytest.mark.parametrize(
    ("damage", "progressive"),
    [*((damage, False) for damage in DAMAGES), ("other bytes", True)],
)
def test_a_jpeg_damaged_in_the_middle_is_an_error(damage, progressive):
    content = jpeg(progressive=progressive)
    assert decode(content, Frame(64, 64, 1)).shape == (1, 64, 64)
    broken = DAMAGES[damage](content, len(content) // 2)
    Image.open(io.BytesIO(broken)).load()  # Pillow decodes it without a word
    with pytest.raises(DataError, match=r"is damaged: .*; restore it from a copy"):
        decode(broken, Frame(64, 64, 1))


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_a_whole_jpeg_of_any_mode_is_accepted(mode):
    target = io.BytesIO()
    Image.new("RGB", (20, 10), (250, 100, 5)).convert(mode).save(target, "JPEG")
    assert decode(target.getvalue(), Frame(5, 5, 3)).shape == (3, 5, 5)


def test_a_damaged_jpeg_is_skipped_and_counted(tmp_path):
    for shade in range(20):
        (tmp_path / f"{'ab'[shade % 2]}_{shade}.jpg").write_bytes(jpeg(64 + shade))
    content = jpeg(64)
    (tmp_path / "a_0.jpg").write_bytes(DAMAGES["zeros"](content, len(content) // 2))
    options = {"folder": tmp_path, "pattern": "{who}_*.jpg", "size": 8, "channels": 1}
    with pytest.raises(DataError, match=r"1 of 20 files cannot be used:\n  a_0\.jpg: is damaged"):
        Images(**options).load(Loading())
    data = Images(skip_bad=True, **options).load(Loading())
    assert data.summary["skipped"] == "1 file: a_0.jpg"
    assert sum(len(split) for split in data.splits().values()) == 19


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_named_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(DataError, match="cannot be read: is a named pipe; expected a file"):
        decode(tmp_path / "a.png", Frame(4, 4, 1))
    with pytest.raises(DataError, match="cannot be read: is a device; expected a file"):
        decode(Path("/dev/zero"), Frame(4, 4, 1))
