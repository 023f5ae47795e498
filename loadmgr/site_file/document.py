"""A YAML file as plain values, with the place of every one of them.

Rules kept here
---------------
1. YAML 1.2: ``yes`` and ``no`` are text. A number stays a number; whoever wants text says so, and can show how it was
   written.
2. A key that is written twice is a fault: YAML readers that keep the last one have hidden many a limit.
3. Nothing is constructed by a tag: a file is data.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

PathKey = tuple[str | int, ...]
"""Where a value is: keys of mappings and indices of lists, from the top."""


_PLAIN_WORDS = (
    ("expected <block end>", "this does not fit the lines above it", "indent it like its neighbours"),
    ("expected ',' or", "a comma or a closing bracket is missing before this", "separate members by commas"),
    ("mapping values are not allowed", "a second colon in one value", "put the text in quotes, or begin a new line"),
    ("could not find expected ':'", "a key without a colon", "write `key: value`"),
)
"""What the YAML reader says, what a person understands, and what would be right."""


@dataclass(frozen=True, slots=True)
class _Place:
    key: tuple[int, int]
    value: tuple[int, int]
    raw: str | None


@dataclass(frozen=True, slots=True)
class Flaw:
    """A fault of the YAML itself."""

    line: int
    column: int
    text: str
    advice: str


@dataclass(slots=True)
class Document:
    """The values of a YAML file and where each of them is written."""

    value: Any = None
    flaws: list[Flaw] = field(default_factory=list)
    empties: set[PathKey] = field(default_factory=set)
    _places: dict[PathKey, _Place] = field(default_factory=dict)

    def place(self, path: PathKey, *, at_key: bool = False) -> tuple[int, int]:
        """Return line and column of a value, or of what holds it where it is not written itself."""
        for length in range(len(path), -1, -1):
            found = self._places.get(path[:length])
            if found is not None:
                whole = length == len(path)
                return found.key if (at_key and whole) or (not whole and length > 0) else found.value
        return 1, 1

    def written(self, path: PathKey) -> PathKey:
        """Return the longest part of a path that is written in the file."""
        while path and path not in self._places:
            path = path[:-1]
        return path

    def raw(self, path: PathKey) -> str | None:
        """Return a scalar as it is written in the file."""
        found = self._places.get(path)
        return None if found is None else found.raw

    def get(self, *path: str | int) -> Any:
        """Return the value at a path, or ``None``."""
        at = self.value
        for key in path:
            if isinstance(at, dict) and isinstance(key, str):
                at = at.get(key)
            elif isinstance(at, list) and isinstance(key, int) and key < len(at):
                at = at[key]
            else:
                return None
        return at

    def items(self, section: str) -> Iterator[tuple[PathKey, Any]]:
        """Yield path and value of each member of a list."""
        held = self.get(section)
        if isinstance(held, list):
            for index, item in enumerate(held):
                yield (section, index), item


def read_document(path: Path) -> Document:
    """Read a YAML file; what is wrong with the YAML itself is in the document's flaws.

    Raises
    ------
    OSError
        If the file cannot be read at all.
    """
    document = Document()
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        column = error.start - (error.object.rfind(b"\n", 0, error.start) + 1) + 1
        document.flaws.append(Flaw(line, column, "is not text in UTF-8", "save the file as UTF-8"))
        return document
    try:
        node = YAML(typ="safe", pure=True).compose(io.StringIO(text))
    except MarkedYAMLError as error:
        document.flaws.append(_flaw_of(error, text))
        return document
    except YAMLError as error:
        problem = str(error).splitlines()[0]
        document.flaws.append(Flaw(1, 1, f"is not YAML: {problem}", "save it as plain text in UTF-8"))
        return document
    if node is None:
        document.flaws.append(Flaw(1, 1, "is empty", "a site file begins with `schema: loadmgr/v1`"))
        return document
    document.value = _value_of(node, (), document, key_place=(1, 1), above=())
    if not isinstance(document.value, dict) and not document.flaws:
        kind = "a list" if isinstance(document.value, list) else "plain text"
        document.flaws.append(
            Flaw(*_at(node), f"is {kind}, not a mapping of keys", "a site file begins with `schema: loadmgr/v1`")
        )
    return document


def document_of(value: object) -> Document:
    """Return plain values, such as parsed JSON, as a document; the n-th value of it stands in line n.

    Empty keys are flaws here too, so that both ways in take the same.
    """
    document = Document()
    document.value = _placed(value, (), document)
    if not isinstance(document.value, dict):
        document.flaws.append(Flaw(1, 1, "is not a mapping of keys", "a site begins with `schema: loadmgr/v1`"))
    return document


def _placed(value: Any, path: PathKey, document: Document) -> Any:
    line = len(document._places) + 1
    raw = None if isinstance(value, dict | list) else str(value)
    document._places[path] = _Place((line, 1), (line, 1), raw)
    if isinstance(value, list):
        return [_placed(item, (*path, index), document) for index, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    out: dict[str, Any] = {}
    for key, inner in value.items():
        if inner is None:
            document.empties.add((*path, key))
            document.flaws.append(Flaw(line, 1, f"key {key} is empty", "write its value, or remove the key"))
        else:
            out[key] = _placed(inner, (*path, key), document)
    return out


def _flaw_of(error: MarkedYAMLError, text: str) -> Flaw:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    problem = (error.problem or error.context or "cannot be read").strip().splitlines()[0]
    lines = text.splitlines()
    written = lines[line - 1] if line <= len(lines) else ""
    begin = error.context_mark
    if "\t" in written[: column + 1]:
        return Flaw(line, column, "is not YAML: a tab where spaces are needed", "indent with spaces")
    if "another document" in problem:
        return Flaw(line, column, "holds two documents", "keep one site to a file: remove the line `---`")
    if "end of stream" in problem and begin is not None:
        what = (error.context or "what").replace("while scanning ", "").replace("while parsing ", "")
        return Flaw(begin.line + 1, begin.column + 1, f"is not YAML: {what} that is never closed", "close it")
    for jargon, said, advice in _PLAIN_WORDS:
        if jargon in problem:
            return Flaw(line, column, f"is not YAML: {said}", advice)
    advice = "check the indentation, and that every bracket and quote above is closed"
    return Flaw(line, column, f"is not YAML: {problem.replace('<', '').replace('>', '')}", advice)


def _at(node: Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _value_of(
    node: Node, path: PathKey, document: Document, *, key_place: tuple[int, int], above: tuple[Node, ...]
) -> Any:
    """Return a node as plain values and note the place of everything in it."""
    raw = node.value if isinstance(node, ScalarNode) else None
    document._places[path] = _Place(key_place, _at(node), raw)
    if any(node is holder for holder in above):
        document.flaws.append(Flaw(*_at(node), "an anchor that contains itself", "write the values out"))
        return None
    within = (*above, node)
    if isinstance(node, ScalarNode):
        return _scalar_of(node, document)
    if str(node.tag) not in ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"):
        _refuse_tag(node, document)
    if isinstance(node, SequenceNode):
        return [
            _value_of(item, (*path, i), document, key_place=_at(item), above=within)
            for i, item in enumerate(node.value)
        ]
    out: dict[str, Any] = {}
    pairs = node.value if isinstance(node, MappingNode) else []
    for key_node, value_node in pairs:
        key = key_node.value if isinstance(key_node, ScalarNode) else None
        if key is None:
            document.flaws.append(Flaw(*_at(key_node), "a key that is a list or a mapping", "keys are plain words"))
            continue
        if key in out:
            first = document.place((*path, key), at_key=True)[0]
            document.flaws.append(
                Flaw(*_at(key_node), f"key {key} is written twice (first in line {first})", "keep one of them")
            )
            continue
        value = _value_of(value_node, (*path, key), document, key_place=_at(key_node), above=within)
        if value is None and isinstance(value_node, ScalarNode):
            document.empties.add((*path, key))
            document.flaws.append(Flaw(*_at(key_node), f"key {key} is empty", "write its value, or remove the key"))
            continue
        out[key] = value
    return out


def _scalar_of(node: ScalarNode, document: Document) -> Any:
    """Return a scalar as YAML 1.2 resolves it; what is neither number, truth value nor null is text."""
    prefix, _, tag = str(node.tag).rpartition(":")
    raw = node.value
    try:
        match tag:
            case "int":
                return int(raw.replace("_", ""), 0 if raw.lower().startswith(("0x", "0o", "0b")) else 10)
            case "float":
                return float(raw.replace("_", "").lower().replace(".inf", "inf").replace(".nan", "nan"))
            case "bool" if raw.lower() in ("true", "false"):
                return raw.lower() == "true"
            case "null" if raw.lower() in ("", "~", "null"):
                return None
            case "str" | "timestamp" if prefix:
                return raw
            case _:
                _refuse_tag(node, document)
    except ValueError:
        _refuse_tag(node, document)
    return raw


def _refuse_tag(node: Node, document: Document) -> None:
    tag = str(node.tag).replace("tag:yaml.org,2002:", "!!")
    document.flaws.append(Flaw(*_at(node), f"tag {tag} is not understood here", "remove it"))
