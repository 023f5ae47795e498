"""The live table in the terminal: each phase against its limit, each EVSE with its vehicle, and why it gets that."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from rich import box
from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from loadmgr.apps.process.alarm_log import named
from loadmgr.control.decision import CircuitView, EvseView, SessionView, SiteView, Standing
from loadmgr.model.ids import CircuitId, EvseId
from loadmgr.model.topology import Circuit, Phase, PhaseAmps, Site

_BAR = 11
_TOKEN = 10  # characters of an id token that are shown
_PARTS = " ▏▎▍▌▋▊▉█"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """The figures below the table.

    Parameters
    ----------
    now : datetime
    speed : float, optional
        Simulated seconds per wall second; ``None`` in real time.
    solve_ms : float, optional
        Median time of a plan [ms].
    alive : bool
        Whether a controller runs; without one the limits shown are those that the last one left on the stations.
    """

    now: datetime
    speed: float | None
    stations: int
    messages_in: int
    messages_out: int
    profiles_sent: int
    solve_ms: float | None
    alive: bool = True


class LiveTable:
    """Draws a site's view.

    Parameters
    ----------
    site : Site
    true_currents : callable, optional
        Currents of a circuit as they really are, where a simulated world knows; else the meter's are shown.
    true_draws : callable, optional
        Grid currents of an EVSE as they really are, likewise.
    rows : int
        How many EVSEs are shown at most; those with a vehicle first.
    """

    def __init__(
        self,
        *,
        site: Site,
        rows: int,
        true_currents: Callable[[CircuitId], PhaseAmps] | None = None,
        true_draws: Callable[[EvseId], PhaseAmps] | None = None,
    ) -> None:
        self._site = site
        self._zone = ZoneInfo(site.time_zone)
        self._rows = rows
        self._true_currents = true_currents
        self._true_draws = true_draws

    def draw(self, view: SiteView | None, pulse: Pulse) -> RenderableType:
        """Return the whole picture; before the first decision only its head."""
        if view is None:
            return Group(self._head(pulse), Text("waiting for the first station ...", style="dim"))
        parts: list[RenderableType] = [self._head(pulse), self._circuits(view.circuits), self._evses(view.evses)]
        active = [alarm for alarm in view.alarms if not alarm.cleared]
        parts.extend(
            Text(f" ! {named(alarm)}", style="yellow", no_wrap=True, overflow="ellipsis") for alarm in active[-2:]
        )
        parts.append(self._foot(pulse))
        return Group(*parts)

    def _head(self, pulse: Pulse) -> Text:
        local = pulse.now.astimezone(self._zone)
        speed = "" if pulse.speed is None else f"  {pulse.speed:,.0f} x real time"
        head = Text(f" {self._site.name}", style="bold")
        head.append(f"   {local:%a %d %b %H:%M:%S}{speed}", style="cyan")
        if pulse.alive:
            head.append(f"   {pulse.stations} stations", style="dim")
        else:
            head.append("  CONTROLLER KILLED: stations keep their own profiles", style="bold red")
        return head

    def _circuits(self, circuits: Iterable[CircuitView]) -> Columns:
        panels = []
        for circuit in circuits:
            real = self._true_currents(circuit.circuit) if self._true_currents else circuit.measured_a
            title = _fuse_title(self._site.circuit_by_id[circuit.circuit])
            panels.append(Panel(_phases(real, circuit), title=title, title_align="left", box=box.ROUNDED))
        return Columns(panels, padding=(0, 1))

    def _evses(self, evses: Iterable[EvseView]) -> Table:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), expand=True)
        table.add_column("EVSE", no_wrap=True)
        table.add_column("vehicle", no_wrap=True)
        table.add_column("draws / limit", justify="right", no_wrap=True)
        table.add_column("energy", no_wrap=True)
        table.add_column("leaves", no_wrap=True)
        table.add_column("why", overflow="ellipsis", no_wrap=True, ratio=1)
        busy_first = sorted(evses, key=lambda e: e.session is None)
        for evse in busy_first[: self._rows]:
            table.add_row(*self._row(evse))
        if len(busy_first) > self._rows:
            table.add_row("", "", "", "", "", Text(f"and {len(busy_first) - self._rows} more", style="dim"))
        return table

    def _row(self, evse: EvseView) -> tuple[RenderableType, ...]:
        name = Text(str(evse.evse))
        if evse.standing is Standing.DISOBEYING:
            name.stylize("bold red")
        if evse.session is None:
            idle = Text(evse.reason, style="dim") if evse.standing is Standing.OBEYING else Text(evse.reason)
            return name, "", "", "", "", idle
        return (
            name,
            _vehicle(evse, evse.session),
            _amps(evse, evse.net_a if self._true_draws is None else max(self._true_draws(evse.evse))),
            _energy(evse.session),
            self._leaves(evse.session),
            Text(evse.reason),
        )

    def _leaves(self, session: SessionView) -> Text:
        if session.departure is None:
            return Text("?", style="dim")
        return Text(
            f"{session.departure.astimezone(self._zone):%H:%M}", style="dim" if session.source == "default" else ""
        )

    def _foot(self, pulse: Pulse) -> Text:
        solve = "" if pulse.solve_ms is None else f"   plan {pulse.solve_ms:.0f} ms"
        return Text(
            f" messages {pulse.messages_in:,} in, {pulse.messages_out:,} out   profiles {pulse.profiles_sent:,}{solve}",
            style="dim",
        )


def _fuse_title(circuit: Circuit) -> str:
    rated = [a for a in circuit.rated_a if a is not None]
    return f"{circuit.id}: {max(rated):g} A fuse" if rated else str(circuit.id)


def _phases(real_a: PhaseAmps | None, circuit: CircuitView) -> Group:
    """Return a bar for each phase that the circuit has."""
    lines = []
    for phase in Phase:
        limit = circuit.limit_a[phase]
        if limit != 0.0:  # a limit of zero is a phase that is not there
            lines.append(_bar_line(phase.name, 0.0 if real_a is None else real_a[phase], limit))
    return Group(*lines)


def _bar_line(name: str, current_a: float, limit_a: float | None) -> Text:
    if limit_a is None:
        return Text(f"{name} {current_a:5.1f} A")
    share = current_a / limit_a
    style = "green" if share < 0.85 else "yellow" if share <= 1.0 else "bold red"
    return Text.assemble(f"{name} ", (bar(share, _BAR), style), f" {current_a:5.1f} / {limit_a:.1f} A")


def bar(share: float, width: int) -> str:
    """Return a bar of ``width`` characters, filled to an eighth of a character.

    Examples
    --------
    >>> bar(0.5, 4)
    '██··'
    """
    eighths = round(max(0.0, min(1.0, share)) * width * 8)
    whole, part = divmod(eighths, 8)
    drawn = "█" * whole + (_PARTS[part] if part else "")
    return drawn + "·" * (width - len(drawn))


def _vehicle(evse: EvseView, session: SessionView) -> Text:
    phases = "" if evse.phases is None else f" {evse.phases}~"
    return Text.assemble((session.id_token or "?")[:_TOKEN], (phases, "dim"))


def _amps(evse: EvseView, current_a: float | None) -> Text:
    draws = current_a or 0.0
    limit = "-" if evse.target_a is None else f"{evse.target_a:g}"
    style = "green" if draws > 0.5 else "cyan" if draws < -0.5 else "dim"
    return Text.assemble((f"{draws:.1f}", style), f" / {limit} A")


def _energy(session: SessionView) -> Text:
    delivered = session.delivered_wh / 1000.0
    if session.wanted_wh is None:
        return Text(f"{delivered:.1f} kWh")
    wanted = session.wanted_wh / 1000.0
    share = delivered / wanted if wanted > 0.0 else 1.0
    return Text.assemble((bar(share, 8), "cyan"), f" {delivered:4.1f} / {wanted:.1f} kWh")
