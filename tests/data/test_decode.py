"""Images of every kind come out as (C, H, W) in 8 bits, and damaged ones with their reason."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

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
from mtlkit.data.memory_limit import available_memory, memory_limit
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


def photograph(mode="RGB", size=(40, 30), **options):
    """A JPEG file of smooth colors with noise."""
    random = np.random.default_rng(0)
    coarse = Image.fromarray(random.integers(0, 256, (6, 8, 3), np.uint8)).resize(size)
    noisy = np.asarray(coarse).astype(int) + random.integers(-9, 10, (size[1], size[0], 3))
    target = io.BytesIO()
    image = Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).convert(mode)
    image.save(target, "JPEG", **options)
    return target.getvalue()


def of_pillow(content, size, channels):
    """What Pillow alone decodes, converts and resizes."""
    with Image.open(io.BytesIO(content)) as opened:
        image = ImageOps.exif_transpose(opened).convert("L" if channels == 1 else "RGB")
    if image.size != size:
        image = image.resize(size, Image.Resampling.BICUBIC)
    pixels = np.asarray(image)
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("size", [(40, 30), (16, 12)])
def test_a_jpeg_has_the_bits_that_pillow_gives(mode, channels, subsampling, progressive, size):
    content = photograph(mode, subsampling=subsampling, progressive=progressive, quality=80)
    pixels = decode(content, Frame(size[1], size[0], channels))
    assert np.array_equal(pixels, of_pillow(content, size, channels))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_jpeg_is_upright(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = photograph(exif=exif)
    size = (30, 40) if orientation > 4 else (40, 30)
    pixels = decode(content, Frame(size[1], size[0], 3))
    assert np.array_equal(pixels, of_pillow(content, size, 3))


@pytest.mark.parametrize("crop", [None, 1.0])
def test_headers_of_other_files_of_a_source_do_not_change_a_jpeg(tmp_path, crop):
    exif = Image.Exif()
    exif[0x0112] = 6
    options = [{}, {"mode": "L"}, {"size": (30, 40)}, {"exif": exif}, {"quality": 30}, {}]
    contents = [photograph(**kind) for kind in options] + [png_of(GRADIENT), b"\xff\xd8\xff"]
    for number, content in enumerate(contents):
        (tmp_path / str(number)).write_bytes(content)
    store = FileStore(tmp_path, [str(number) for number in range(len(contents) - 1)])
    images = StoredImages(store, Frame(30, 40, 3, crop=crop), DecoderPool(1))
    alone = [images[torch.tensor([number])] for number in range(len(store))]
    if crop is None:
        for pixels, content in zip(alone, contents, strict=False):
            assert np.array_equal(pixels[0], of_pillow(content, (40, 30), 3))
    order = torch.randint(len(store), (60,), generator=torch.Generator().manual_seed(0))
    assert torch.equal(images[order], torch.cat([alone[number] for number in order]))


def test_a_large_jpeg_is_decoded_at_a_reduced_scale():
    content = photograph(size=(640, 480), quality=90)
    for crop in (None, 0.8):
        whole, reduced = (
            decode(content, Frame(48, 64, 3, crop=crop, reduce=reduce)).astype(int)
            for reduce in (False, True)
        )
        difference = abs(whole - reduced)
        assert 0 < difference.mean() < 1
        assert difference.max() <= 8
    near = Frame(300, 400, 3, reduce=True)  # less than twice the size: decoded whole
    assert np.array_equal(decode(content, near), decode(content, Frame(300, 400, 3)))


def test_only_squares_are_accepted_if_the_frame_says_so(tmp_path):
    frame = Frame(8, 8, 1, square="face")
    for content in (photograph(), png_of(GRADIENT)):
        with pytest.raises(DataError, match="pixels; expected a square, face"):
            decode(content, frame)
    assert decode(photograph(size=(20, 20)), frame).shape == (1, 8, 8)


def png_of(pixels):
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, "PNG")
    return target.getvalue()


def test_processes_of_a_run_decode_once(paths, tmp_path, monkeypatch):
    (tmp_path / "shared").mkdir()
    paths[4].write_bytes(b"")
    frame, shared = Frame(8, 8, 1), Loading(shared=tmp_path / "shared")
    for memory in (10**6, 1):
        alone = read_images(paths, frame, Loading(), memory)
        first = read_images(paths, frame, shared, memory)
        with monkeypatch.context() as patch:
            patch.setattr("mtlkit.data.imaging.decoding.decode_into", None)  # is not called
            second = read_images(paths, frame, shared, memory)
        for pixels, errors in (first, second):
            assert errors == alone[1] == {4: "is empty (0 bytes)"}
            assert (pixels is None) == (memory == 1)
            if pixels is not None:
                good = torch.tensor([0, 1, 2, 3, 5, 6, 7, 8])
                assert torch.equal(pixels[good], alone[0][good])
    for path in (tmp_path / "shared").iterdir():
        path.unlink()
    again = read_images(paths, frame, shared)[0]  # as if the folder were another one
    assert again is not None


def test_without_room_to_share_each_process_decodes(paths, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    (tmp_path / "shared").mkdir()
    frame, shared = Frame(8, 8, 1), Loading(shared=tmp_path / "shared")
    for _ in range(2):
        pixels, errors = read_images(paths, frame, shared)
        assert errors == {}
        assert torch.equal(pixels, read_images(paths, frame, Loading())[0])


def test_splits_share_the_memory_of_all_images(tmp_path):
    for shade in range(20):
        (tmp_path / f"{'ab'[shade % 2]}_{shade}.jpg").write_bytes(jpeg(64 + shade))
    options = {"folder": tmp_path, "pattern": "{who}_*.jpg", "size": 8, "channels": 1}
    splits = Images(**options).load(Loading()).splits().values()
    addresses = {split.inputs.untyped_storage().data_ptr() for split in splits}
    assert len(addresses) == 1
    assert sum(map(len, splits)) == 20


def test_the_limit_of_memory(tmp_path):
    info = tmp_path / "meminfo"
    info.write_text("MemTotal: 9000 kB\nMemAvailable:    4000 kB\n")
    assert available_memory(info, tmp_path) == 4000 * 1024
    (tmp_path / "memory.max").write_text("3000000\n")
    (tmp_path / "memory.current").write_text("1000000\n")
    assert available_memory(info, tmp_path) == 2_000_000
    (tmp_path / "memory.max").write_text("max\n")
    assert available_memory(info, tmp_path) == 4000 * 1024
    assert available_memory(tmp_path / "none", tmp_path) is None
    assert memory_limit(1.5) == 3 * 2**29
