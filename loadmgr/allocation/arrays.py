"""Array types of the allocation room and the checks at its door: wrong shape or number raises, naming the value."""

import math
from collections.abc import Iterable
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.integer[Any]]


def require_distinct(name: str, labels: tuple[str, ...]) -> None:
    """Raise unless every label differs."""
    seen: set[str] = set()
    for label in labels:
        if label in seen:
            raise ValueError(f"{name} must be distinct, got {label!r} twice")
        seen.add(label)


def require_shape(name: str, array: NDArray[Any], shape: tuple[int, ...]) -> None:
    """Raise unless the array has this shape."""
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {array.shape}")


def require_finite(name: str, record: Any) -> None:
    """Raise if any float array of a record holds NaN or infinity."""
    for item in fields(record):
        value = getattr(record, item.name)
        if isinstance(value, np.ndarray) and value.dtype.kind == "f" and not np.isfinite(value).all():
            where = tuple(int(i) for i in np.argwhere(~np.isfinite(value))[0])
            raise ValueError(f"{name}.{item.name}{list(where)} must be a finite number, got {value[where]}")


def require_range(
    name: str, array: FloatArray, labels: tuple[str, ...], *, low: float, high: float | None = None
) -> None:
    """Raise unless every value lies in the range; rows are labelled."""
    bad = array < low if high is None else (array < low) | (array > high)
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        allowed = f"at least {low}" if high is None else f"in [{low}, {high}]"
        raise ValueError(f"{name} of {labels[where[0]]} must be {allowed}, got {array[where]} at {list(where)}")


def require_tree(ids: tuple[str, ...], parents: Iterable[int | None]) -> None:
    """Raise unless parents form trees."""
    parents = tuple(parents)
    for start, circuit_id in enumerate(ids):
        at, hops = parents[start], 0
        while at is not None:
            if not 0 <= at < len(ids):
                raise ValueError(f"circuits.parents of {circuit_id} must name one of {len(ids)} circuits, got {at}")
            hops += 1
            if hops > len(ids):
                raise ValueError(f"circuits.parents of {circuit_id} must not lead in a circle")
            at = parents[at]


def spread(value: ArrayLike, shape: tuple[int, ...], name: str) -> FloatArray:
    """Return the value as an array of this shape; only scalars and leading dimensions are spread, never cut."""
    if isinstance(value, float) and math.isfinite(value):
        return np.full(shape, value)  # most are, and the way below takes ten times as long
    array = np.asarray(value, dtype=np.float64)
    if array.ndim > len(shape) or array.shape != shape[: array.ndim]:
        raise ValueError(f"{name} must be a scalar or have shape {shape}, got {array.shape}")
    if not np.isfinite(array).all():
        where = np.argwhere(~np.isfinite(array))[0].tolist()
        at = f" at {where}" if where else ""
        raise ValueError(f"{name} must hold finite numbers, got {array[tuple(where)]}{at}")
    while array.ndim < len(shape):
        array = array[..., None]
    return np.array(np.broadcast_to(array, shape))
