"""A picture's file taken apart before it is decoded: pixels count, metadata never decides. Pure.

Of PNG and JPEG, which carry most metadata, only what makes the pixels is given to the decoder; what says how they are
to be seen (orientation, colours) is read here, tolerantly, and anything that can't be read counts as not there.
"""

import re
import struct
import zlib
from dataclasses import dataclass

PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8\xff"
MOST_PROFILE_BYTES = 16 << 20
_PIXEL_CHUNKS = frozenset({b"IHDR", b"PLTE", b"IDAT", b"tRNS", b"IEND"})
_SRGB_GAMMA = 1 / 2.2
_EXIF_LEAD = b"Exif\0\0"
_ICC_LEAD = b"ICC_PROFILE\0"
_ORIENTATION = 0x0112
_SHORT = 3
_NO_PAYLOAD = frozenset({0x01, *range(0xD0, 0xD9)})  # TEM, restarts and SOI stand alone
JPEG_END = b"\xff\xd9"
_BASE64 = re.compile(rb"(?:iVBORw0KGgo|/9j/|R0lGOD|UklGR|Qk[01])[A-Za-z0-9+/=\s]{20,}")  # how PNG, JPEG, … begin in it
_FOREIGN = {
    b"\xff\x0a": "JPEG XL", b"\0\0\0\x0cJXL ": "JPEG XL", b"\x76\x2f\x31\x01": "OpenEXR",
    b"#?RADIANCE": "Radiance HDR", b"#?RGBE": "Radiance HDR", b"SIMPLE  =": "FITS", b"gimp xcf": "XCF",
    b"\xd7\xcd\xc6\x9a": "WMF", b"AT&TFORM": "DjVu", b"\xabKTX ": "KTX",
}  # fmt: skip
_FRAMES = frozenset({0xC0, 0xC1, 0xC2})
_SOS, _EOI, _APP0, _APP14, _COM = 0xDA, 0xD9, 0xE0, 0xEE, 0xFE


@dataclass(frozen=True)
class BareFile:
    """``data``: the file without metadata. ``icc``: its colour profile. ``gamma``: a PNG's, where nothing better tells
    the colours (0 = as usual). ``cicp``: primaries and transfer of a PNG by ITU-T H.273. ``orientation``: Exif's, 1 to
    8. ``frames``: an animated PNG's."""

    data: bytes
    icc: bytes = b""
    gamma: float = 0.0
    cicp: tuple[int, int] | None = None
    orientation: int = 1
    frames: int = 1


def bare(data: bytes) -> BareFile:
    """The file as the decoder gets it, and what the metadata says of the pixels."""
    if data.startswith(PNG):
        return _bare_png(data)
    if data.startswith(JPEG):
        return _bare_jpeg(data)
    return BareFile(data)


def orientation(exif: bytes) -> int:
    """The orientation that an Exif block tells, 1 to 8; 1 where it tells none or is broken."""
    block = exif.removeprefix(_EXIF_LEAD)
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None:
        return 1
    try:
        (at,) = struct.unpack_from(f"{order}I", block, 4)
        (count,) = struct.unpack_from(f"{order}H", block, at)
        for entry in range(min(count, 1000)):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", block, at + 2 + 12 * entry)
            if tag == _ORIENTATION:
                return value if kind == _SHORT and 1 <= value <= 8 else 1
    except struct.error:  # cut off, or pointing outside
        pass
    return 1


def known_kind(data: bytes) -> str:
    """What a file that Pillow can't open is, in a word of ``chat.error.picture_*``; "" where nothing is known of it."""
    head = data[:4096]
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not data:
        return "empty"
    if b"%pdf-" in head[:1024].lower():
        return "pdf"
    if start.startswith(b"<svg") or (start.startswith((b"<?xml", b"<!doctype svg", b"<!--")) and b"<svg" in start):
        return "svg"
    if start[:2] == b"\x1f\x8b":
        return "svg" if b"<svg" in _inflated(data).lower() else ""
    brand = head[8:12] if head[4:8] == b"ftyp" else b""
    if brand in (b"qt  ", b"isom", b"mp41", b"mp42", b"iso2", b"iso5", b"iso6", b"avc1", b"M4V ", b"3gp4", b"3gp5"):
        return "video"
    if head[:4] == b"\x1aE\xdf\xa3" or (head[:4] == b"RIFF" and head[8:12] == b"AVI "):
        return "video"
    if brand == b"crx " or head.startswith((b"FUJIFILMCCD-RAW", b"IIRO", b"IIU\0", b"\0MRM")):
        return "raw"
    if start.startswith(b"version https://git-lfs.github.com/spec/"):
        return "pointer"
    if start.startswith(b"data:image/") or _BASE64.fullmatch(head.strip()):
        return "base64"
    variants = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"GIF8", b"BM", b"RIFF", b"8BPS", b"DDS ", b"\0\0\0\x0cjP")
    return "variant" if brand or head.startswith((PNG, JPEG, *variants)) else ""


def foreign_format(data: bytes) -> str:
    """The name of a picture format that nothing here reads; "" for none that is known."""
    if data[128:132] == b"DICM":
        return "DICOM"
    return next((name for lead, name in _FOREIGN.items() if data.startswith(lead)), "")


