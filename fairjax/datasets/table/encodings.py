"""From bytes to UTF-8: the encoding of a text file is told, or found from its first bytes and its validity."""

from __future__ import annotations

import codecs
import re

from fairjax._core.text import reason, shown
from fairjax.errors import InputError

_BLOCK = 1 << 20
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_WESTERN = (
    "cp1252"  # what spreadsheets of Western Europe and America write; the usual reading of bytes that are no UTF-8
)
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_MOST_CONTROLS = 0.01  # share of control characters beyond which bytes are no text


def to_utf8(data: bytes, encoding: str | None, label: str) -> tuple[bytes, str, bool]:
    """Return the text as UTF-8 without a mark, the encoding that it had, and whether that was a guess.

    Parameters
    ----------
    data : bytes
    encoding : str or None
        Name of the encoding as Python knows it; None finds out.
    label : str
        The file's name in a sentence.

    Raises
    ------
    InputError
        For an unknown encoding, bytes that are not of it, and bytes that are no text.
    """
    mark, found = next(((mark, name) for mark, name in _MARKS if data.startswith(mark)), (b"", None))
    if encoding is not None:
        return _convert(data, encoding, found, mark, label), encoding, False
    if found is not None:
        text = data[len(mark) :]
        if found == "utf-8":
            _check_utf8(text, label)
            return _checked(text, label), "utf-8 with a byte order mark", False
        return _checked(_recode(text, found, label), label), found, False
    if wide := _wide(data):
        return _checked(_recode(data, wide, label), label), wide, True
    if b"\0" in data:
        raise InputError(f"{label} is not a text file (it holds null bytes); save it as CSV in UTF-8")
    try:
        _check_utf8(data, label)
        return _checked(data, label), "utf-8", False
    except InputError:
        _checked(data, label)
        return _western(data, label), _WESTERN, True


def _convert(data: bytes, encoding: str, found: str | None, mark: bytes, label: str) -> bytes:
    try:
        name = codecs.lookup(encoding).name
        if name in ("utf-8", "utf-8-sig") and found in (None, "utf-8"):
            text = data[len(mark) :]
            _check_utf8(text, label)
            return _checked(text, label)
        text = data.decode(encoding).removeprefix("\ufeff").encode()
    except LookupError as error:
        raise InputError(
            f"the encoding {shown(encoding)} is not known; try utf-8, cp1252, latin-1 or utf-16"
        ) from error
    except UnicodeError as error:
        place = f" (byte {error.start})" if isinstance(error, UnicodeDecodeError) else ""
        raise InputError(f"{label} is not {shown(encoding)} text{place}; name its encoding with --encoding") from error
    except Exception as error:  # codecs of Python that are none of text
        raise InputError(f"{shown(encoding)} is no encoding of text ({reason(error)}); try utf-8 or cp1252") from error
    return _checked(text, label)


def _check_utf8(data: bytes, label: str) -> None:
    """Raise InputError unless the bytes are UTF-8; in blocks, since the text itself is not needed."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    view = memoryview(data)
    for start in range(0, len(data), _BLOCK):
        try:
            decoder.decode(view[start : start + _BLOCK], final=start + _BLOCK >= len(data))
        except UnicodeDecodeError as error:
            raise InputError(
                f"{label} is not UTF-8 text (near byte {start + error.start}); name its encoding with --encoding"
            ) from error


def _recode(data: bytes, encoding: str, label: str) -> bytes:
    try:
        return data.decode(encoding).encode()
    except UnicodeError as error:
        raise InputError(f"{label} begins as {encoding} text and is none further on; save it as UTF-8") from error


def _western(data: bytes, label: str) -> bytes:
    """Return bytes of one a character as UTF-8; the five that cp1252 leaves open tell that it is another encoding."""
    try:
        return data.decode(_WESTERN).encode()
    except UnicodeDecodeError as error:
        raise InputError(
            f"{label} is neither UTF-8 nor {_WESTERN} text (byte {error.start}); name its encoding with --encoding, "
            "such as cp1251, cp932, gb18030 or cp437"
        ) from error


def _wide(data: bytes) -> str | None:
    """Return UTF-16 of either order where every other byte of the beginning is null, as in Western text."""
    head = data[: 2 * (min(len(data), 2000) // 2)]
    if len(head) < 4:
        return None
    even, odd = head[::2].count(0) / (len(head) / 2), head[1::2].count(0) / (len(head) / 2)
    if odd > 0.6 and even < 0.1:
        return "utf-16-le"
    return "utf-16-be" if even > 0.6 and odd < 0.1 else None


def _checked(data: bytes, label: str) -> bytes:
    if b"\0" in data:
        raise InputError(f"{label} is not a text file (it holds null bytes); save it as CSV in UTF-8")
    if data.endswith(b"\x1a"):  # the mark of the end that DOS wrote
        data = data.rstrip(b"\x1a")
    head = data[:100_000]
    if len(_CONTROLS.findall(head)) > max(_MOST_CONTROLS * len(head), 3):
        raise InputError(f"{label} is not a text file (it holds many control characters); save it as CSV in UTF-8")
    return data
