"""Shards on a local disk or behind an address, from patterns of names."""

import glob
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import attrs

from mtlkit.data.random_access import RandomAccessFile
from mtlkit.data.sharded.remote_cache import FileIdentity, RemoteCache
from mtlkit.errors import DataError
from mtlkit.name_patterns import expand_names


@attrs.frozen(eq=False)
class ShardFile:
    """A shard at a path or address `name`, as it was when it was indexed."""

    name: str
    identity: FileIdentity
    cache: RemoteCache

    @classmethod
    def of(cls, name: str, cache: RemoteCache) -> "ShardFile":
        """Return the shard called `name`; `DataError` if it is missing."""
        return cls(name, _identity(name, cache), cache)

    def open(self) -> RandomAccessFile:
        """Return the file; `DataError` if it was changed since it was indexed."""
        if "://" in self.name:
            return self.cache.open(self.name, self.identity)
        now = _identity(self.name, self.cache)
        if now != self.identity:
            was = self.identity
            raise DataError(
                f"{self.name}: got {now.size} bytes of version {now.version}, expected "
                f"{was.size} of {was.version}; the shard was changed since it was indexed, so "
                f"restore it, or start a new run"
            )
        return RandomAccessFile.open(Path(self.name))


def _identity(name: str, cache: RemoteCache) -> FileIdentity:
    if "://" in name:
        return cache.identity(name)
    try:
        status = Path(name).stat()
    except OSError as cause:
        raise DataError(
            f"{name}: cannot be read: {cause.strerror or cause}; restore the shard, or correct "
            f"the pattern"
        ) from cause
    return FileIdentity(status.st_size, str(status.st_mtime_ns))


def shard_names(patterns: Sequence[str], bases: Sequence[Path], option: str) -> list[str]:
    """Return the shards of `patterns`: paths with wildcards or ranges such as ``{000..127}``.

    Paths are relative to the first of `bases` that has such files; addresses are only expanded.
    Raises `DataError` if a pattern matches no file.
    """
    names: list[str] = []
    for pattern in expand_names(patterns):
        if "://" in pattern:
            names.append(pattern)
            continue
        files: list[str] = []
        for base in bases:
            files = files or sorted(glob.glob(str(base / pattern)))
        if not files:
            tried = " and ".join(dict.fromkeys(str((base / pattern).absolute()) for base in bases))
            raise DataError(
                f"{option}: got {pattern!r}, which matches no file (tried {tried}); expected a "
                f"shard, so restore it or correct the pattern"
            )
        names += files
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(f"{option}: got {twice[0]} twice, expected each shard once; remove one")
    return names
