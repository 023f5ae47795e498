"""The site controller: a state machine over observations that answers with commands.

Rules
-----
1. ``observe`` folds a fact and never raises; ``decide`` says what to do now. Neither does input or output, and neither
   reads a clock.
2. A plan is made when something changed that it depends on, or when it is old. In between, every decision looks whether
   what is wanted still fits, and renews what runs out.
3. What is sent depends on what stations hold, never on what was meant: see ``assumption``, ``circuits``, ``reconcile``.
4. The same observations and instants give the same commands: nothing here is random, and ties go by the site file.
"""

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta

from loadmgr.allocation import Allocator
from loadmgr.composite.snapshot import InstalledProfile
from loadmgr.control.alarm import Severity
from loadmgr.control.assumption import Assumed, limit_now_a, standing_of
from loadmgr.control.circuits import CircuitRows, Limits, LoadBook, build_rows
from loadmgr.control.command import Command, SetProfile
from loadmgr.control.decision import Decision, SessionView, SiteView, Standing
from loadmgr.control.due import UNANSWERED_CALLS, next_due
from loadmgr.control.envelope import constant
from loadmgr.control.escalation import back_in_service, escalation_steps
from loadmgr.control.evidence import watch_evidence
from loadmgr.control.failsafe import Step, next_steps, standing_profiles
from loadmgr.control.fold import fold
from loadmgr.control.formulate import SideLoads, Situation, formulate, is_unknown, look, upper_bound_a
from loadmgr.control.holding import Holding, settled
from loadmgr.control.learnt import learnt_traits
from loadmgr.control.observation import CommandAnswered, Observation, Outcome
from loadmgr.control.others import within_others
from loadmgr.control.override import drop_ended
from loadmgr.control.pending import Pending
from loadmgr.control.plan import Plan, empty_plan, plan_of, targets_a
from loadmgr.control.reconcile import reconcile
from loadmgr.control.scarcity import note_pressed
from loadmgr.control.settings import ControlSettings
from loadmgr.control.skew import widest_s
from loadmgr.control.starts import off_by_default
from loadmgr.control.state import EvseRecord, SiteState, StationRecord
from loadmgr.control.told import Evidence
from loadmgr.control.traits import StationTraits
from loadmgr.control.view import site_view
from loadmgr.control.watch import alarm_overfull, alarm_unseen, is_helpless
from loadmgr.control.windows import daily_windows
from loadmgr.control.wishes import alarm_allocation
from loadmgr.control.words import Context
from loadmgr.model.ids import CircuitId, EvseId, StationId
from loadmgr.model.tariff import Tariff
from loadmgr.model.topology import FailSafeStrategy, Site
from loadmgr.model.units import floor_to_step, require_utc

log = logging.getLogger(__name__)


