"""Small YAML files of one part each, such as a register map: read, or refused with file, line, column and field."""

from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from loadmgr.errors import InputError
from loadmgr.site_file.document import Document, read_document
from loadmgr.site_file.likeness import suggestion

Part = TypeVar("Part", bound=BaseModel)


def read_data(path: Path, model: type[Part], *, keys_below: tuple[str, ...] = ()) -> Part:
    """Return the part that a file holds.

    Parameters
    ----------
    keys_below : tuple of str
        Keys that are known in mappings below the top, for advice about slips.

    Raises
    ------
    InputError
        With file, line, column and field, and what would be right.
    """
    try:
        document = read_document(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    if document.flaws:
        flaw = document.flaws[0]
        raise InputError(f"{path}:{flaw.line}:{flaw.column}: {flaw.text}; {flaw.advice}")
    try:
        return model.model_validate(document.value)
    except ValidationError as error:
        raise InputError(_said(path, document, error, (model.model_fields, keys_below))) from error


def _said(path: Path, document: Document, error: ValidationError, known: tuple[Iterable[str], Iterable[str]]) -> str:
    detail = error.errors(include_url=False)[0]
    place, context = tuple(detail["loc"]), detail.get("ctx", {})
    if detail["type"] == "extra_forbidden":
        line, column = document.place(place, at_key=True)
        advice = suggestion(str(place[-1]), known[len(place) > 1], kind="known here")
        return f"{path}:{line}:{column}: unknown key {place[-1]}; {advice}"
    line, column = document.place(document.written(place))
    field = ".".join(map(str, place)) or "the file"
    if detail["type"] == "missing":
        return f"{path}:{line}:{column}: key {place[-1]} is missing; add {place[-1]}"
    if detail["type"] == "site_file":
        return f"{path}:{line}:{column}: {field}: {context['text']}; {context['advice']}"
    return f"{path}:{line}:{column}: {field}: {detail['msg'].lower()}"
