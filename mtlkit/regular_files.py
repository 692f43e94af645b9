"""Reading of regular files within a limit of bytes.

Reading a named pipe waits for a writer, and reading a device such as ``/dev/zero`` never ends, so
only regular files are read. Every function raises `OSError` with the reason as `strerror`.
"""

import errno
import os
import stat
from pathlib import Path

KINDS = {
    stat.S_IFREG: "a file",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}

# without waiting for the writer of a named pipe
_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)

LARGEST_JSON = 256 * 1024**2
"""Maximum size of a JSON file, in bytes; larger ones are not read."""


def kind_of(path: Path) -> str:
    """Return a noun for what is at `path`.

    >>> kind_of(Path("/"))
    'a folder'
    """
    return KINDS.get(stat.S_IFMT(path.stat().st_mode), "something else")


def is_file(path: Path) -> bool:
    """Return whether `path` is a file; False, too, for a name that the system refuses.

    >>> is_file(Path("x" * 5000))
    False
    """
    try:
        return path.is_file()
    except OSError:
        return False


def read_regular(path: Path | str, limit: int) -> bytes:
    """Return the content of the regular file at `path`, of at most `limit` bytes.

    >>> read_regular(Path("/"), 100)
    Traceback (most recent call last):
    IsADirectoryError: [Errno 21] is a folder; expected a file: '/'
    """
    handle = os.open(path, _READ)
    try:
        if content := _read_seekable(handle, limit):
            return content
        size = _size(os.fstat(handle), path)
        if size > limit:
            raise _too_large(limit, path)
        os.lseek(handle, 0, os.SEEK_SET)
        content = b""
        while len(content) <= limit and (chunk := os.read(handle, max(size, len(content)) + 1)):
            content += chunk
    finally:
        os.close(handle)
    if len(content) > limit:
        raise _too_large(limit, path)
    return content


def _read_seekable(handle: int, limit: int) -> bytes:
    """Return the content of a file with an end, at most `limit` bytes from its start; else nothing.

    Three short calls of the system take less time than one that states kind and size. A pipe has no
    position, and the end of a device is at byte 0.
    """
    try:
        size = os.lseek(handle, 0, os.SEEK_END)
        os.lseek(handle, 0, os.SEEK_SET)
        # one byte more than expected shows the end of the file, or that it grew
        content = os.read(handle, size + 1) if 0 < size <= limit else b""
    except OSError:
        return b""
    return content if len(content) == size else b""


def _too_large(limit: int, path: Path | str) -> OSError:
    return OSError(errno.EFBIG, f"has more than {limit:,} bytes", str(path))


def _size(status: os.stat_result, path: Path | str) -> int:
    if stat.S_ISREG(status.st_mode):
        return status.st_size
    kind = stat.S_IFMT(status.st_mode)
    number = errno.EISDIR if kind == stat.S_IFDIR else errno.EINVAL
    raise OSError(number, f"is {KINDS.get(kind, 'something else')}; expected a file", str(path))
