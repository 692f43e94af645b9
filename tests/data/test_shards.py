"""Shards give the samples of a folder, in a pure order, and damage is named with its place."""

import io
import json
import os
import shutil
import tarfile
from pathlib import Path

import attrs
import numpy as np
import pyarrow
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pyarrow import parquet

from mtlkit.assembly import assembly_of
from mtlkit.data import Images, Loading, Mix, RandomSplit, Shards
from mtlkit.data.blocks import SampleBlocks
from mtlkit.data.sharded.remote_cache import RemoteCache
from mtlkit.errors import DataError
from mtlkit.heads import Regression
from mtlkit.runs.storage.data_fingerprint import SIZES, data_changes, data_fingerprint
from mtlkit.task import Task

SPLIT = RandomSplit(validation=0.2, test=0.2)


def png(seed, size=(12, 10)):
    target = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, size[::-1], dtype=np.uint8)
    Image.fromarray(pixels).save(target, "PNG")
    return target.getvalue()


def samples(count=20):
    """Key, image and labels of each sample; one label is missing."""
    for number in range(count):
        labels = {"subject": f"s{number % 5}", "yaw": number * 1.5}
        yield f"{number:04}", png(number), labels if number != 3 else {"yaw": 4.5}


def add(tar, name, content):
    info = tarfile.TarInfo(name)
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))


def write_tar(path, rows):
    with tarfile.open(path, "w") as tar:
        for key, image, labels in rows:
            add(tar, f"{key}.png", image)
            add(tar, f"{key}.json", json.dumps(labels).encode())
    return path


def write_parquet(path, rows, group=3):
    rows = list(rows)
    table = pyarrow.table({
        "key": [key for key, _, _ in rows],
        "image": pyarrow.array([image for _, image, _ in rows], pyarrow.binary()),
        "subject": [labels.get("subject") for _, _, labels in rows],
        "yaw": [labels["yaw"] for _, _, labels in rows],
    })  # fmt: skip
    parquet.write_table(table, path, row_group_size=group)
    return path


WRITERS = {"tar": write_tar, "parquet": write_parquet}


def write(folder, suffix, parts=2):
    rows = list(samples())
    size = -(-len(rows) // parts)
    folder.mkdir(exist_ok=True)
    for number in range(parts):
        part = rows[number * size : (number + 1) * size]
        WRITERS[suffix](folder / f"part-{number}.{suffix}", part)
    return folder


def source(*patterns, **options):
    defaults = {"size": 8, "channels": 1, "numeric": ("yaw",), "split": SPLIT, "block": 4}
    return Shards(shards=patterns, **{**defaults, **options})


def everything(split):
    return split.inputs[torch.arange(len(split))]


def by_key(data):
    """Pixels and labels of each sample by its key, over all splits."""
    result = {}
    for split in data.splits().values():
        subjects = split.categorical("subject").values()
        yaws = split.column("yaw").values.tolist()
        for id_, pixels, *labels in zip(
            split.ids, everything(split).tolist(), subjects, yaws, strict=True
        ):
            result[Path(id_).name.removesuffix(".png")] = (pixels, *labels)
    return result


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("workers", [1, 3])
def test_shards_give_what_a_folder_gives(tmp_path, suffix, workers):
    write(tmp_path / "shards", suffix)
    folder = tmp_path / "images"
    folder.mkdir()
    lines = ["file,subject,yaw"]
    for key, image, labels in samples():
        (folder / f"{key}.png").write_bytes(image)
        lines.append(f"{key}.png,{labels.get('subject', '')},{labels['yaw']}")
    (folder / "labels.csv").write_text("\n".join(lines))
    of_files = Images(
        folder=folder, labels=Path("labels.csv"), size=8, channels=1, numeric=("yaw",), split=SPLIT
    ).load(Loading())
    loading = Loading(base=tmp_path, cache=tmp_path / "cache", workers=workers)
    for _ in range(2):  # the second time by the stored index
        data = source(f"shards/part-{{0..1}}.{suffix}").load(loading)
        assert by_key(data) == by_key(of_files)
        assert data.summary["shards"] == "2"
    assert data.train.ids[0].startswith("part-0.")
    same = source(f"shards/part-{{0..1}}.{suffix}", standardize=True).load(loading)
    assert same.input_specs == attrs.evolve(data.input_specs, standardize=True)


def test_the_shards_of_other_splits_are_stated(tmp_path):
    write(tmp_path, "tar")
    data = source("part-0.tar", validation=("part-1.tar",), split=None).load(Loading(base=tmp_path))
    assert [len(split) for split in data.splits().values()] == [10, 10]
    with pytest.raises(ValueError, match="split: got shards of `validation` or `test` too"):
        source("part-0.tar", validation=("part-1.tar",))


@pytest.mark.parametrize("suffix", WRITERS)
def test_a_split_pickles_and_reads_again(tmp_path, suffix):
    import pickle

    write(tmp_path, suffix)
    train = source(f"*.{suffix}").load(Loading(base=tmp_path)).train
    everything(train)  # opens the shards
    again = pickle.loads(pickle.dumps(train.inputs))
    assert torch.equal(again[torch.arange(len(train))], everything(train))


def test_an_index_keeps_16_bytes_a_sample(tmp_path):
    write(tmp_path, "tar")
    store = source("*.tar").load(Loading(base=tmp_path)).train.inputs.store
    kept = store.shard.nbytes + store.first.nbytes + store.second.nbytes
    assert kept == 16 * len(store)


@given(
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=12),
    window=st.integers(1, 5),
    seed=st.integers(0, 9),
)
def test_a_block_order_takes_every_sample_once_and_few_blocks_at_a_time(sizes, window, seed):
    numbers = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    blocks = SampleBlocks.of(numbers, window)
    order = blocks.permutation(torch.Generator().manual_seed(seed))
    assert sorted(order.tolist()) == list(range(sum(sizes)))
    assert order.equal(blocks.permutation(torch.Generator().manual_seed(seed)))
    shown = list(dict.fromkeys(numbers[order].tolist()))
    start = 0
    while shown:  # the blocks of a window come together
        group = set(shown[:window])
        count = sum(sizes[block] for block in group)
        assert set(numbers[order[start : start + count]].tolist()) <= set(shown)
        assert len(set(numbers[order[start : start + count]].tolist())) <= window
        taken = set(numbers[order[start : start + count]].tolist())
        shown = [block for block in shown if block not in taken]
        start += count
    selected = torch.arange(0, sum(sizes), 2)
    part = blocks.at(selected).permutation(torch.Generator().manual_seed(seed))
    assert sorted(part.tolist()) == list(range(len(selected)))


