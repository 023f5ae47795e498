"""Places outside that are asked or listened to, as values: meters, limits, prices, and where their secrets are kept."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from loadmgr.model.ids import MeterId
from loadmgr.model.topology import Phase


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """Where a secret is kept (``env`` or ``file``) and how it is shown: as a bearer token unless said otherwise."""

    env: str | None = None
    file: Path | None = None
    header: str | None = None
    query: str | None = None
    user: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpPlace:
    """An address that answers with JSON."""

    url: str
    secret: Secret | None = None


class Number(StrEnum):
    """How a register, or two, hold a number."""

    INT16 = "int16"
    UINT16 = "uint16"
    INT32 = "int32"
    UINT32 = "uint32"
    FLOAT32 = "float32"

    @property
    def registers(self) -> int:
        """How many registers it takes."""
        return 1 if self.value.endswith("16") else 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """A quantity: addresses on L1, L2, L3 (``None`` where the meter has no such phase), and how numbers are read."""

    at: tuple[int | None, int | None, int | None]
    number: Number
    scale: float
    exponent_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterMap:
    """What a meter says where.

    Parameters
    ----------
    name, source, notes : str
        What it is, the document it was taken from, what to mind.
    verified : bool
        Whether somebody read it on the device itself.
    is_input : bool
        Function code 4 instead of 3.
    big_words : bool
        The high word comes first.
    sunspec_model : int, optional
        Addresses count from the head of this SunSpec model.
    current, power, voltage : Quantity, optional
        In A, W, V; a current or a power is there.
    """

    name: str
    source: str
    notes: str
    verified: bool
    is_input: bool
    big_words: bool
    sunspec_model: int | None
    current: Quantity | None
    power: Quantity | None
    voltage: Quantity | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModbusPlace:
    """A meter on Modbus TCP."""

    host: str
    port: int
    unit: int
    map: RegisterMap


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One number in registers; what is written or read is ``scale`` times as much in W, or as a share."""

    at: int
    number: Number
    scale: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BatteryMap:
    """What a battery says and takes where.

    Parameters
    ----------
    power, state_of_charge : Point
        What it does [W], above 0 to charge, and how full it is (share of its usable energy).
    set_power : Point
        What it is to do [W], above 0 to charge.
    before : tuple of (int, int)
        Register and value, written each time before: what makes it take orders at all.
    """

    name: str
    is_input: bool
    big_words: bool
    power: Point
    state_of_charge: Point
    set_power: Point
    before: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BatteryInput:
    """A battery that is told and heard over Modbus TCP, heard every ``every_s`` [s]."""

    battery: str
    every_s: float
    host: str
    port: int
    unit: int
    map: BatteryMap


PhasePlaces = tuple[str | None, str | None, str | None]
"""JSON pointers of L1, L2, L3; ``None`` where there is no such phase."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonPlaces:
    """Where readings are in a JSON document: A, W (import positive) and V of each phase."""

    current: PhasePlaces | None = None
    power: PhasePlaces | None = None
    voltage: PhasePlaces | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterInput:
    """How the readings of a meter come: by one of ``modbus``, ``http`` and ``topic``.

    Parameters
    ----------
    every_s : float
        How often it is read [s].
    phases : tuple of Phase
        Phases of the grid behind the meter's own L1, L2, L3.
    invert : bool
        It counts what is drawn as negative.
    frozen_s : float
        Readings that have not moved for so long, their voltages included, are those of a dead meter [s].
    voltage_v : float
        Nominal voltage, where the meter tells none [V].
    """

    meter: MeterId
    every_s: float
    phases: tuple[Phase, ...] = (Phase.L1, Phase.L2, Phase.L3)
    invert: bool = False
    frozen_s: float = 60.0
    voltage_v: float = 230.0
    modbus: ModbusPlace | None = None
    http: HttpPlace | None = None
    topic: str | None = None
    places: JsonPlaces | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PricePreset:
    """Where prices are, and when.

    Parameters
    ----------
    id, name, source, notes : str
        What it is, and the document it was taken from.
    url, body : str
        The address with its places to fill in, and the JSON that is posted to it, if any.
    zone : str, optional
        What stands for ``{zone}`` unless the site file says otherwise.
    rows : tuple of str
        JSON pointers of lists of prices; empty where ``start`` and ``price`` are lists themselves.
    start, end, price : str
        JSON pointers, within a row or within the answer.
    per_kwh : float
        What a price is multiplied by to be one per kWh.
    currency : str, optional
        ``None`` is the site's own.
    all_in : bool
        Surcharges and tax are in it.
    published_s, reaches_s : int
        When tomorrow's prices are there, and until when of tomorrow they reach (0 is its end) [s after midnight].
    clock : str
        Zone of the clock that is meant.
    """

    id: str
    name: str
    source: str
    notes: str
    url: str
    body: str | None
    zone: str | None
    rows: tuple[str, ...]
    start: str
    end: str | None
    price: str
    per_kwh: float
    currency: str | None
    all_in: bool
    published_s: int
    reaches_s: int
    clock: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpPrices:
    """Prices that are fetched: by which preset, for which zone, with which secret."""

    preset: PricePreset
    zone: str | None = None
    secret: Secret | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAdrPlace:
    """A program of an OpenADR 3 server, and the login there."""

    url: str
    program: str
    client: str | None = None
    secret: Secret | None = None
    token_url: str | None = None
    targets: tuple[str, ...] = ()
