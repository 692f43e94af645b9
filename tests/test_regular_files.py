"""Only whole regular files are read, of any size up to the limit."""

import os
from pathlib import Path

import pytest

from mtlkit.regular_files import read_regular


@pytest.mark.parametrize("size", [0, 1, 2**16 - 1, 2**16, 2**16 + 1, 200_000])
def test_a_file_is_read_whole(tmp_path, size):
    content = os.urandom(size)
    (tmp_path / "a").write_bytes(content)
    assert read_regular(tmp_path / "a", size) == content
    if size:
        with pytest.raises(OSError, match=f"has more than {size - 1:,} bytes"):
            read_regular(tmp_path / "a", size - 1)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_pipe_with_bytes_in_it_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    ends = os.open(tmp_path / "pipe", os.O_RDWR | os.O_NONBLOCK)
    os.write(ends, b"content")
    with pytest.raises(OSError, match="is a named pipe; expected a file"):
        read_regular(tmp_path / "pipe", 100)
    os.close(ends)


@pytest.mark.skipif(not Path("/dev/null").exists(), reason="no such devices on this system")
@pytest.mark.parametrize("name", ["null", "zero"])
def test_a_device_is_refused(name):
    with pytest.raises(OSError, match="is a device; expected a file"):
        read_regular(f"/dev/{name}", 10**6)
