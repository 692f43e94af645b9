"""Images in shards: tars or Parquet files of many samples, on a disk or behind an address."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import torch

from mtlkit.component import above, at_least, one_of
from mtlkit.data.blocks import SampleBlocks
from mtlkit.data.dataset import Data, Split
from mtlkit.data.image_source import ImageSource
from mtlkit.data.imaging.decoder_pool import DecoderPool
from mtlkit.data.imaging.decoding import StoredImages, threads
from mtlkit.data.label_groups import RowLabels
from mtlkit.data.listing.image_listing import Row
from mtlkit.data.memory_limit import GIB
from mtlkit.data.sharded.remote_cache import RemoteCache
from mtlkit.data.sharded.shard_files import ShardFile, shard_names
from mtlkit.data.sharded.shard_index import ShardIndex, shard_index
from mtlkit.data.sharded.shard_store import ShardStore
from mtlkit.data.source import Loading
from mtlkit.data.split import split_indices
from mtlkit.errors import DataError


def _some(_: Any, field: "attrs.Attribute[Any]", value: Sequence[str]) -> None:
    if not value:
        raise ValueError(f"{field.name}: expected one shard or more, got none")


@attrs.frozen(kw_only=True)
class Shards(ImageSource):
    """Images in shards: tars as WebDataset writes them, or Parquet files with encoded images.

    `shards` are paths or addresses, with wildcards and ranges such as ``train-{000..127}.tar``.
    Paths are relative to the recipe, otherwise to the working directory. Addresses such as
    ``s3://bucket/train-000.tar`` are read by fsspec, a shard at a time, into the cache folder,
    which keeps at most `cache` GiB of them. The shards of `validation` and `test` are those splits;
    without them, samples are split as in `images`.

    In a tar, the files of a sample have the same name up to the first dot. `image` is the suffix of
    the image to read, if a sample has several. Its labels are the texts and numbers in a file
    ``.json``, and the content of ``.cls`` and ``.txt``. In a Parquet file, `image` is the column of
    encoded images, needed if there are several; the other columns are labels.

    With the order ``blocks``, an epoch shuffles blocks of `block` samples, and then the samples in
    each `window` of blocks, so that an update reads few shards; ``full`` shuffles all samples. Both
    are functions of seed and epoch, for any number of processes. The groups of rows of a Parquet
    file are its blocks. The index of a shard is kept in the cache folder until the shard changes.
    Images are decoded on each access, and not before training.

    The options of images and labels are those of `images`.

    >>> Shards(shards=("faces-{00..15}.tar",), size=112).order
    'blocks'
    """

    shards: tuple[str, ...] = attrs.field(validator=_some)
    validation: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    image: str | None = None
    order: str = attrs.field(default="blocks", validator=one_of("blocks", "full"))
    block: int = attrs.field(default=2000, validator=at_least(1))
    window: int = attrs.field(default=16, validator=at_least(1))
    cache: float = attrs.field(default=50.0, validator=above(0))

    def __attrs_post_init__(self) -> None:
        if (self.validation or self.test) and self.split is not None:
            raise ValueError("split: got shards of `validation` or `test` too; remove one of them")

    def load(self, loading: Loading) -> Data:
        folder = loading.cache or Path(tempfile.gettempdir()) / "mtlkit-cache"
        cache = RemoteCache(folder / "remote", int(self.cache * GIB))
        stated = {"train": self.shards, "validation": self.validation, "test": self.test}
        files: list[ShardFile] = []
        splits: list[str] = []  # of each shard
        for split, patterns in stated.items():
            option = "data.shards" if split == "train" else f"data.{split}"
            names = shard_names(patterns, (loading.base, Path()), option)
            files += [ShardFile.of(name, cache) for name in names]
            splits += [split] * len(names)
        indexes = []
        for number, file in enumerate(files, start=1):
            indexes.append(shard_index(file, self.image, loading.cache))
            loading.progress("indexing shards", number, len(files))
        return self._data(files, splits, indexes, loading)

    def _data(
        self,
        files: Sequence[ShardFile],
        splits: Sequence[str],
        indexes: Sequence[ShardIndex],
        loading: Loading,
    ) -> Data:
        sizes = [len(index.keys) for index in indexes]
        shard = np.repeat(np.arange(len(files), dtype=np.int32), sizes)
        first = np.concatenate([index.first for index in indexes])
        store = ShardStore(
            files, self.image, shard, first, np.concatenate([index.second for index in indexes])
        )
        labels = RowLabels.of(self, _rows(files, indexes))
        if self.validation or self.test:
            ends = np.cumsum(sizes)
            chosen: dict[str, list[int]] = {}
            for split, size, end in zip(splits, sizes, ends.tolist(), strict=True):
                chosen.setdefault(split, []).extend(range(end - size, end))
        else:
            chosen = {
                name: [*index] for name, index in split_indices(self.split, labels.single).items()
            }
        columns = labels.columns(chosen)
        stored = StoredImages(
            store, self.frame, DecoderPool(threads(loading)), checked_before=False
        )
        numbers = torch.from_numpy(_block_numbers(store, self.block))
        data = {}
        for name, index in chosen.items():
            positions = torch.tensor(index, dtype=torch.int32)
            blocks = None
            if self.order == "blocks":
                blocks = SampleBlocks.of(numbers[positions], self.window)
            data[name] = Split(
                inputs=attrs.evolve(stored, positions=positions),
                columns=columns[name],
                ids=[labels.rows[i].file for i in index],
                blocks=blocks,
            )
        summary = {"shards": str(len(files)), **self.summary(labels, data)}
        return self.data(data, summary)


def _rows(files: Sequence[ShardFile], indexes: Sequence[ShardIndex]) -> list[Row]:
    """Return the labels of all samples; those that other shards have alone are missing."""
    names = list(dict.fromkeys(name for index in indexes for name in index.labels))
    rows = []
    owners: dict[str, str] = {}
    for file, index in zip(files, indexes, strict=True):
        shard = Path(file.name).name
        if owners.setdefault(shard, file.name) != file.name:
            shard = file.name  # two folders have shards of this name
        missing = [None] * len(index.keys)
        columns = [index.labels.get(name, missing) for name in names]
        for number, key in enumerate(index.keys):
            id_ = f"{shard}/{key}"
            labels = {name: column[number] for name, column in zip(names, columns, strict=True)}
            rows.append(Row(id_, labels, id_))
    if not rows:
        raise DataError("data.shards: got no sample in any shard, expected one or more")
    return rows


def _block_numbers(store: ShardStore, block: int) -> "np.typing.NDArray[np.int64]":
    """Return the number of the block (N,) of each sample: `block` samples of a tar, or a group."""
    start = np.flatnonzero(np.diff(store.shard, prepend=-1))
    sizes = np.diff(np.append(start, len(store)))
    place = np.arange(len(store)) - np.repeat(start, sizes)
    tar = np.array([file.name.lower().endswith(".tar") for file in store.files])[store.shard]
    inside = np.where(tar, place // block, store.first)
    return store.shard.astype(np.int64) << 32 | inside
