"""Damage inside a JPEG file, which most decoders report by a warning of libjpeg that is lost.

JPEG has no checksum, so damage that leaves valid codes cannot be detected.
"""

import simplejpeg

from mtlkit.errors import DataError

START = b"\xff\xd8\xff"
"""The first bytes of a JPEG file."""


def require_whole_jpeg(content: bytes) -> None:
    """Raise `DataError` if libjpeg reports damage in a JPEG file; other files are not examined.

    The file is decoded at an eighth of its size, which costs a quarter to two thirds of a full
    decoding.
    """
    if not content.startswith(START):
        return
    try:
        color = simplejpeg.decode_jpeg_header(content)[2]
        space = "CMYK" if color in ("CMYK", "YCCK") else "GRAY"
        simplejpeg.decode_jpeg(
            content, space, fastdct=True, min_height=1, min_width=1, min_factor=8, strict=True
        )
    except ValueError as cause:
        raise DataError(
            f"is damaged: {str(cause).removesuffix('.')}; restore it from a copy"
        ) from cause
