"""Files as JSON: plain, gzip or zstd by content; one value per line, or values simply written one after another.

Everything is a generator with at most one value (or one block of text) in memory.
"""

from __future__ import annotations

import atexit
import gzip
import io
import json
import shutil
import sys
import zlib
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, Any, Final, TextIO

import msgspec
import zstandard

from k8sfsm.trace.errors import Line, TraceError, describe

Json = dict[str, Any]
Progress = Callable[[str, int], None]
"""Called with a file and the number of lines (or values) read from it so far."""

_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_BLOCK: Final = 1 << 16
_EVERY: Final = 1000


STDIN: Final = Path("-")
"""Standard input, where files are named."""


@lru_cache(maxsize=1)
def _spooled(source: TextIO) -> str:
    """The name of a file with all of standard input: it is read more than once, and may be longer than memory."""
    with NamedTemporaryFile(prefix="k8sfsm-", delete=False) as file:
        atexit.register(Path(file.name).unlink, missing_ok=True)
        shutil.copyfileobj(source.buffer, file, _BLOCK)
    return file.name


def open_bytes(path: Path) -> IO[bytes]:
    """A file's bytes, decompressed where it is gzip or zstd (told by content, not by name); `-` is standard input."""
    try:
        raw = (Path(_spooled(sys.stdin)) if path == STDIN else path).open("rb")
    except FileNotFoundError:
        raise TraceError(Line(str(path)), "no such file", "check the path") from None
    except OSError as error:
        raise TraceError(
            Line(str(path)), f"cannot be opened ({error.strerror})", "check the path and its rights"
        ) from error
    magic = raw.read(4)
    raw.seek(0)
    if magic.startswith(_GZIP):
        return io.BufferedReader(gzip.GzipFile(fileobj=raw))
    if magic == _ZSTD:
        return io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True))
    return raw


def text_lines(path: Path) -> Iterator[tuple[Line, str]]:
    """Lines of a text file with their places. A line may be of any length."""
    name = str(path)
    for number, raw in _raw_lines(path):
        place = Line(name, number)
        yield place, _text(raw, place)


def _raw_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a file with their numbers."""
    number = 0
    with open_bytes(path) as source:
        try:
            for raw in source:
                number += 1
                yield number, raw
        except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
            place = Line(str(path), number + 1)
            raise TraceError(place, f"the compressed data is damaged ({error})", "copy the file again") from error


def _text(raw: bytes, place: Line) -> str:
    if b"\x00" in raw:
        raise TraceError(place, "expected text, found binary data", "give a JSON file (plain, .gz or .zst)")
    try:
        return raw.decode("utf-8-sig" if place.number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        what = f"expected UTF-8 text, found byte 0x{raw[error.start]:02x} at column {error.start + 1}"
        raise TraceError(place, what, "give a JSON file (plain, .gz or .zst)") from error


def json_lines(path: Path, progress: Progress | None = None) -> Iterator[tuple[Line, Json]]:
    """JSON objects of a file with one per line.

    Raises TraceError where a line is not one, or where the file holds none.
    """
    for place, raw in filled_lines(path, progress):
        yield place, decoded(place, raw)


def filled_lines(
    path: Path, progress: Progress | None = None, skip: Callable[[bytes], bool] | None = None
) -> Iterator[tuple[Line, bytes]]:
    """The lines of a file that are not blank, but for those that `skip` knows; TraceError where all are blank."""
    number, found, name = 0, 0, str(path)
    for number, raw in _raw_lines(path):
        if progress and number % _EVERY == 0:
            progress(name, number)
        if raw.isspace():
            continue
        found += 1
        if skip is None or not skip(raw):
            yield Line(name, number), raw
    if not found:
        raise TraceError(Line(name, number), "the file is empty", "check that the recording was finished")
    if progress:
        progress(name, number)


_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode


def decoded(place: Line, raw: bytes) -> Json:
    """The JSON object of a line. Raises TraceError where it is none."""
    try:
        return _decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):  # Python's own reader tells what is wrong
        return _object(_text(raw, place), place)


def _object(text: str, place: Line) -> Json:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        cut = error.pos >= len(text.rstrip()) - 1 or error.msg.startswith("Unterminated")
        what = (
            "the JSON ends in the middle (truncated line)"
            if cut
            else f"not JSON at column {error.pos + 1} ({error.msg})"
        )
        raise TraceError(place, what, "delete the line, or copy the file again") from error
    except RecursionError as error:
        raise TraceError(place, "the JSON is nested too deeply", "delete the line") from error
    except ValueError as error:  # Python reads no numbers of thousands of digits
        raise TraceError(place, "a number has too many digits", "delete the line") from error
    if not isinstance(value, dict):
        raise TraceError(place, f"expected a JSON object, found {describe(value)}", "give one object per line")
    return value


class _Values:
    """Text that arrives in pieces, taken apart into the JSON values written in it."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.text = ""
        self.first = 1  # line on which `text` begins
        self.wanted = 0  # length to wait for: a long value is not parsed again for each of its lines
        self.decoder = json.JSONDecoder()

    def feed(self, text: str, *, last: bool = False) -> Iterator[tuple[Line, Json]]:
        """Add text; yield the values that are complete. With `last` nothing may be left over."""
        self.text += text
        if not last and (len(self.text) < self.wanted or not text.rstrip().endswith(("}", "]"))):
            return
        self._skip(len(self.text) - len(self.text.lstrip()))
        while self.text and (found := self._one(last)) is not None:
            place = Line(self.file, self.first)
            value, end = found
            if not isinstance(value, dict):
                raise TraceError(place, f"expected a JSON object, found {describe(value)}", "remove it")
            yield place, value
            rest = self.text[end:]
            self._skip(end + len(rest) - len(rest.lstrip()))

    def _one(self, last: bool) -> tuple[Any, int] | None:
        try:
            found = self.decoder.raw_decode(self.text)
        except json.JSONDecodeError as error:
            place = Line(self.file, self.first + self.text.count("\n", 0, error.pos))
            if error.pos < len(self.text.rstrip()) - 1 and not error.msg.startswith("Unterminated"):
                do = "give what kubectl printed, unchanged"
                raise TraceError(place, f"not JSON at column {error.colno} ({error.msg})", do) from error
            if last:
                what = "the JSON ends in the middle (truncated value)"
                raise TraceError(Line(self.file, self.first), what, "copy the file again") from error
            self.wanted = len(self.text) + min(len(self.text) // 8, _BLOCK)
            return None
        except RecursionError as error:
            raise TraceError(Line(self.file, self.first), "the JSON is nested too deeply", "remove it") from error
        except ValueError as error:  # Python reads no numbers of thousands of digits
            place = Line(self.file, self.first)
            raise TraceError(place, "a number has too many digits", "delete the line") from error
        self.wanted = 0
        return found

    def _skip(self, count: int) -> None:
        self.first += self.text.count("\n", 0, count)
        self.text = self.text[count:]


def json_values(path: Path, progress: Progress | None = None) -> Iterator[tuple[Line, Json]]:
    """JSON objects written one after another, on one line or over many: what `kubectl get -w -o json` prints."""
    values = _Values(str(path))
    place, found = Line(str(path)), 0
    for place, text in text_lines(path):
        for item in values.feed(text):
            found += 1
            yield item
        if progress and place.number % _EVERY == 0:
            progress(place.file, place.number)
    for item in values.feed("", last=True):
        found += 1
        yield item
    if not found:
        raise TraceError(place, "the file is empty", "check that the command printed something")
    if progress:
        progress(place.file, place.number)
