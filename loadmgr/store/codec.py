"""Values to plain JSON and back, by their types, without loss: what a journal holds.

Rules
-----
1. The type is known from the place where a value stands, so only members of a union carry a tag (``"_type"``).
2. What is ``None`` or empty is left out; every other default is written, because a later version may change it.
3. A name that is not known is passed over, so that an older loadmgr reads what a newer one wrote as far as it can.
4. Floats are written with every digit; those that JSON does not have become the strings ``nan``, ``inf``, ``-inf``,
   and integers of more than 64 bits their digits.
5. What an older loadmgr did not write is the default; or, where a field's metadata has ``unsaid``, that: what it did
   before there was a choice, so that its journals replay.
6. A field whose metadata has ``found_anew`` is made of the others when it is asked for, and is not written.
7. Numbers of a dictionary's keys, and pairs of them, are kept: such a dictionary is a list of pairs.
"""

import dataclasses
import json
import math
import types
import typing
from collections import deque
from collections.abc import Callable
from datetime import date, datetime
from typing import Any, TypeVar, get_args, get_origin

import numpy as np
import orjson
from cattrs import Converter
from cattrs.errors import BaseValidationError
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from loadmgr.errors import JournalError

T = TypeVar("T")

TAG = "_type"
"""Names the class of a member of a union."""

LOWEST_INT, HIGHEST_INT = -(2**63), 2**64 - 1
"""What orjson takes."""


class Codec:
    """Encodes and decodes values of known types; a codec holds its generated code, so keep one.

    Parameters
    ----------
    refine : callable, optional
        Gets the converter to add hooks of its own, such as for values that are known by their id.
    """

    def __init__(self, refine: Callable[[Converter], None] | None = None) -> None:
        self._converter = converter = Converter(detailed_validation=False)
        _add_scalars(converter)
        _add_containers(converter)
        converter.register_unstructure_hook_factory(dataclasses.is_dataclass, lambda c: _writer(converter, c))
        converter.register_structure_hook_factory(dataclasses.is_dataclass, lambda c: _reader(converter, c))
        converter.register_unstructure_hook_factory(_is_choice, lambda u: _choice_writer(converter, u))
        converter.register_structure_hook_factory(_is_choice, lambda u: _choice_reader(converter, u))
        if refine is not None:
            refine(converter)

    def plain(self, value: object, kind: Any) -> Any:
        """Return a value of a type as what JSON has."""
        return self._converter.unstructure(value, unstructure_as=kind)

    def value(self, plain: Any, kind: Any) -> Any:
        """Return the value of a type that ``plain`` writes.

        Raises
        ------
        JournalError
            If it is none of that type.
        """
        try:
            return self._converter.structure(plain, kind)
        except (BaseValidationError, KeyError, TypeError, ValueError, AttributeError) as error:
            name = getattr(kind, "__name__", str(kind))
            raise JournalError(f"this is no {name}: {error!r} in {str(plain)[:200]}") from error

    def encode(self, value: object, kind: Any) -> bytes:
        """Return a value of a type as JSON."""
        return to_json(self.plain(value, kind))

    def decode(self, text: bytes | str, kind: type[T]) -> T:
        """Return the value of a type that JSON writes.

        Raises
        ------
        JournalError
            If the text is no JSON, or none of that type.
        """
        found: T = self.value(from_json(text), kind)
        return found


def to_json(plain: Any) -> bytes:
    """Return JSON, also of text that is no Unicode: halves of surrogate pairs, which a peer may send."""
    try:
        return orjson.dumps(plain)
    except orjson.JSONEncodeError:
        return json.dumps(plain).encode()


