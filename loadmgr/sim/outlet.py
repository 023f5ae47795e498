"""The power side of one EVSE: contactor, meter and whatever is plugged in."""

from loadmgr.model.topology import CurrentType, Evse, PhaseAmps, phase_currents_a
from loadmgr.sim.vehicle import Vehicle, VehicleSpec


class Outlet:
    """One EVSE as electricity knows it.

    Parameters
    ----------
    evse : Evse
    voltage_v : float
        Between phase and neutral.
    register_wh : float
        What its meter shows at the start [Wh].
    """

    def __init__(self, evse: Evse, *, voltage_v: float, register_wh: float = 0.0) -> None:
        self.evse = evse
        self.voltage_v = voltage_v
        self.vehicle: Vehicle | None = None
        self._base_wh = register_wh
        self._base_exported_wh = 0.0
        self._anew_wh = 0.0  # what had been delivered when the meter started anew

    @property
    def register_wh(self) -> float:
        """What the meter shows [Wh]."""
        return self.delivered_wh - self._anew_wh

    @property
    def delivered_wh(self) -> float:
        """What has been delivered in all [Wh], whatever the meter shows."""
        return self._base_wh + (0.0 if self.vehicle is None else self.vehicle.energy_wh)

    def reset_register(self) -> None:
        """Let the meter start anew, as some do when they are restarted or replaced."""
        self._anew_wh = self.delivered_wh

    @property
    def exported_wh(self) -> float:
        """What the meter shows of energy that was fed back [Wh]."""
        return self._base_exported_wh + (0.0 if self.vehicle is None else self.vehicle.exported_wh)

    @property
    def current_a(self) -> float:
        """Current that flows now [A per phase in use]."""
        return 0.0 if self.vehicle is None else self.vehicle.current_a

    @property
    def power_w(self) -> float:
        """Power that flows now [W]."""
        return 0.0 if self.vehicle is None else self.vehicle.power_w

    @property
    def phases_used(self) -> int:
        """Phases that the vehicle draws on; 0 without one."""
        return 0 if self.vehicle is None else self.vehicle.phases

    @property
    def own_currents_a(self) -> tuple[float, ...]:
        """Current on each of the EVSE's own phases, in its own order [A]."""
        current_a, used = self.current_a, self.phases_used
        return tuple(current_a if index < used else 0.0 for index in range(len(self.evse.phases)))

    @property
    def grid_currents_a(self) -> PhaseAmps:
        """Current on each phase of the grid [A]."""
        current_a = self.current_a
        if current_a == 0.0:
            return (0.0, 0.0, 0.0)
        return phase_currents_a(self.evse, current_a, phases_used=self.phases_used)

    @property
    def state_of_charge_ratio(self) -> float | None:
        """State of charge, where the EVSE gets to know it: on DC."""
        if self.vehicle is None or self.evse.current_type is not CurrentType.DC:
            return None
        return self.vehicle.spec.state_of_charge_ratio(self.vehicle.net_wh)

    def plug(self, spec: VehicleSpec, *, now_s: float) -> None:
        """Plug a vehicle in; it draws nothing until it is offered something.

        Raises
        ------
        RuntimeError
            If the EVSE is taken.
        """
        if self.vehicle is not None:
            raise RuntimeError(f"EVSE {self.evse.id} is taken")
        self.vehicle = Vehicle(spec, now_s=now_s, voltage_v=self.voltage_v, evse_phases=len(self.evse.phases))

    def unplug(self, *, now_s: float) -> float:
        """Unplug the vehicle; return the energy that it gained [Wh]."""
        if self.vehicle is None:
            return 0.0
        self.vehicle.advance(now_s)
        gained_wh = self.vehicle.net_wh
        self._base_wh += self.vehicle.energy_wh
        self._base_exported_wh += self.vehicle.exported_wh
        self.vehicle = None
        return gained_wh

    def use_phases(self, now_s: float, phases: int) -> None:
        """Connect so many of its phases to the vehicle, where it can switch them."""
        if self.vehicle is not None and self.evse.switches_phases:
            self.vehicle.use_phases(now_s, min(phases, len(self.evse.phases)))

    def offer(self, now_s: float, current_a: float) -> None:
        """Offer a current [A per phase], never above what is installed; below 0 asks to feed back."""
        if self.vehicle is not None:
            self.vehicle.offer(now_s, max(min(current_a, self.evse.max_a), -self.evse.discharge_a))

    def cut(self, now_s: float) -> None:
        """Open the contactor."""
        if self.vehicle is not None:
            self.vehicle.cut(now_s)

    def advance(self, now_s: float) -> None:
        """Let time pass."""
        if self.vehicle is not None:
            self.vehicle.advance(now_s)
