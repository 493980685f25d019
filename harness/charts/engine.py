"""Runs gnuplot and trusts nothing: the exit status, the file, and that the file is a picture.

gnuplot leaves a blank picture behind when it fails half-way, so everything is drawn into a
temporary file that replaces the old one only when it has passed the checks.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import zlib
from pathlib import Path

_TIMEOUT_S = 120
_PNG_HEAD = b"\x89PNG\r\n\x1a\n"
_MIN_SHAPES = 8  # a frame alone is fewer than this
_MIN_BYTE_VALUES = 12  # a blank picture decompresses to a handful


class DrawError(Exception):
    """The picture could not be drawn; the message is a reason for people."""


def find(gnuplot: str) -> str:
    found = shutil.which(gnuplot)
    if found is None:
        raise DrawError(f"{gnuplot} is not installed: apt-get install gnuplot-nox")
    return found


def render(program: str, template: Path, data: Path, out: Path) -> None:
    """Draws `out` (its suffix says svg or png) from a template and a data file."""
    if not template.is_file():
        raise DrawError(f"the template {template.name} is missing from {template.parent.name}/")
    temporary = out.with_name(f".{out.stem}.{os.getpid()}.tmp{out.suffix}")
    command = [program, "-c", template.name, str(data.resolve()), str(temporary.resolve())]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("GNUTERM", "GNUPLOT"))}
    environment["LC_ALL"] = "C.UTF-8"
    try:
        done = subprocess.run(
            command,
            cwd=template.parent,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
        if done.returncode != 0:
            raise DrawError(f"gnuplot failed: {_complaint(done.stderr)}")
        check_picture(temporary)
        os.replace(temporary, out)
    except subprocess.TimeoutExpired as error:
        raise DrawError(f"gnuplot did not finish within {_TIMEOUT_S} s") from error
    except OSError as error:
        raise DrawError(f"{error.strerror or error}: {error.filename or out.name}") from error
    finally:
        temporary.unlink(missing_ok=True)


def check_picture(path: Path) -> None:
    """Raises DrawError unless the file is a picture with something in it."""
    if not path.is_file() or path.stat().st_size == 0:
        raise DrawError("gnuplot wrote no picture")
    content = path.read_bytes()
    if path.suffix == ".svg":
        text = content.decode("utf-8", "replace")
        if not text.rstrip().endswith("</svg>"):
            raise DrawError("the picture is cut off")
        if text.count("<path") + text.count("<text") < _MIN_SHAPES:
            raise DrawError("the picture is blank")
    elif len(set(_png_bytes(content))) < _MIN_BYTE_VALUES:
        raise DrawError("the picture is blank")


def _png_bytes(content: bytes) -> bytes:
    """The decompressed pixel rows of a PNG."""
    if not content.startswith(_PNG_HEAD):
        raise DrawError("the picture is not a PNG file")
    packed = bytearray()
    at = len(_PNG_HEAD)
    while at + 8 <= len(content):
        (length,) = struct.unpack(">I", content[at : at + 4])
        if content[at + 4 : at + 8] == b"IDAT":
            packed += content[at + 8 : at + 8 + length]
        at += length + 12
    try:
        return zlib.decompress(bytes(packed))
    except zlib.error as error:
        raise DrawError("the picture is cut off") from error


def _complaint(stderr: bytes) -> str:
    """gnuplot prints the line, a caret and then the reason: the last line says most."""
    lines = [line.strip() for line in stderr.decode("utf-8", "replace").splitlines()]
    said = [line for line in lines if line and line != "^"]
    return said[-1] if said else "it gave no reason"