def declared_pixels(data: bytes) -> int:
    """The pixels that a WebP file declares: its decoder takes their memory as it opens. 0 where it isn't one."""
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP" or len(data) < 30:
        return 0
    kind, content = data[12:16], data[20:30]
    if kind == b"VP8X":
        return (1 + int.from_bytes(content[4:7], "little")) * (1 + int.from_bytes(content[7:10], "little"))
    if kind == b"VP8L":
        bits = int.from_bytes(content[1:5], "little")
        return (1 + (bits & 0x3FFF)) * (1 + (bits >> 14 & 0x3FFF))
    width, height = struct.unpack_from("<HH", content, 6)
    return int(width & 0x3FFF) * int(height & 0x3FFF)


def is_cut_in_later_pass(data: bytes) -> bool:
    """Whether a bare JPEG that was cut off has lost sharpness alone: it goes over the picture several times, and in
    the passes before the last one every colour came in all its frequencies."""
    missing, last = set[tuple[int, int]](), set[tuple[int, int]]()
    at = 2
    while at >= 0 and at + 4 <= len(data):
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        content = data[at + 4 : at + 2 + length]
        try:
            if marker in _FRAMES:
                missing = {(content[6 + 3 * n], band) for n in range(content[5]) for band in (0, 63)}
            elif marker == _SOS:
                missing -= last  # the pass before is whole
                names = [content[1 + 2 * n] for n in range(content[0])]
                start, end = content[1 + 2 * len(names) : 3 + 2 * len(names)]
                last = {(name, band) for name in names for band in (start, end) if band in (0, 63)}
        except (IndexError, ValueError):
            return False
        at = data.find(b"\xff", at + 2 + max(length, 2))
        while 0 <= at < len(data) - 1 and (data[at + 1] in (0, 0xFF) or data[at + 1] in _NO_PAYLOAD):
            at = data.find(b"\xff", at + (1 if data[at + 1] == 0xFF else 2))
    return bool(last) and not missing


def scans(data: bytes) -> int:
    """How often a JPEG goes over the whole picture."""
    return data.count(b"\xff\xda")


def _bare_png(data: bytes) -> BareFile:
    kept, pixels = [PNG], list[bytes]()
    icc, gamma, cicp, turned, frames, srgb = b"", 0.0, None, 1, 1, False
    for kind, content in _chunks(data):
        if kind == b"IDAT":
            pixels.append(content)
        elif kind in _PIXEL_CHUNKS and not pixels:
            kept.append(_chunk(kind, content))
        elif kind == b"iCCP":
            icc = _inflated(content.partition(b"\0")[2][1:])
        elif kind == b"gAMA" and len(content) >= 4:
            gamma = int.from_bytes(content[:4], "big") / 100_000
        elif kind == b"cICP" and len(content) >= 2:
            cicp = (content[0], content[1])
        elif kind == b"eXIf":
            turned = orientation(content)
        elif kind == b"acTL" and len(content) >= 4:
            frames = int.from_bytes(content[:4], "big")
        srgb = srgb or kind == b"sRGB"
    if pixels:
        kept.append(_chunk(b"IDAT", b"".join(pixels)))
    kept.append(_chunk(b"IEND", b""))
    if srgb or icc or cicp or abs(gamma - _SRGB_GAMMA) < 0.02:
        gamma = 0.0
    return BareFile(b"".join(kept), icc, gamma, cicp, turned, frames)


def _chunks(data: bytes) -> "list[tuple[bytes, bytes]]":
    """Every chunk up to IEND; of one that is cut off, what is there. Checksums are left to what is in them."""
    found, at = [], len(PNG)
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        found.append((kind, data[at + 8 : at + 8 + length]))
        at += 12 + length
        if kind == b"IEND":
            break
    return found


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _inflated(content: bytes) -> bytes:
    """Decompressed up to MOST_PROFILE_BYTES; nothing where it can't be."""
    try:
        return zlib.decompressobj(47).decompress(content, MOST_PROFILE_BYTES)
    except zlib.error:
        return b""


def _bare_jpeg(data: bytes) -> BareFile:
    kept, profile, turned, at = [data[:2]], dict[int, bytes](), 1, 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            at = data.find(b"\xff", at)  # as libjpeg does: what stands between segments is passed over
            if at < 0:
                break
            continue
        marker = data[at + 1]
        if marker in (0, 0xFF):
            at += 1 if marker else 2
            continue
        if marker in _NO_PAYLOAD:
            at += 2
            continue
        if marker in (_SOS, _EOI):
            kept.append(data[at:])
            break
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        content = data[at + 4 : at + 2 + length]
        if marker == _APP0 + 1 and content.startswith(_EXIF_LEAD):
            turned = orientation(content) if turned == 1 else turned
        elif marker == _APP0 + 2 and content.startswith(_ICC_LEAD) and len(content) > 14:
            profile.setdefault(content[12], content[14:])
        elif marker in (_APP0, _APP14) or not (_APP0 <= marker <= _APP0 + 15 or marker == _COM):
            kept.append(data[at : at + 2 + length])
        at += 2 + max(length, 2)
    icc = b"".join(profile[number] for number in sorted(profile))
    return BareFile(b"".join(kept), icc, orientation=turned)
