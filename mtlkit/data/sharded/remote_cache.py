"""Files of an object store or web server, kept on the local disk up to a limit."""

import hashlib
import os
import shutil
from pathlib import Path

import attrs

from mtlkit.atomic_files import remove_partial, replaced_file
from mtlkit.data.memory_limit import GIB
from mtlkit.data.random_access import RandomAccessFile
from mtlkit.errors import DataError, error_text


@attrs.frozen
class FileIdentity:
    """Size in bytes of a file, and a text that changes with its content."""

    size: int
    version: str


@attrs.frozen
class RemoteCache:
    """Local copies of remote files in `folder`, of at most `limit` bytes together.

    The copies that were used least recently are removed first. Several processes can use the
    folder.
    """

    folder: Path
    limit: int

    def identity(self, url: str) -> FileIdentity:
        """Return the identity of the file at `url`; `DataError` if it is missing."""
        try:
            from fsspec.core import url_to_fs

            files, path = url_to_fs(url)
            info = files.info(path)
        except Exception as cause:  # each store raises its own types
            raise _unavailable(url, cause) from cause
        keys = ("ETag", "etag", "md5Hash", "mtime", "LastModified", "created")
        return FileIdentity(int(info["size"]), next((str(info[k]) for k in keys if k in info), ""))

    def open(self, url: str, identity: FileIdentity) -> RandomAccessFile:
        """Open a local copy of the file at `url`, which is fetched if there is none.

        One process and thread opens a copy at a time, because others could remove it before it is
        open, or exceed the limit together.
        """
        import filelock

        name = hashlib.sha256(f"{url}\0{identity}".encode()).hexdigest()[:32]
        path = self.folder / f"{name}{Path(url).suffix}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with filelock.FileLock(self.folder / "cache.lock"):
                if not path.exists() or path.stat().st_size != identity.size:
                    self._fetch(url, identity, path)
                os.utime(path)  # the time of the last use, not of a change
                opened = RandomAccessFile(path, path.stat().st_size)
                opened.read(0, 0)  # from now on it can be read even if it is removed
                return opened
        except OSError as cause:
            raise DataError(
                f"{self.folder}: cannot keep {url}: {cause.strerror or cause}; free space, set a "
                f"smaller `cache`, or use another folder by `--cache`"
            ) from cause

    def _fetch(self, url: str, identity: FileIdentity, path: Path) -> None:
        size = identity.size
        if size > self.limit:
            raise DataError(
                f"data.cache: got {self.limit / GIB:g} GiB, expected at least {size / GIB:.3g} GiB "
                f"for {url}; set a larger limit"
            )
        self._make_room(size)
        free = shutil.disk_usage(self.folder).free
        if free < size:
            raise DataError(
                f"{self.folder}: got {free:,} free bytes, expected {size:,} for {url}; free space, "
                f"set a smaller `cache`, or use another folder by `--cache`"
            )
        try:
            from fsspec.core import url_to_fs

            files, remote = url_to_fs(url)
            with replaced_file(path) as partial:
                files.get_file(remote, str(partial))
                if (got := partial.stat().st_size) != size:
                    raise DataError(
                        f"{url}: got {got} bytes, expected {size}; it changed, try again"
                    )
                if (now := self.identity(url)) != identity:  # after, it may change at any time
                    raise DataError(
                        f"{url}: got the version {now.version}, expected {identity.version}; the "
                        f"shard was changed since it was indexed, so restore it, or start a new run"
                    )
        except (DataError, OSError):
            raise
        except Exception as cause:
            raise _unavailable(url, cause) from cause

    def _make_room(self, size: int) -> None:
        """Remove the copies that were used least recently until `size` bytes fit the limit."""
        remove_partial(self.folder)  # of killed processes: this one holds the lock
        copies = []
        for entry in os.scandir(self.folder):
            if not entry.name.endswith((".lock", ".index")):
                status = entry.stat()
                copies.append((status.st_mtime_ns, status.st_size, entry.path))
        total = sum(bytes_ for _, bytes_, _ in copies)
        for _, bytes_, path in sorted(copies):
            if total + size <= self.limit:
                break
            Path(path).unlink(missing_ok=True)  # a process that has it open can still read it
            total -= bytes_


def _unavailable(url: str, cause: Exception) -> DataError:
    package = "; install the package that it names" if isinstance(cause, ImportError) else ""
    return DataError(
        f"{url}: cannot be read: {error_text(cause)}; correct the address{package or ', or retry'}"
    )
