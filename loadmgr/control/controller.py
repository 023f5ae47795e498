"""The site controller: a state machine over observations that answers with commands.

Rules
-----
1. ``observe`` folds a fact and never raises; ``decide`` says what to do now. Neither does input or output, and neither
   reads a clock.
2. A plan is made when something changed that it depends on, or when it is old. In between, every decision looks whether
   what is wanted still fits, and renews what runs out. Where what is held would exceed a limit, a first decision only
   lowers, at once, and is due again at once: the plan that takes longer is made in the second.
3. What is sent depends on what stations hold, never on what was meant: see ``assumption``, ``circuits``, ``reconcile``.
4. The same observations and instants give the same commands: nothing here is random, and ties go by the site file.
"""

import logging
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from loadmgr.allocation import Allocator
from loadmgr.composite.snapshot import InstalledProfile
from loadmgr.control.alarm import Severity
from loadmgr.control.battery_facts import SetBatteryPower
from loadmgr.control.command import Command, SetProfile
from loadmgr.control.decision import Decision, RunningSession, SessionView, SiteView
from loadmgr.control.due import UNANSWERED_CALLS, next_due
from loadmgr.control.feedback.fold import fold
from loadmgr.control.feedback.learnt import learnt_traits
from loadmgr.control.feedback.market import Heard
from loadmgr.control.observation import CommandAnswered, Observation, Outcome
from loadmgr.control.outside.evidence import watch_evidence
from loadmgr.control.outside.others import leaves_room, within_others
from loadmgr.control.outside.override import drop_ended
from loadmgr.control.outside.told import Evidence
from loadmgr.control.planning.battery import loads_a, meant_w, setpoints
from loadmgr.control.planning.discharge import discharges_a
from loadmgr.control.planning.formulate import formulate
from loadmgr.control.planning.learning import with_learning
from loadmgr.control.planning.phase_choice import choose_phases, switch_phases, with_pauses
from loadmgr.control.planning.plan import Plan, empty_plan, plan_of, targets_a
from loadmgr.control.planning.relief import relieved_a
from loadmgr.control.planning.requests import is_unknown, overruled_a
from loadmgr.control.planning.scarcity import note_pressed
from loadmgr.control.planning.wishes import alarm_allocation, alarm_no_plan
from loadmgr.control.safety.assumption import limit_now_a
from loadmgr.control.safety.circuits import CircuitRows, Limits, LoadBook, build_rows
from loadmgr.control.safety.envelope import constant
from loadmgr.control.safety.escalation import escalate
from loadmgr.control.safety.failsafe import Step, next_steps, standing_profiles
from loadmgr.control.safety.holding import settled
from loadmgr.control.safety.skew import widest_s
from loadmgr.control.safety.windows import daily_windows
from loadmgr.control.sending.form import fresh_evse, fresh_station
from loadmgr.control.sending.pending import Pending
from loadmgr.control.sending.reconcile import Wanted, reconcile
from loadmgr.control.settings import ControlSettings
from loadmgr.control.situation import SideLoads, Situation, look
from loadmgr.control.state import SiteState
from loadmgr.control.traits import StationTraits
from loadmgr.control.view import ended_view, measured_since, site_view
from loadmgr.control.watch import alarm_overfull, alarm_unproved, alarm_unseen
from loadmgr.control.words import Context
from loadmgr.model.ids import CircuitId, EvseId, StationId
from loadmgr.model.tariff import Tariff
from loadmgr.model.topology import Site
from loadmgr.model.units import require_utc

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
            evses={e.id: fresh_evse(e, site.station_by_id[e.station]) for e in site.evses},
            stations={s.id: fresh_station(s, site.evses_of(s.id)) for s in site.stations},
            evse_of={(e.station, e.number): e.id for e in site.evses},
            tariff=tariff,
            windows=daily_windows(site),
            habits={} if self._settings.habits else None,
        )
        self._plan: Plan | None = None
        self._next_id = 1
        self._situation = Situation(limits={}, side_loads=SideLoads(measured_a={}, reckoned_a={}), assumed={})
        self._targets: dict[EvseId, float] = {}
        self._discharges: dict[EvseId, float] = {}
        self._decided_at: datetime | None = None
        self._due: datetime | None = None
        self._planned_limits: dict[CircuitId, Limits] = {}
        self._viewed: SiteView | None = None
        self._heard = False

    # Public methods for the shell

    def observe(self, observation: Observation) -> None:
        """Fold a fact into what is known; whatever it says, this never raises."""
        self._heard = True
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
        state.stirred, self._viewed = False, None
        self._give_up_unanswered(now)
        for record in state.evses.values():
            settled(record.holding, now)
        drop_ended(state, now)
        commands = self._send(self._set_up(now), now)
        switch_phases(state, now)
        self._situation = look(state, now)
        why = self._why_plan(now)
        relieved = None if why is None else self._relieved(why, now)
        if relieved is not None:
            self._targets, why = with_pauses(state, within_others(state, relieved, now)), None
        else:
            if why is not None:
                self._make_plan(why, now)
            targets = {} if self._plan is None else self._with_learning(targets_a(self._plan, state, now), now)
            self._targets = with_pauses(state, within_others(state, targets, now))
            if any(evse.switches_phases for evse in state.site.evses):
                book = self._wanted_book(self._targets, now)
                choose_phases(state, self._targets, book=book, settings=self._settings, now=now)
        self._discharges = {} if self._plan is None else discharges_a(self._plan, state, now)
        steps, batteries = self._reconcile(now)
        commands += self._send(steps, now)
        self._decided_at = now
        self._due = now if relieved is not None else next_due(state, self._plan, self._settings, now=now)
        decision = Decision(
            at=now,
            commands=tuple(commands),
            alarms=state.alarms.take_changed(),
            next_due=self._due,
            planned=why,
            ended=self._take_ended(),
            evidence=self._take_evidence(now),
            batteries=tuple(batteries),
        )
        if why is not None:
            log.info("planned (%s), commands: %d", why, len(commands))
        return decision

    @property
    def outside(self) -> tuple[tuple[str, str], ...]:
        """Circuit and source of every limit from outside that is known."""
        return tuple(self._state.limits)

    @property
    def heard(self) -> Heard:
        """What was heard from outside: prices, and when each meter was read."""
        return Heard(self._state.prices_per_kwh, {meter: read.at for meter, read in self._state.meters.items()})

    @property
    def sessions(self) -> int:
        """How many sessions are known to run."""
        return sum(record.charging is not None for record in self._state.evses.values())

    def running(self) -> tuple[RunningSession, ...]:
        """Return whose sessions run."""
        return tuple(
            RunningSession(evse=r.evse.id, transaction=c.transaction, id_token=c.id_token, started=c.started)
            for r in self._state.evses.values()
            if (c := r.charging) is not None
        )

    def view(self) -> SiteView:
        """Return the site as it stood at the last decision, with a reason for everything that an EVSE gets.

        What was measured since is shown as it is now. Who asks again gets the same view as long as nothing was heard.

        Raises
        ------
        ValueError
            Before the first decision.
        """
        if self._decided_at is None:
            raise ValueError("view needs a decision to look at: call decide first")
        if self._viewed is None or self._state.stirred:
            self._viewed = site_view(self._context(self._decided_at), self._situation)
        elif self._heard:
            self._viewed = measured_since(self._viewed, self._state)
        self._heard = False
        return self._viewed

    def learnt(self, station: StationId, *, at: datetime) -> StationTraits:
        """Return what trying has shown of a station of the site, for a memory that outlives this controller."""
        return learnt_traits(self._state, station, at=at)

    def leaves_room(self, station: StationId) -> bool:
        """Return whether somebody else may set profiles on a station: our proven maximum bounds them."""
        return leaves_room(self._state, station)

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
        site = self._state.site
        for each in site.evses_of(command.station) if evse is None else (site.evse_by_id[evse],):
            record = self._state.evses[each.id]
            record.holding.sent(command.id, InstalledProfile(evse_id=command.number, profile=command.profile))
            record.changed_at = now

    def _rows(self, batteries_w: dict[str, float] | None = None) -> CircuitRows:
        """Return the rows of now, with batteries at what has to be assumed of them, or at other powers [W]."""
        situation = self._situation
        loads = loads_a(self._state, situation.batteries_w if batteries_w is None else batteries_w)
        return build_rows(self._state.site, situation.limits, situation.with_batteries_a(loads))

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
        site, assumed = self._state.site, self._situation.assumed
        wanted = {e: replace(a, envelope=constant(targets[e])) if e in targets else a for e, a in assumed.items()}
        batteries_w = meant_w(self._state, self._plan, self._situation.batteries_w, now)
        return LoadBook(site, self._rows(batteries_w), wanted, now=now, until_s=now.timestamp() + site.failsafe.lease_s)

    def _relieved(self, why: str, now: datetime) -> dict[EvseId, float] | None:
        """Return lower setpoints where what is held would exceed a limit; the plan follows in the next decision."""
        if not self._settings.relief_first:
            return None
        lower = relieved_a(self._state, self._targets, assumed=self._situation.assumed, rows=self._rows(), now=now)
        if lower is not None:
            self._state.triggers.append(why)
            self._plan = None if self._plan is None else self._plan.lowered(lower, now)
        return lower

    def _make_plan(self, why: str, now: datetime) -> None:
        self._planned_limits = self._situation.limits
        try:
            self._plan = self._planned(why, now)
        except Exception as fault:
            # What stations hold runs out by itself, so without a plan everything falls back to the fail-safe.
            log.exception("no plan could be made")
            self._plan = None
            alarm_no_plan(self._state.alarms, fault, site=self._state.site.name, now=now)
        else:
            alarm_no_plan(self._state.alarms, None, site=self._state.site.name, now=now)

    def _planned(self, why: str, now: datetime) -> Plan:
        problem = formulate(
            self._state,
            situation=self._situation,
            previous=self._plan,
            settings=self._settings,
            now=now,
        )
        if not problem.n_evses and not problem.batteries:
            return empty_plan(problem.grid, why=why, now=now)
        allocation = self._allocator.allocate(problem)
        alarm_allocation(self._state.alarms, allocation, site=self._state.site.name, now=now)
        note_pressed(self._state, problem, allocation)
        return plan_of(allocation, self._state, batteries=problem.batteries, why=why, now=now)

    def _with_learning(self, targets: dict[EvseId, float], now: datetime) -> dict[EvseId, float]:
        targets = targets | overruled_a(self._state, settings=self._settings, now=now)
        if not any(is_unknown(self._state.evses[e], now) for e in targets):
            return targets
        book = self._wanted_book(targets, now)
        return with_learning(
            self._state, targets, book=book, assumed=self._situation.assumed, settings=self._settings, now=now
        )

    def _reconcile(self, now: datetime) -> tuple[list[Step], list[SetBatteryPower]]:
        state = self._state
        timing = state.site.timing
        tail_s = state.site.failsafe.lease_s + widest_s(state) + timing.settle_s
        book = LoadBook(state.site, self._rows(), self._situation.assumed, now=now, marks_s=(now.timestamp() + tail_s,))
        alarm_unseen(state, now)
        alarm_unproved(state, now)
        alarm_overfull(state, book, targets_a=self._targets, assumed=self._situation.assumed, now=now)
        steps = escalate(state, book, settings=self._settings, now=now, first_id=self._next_id)
        backs = {e: a for e, a in self._discharges.items() if not self._targets.get(e)}
        wanted = Wanted(targets_a=self._targets, discharges_a=backs, plan=self._plan)
        first_id = self._next_id + len(steps)
        steps += reconcile(state, wanted, book=book, settings=self._settings, now=now, first_id=first_id)
        # What batteries charge with comes last: they fit beside what was just sent to vehicles.
        return steps, setpoints(state, self._plan, book=book, assumed=self._situation.batteries_w, now=now)

    def _context(self, now: datetime) -> Context:
        state = self._state
        return Context(
            state=state,
            plan=self._plan,
            targets_a=self._targets,
            discharges_a=self._discharges,
            held_a={e.id: limit_now_a(state, state.evses[e.id], now) for e in state.site.evses},
            wanted=self._wanted_book(self._targets, now),
            settings=self._settings,
            now=now,
        )

    def _take_evidence(self, now: datetime) -> tuple[Evidence, ...]:
        watch_evidence(self._state, now)
        new, self._state.evidence_new = self._state.evidence_new, []
        return tuple(new)

    def _take_ended(self) -> tuple[SessionView, ...]:
        ended, self._state.ended = self._state.ended, []
        return tuple(ended_view(each) for each in ended)
