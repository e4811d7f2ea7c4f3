"""How many bytes a zstd frame unfolds to, read before anything is decompressed.

A few bytes can claim to unfold into terabytes. The frame's own header says how much to allocate,
so it must agree with the shape in the metadata, and no second frame may follow.

References
----------
RFC 8878, sections 3.1.1.1 (frame header) and 3.1.1.2 (blocks).
"""

from __future__ import annotations

MAGIC = b"\x28\xb5\x2f\xfd"
RLE = 1
RESERVED = 3


def content_size(data: bytes) -> int:
    """Return the size to which `data`, exactly one zstd frame, unfolds.

    Raises
    ------
    ValueError
        If it is not one whole frame with a known size.
    """
    if data[:4] != MAGIC or len(data) < 6:
        raise ValueError("not a zstd frame")
    descriptor = data[4]
    single, checksum = bool(descriptor & 0x20), bool(descriptor & 0x04)
    size_bytes = (int(single), 2, 4, 8)[descriptor >> 6]
    if size_bytes == 0:
        raise ValueError("zstd frame of unknown size")
    start = 5 + (not single) + (0, 1, 2, 4)[descriptor & 3]
    size = int.from_bytes(data[start : start + size_bytes], "little")
    if _blocks_end(data, start + size_bytes) + 4 * checksum != len(data):
        raise ValueError("zstd frame is cut short or followed by other bytes")
    return size + (256 if size_bytes == 2 else 0)


def _blocks_end(data: bytes, position: int) -> int:
    """Return where the last block of the frame ends."""
    last = False
    while not last:
        header = int.from_bytes(data[position : position + 3], "little")
        last, kind, size = bool(header & 1), (header >> 1) & 3, header >> 3
        if position + 3 > len(data) or kind == RESERVED:
            raise ValueError("zstd frame has a damaged block")
        position += 3 + (1 if kind == RLE else size)
    return position
