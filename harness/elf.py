"""Sizes and code hashes of ELF files, read from their section headers."""

from __future__ import annotations

import hashlib
import re
import struct
from dataclasses import dataclass
from pathlib import Path

from harness.fault import Fault

_WRITE, _ALLOC, _EXEC, _NOBITS = 0x1, 0x2, 0x4, 8
_LLVM_BITCODE = b"BC\xc0\xde"
_LTO = ".gnu.lto_"
_DRAWN = re.compile(r"\.[0-9a-f]{1,16}$")  # gcc ends the names of an object's LTO sections so


@dataclass(frozen=True)
class Section:
    """One section of a file."""

    name: str
    type: int
    flags: int
    offset: int
    size: int


@dataclass(frozen=True)
class Sizes:
    """As `size` prints them: text is code and constants, data is writable, bss is zeroed."""

    text_b: int
    data_b: int
    bss_b: int


def sections(data: bytes, name: str) -> list[Section]:
    """The sections of a 64-bit little-endian ELF file."""
    if len(data) < 64 or data[:6] != b"\x7fELF\x02\x01":
        raise Fault(f"{name}: not a 64-bit little-endian ELF file")
    try:
        (table,) = struct.unpack_from("<Q", data, 0x28)
        entry, count, strings = struct.unpack_from("<HHH", data, 0x3A)
        if count == 0 and table:  # more than 65279 sections: the count is in section 0
            (count,) = struct.unpack_from("<Q", data, table + 0x20)
        if strings == 0xFFFF:
            (strings,) = struct.unpack_from("<I", data, table + 0x28)
        raw = [struct.unpack_from("<IIQQQQ", data, table + i * entry) for i in range(count)]
        names_at = raw[strings][4] if raw else 0
        result = []
        for start, kind, flags, _, offset, size in raw:
            end = data.index(b"\0", names_at + start)
            text = data[names_at + start : end].decode("utf-8", "replace")
            result.append(Section(text, kind, flags, offset, size))
        return result
    except (struct.error, ValueError, IndexError, OverflowError) as error:
        raise Fault(f"{name}: damaged ELF file: {error}") from error


def sizes(path: Path) -> Sizes:
    """What the program takes when it is loaded."""
    text = data = bss = 0
    for section in sections(path.read_bytes(), str(path)):
        if not section.flags & _ALLOC:
            continue
        if section.type == _NOBITS:
            bss += section.size
        elif section.flags & _WRITE:
            data += section.size
        else:
            text += section.size
    return Sizes(text, data, bss)


def code_sha(path: Path) -> str:
    """A hash of the machine code (executable sections in order of their names). An object that is
    optimised when it is linked has none yet: the hash is that of all it has, but for the number
    that gcc draws for the names of its sections."""
    content = path.read_bytes()
    if content.startswith(_LLVM_BITCODE):
        return hashlib.sha256(content).hexdigest()[:16]
    digest = hashlib.sha256()
    found = sections(content, str(path))
    if any(section.name.startswith(_LTO) for section in found):
        for section in found:
            if section.type != _NOBITS and section.name != ".shstrtab":
                name = section.name
                if name.startswith(_LTO):
                    name = _DRAWN.sub("", name)
                digest.update(f"{name}\0{section.size}\0".encode())
                digest.update(content[section.offset : section.offset + section.size])
        return digest.hexdigest()[:16]
    for section in sorted(found, key=lambda s: (s.name, s.offset)):
        if section.flags & _EXEC and section.type != _NOBITS:
            digest.update(section.name.encode() + b"\0")
            digest.update(content[section.offset : section.offset + section.size])
    return digest.hexdigest()[:16]


def image_sha(path: Path) -> str:
    """A hash of all that a program loads but notes: two with the same one do the same."""
    content = path.read_bytes()
    digest = hashlib.sha256()
    for section in sections(content, str(path)):
        if section.flags & _ALLOC and not section.name.startswith(".note"):
            digest.update(f"{section.name}\0{section.type} {section.size}\0".encode())
            if section.type != _NOBITS:
                digest.update(content[section.offset : section.offset + section.size])
    return digest.hexdigest()[:16]