def test_the_groups_of_a_parquet_file_are_its_blocks(tmp_path):
    write(tmp_path, "parquet", parts=1)
    options = {"validation": ("part-0.parquet",), "split": None}
    data = source("part-0.parquet", **options).load(Loading(base=tmp_path))
    assert data.train.blocks.starts.tolist() == [0, 3, 6, 9, 12, 15, 18]
    full = source("part-0.parquet", order="full", **options).load(Loading(base=tmp_path))
    assert full.train.blocks is None


def refusal(load):
    with pytest.raises(DataError) as caught:
        load()
    return str(caught.value)


def test_a_missing_shard_is_named(tmp_path):
    write(tmp_path, "tar")
    shards = source("part-{0..2}.tar")
    assert refusal(lambda: shards.load(Loading(base=tmp_path))).startswith(
        "data.shards: got 'part-2.tar', which matches no file (tried "
    )


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("kept", [0.3, 0.6])
def test_a_truncated_shard_is_named(tmp_path, suffix, kept):
    path = write(tmp_path, suffix) / f"part-1.{suffix}"
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    message = refusal(lambda: source(f"*.{suffix}").load(Loading(base=tmp_path)))
    assert message.startswith(f"{path}: got ")
    assert message.endswith("the shard is damaged or truncated, copy it again")


def test_a_tar_cut_between_two_samples_is_noticed(tmp_path):
    path = write(tmp_path, "tar") / "part-1.tar"
    with tarfile.open(path) as tar:
        cut = tar.getmembers()[4].offset
    path.write_bytes(path.read_bytes()[:cut])
    message = refusal(lambda: source("*.tar").load(Loading(base=tmp_path)))
    assert f"got no end of the archive after byte {cut}" in message


@pytest.mark.parametrize("suffix", WRITERS)
def test_a_shard_changed_since_it_was_indexed_is_named(tmp_path, suffix):
    write(tmp_path, suffix)
    train = source(f"*.{suffix}").load(Loading(base=tmp_path)).train
    for path in tmp_path.glob(f"*.{suffix}"):
        status = path.stat()
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 10**9))
    message = refusal(lambda: everything(train))
    assert (
        "the shard was changed since it was indexed, so restore it, or start a new run" in message
    )
    for path in tmp_path.glob(f"*.{suffix}"):
        path.unlink()
    assert "No such file or directory; restore the shard" in refusal(lambda: everything(train))


