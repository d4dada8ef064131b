"""Check the chunks of a PNG file, which Pillow does not while it decodes."""

import zlib

from nightglass.images.quarantine import QuarantinedError, QuarantineReason

_SIGNATURE_BYTES = 8
_TEXT_CHUNKS = (b"tEXt", b"zTXt", b"iTXt")
#: Keywords of texts that Pillow looks for an orientation in.
_EXIF_KEYWORDS = (b"exif", b"Raw profile type exif", b"XML:com.adobe.xmp", b"xmp")


def check_chunks(data: bytes) -> bool:
    """Check every chunk's length and checksum, up to the end of the image (PNG specification, third edition, 5.3).

    Returns:
        Whether a chunk holds EXIF or XMP data, which may say how the picture is turned.

    Raises:
        QuarantinedError: A chunk is cut off or its checksum is wrong, or the end is missing.
    """
    view = memoryview(data)
    start, kind, has_exif = _SIGNATURE_BYTES, b"", False
    while kind != b"IEND":
        length = int.from_bytes(view[start : start + 4], "big")
        kind = bytes(view[start + 4 : start + 8])
        end = start + 8 + length
        checksum = view[end : end + 4]
        if len(checksum) < 4:
            raise QuarantinedError(QuarantineReason.TRUNCATED, "the PNG data ends before its end chunk")
        if zlib.crc32(view[start + 4 : end]) != int.from_bytes(checksum, "big"):
            raise QuarantinedError(QuarantineReason.CORRUPT, f"wrong checksum in chunk {kind!r}")
        if kind in _TEXT_CHUNKS:
            keyword = bytes(view[start + 8 : start + 8 + 80]).partition(b"\0")[0]
            has_exif |= keyword in _EXIF_KEYWORDS
        has_exif |= kind == b"eXIf"
        start = end + 4
    return has_exif
