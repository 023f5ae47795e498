"""The vocabulary of the tariff section."""

from typing import Literal

from pydantic import Field

from loadmgr.site_file.quantities import (
    FeePrice,
    GramsPerKwh,
    PricePerKg,
    PricePerKw,
    PricePerKwh,
    Ratio,
    Seconds,
    StrictPart,
    Text,
    WattHours,
    Watts,
)  # fmt: skip
from loadmgr.site_file.source_schema import OpenAdrPart, SecretPart


class WindowPart(StrictPart):
    """A part of the year on the local clock."""

    months: Text | None = Field(default=None, description="Nov-Feb, or Jan,Jul; all if not given.")
    days: Text | None = Field(default=None, description="Mon-Fri, or Sat,Sun; all if not given.")
    hours: Text | None = Field(default=None, description="17:00-21:00; across midnight 22:00-06:00; all if not given.")
    season: Text | None = Field(default=None, description="1 Jun - 15 Sep, both days included; all year if not given.")


class EnergyTierPart(StrictPart):
    """A price for what exceeds an energy in a month, at this rate and in this period."""

    above: WattHours
    price: PricePerKwh


class DemandTierPart(StrictPart):
    """A price for what exceeds a load."""

    above: Watts
    price: PricePerKw


class PeriodPart(StrictPart):
    """A price and when it holds."""

    name: Text
    price: PricePerKwh
    when: list[WindowPart] = Field(min_length=1)
    tiers: list[EnergyTierPart] = Field(default_factory=list)


class RatePart(StrictPart):
    """A price per kWh: one `price`, or `periods` by the clock, or a `series` from a file."""

    price: PricePerKwh | None = None
    tiers: list[EnergyTierPart] = Field(default_factory=list, description="Prices above energies of the month.")
    periods: list[PeriodPart] | None = None
    otherwise: PricePerKwh | None = Field(default=None, description="Price outside every period.")
    series: Text | None = Field(default=None, description="CSV file (start, price_per_kwh or price_per_mwh).")
    repeat: Literal["weekly"] | None = Field(
        default=None, description="The file's whole weeks repeat by weekday and local clock."
    )


class SurchargePart(RatePart):
    """A named part of the price on top."""

    name: Text


class RatchetPart(StrictPart):
    """A month is billed at least this share of the highest peak of the months before."""

    share: Ratio
    months: int = Field(default=11, ge=1, strict=True, description="How many months back.")
    of: Text | None = Field(default=None, description="Months whose peaks are remembered: Jun-Sep; all if not given.")


class DemandPart(StrictPart):
    """A price on the highest load of the month."""

    name: Text
    price: PricePerKw
    window: Seconds = Field(default=900.0, description="Clock windows whose mean load counts.")
    when: list[WindowPart] = Field(default_factory=list)
    minimum: Watts = Field(default=0.0, description="A month is billed at least this.")
    tiers: list[DemandTierPart] = Field(default_factory=list)
    ratchet: RatchetPart | None = None
    coincident: list[Text] = Field(
        default_factory=list, description="Local times, such as 2019-07-01 17:00: only windows that begin then count."
    )


class FeePart(StrictPart):
    """A fixed fee."""

    name: Text
    price: FeePrice


class LevyPart(StrictPart):
    """A share of some kinds of line, before tax."""

    name: Text
    share: Ratio
    on: list[Literal["energy", "surcharge", "demand", "fee"]] = Field(min_length=1)


class HttpPricesPart(StrictPart):
    """Day-ahead prices that are fetched."""

    preset: Text = Field(description="Where they are: a name that `loadmgr prices --presets` lists, or a .yaml file.")
    zone: Text | None = Field(default=None, description="Bidding zone, or region, as the preset calls it.")
    secret: SecretPart | None = None


class PricesPart(StrictPart):
    """Prices from outside, that hold instead of `energy` as far as they are known."""

    http: HttpPricesPart | None = None
    openadr: OpenAdrPart | None = Field(default=None, description="Events PRICE of an OpenADR 3 program.")


class CarbonPart(StrictPart):
    """What plans count beside money: carbon dioxide of imported energy. It is on no bill."""

    price: PricePerKg = Field(description="Worth of 1 kg that is not emitted.")
    intensity: GramsPerKwh | None = Field(default=None, description="The same at any time: 380 g/kWh.")
    series: Text | None = Field(default=None, description="CSV file (start, g_per_kwh or kg_per_mwh).")
    repeat: Literal["weekly"] | None = Field(
        default=None, description="The file's whole weeks repeat by weekday and local clock."
    )


class TariffPart(StrictPart):
    """What energy costs, before tax."""

    urdb: Text | None = Field(default=None, description="A rate of the US Utility Rate Database: a JSON file.")
    energy: RatePart | None = None
    prices: PricesPart | None = Field(
        default=None, description="Prices from outside; `energy` is the price where they are not known."
    )
    surcharges: list[SurchargePart] = Field(default_factory=list)
    tax: Ratio = 0.0
    export: RatePart | None = Field(default=None, description="What exported energy earns, untaxed.")
    carbon: CarbonPart | None = Field(default=None, description="Weight of carbon dioxide in plans.")
    demand: list[DemandPart] = Field(default_factory=list)
    fees: list[FeePart] = Field(default_factory=list)
    levies: list[LevyPart] = Field(default_factory=list)
    holidays: list[Text] = Field(default_factory=list, description="Dates that count as Sundays: 2019-06-10.")