def test_a_shard_that_is_overwritten_while_it_is_open_is_named(tmp_path):
    """Bytes at the same places may still be images, but others than the labels belong to."""
    path = write_tar(tmp_path / "a.tar", samples())
    content = path.read_bytes()
    train = source("a.tar").load(Loading(base=tmp_path)).train
    everything(train)
    status = path.stat()
    with path.open("r+b") as file:
        file.write(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 10**9))
    message = refusal(lambda: everything(train))
    assert f"{path}: was changed since it was indexed; restore it, or start a new run" in message


def test_the_index_of_a_changed_shard_is_made_anew(tmp_path):
    write(tmp_path, "tar", parts=1)
    loading = Loading(base=tmp_path, cache=tmp_path / "cache")
    before = source("*.tar").load(loading)
    write_tar(tmp_path / "part-0.tar", [*samples(15)])
    after = source("*.tar").load(loading)
    assert [sum(map(len, data.splits().values())) for data in (before, after)] == [20, 15]


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("mixed", [False, True])
def test_a_run_does_not_continue_with_other_images_of_the_same_labels(tmp_path, suffix, mixed):
    write(tmp_path, suffix, parts=1)
    shards = source(f"part-0.{suffix}")
    write(tmp_path / "more", suffix, parts=1)
    more = attrs.evolve(shards, shards=(f"more/part-0.{suffix}",))
    mix = Mix(sources={"a": shards, "b": more}, shared=("subject",))
    data, tasks = mix if mixed else shards, {"yaw": Task(head=Regression())}

    def fingerprint():
        loaded = data.load(Loading(base=tmp_path))
        return data_fingerprint(loaded, tasks, assembly_of(loaded, tasks))

    before = fingerprint()
    assert fingerprint() == before
    other = [(key, png(number, (11, 10)), labels) for number, (key, _, labels) in
             enumerate(samples())]  # fmt: skip
    WRITERS[suffix](tmp_path / f"part-0.{suffix}", other)
    changes = data_changes(before, fingerprint())
    assert changes == [f"{SIZES} of {split}" for split in ("train", "validation", "test")]
    old = {split: {k: v for k, v in parts.items() if k != SIZES} for split, parts in before.items()}
    assert data_changes(old, fingerprint()) == []


def test_a_damaged_index_is_made_anew(tmp_path):
    write(tmp_path, "tar", parts=1)
    loading = Loading(base=tmp_path, cache=tmp_path / "cache")
    before = source("*.tar").load(loading)
    (index,) = (tmp_path / "cache/shards").iterdir()
    whole = index.read_bytes()
    for at in range(0, len(whole), 97):
        flipped = bytearray(whole)
        flipped[at] ^= 4
        for damaged in (whole[:at], bytes(flipped)):
            index.write_bytes(damaged)
            assert by_key(source("*.tar").load(loading)) == by_key(before)
            assert index.read_bytes() == whole


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"a.json": b"{}"}, "got no image, expected files that end in"),
        ({"a.png": b"x", "a.json": b"[1]"}, "a.json: got list, expected labels by name"),
        ({"a.png": b"x", "a.json": b"{"}, "a.json: got JSONDecodeError"),
        ({"a.png": b"x", "a.jpg": b"x"}, "a.jpg: got a second image of the sample a, expected one"),
    ],
)
def test_a_tar_of_another_form_is_named(tmp_path, members, message):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name, content in members.items():
            add(tar, name, content)
    result = refusal(lambda: source("a.tar").load(Loading(base=tmp_path)))
    assert result.startswith(f"{tmp_path / 'a.tar'}")
    assert message in result


def test_an_image_that_cannot_be_decoded_is_named(tmp_path):
    rows = [*samples()]
    rows[7] = ("0007", b"nothing", {"yaw": 1})
    write_tar(tmp_path / "a.tar", rows)
    data = source("a.tar", split=RandomSplit(validation=0, test=0)).load(Loading(base=tmp_path))
    message = refusal(lambda: everything(data.train))
    assert message.startswith(f"{tmp_path / 'a.tar'}, byte ")
    assert message.endswith("is not an image of a supported format")


def test_other_shards_and_columns_are_refused(tmp_path):
    (tmp_path / "a.zip").touch()
    message = refusal(lambda: source("a.zip").load(Loading(base=tmp_path)))
    assert "got a shard that ends in '.zip', expected .tar or .parquet" in message
    write(tmp_path, "parquet")
    message = refusal(lambda: source("*.parquet", image="yaw").load(Loading(base=tmp_path)))
    assert "got yaw for the images, expected one of the columns of bytes: image" in message


@pytest.fixture
def remote(tmp_path):
    """The address of a store in memory with three shards."""
    import fsspec

    files = fsspec.filesystem("memory")
    write(tmp_path / "local", "tar", parts=3)
    for path in (tmp_path / "local").iterdir():
        files.pipe_file(f"/bucket/{path.name}", path.read_bytes())
    yield "memory://bucket"
    files.rm("/bucket", recursive=True)


