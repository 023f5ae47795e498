"""Identifiers, each its own type, so that one is never passed for another."""

from typing import NewType

StationId = NewType("StationId", str)
EvseId = NewType("EvseId", str)
CircuitId = NewType("CircuitId", str)
SessionId = NewType("SessionId", str)
TransactionId = NewType("TransactionId", str)
MeterId = NewType("MeterId", str)
ProfileId = NewType("ProfileId", int)
