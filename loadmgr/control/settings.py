"""How the controller behaves beside what the site file fixes: rhythm, thresholds, defaults where nobody said."""

from dataclasses import dataclass, field

from loadmgr.allocation.options import AllocationOptions
from loadmgr.model.compliance import PeakHours


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlSettings:
    """Choices of a controller; the defaults suit a site with AC wallboxes.

    Parameters
    ----------
    replan_s : int
        A new plan is made at least this often [s].
    check_s : int
        Limits and leases are looked at at least this often [s].
    fine_steps, fine_s, coarse_steps, coarse_s, far_steps, far_s : int
        The grid of a plan: so many steps of so many seconds, fine now, coarse later, a day ahead.
    stay_s : int
        How long a vehicle is expected to stay when nobody said [s].
    need_wh : float
        Energy that it is expected to want when nobody said [Wh].
    departure_margin_s, departure_margin_ratio
        How long before its departure a vehicle is planned to have its energy [s], and what is added as a share of the
        time that it has yet to charge at full power.
    urgent_s : int
        Within its priority class a vehicle that has less time than this to spare goes first [s].
    min_on_s, min_off_s : int
        How long a vehicle stays on, or paused, before that is changed without need [s].
    change_a : float
        Setpoints closer to the limit that is held than this are not sent [A], unless safety asks.
    tolerance_a, tolerance_ratio : float
        A draw above the limit by more than the sum of both is disobedience [A, share of the limit].
    unused_a : float
        A vehicle that draws less than its limit by more than this leaves current unused [A].
    proving_s, proving_readings : int
        How long, and in how many readings, a station that disobeyed has to obey before it is trusted again.
    resend_s : int
        How long to wait before a limit that was refused, lost or ignored is sent again [s].
    quarantine_s : int
        How long an EVSE that had to be paused or taken out of service stays so before it is tried again [s].
    tx_writes_per_day, maximum_writes_per_day : int
        Budgets of transaction profiles per EVSE and day, and of station maxima per station and day, which changes that
        safety does not ask for keep to.
    habits : bool
        Whoever says nothing is expected to stay, and to want, as the same driver did before, or others at such a time.
    longest_delay_s : int
        Starts are delayed by up to so long, at random [s]; 0 is without.
    peak_hours : tuple of PeakHours
        Hours in which nobody charges who said nothing of when it leaves, or what it needs.
    lease_periods : int
        A lease has at most so many periods: it goes down by itself where the plan does. 1 sends every change live.
    fits_tails : bool
        A plan begins sooner by what a vehicle's measured tail takes longer.
    relief_first : bool
        What exceeds a limit is lowered before a plan is made. A journal that does not say so was written without.
    stagger_s : int
        After a blackout one EVSE starts so long after the other [s].
    allocation : AllocationOptions
        Where not everybody can have what they want, as many as possible do (measured on the sample garage's week: 49 of
        52 promises instead of 44 with equal shares, and no less energy).
    """

    replan_s: int = 300
    check_s: int = 30
    fine_steps: int = 12
    fine_s: int = 300
    coarse_steps: int = 12
    coarse_s: int = 900
    far_steps: int = 20
    far_s: int = 3600
    stay_s: int = 8 * 3600
    need_wh: float = 15_000.0
    departure_margin_s: int = 1200
    departure_margin_ratio: float = 0.25
    urgent_s: int = 900
    min_on_s: int = 600
    min_off_s: int = 300
    change_a: float = 1.0
    tolerance_a: float = 1.0
    tolerance_ratio: float = 0.05
    unused_a: float = 1.5
    proving_s: int = 300
    proving_readings: int = 3
    resend_s: int = 30
    quarantine_s: int = 1800
    tx_writes_per_day: int = 40
    maximum_writes_per_day: int = 10
    habits: bool = False
    longest_delay_s: int = 0
    peak_hours: tuple[PeakHours, ...] = ()
    stagger_s: int = 5
    lease_periods: int = field(default=6, metadata={"unsaid": 1})
    fits_tails: bool = field(default=True, metadata={"unsaid": False})
    relief_first: bool = field(default=True, metadata={"unsaid": False})
    allocation: AllocationOptions = field(
        default_factory=lambda: AllocationOptions(policy="least_missing", milp_evses=0)
    )

    def __post_init__(self) -> None:
        for name in ("replan_s", "check_s", "fine_steps", "fine_s", "coarse_s", "far_s", "stay_s", "resend_s"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")