def test_remote_shards_are_cached_up_to_a_limit(tmp_path, remote):
    near = source("local/part-{0..2}.tar").load(Loading(base=tmp_path))
    size = max(path.stat().st_size for path in (tmp_path / "local").iterdir())
    loading = Loading(cache=tmp_path / "cache")
    shards = source(f"{remote}/part-{{0..2}}.tar", cache=2.5 * size / 2**30)
    data = shards.load(loading)
    assert by_key(data) == by_key(near)
    kept = list((tmp_path / "cache/remote").glob("*.tar"))
    assert len(kept) == 2
    first, second = kept  # what was removed or cut is fetched again
    first.unlink()
    second.write_bytes(second.read_bytes()[:-1000])
    (second.parent / f".partial-{first.name}").write_bytes(b"of a killed process")
    assert by_key(shards.load(loading)) == by_key(near)
    assert not list(second.parent.glob(".partial-*"))


def test_a_remote_shard_that_is_missing_is_named(tmp_path, remote):
    shards = source(f"{remote}/part-9.tar")
    message = refusal(lambda: shards.load(Loading(cache=tmp_path / "cache")))
    assert message.startswith("memory://bucket/part-9.tar: cannot be read: FileNotFoundError")
    shards = source("nostore://bucket/part-9.tar")
    message = refusal(lambda: shards.load(Loading(cache=tmp_path / "cache")))
    assert message.startswith("nostore://bucket/part-9.tar: cannot be read: ")


def test_a_remote_shard_that_was_changed_before_it_is_fetched_again_is_named(tmp_path, remote):
    """Its size is the same, because tars are padded to blocks of 10,240 bytes."""
    import fsspec

    loading = Loading(cache=tmp_path / "cache")
    shards = source(f"{remote}/part-0.tar", split=RandomSplit(validation=0, test=0))
    train = shards.load(loading).train
    next((tmp_path / "cache/remote").glob("*.tar")).unlink()
    files, path = fsspec.filesystem("memory"), "/bucket/part-0.tar"
    files.pipe_file(path, files.cat_file(path))
    message = refusal(lambda: everything(train))
    assert "part-0.tar: got the version " in message
    assert "the shard was changed since it was indexed, so restore it" in message
    assert not [*(tmp_path / "cache/remote").glob("*.tar"), *tmp_path.rglob(".partial-*")]
    everything(shards.load(loading).train)


def test_a_cache_that_fills_the_disk_is_named_and_leaves_nothing(tmp_path, remote, monkeypatch):
    loading = Loading(cache=tmp_path / "cache")
    shards = source(f"{remote}/part-0.tar")
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=10))
    message = refusal(lambda: shards.load(loading))
    assert ": got 10 free bytes, expected " in message
    assert "free space, set a smaller `cache`, or use another folder by `--cache`" in message
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)

    def full(self, remote, path):
        Path(path).write_bytes(b"part")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("fsspec.implementations.memory.MemoryFileSystem.get_file", full)
    message = refusal(lambda: shards.load(loading))
    assert ": No space left on device; free space" in message
    assert not [*(tmp_path / "cache/remote").glob("*.tar"), *(tmp_path).rglob(".partial-*")]
    small = attrs.evolve(shards, cache=1e-9)
    assert "data.cache: got 9.31323e-10 GiB, expected at least 1.91e-05" in refusal(
        lambda: small.load(loading)
    )


def test_a_folder_that_cannot_keep_the_index_is_named(tmp_path):
    write(tmp_path, "tar", parts=1)
    (tmp_path / "cache").write_text("a file in place of the folder")
    loading = Loading(base=tmp_path, cache=tmp_path / "cache")
    message = refusal(lambda: source("*.tar").load(loading))
    assert "cannot keep the index of" in message
    assert "use another folder by `--cache`" in message


def test_copies_used_last_are_kept(tmp_path, remote):
    cache = RemoteCache(tmp_path / "cache", 2**30)
    urls = [f"{remote}/part-{number}.tar" for number in range(3)]
    copies = [cache.open(url, cache.identity(url)) for url in urls]
    paths = [copy.path for copy in copies]
    for age, path in zip((5, 9, 7), paths, strict=True):
        os.utime(path, (10**9 - age, 10**9 - age))
    sizes = [path.stat().st_size for path in paths]
    RemoteCache(tmp_path / "cache", sum(sizes))._make_room(sizes[1])
    assert [path.exists() for path in paths] == [True, False, True]
    for copy in copies:  # a use by another process changes the time of a copy
        assert len(copy.read(0, copy.size)) == copy.size
