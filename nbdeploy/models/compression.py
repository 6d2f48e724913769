"""What joblib compressed, unpacked under a limit: a bomb ends early and in little memory."""

from __future__ import annotations

import bz2
import lzma
import zlib
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# A header may ask the decoder for gigabytes before the first byte comes out.
_LZMA_MEMORY = 256 * 2**20
_GZIP_WINDOW = 31


def decompressed(data: bytes, limit: int) -> bytes | None:
    """Return the first stream in `data`, as joblib would read it.

    Parameters
    ----------
    data
        A whole file of joblib, compressed or not.
    limit
        Most bytes to unpack.

    Returns
    -------
    bytes or None
        The pickle stream; `data` itself when it is not compressed. ``None`` when the stream is
        damaged, longer than `limit`, or of a kind that cannot be read here.
    """
    for prefix, unpack in _READERS:
        if data.startswith(prefix):
            return _unpacked(unpack, data, limit)
    return data


def _unpacked(unpack: Callable[[bytes, int], bytes], data: bytes, limit: int) -> bytes | None:
    try:
        stream = unpack(data, limit + 1)
    except (OSError, ValueError, EOFError, MemoryError, RuntimeError, zlib.error, lzma.LZMAError):
        return None
    return stream if len(stream) <= limit else None


def _unzlib(data: bytes, limit: int) -> bytes:
    return zlib.decompressobj().decompress(data, limit)


def _ungzip(data: bytes, limit: int) -> bytes:
    return zlib.decompressobj(_GZIP_WINDOW).decompress(data, limit)


def _unbz2(data: bytes, limit: int) -> bytes:
    return bz2.BZ2Decompressor().decompress(data, limit)


def _unlzma(data: bytes, limit: int) -> bytes:
    return lzma.LZMADecompressor(memlimit=_LZMA_MEMORY).decompress(data, limit)


def _unlz4(data: bytes, limit: int) -> bytes:
    try:
        lz4 = import_module("lz4.frame")
    except ImportError as error:
        message = "lz4 is not installed"
        raise ValueError(message) from error
    stream: bytes = lz4.LZ4FrameDecompressor().decompress(data, limit)
    return stream


def _unreadable(_data: bytes, _limit: int) -> bytes:
    message = "joblib before 0.10 wrote one model into several files"
    raise ValueError(message)


# In joblib's own order: the first prefix that fits decides there too.
_READERS: tuple[tuple[bytes, Callable[[bytes, int], bytes]], ...] = (
    (b"ZF", _unreadable),
    (b"\x78", _unzlib),
    (b"\x1f\x8b", _ungzip),
    (b"BZ", _unbz2),
    (b"\x5d\x00", _unlzma),
    (b"\xfd\x37\x7a\x58\x5a", _unlzma),
    (b"\x04\x22\x4d\x18", _unlz4),
)