def from_json(text: bytes | str) -> Any:
    """Return what JSON writes.

    Raises
    ------
    JournalError
        If it is no JSON.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        try:
            return json.loads(text)
        except ValueError as error:
            raise JournalError(f"this is no JSON: {error}") from error


def _add_scalars(converter: Converter) -> None:
    converter.register_unstructure_hook(float, _plain_float)
    converter.register_structure_hook(float, lambda v, _: float(v))
    converter.register_unstructure_hook_func(lambda kind: kind is int, _plain_int)
    converter.register_unstructure_hook(datetime, lambda v: v.isoformat())
    converter.register_structure_hook(datetime, lambda v, _: datetime.fromisoformat(v))
    converter.register_unstructure_hook(date, lambda v: v.isoformat())
    converter.register_structure_hook(date, lambda v, _: date.fromisoformat(v))


def _plain_int(value: int) -> int | str:
    return value if LOWEST_INT <= value <= HIGHEST_INT else str(value)


def _plain_float(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)


def _add_containers(converter: Converter) -> None:
    converter.register_unstructure_hook_factory(_is_array, lambda _: lambda v: v.tolist())
    converter.register_structure_hook_factory(_is_array, lambda _: lambda v, _: np.array(v, dtype=np.float64))
    converter.register_unstructure_hook_factory(_is_set, lambda t: _set_writer(converter, t))
    converter.register_unstructure_hook_factory(_is_deque, lambda t: _deque_writer(converter, t))
    converter.register_unstructure_hook_factory(_has_odd_keys, lambda t: _pairs_writer(converter, t))
    converter.register_structure_hook_factory(_has_odd_keys, lambda t: _pairs_reader(converter, t))


def _is_array(kind: Any) -> bool:
    return get_origin(kind) is np.ndarray


def _is_set(kind: Any) -> bool:
    return get_origin(kind) in (set, frozenset)


def _is_deque(kind: Any) -> bool:
    return get_origin(kind) is deque


def _has_odd_keys(kind: Any) -> bool:
    if get_origin(kind) is not dict:
        return False
    key = get_args(kind)[0]
    return getattr(key, "__supertype__", key) is not str


def _is_choice(kind: Any) -> bool:
    """Return whether a type is a union of several dataclasses."""
    if get_origin(kind) not in (typing.Union, types.UnionType):
        return False
    members = [m for m in get_args(kind) if m is not type(None)]
    return len(members) > 1 and all(dataclasses.is_dataclass(m) for m in members)


def _choice_writer(converter: Converter, union: Any) -> Callable[[Any], Any]:
    names = {m: m.__name__ for m in get_args(union)}

    def write(value: Any) -> Any:
        if value is None:
            return None
        kind = type(value)
        return {TAG: names[kind], **converter.unstructure(value, unstructure_as=kind)}

    return write


def _choice_reader(converter: Converter, union: Any) -> Callable[[Any, Any], Any]:
    members = {m.__name__: m for m in get_args(union)}
    return lambda v, _: None if v is None else converter.structure(v, members[v[TAG]])


def _set_writer(converter: Converter, kind: Any) -> Callable[[Any], Any]:
    (item,) = get_args(kind)
    return lambda v: sorted(converter.unstructure(x, unstructure_as=item) for x in v)


def _deque_writer(converter: Converter, kind: Any) -> Callable[[Any], Any]:
    (item,) = get_args(kind)
    return lambda v: [converter.unstructure(x, unstructure_as=item) for x in v]


def _pairs_writer(converter: Converter, kind: Any) -> Callable[[Any], Any]:
    key, item = get_args(kind)
    return lambda v: [
        [converter.unstructure(k, unstructure_as=key), converter.unstructure(x, unstructure_as=item)]
        for k, x in v.items()
    ]


def _pairs_reader(converter: Converter, kind: Any) -> Callable[[Any, Any], Any]:
    key, item = get_args(kind)
    return lambda v, _: {converter.structure(k, key): converter.structure(x, item) for k, x in v}


def _writer(converter: Converter, cls: Any) -> Callable[[Any], dict[str, Any]]:
    left_out: Any = {f.name: override(omit_if_default=True) for f in dataclasses.fields(cls) if _is_nothing(f)}
    return make_dict_unstructure_fn(cls, converter, **left_out | _found_anew(cls))


def _reader(converter: Converter, cls: Any) -> Callable[[Any, Any], Any]:
    read = make_dict_structure_fn(cls, converter, _cattrs_detailed_validation=False, **_found_anew(cls))
    unsaid = {f.name: f.metadata["unsaid"] for f in dataclasses.fields(cls) if "unsaid" in f.metadata}
    return read if not unsaid else lambda v, kind: read({**unsaid, **v}, kind)


def _found_anew(cls: Any) -> dict[str, Any]:
    """Return what leaves out the fields that are found anew from the others: their metadata has ``found_anew``."""
    return {f.name: override(omit=True) for f in dataclasses.fields(cls) if "found_anew" in f.metadata}


def _is_nothing(field: "dataclasses.Field[Any]") -> bool:
    """Return whether a field's default is ``None`` or empty."""
    if field.default is not dataclasses.MISSING:
        return field.default is None or field.default in ("", ())
    if field.default_factory is dataclasses.MISSING:
        return False
    made = field.default_factory()
    return isinstance(made, (list, dict, set, frozenset, deque, tuple)) and not made
