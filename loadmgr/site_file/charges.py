"""Demand charges, fixed fees and levies of the tariff section."""

from loadmgr.model.charges import LineKind
from loadmgr.model.tariff import DemandCharge, FixedFee, Levy, Ratchet, Tier
from loadmgr.site_file.document import PathKey
from loadmgr.site_file.reading import Reading
from loadmgr.site_file.tariff_schema import DemandPart, RatchetPart, TariffPart
from loadmgr.site_file.windows import read_instants, read_months, read_windows


def read_demand(part: TariffPart, reading: Reading) -> tuple[DemandCharge, ...]:
    """Return the demand charges that have no fault; the faults of the others are noted."""
    out = []
    for index, charge in enumerate(part.demand):
        path: PathKey = ("tariff", "demand", index)
        try:
            out.append(_demand_charge(charge, path, reading))
        except ValueError as error:
            key, text, advice = _explained(charge, str(error))
            reading.faults.add((*path, key), text, advice)
    return tuple(out)


def _demand_charge(charge: DemandPart, path: PathKey, reading: Reading) -> DemandCharge:
    return DemandCharge(
        name=charge.name,
        price_per_kw=charge.price,
        window_s=int(charge.window),
        when=read_windows(charge.when, (*path, "when"), reading) or (),
        coincident=read_instants(charge.coincident, (*path, "coincident"), reading),
        tiers=tuple(Tier(above=tier.above / 1000.0, price=tier.price) for tier in charge.tiers),
        ratchet=None if charge.ratchet is None else _ratchet(charge.ratchet, path, reading),
        minimum_kw=charge.minimum / 1000.0,
    )


def _ratchet(part: RatchetPart, path: PathKey, reading: Reading) -> Ratchet:
    months = read_months(part.of, (*path, "ratchet", "of"), reading.faults)
    return Ratchet(ratio=part.share, months=part.months, of_months=months)


def _explained(charge: DemandPart, error: str) -> tuple[str, str, str]:
    """Return key, fault and advice for what the model refuses."""
    if error.startswith("window_s"):
        return "window", f"window of {charge.window / 60:g} min does not divide an hour", "15min and 1h are usual"
    if error.startswith("tiers"):
        advice = "let each begin above the one before, such as [{above: 100kW, price: 12/kW}]"
        return "tiers", error, advice
    if error.startswith("ratio"):
        return "ratchet", "a ratchet with share 0 remembers nothing", "write a share such as 80%, or remove it"
    return "price", f"price of {charge.name} is below 0", "a demand charge is 0 or above"


def read_fees(part: TariffPart) -> tuple[FixedFee, ...]:
    """Return the fixed fees."""
    out = []
    for fee in part.fees:
        amount, per = fee.price
        month = per == "month"
        out.append(FixedFee(name=fee.name, per_month=amount if month else 0.0, per_day=0.0 if month else amount))
    return tuple(out)


def read_levies(part: TariffPart) -> tuple[Levy, ...]:
    """Return the levies."""
    return tuple(
        Levy(name=levy.name, ratio=levy.share, on=frozenset(LineKind(kind) for kind in levy.on)) for levy in part.levies
    )
