"""What all typed messages share: explicit wire names, tolerant of unknown fields, strict in what they write."""

from datetime import UTC, datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from ocpp_link.timestamps import from_wire, to_wire


def _read_time(value: Any) -> datetime:
    """Read a time; a naive one is a fault of the caller, a text comes from the wire."""
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"a time must carry a zone, got {value.isoformat()}")
        return value.astimezone(UTC)
    return from_wire(value)


Time = Annotated[datetime, BeforeValidator(_read_time), PlainSerializer(to_wire, return_type=str)]
"""A time: aware, in UTC; written in whole seconds."""


def wire(name: str) -> Any:
    """Name a field on the wire. Inside ``Annotated``, so that type checkers know the field by its Python name."""
    return Field(alias=name)


class Message(BaseModel):
    """A payload or a part of one; fields are given by their Python names."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True, frozen=True, extra="ignore")

    @classmethod
    def from_wire(cls, payload: dict[str, Any]) -> Self:
        """Read a payload that passed its schema."""
        return cls.model_validate(payload, by_alias=True, by_name=False)

    def to_wire(self) -> dict[str, Any]:
        """Return the payload as it goes over the wire; absent fields are left out."""
        return self.model_dump(by_alias=True, exclude_none=True)
