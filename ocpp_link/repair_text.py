"""A second reading of texts that are almost JSON, by patterns that stations are known for.

Rule 1: it is tried only after the JSON reader refused the text, and its result must pass that reader.
Rule 2: it never guesses what was cut off: a truncated text stays garbage.
"""

import re

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_ESCAPE = re.compile(rb'(\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))|\\')  # a right one is group 1, a lone backslash is not
_STRAY_COMMA = re.compile(rb"(?<=[\[{,])\s*,|,(?=\s*[\]}])")
_NO_NUMBER = re.compile(rb"(?<=[:,\[])\s*(?:-?(?:nan|inf(?:inity)?))(?=\s*[,\]}])", re.IGNORECASE)
_CONTROL = re.compile(rb"[\x00-\x1f]")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def mend_text(text: bytes) -> tuple[bytes, tuple[str, ...]]:
    """Return a text with the known slips mended, and the names of the mends.

    Examples
    --------
    >>> mend_text(b'[2,"1","Heartbeat",{},]')
    (b'[2,"1","Heartbeat",{}]', ('stray_comma',))
    """
    mends: list[str] = []
    if text.startswith(_BYTE_ORDER_MARK):
        text = text[len(_BYTE_ORDER_MARK) :]
        mends.append("byte_order_mark")
    stripped = text.strip(b"\x00 \r\n\t")
    if stripped != text:
        text = stripped
        mends.append("padding")
    text, inside = _inside_strings(text)
    mends.extend(inside)
    for name, pattern, replacement in (("not_a_number", _NO_NUMBER, b"null"), ("stray_comma", _STRAY_COMMA, b"")):
        mended = _outside_strings(text, pattern, replacement)
        if mended != text:
            text = mended
            mends.append(name)
    return text, tuple(mends)


def _inside_strings(text: bytes) -> tuple[bytes, list[str]]:
    mends: list[str] = []

    def mend(match: re.Match[bytes]) -> bytes:
        string = match.group()
        escaped = _ESCAPE.sub(lambda found: found.group(1) or b"\\\\", string)
        if escaped != string:
            mends.append("lone_backslash")
        printable = _CONTROL.sub(b" ", escaped)
        if printable != escaped:
            mends.append("control_character")
        return printable

    return _STRING.sub(mend, text), list(dict.fromkeys(mends))


def _outside_strings(text: bytes, pattern: re.Pattern[bytes], replacement: bytes) -> bytes:
    pieces: list[bytes] = []
    position = 0
    # Strings are blanked out, same length, so that patterns see only the structure.
    blanked = _STRING.sub(lambda match: b'"' + b"_" * (len(match.group()) - 2) + b'"', text)
    for match in pattern.finditer(blanked):
        pieces += [text[position : match.start()], replacement]
        position = match.end()
    return b"".join([*pieces, text[position:]])
