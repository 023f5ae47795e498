"""Placing on the window of an answer what follows the wall clock, or begins with the window."""

from dataclasses import replace

from loadmgr.composite.layers import Layers
from loadmgr.composite.local_time import place_local
from loadmgr.composite.settings import StationSettings


def anchored(layers: Layers, start: int) -> Layers:
    """Return ``layers`` with the axes that begin with the window begun at ``start`` [s since the epoch]."""
    tx, external, vehicle, maximum, generation = (
        [entry._replace(origin=start) if entry.origin is None else entry for entry in stack]
        for stack in (layers.tx, layers.external, layers.vehicle, layers.maximum, layers.generation)
    )
    return replace(layers, tx=tx, external=external, vehicle=vehicle, maximum=maximum, generation=generation)


def placed(layers: Layers, settings: StationSettings, window: tuple[int, int]) -> Layers:
    """Return ``layers`` with every schedule of the wall clock placed on a window.

    Parameters
    ----------
    layers : Layers
    settings : StationSettings
    window : tuple of int
        Start [s since the epoch] and length [s].
    """
    if not layers.local:
        return layers
    stacks = (layers.tx, layers.external, layers.vehicle, layers.maximum, layers.generation)
    start, length_s = window
    tx, external, vehicle, maximum, generation = (
        place_local(stack, settings.time_zone, start, start + length_s) for stack in stacks
    )
    return replace(
        layers, tx=tx, external=external, vehicle=vehicle, maximum=maximum, generation=generation, local=False
    )
