"""The vocabulary of a meter: what it is called, and how its readings come, if not by themselves."""

from pydantic import Field

from loadmgr.site_file.phase_schema import Phases
from loadmgr.site_file.quantities import Seconds, SecondsAboveZero, StrictPart, Text
from loadmgr.site_file.register_map import MODBUS_PORT
from loadmgr.site_file.source_schema import HttpPart, Pointer


class ModbusUnitPart(StrictPart):
    """A unit on Modbus TCP, its own or behind a gateway."""

    host: Text
    port: int = Field(default=MODBUS_PORT, ge=1, le=65535, strict=True)
    unit: int = Field(default=1, ge=0, le=255, strict=True, description="Its unit id; the address on the bus behind.")


class BatteryModbusPart(ModbusUnitPart):
    """A battery that is told and heard over Modbus TCP."""

    map: Text = Field(
        description="A .yaml file of your own that says where it is told, and where it says what it does."
    )


class ModbusPart(ModbusUnitPart):
    """A meter that is read over Modbus TCP."""

    map: Text = Field(
        description="A register map: a name that `loadmgr meter maps` lists, or a .yaml file of your own."
    )


class PhasePointers(StrictPart):
    """Where the values of the phases are in a JSON document; one that is not named does not exist."""

    L1: Pointer | None = None
    L2: Pointer | None = None
    L3: Pointer | None = None


class JsonPart(StrictPart):
    """Where readings are in a JSON document; a power says whether its phase's current is drawn or fed in."""

    current: PhasePointers | None = Field(default=None, description="A, of L1, L2, L3: {L1: /em/a_current}.")
    power: PhasePointers | None = Field(default=None, description="W, import positive.")
    voltage: PhasePointers | None = Field(default=None, description="V.")


class MeterHttpPart(HttpPart, JsonPart):
    """A meter that answers with JSON over HTTP."""


class MeterMqttPart(JsonPart):
    """A meter that publishes JSON on the broker of `loadmgr run --mqtt`."""

    topic: Text


class MeterPart(StrictPart):
    """A meter at the head of the circuit."""

    id: Text
    interval: SecondsAboveZero = Field(default=10.0, description="How often it reports, or is read.")
    stale_after: Seconds | None = Field(
        default=None, description="Age from which a reading is not believed; three intervals if not given."
    )
    modbus: ModbusPart | None = None
    http: MeterHttpPart | None = None
    mqtt: MeterMqttPart | None = None
    phases: Phases | None = Field(
        default=None, description="Phases of the grid behind the meter's own L1, L2, L3, where it is read from here."
    )
    invert: bool = Field(default=False, strict=True, description="It counts what is drawn as negative.")
    frozen_after: SecondsAboveZero = Field(
        default=60.0, description="Readings whose voltages too have not moved for so long are those of a dead meter."
    )