class SiteController:
    """Holds a site under its limits.

    Parameters
    ----------
    site : Site
    tariff : Tariff, optional
        Without one every hour is as dear as any other.
    settings : ControlSettings
    """

    def __init__(self, site: Site, tariff: Tariff | None, *, settings: ControlSettings | None = None) -> None:
        self._settings = settings or ControlSettings()
        self._allocator = Allocator(self._settings.allocation)
        self._state = SiteState(
            site=site,
            evses={e.id: EvseRecord(evse=e, holding=Holding()) for e in site.evses},
            stations={s.id: StationRecord(station=s) for s in site.stations},
            evse_of={(e.station, e.number): e.id for e in site.evses},
            tariff=tariff,
            windows=daily_windows(site) if site.failsafe.strategy is FailSafeStrategy.TIME_DIVISION else {},
        )
        self._plan: Plan | None = None
        self._next_id = 1
        self._situation = Situation(limits={}, side_loads=SideLoads(measured_a={}, reckoned_a={}), assumed={})
        self._targets: dict[EvseId, float] = {}
        self._decided_at: datetime | None = None
        self._due: datetime | None = None
        self._planned_limits: dict[CircuitId, Limits] = {}

    # Public methods for the shell

    def observe(self, observation: Observation) -> None:
        """Fold a fact into what is known; whatever it says, this never raises."""
        try:
            fold(self._state, observation, self._settings)
        except Exception as fault:
            log.exception("an observation could not be folded")
            self._state.alarms.raise_alarm(
                "observation lost",
                type(observation).__name__,
                at=observation.at,
                severity=Severity.DANGER,
                cause=f"an observation could not be understood: {fault}",
                advice="send the journal to the makers; the control goes on without it",
            )

    def decide(self, now: datetime) -> Decision:
        """Return what is to be done now.

        Parameters
        ----------
        now : datetime
            With zone, and not before the last observation.
        """
        now = require_utc(now, name="now")
        state = self._state
        if not (state.stirred or state.triggers) and self._due is not None and now < self._due:
            return self._nothing_new(now, self._due)
        state.stirred = False
        self._give_up_unanswered(now)
        for record in state.evses.values():
            settled(record.holding, now)
        drop_ended(state, now)
        commands = self._send(self._set_up(now), now)
        self._situation = look(state, now)
        why = self._why_plan(now)
        if why is not None:
            self._make_plan(why, now)
        targets = {} if self._plan is None else self._with_learning(targets_a(self._plan, state, now), now)
        self._targets = within_others(state, targets, now)
        commands += self._send(self._reconcile(now), now)
        self._decided_at = now
        self._due = next_due(state, self._plan, self._settings, now=now)
        decision = Decision(
            at=now,
            commands=tuple(commands),
            alarms=state.alarms.take_changed(),
            next_due=self._due,
            planned=why,
            ended=self._take_ended(),
            evidence=self._take_evidence(now),
        )
        if why is not None:
            log.info("planned (%s), %d commands", why, len(commands))
        return decision

    @property
    def outside(self) -> tuple[tuple[str, str], ...]:
        """Circuit and source of every limit from outside that is known."""
        return tuple(self._state.limits)

    @property
    def sessions(self) -> int:
        """How many sessions are known to run."""
        return sum(record.charging is not None for record in self._state.evses.values())

    def view(self) -> SiteView:
        """Return the site as it stood at the last decision, with a reason for everything that an EVSE gets.

        Raises
        ------
        ValueError
            Before the first decision.
        """
        if self._decided_at is None:
            raise ValueError("view needs a decision to look at: call decide first")
        return site_view(self._context(self._decided_at), self._situation)

    def learnt(self, station: StationId, *, at: datetime) -> StationTraits:
        """Return what trying has shown of a station of the site, for a memory that outlives this controller."""
        return learnt_traits(self._state, station, at=at)

    def standing_profiles(self, station: StationId) -> tuple[InstalledProfile, ...]:
        """Return what this controller installs on a station to stay: the fail-safe of each EVSE, the station maximum.

        Raises
        ------
        ValueError
            If the site has no such station.
        """
        record = self._state.stations.get(station)
        if record is None:
            raise ValueError(f"station must be one of the site, got {station!r}")
        return standing_profiles(self._state, record)

    # What a decision is made of

    def _nothing_new(self, now: datetime, due: datetime) -> Decision:
        """Return the decision to go on: nothing was observed that could change the last one, and nothing is due."""
        return Decision(
            at=now,
            commands=(),
            alarms=self._state.alarms.take_changed(),
            next_due=due,
            planned=None,
            ended=self._take_ended(),
            evidence=self._take_evidence(now),
        )

    def _give_up_unanswered(self, now: datetime) -> None:
        """Take a command that was never answered as timed out: the shell owes an answer, and may have lost it."""
        patience = timedelta(seconds=UNANSWERED_CALLS * self._state.site.timing.call_timeout_s)
        for command_id, pending in sorted(self._state.pending.items()):
            if now - pending.sent_at > patience:
                self.observe(
                    CommandAnswered(at=now, command=command_id, outcome=Outcome.TIMED_OUT, reason="never answered")
                )

    def _set_up(self, now: datetime) -> Iterable[Step]:
        next_id = self._next_id
        for station in self._state.stations.values():
            for step in next_steps(self._state, station, settings=self._settings, now=now, first_id=next_id):
                next_id = step[0].id + 1
                yield step

    def _send(self, steps: Iterable[Step], now: datetime) -> list[Command]:
        """Note commands as under way: what they may change counts from now on."""
        out: list[Command] = []
        for command, purpose, evse in list(steps):
            self._next_id = command.id + 1
            self._state.pending[command.id] = Pending(
                command=command, purpose=purpose, station=command.station, evse=evse, sent_at=now
            )
            if isinstance(command, SetProfile):
                self._note_sent(command, evse, now)
            out.append(command)
        return out

    def _note_sent(self, command: SetProfile, evse: EvseId | None, now: datetime) -> None:
        state = self._state
        evses = state.site.evses_of(command.station) if evse is None else (state.site.evse_by_id[evse],)
        for each in evses:
            record = state.evses[each.id]
            record.holding.sent(command.id, InstalledProfile(evse_id=command.number, profile=command.profile))
            record.changed_at = now

    def _rows(self) -> CircuitRows:
        return build_rows(self._state.site, self._situation.limits, self._situation.side_loads.reckoned_a)

    def _why_plan(self, now: datetime) -> str | None:
        """Return why a new plan is needed now; ``None`` where the one in force will do."""
        triggers, self._state.triggers = self._state.triggers, []
        if triggers:
            return triggers[0] if len(triggers) == 1 else f"{triggers[0]} and {len(triggers) - 1} more"
        plan = self._plan
        if plan is None:
            return "start"
        if self._situation.limits != self._planned_limits:
            return "limits changed"
        if now >= plan.made_at + timedelta(seconds=self._settings.replan_s) or now >= plan.first_step_ends:
            return "time"
        targets = targets_a(plan, self._state, now)
        book = self._wanted_book(targets, now)
        for row in book.overfull():
            if any(targets.get(e, 0.0) > 0.0 for e in book.drawing_now(row)):
                return f"{book.rows.name(row)} would be above its limit"
        return None

    def _wanted_book(self, targets: dict[EvseId, float], now: datetime) -> LoadBook:
        """Return the load as it will be when every setpoint is in force."""
        wanted = {
            e: Assumed(constant(targets[e]), a.phases) if e in targets else a
            for e, a in self._situation.assumed.items()
        }
        return LoadBook(self._state.site, self._rows(), wanted, now=now)

    def _make_plan(self, why: str, now: datetime) -> None:
        state = self._state
        self._planned_limits = self._situation.limits
        try:
            self._plan = self._planned(why, now)
        except Exception as fault:
            # What stations hold runs out by itself, so without a plan everything falls back to the fail-safe.
            log.exception("no plan could be made")
            self._plan = None
            state.alarms.raise_alarm(
                "no plan",
                state.site.name,
                at=now,
                severity=Severity.DANGER,
                cause=f"no plan could be made: {fault}",
                advice="send the journal to the makers; leases run out and fail-safes take over",
            )
        else:
            state.alarms.clear("no plan", state.site.name, at=now)

    def _planned(self, why: str, now: datetime) -> Plan:
        problem = formulate(
            self._state,
            situation=self._situation,
            previous=self._plan,
            settings=self._settings,
            now=now,
        )
        if not problem.n_evses:
            return empty_plan(problem.grid, why=why, now=now)
        allocation = self._allocator.allocate(problem)
        alarm_allocation(self._state.alarms, allocation, site=self._state.site.name, now=now)
        note_pressed(self._state, problem, allocation)
        return plan_of(allocation, self._state, why=why, now=now)

    def _with_learning(self, targets: dict[EvseId, float], now: datetime) -> dict[EvseId, float]:
        """Return the setpoints with vehicles that nobody knows yet raised to what fits, for a few minutes.

        A plan for a vehicle that is thought to use three phases and uses one comes too late when it waits for cheap
        hours; so each shows first what it is.
        """
        state = self._state
        unknown = [e for e in targets if is_unknown(state.evses[e], now)]
        if not unknown:
            return targets
        book = self._wanted_book(targets, now)
        for evse_id in unknown:
            record = state.evses[evse_id]
            if record.charging is None:
                continue
            if off_by_default(state, record, record.charging, settings=self._settings, at=now):
                continue
            bound = upper_bound_a(state, record, record.charging, settings=self._settings, now=now)
            bound = floor_to_step(bound, step=record.evse.step_a)
            room, row = book.grant_a(evse_id, bound, until_s=float("inf"))
            current = bound if row is None else floor_to_step(room, step=record.evse.step_a)
            if current >= record.evse.min_a and current > targets[evse_id]:
                targets[evse_id] = current
                book.take(evse_id, current, until_s=float("inf"))
        return targets

    def _reconcile(self, now: datetime) -> list[Step]:
        state = self._state
        timing = state.site.timing
        tail_s = state.site.failsafe.lease_s + widest_s(state) + timing.settle_s
        book = LoadBook(state.site, self._rows(), self._situation.assumed, now=now, marks_s=(now.timestamp() + tail_s,))
        alarm_unseen(state, now)
        alarm_overfull(state, book, targets_a=self._targets, assumed=self._situation.assumed, now=now)
        steps = self._escalate(book, now)
        return steps + reconcile(
            state,
            self._targets,
            book=book,
            settings=self._settings,
            now=now,
            first_id=self._next_id + len(steps),
        )

    def _escalate(self, book: LoadBook, now: datetime) -> list[Step]:
        """Return what is sent to EVSEs that disobey, and to those that did."""
        state, steps = self._state, list[Step]()
        for record in state.evses.values():
            if not state.stations[record.evse.station].connected:
                continue
            next_id, settings = self._next_id + len(steps), self._settings
            if standing_of(state, record) is Standing.DISOBEYING:
                hurry = is_helpless(state, book, record.evse.id, now)
                steps += escalation_steps(state, record, hurry=hurry, settings=settings, now=now, first_id=next_id)
            else:
                steps += back_in_service(state, record, settings=settings, now=now, first_id=next_id)
        return steps

    def _context(self, now: datetime) -> Context:
        state = self._state
        return Context(
            state=state,
            plan=self._plan,
            targets_a=self._targets,
            held_a={e.id: limit_now_a(state, state.evses[e.id], now) for e in state.site.evses},
            wanted=self._wanted_book(self._targets, now),
            settings=self._settings,
            now=now,
        )

    def _take_evidence(self, now: datetime) -> tuple[Evidence, ...]:
        state = self._state
        watch_evidence(state, now)
        new, state.evidence_new = state.evidence_new, []
        return tuple(new)

    def _take_ended(self) -> tuple[SessionView, ...]:
        ended, self._state.ended = self._state.ended, []
        return tuple(
            SessionView(
                evse=e.evse,
                transaction=e.charging.transaction,
                id_token=e.charging.id_token,
                started=e.charging.started,
                ended=e.ended,
                departure=e.charging.departure,
                wanted_wh=None if e.charging.need is None else e.charging.need.wanted_wh,
                delivered_wh=e.charging.ledger.delivered_wh,
                expected_wh=e.charging.ledger.delivered_wh,
                full_by=None,
                priority=e.charging.priority,
                source=e.charging.source,
            )
            for e in ended
        )
