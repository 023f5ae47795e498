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

    @property
    def register_wh(self) -> float:
        """What the meter shows [Wh]."""
        return self._base_wh + (0.0 if self.vehicle is None else self.vehicle.energy_wh)

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
        return self.vehicle.spec.state_of_charge_ratio(self.vehicle.energy_wh)

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
        """Unplug the vehicle; return the energy that it took [Wh]."""
        if self.vehicle is None:
            return 0.0
        self.vehicle.advance(now_s)
        taken_wh = self.vehicle.energy_wh
        self._base_wh += taken_wh
        self.vehicle = None
        return taken_wh

    def offer(self, now_s: float, current_a: float) -> None:
        """Offer a current by the pilot [A per phase], never above what is installed."""
        if self.vehicle is not None:
            self.vehicle.offer(now_s, min(current_a, self.evse.max_a))

    def cut(self, now_s: float) -> None:
        """Open the contactor."""
        if self.vehicle is not None:
            self.vehicle.cut(now_s)

    def advance(self, now_s: float) -> None:
        """Let time pass."""
        if self.vehicle is not None:
            self.vehicle.advance(now_s)
