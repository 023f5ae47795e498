"""The transactions of a simulated station: how they begin and end, and how the CSMS hears of them.

Rules kept here
---------------
1. What began or ended is said in order, with the time and the register of the instant itself, and again until it is
   answered: a link or a CSMS that is away costs no session any of its energy.
2. A transaction that began without a link was authorised by the station itself; it is told of even when the vehicle
   has left since.
3. What was measured without a link is said between the start and the end, oldest first, with its times.
4. A power loss ends transactions; their books survive it, and the end is told after the boot.
"""

from collections import deque
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from loadmgr.composite.transaction import StationTransaction
from loadmgr.model.ids import TransactionId
from loadmgr.sim.bay import Bay, Unsent
from loadmgr.sim.device import LOCAL_AUTHORIZE_OFFLINE

if TYPE_CHECKING:
    from loadmgr.sim.station import SimStation


@dataclass(frozen=True, slots=True, kw_only=True)
class Instant:
    """When a transaction began or ended, by the station's clock.

    Parameters
    ----------
    shown_wh : float
        What the meter showed [Wh].
    delivered_wh : float
        What the EVSE had truly delivered since it was installed [Wh].
    offline : bool
        There was no link.
    """

    at: datetime
    shown_wh: float
    delivered_wh: float
    offline: bool

    @property
    def offline_at(self) -> datetime | None:
        """The time of it, where there was no link."""
        return self.at if self.offline else None


class Transactions:
    """What a station knows of its transactions.

    Parameters
    ----------
    station : SimStation

    Attributes
    ----------
    delivered_wh : dict
        What each transaction that was told of to its end truly delivered [Wh], by the id that the CSMS knows.
    """

    def __init__(self, station: "SimStation") -> None:
        self._station = station
        self._offline = 0
        self._begun: dict[int, Instant] = {}  # of the transaction that was last told to begin on an EVSE
        self.delivered_wh: dict[str, float] = {}

    def cut(self, bay: Bay) -> None:
        """Open the contactor: no transaction, no energy."""
        store = self._station.store
        store.end_transaction(bay.number)
        store.purge(self._station.clock.now())
        bay.transaction, bay.energised = None, False
        bay.finished = bay.visit is not None
        bay.cuts += 1

    async def begin(self, bay: Bay, token: str, *, remote_start_id: int | None = None) -> None:
        """Authorise and start a transaction; offline it starts by itself where that is allowed."""
        station, cuts, began = self._station, bay.cuts, None
        unsent = bay.unsent = deque()
        if not station.online and station.device.text(LOCAL_AUTHORIZE_OFFLINE) == "true":
            self._offline += 1
            began = self._now(bay)
            self._energise(bay, TransactionId(f"offline-{self._offline}"))
        async with bay.order:
            if began is None and not await self._authorised(bay, token, cuts=cuts, remote_start_id=remote_start_id):
                return
            status = await self._tell_start(bay, token, began or self._now(bay), remote_start_id=remote_start_id)
            named = station.wire.transactions.get(bay.number)
            if bay.cuts == cuts and station.powered and status == "Accepted" and named is not None:
                self._energise(bay, TransactionId(named))
                await self._catch_up(bay.number, unsent)
            elif bay.cuts == cuts and bay.energised and status is not None:
                self.cut(bay)
                station.refresh(bay)
            station.store.drop_pending(bay.number)  # of a remote start that led to no transaction

    async def stop(self, bay: Bay, *, reason: str) -> None:
        """Stop the transaction of an EVSE; the cable stays in."""
        ended = self._now(bay)
        self.cut(bay)
        self._station.refresh(bay)
        await self._tell_end(bay, ended, bay.unsent, reason=reason)

    def ended(self, bay: Bay, *, reason: str) -> None:
        """Tell the end of what just ended on an EVSE, as soon as there is a way."""
        self._station.spawn(self._tell_end(bay, self._now(bay), bay.unsent, reason=reason))

    def link_is_back(self, bay: Bay) -> None:
        """Tell what the running transaction measured meanwhile."""
        if bay.unsent:
            self._station.spawn(self._tell_measured(bay, bay.unsent))

    def _now(self, bay: Bay) -> Instant:
        return Instant(
            at=self._station.clock.now(),
            shown_wh=bay.outlet.register_wh,
            delivered_wh=bay.outlet.delivered_wh,
            offline=not self._station.online,
        )

    def _energise(self, bay: Bay, transaction: TransactionId) -> None:
        """Let energy flow in a transaction, which may replace a local one."""
        store, now = self._station.store, self._station.clock.now()
        store.end_transaction(bay.number)
        store.start_transaction(
            StationTransaction(evse_id=bay.number, transaction_id=transaction, started_at=now), now=now
        )
        bay.transaction, bay.energised = transaction, True
        self._station.refresh(bay)

    async def _authorised(self, bay: Bay, token: str, *, cuts: int, remote_start_id: int | None) -> bool:
        """Ask whether a token may charge; return whether it may and the vehicle still waits."""
        station, status = self._station, "Accepted"
        if remote_start_id is None:
            status = await station.deliver(lambda: station.wire.authorize(token)) or ""
        if status == "Accepted" and bay.cuts == cuts:
            return True
        station.store.drop_pending(bay.number)
        if bay.cuts == cuts:
            self.cut(bay)
            station.refresh(bay)
        return False

    async def _tell_start(self, bay: Bay, token: str, began: Instant, *, remote_start_id: int | None) -> str | None:
        """Tell the start of a transaction; return what became of its token, ``None`` where it is refused."""
        reply = await self._station.deliver(
            lambda: self._station.wire.start_transaction(
                bay.number,
                token,
                meter_wh=began.shown_wh,
                remote_start_id=remote_start_id,
                at=began.at,
                offline_at=began.offline_at,
            )
        )
        self._begun[bay.number] = began
        return None if reply is None else reply.status

    async def _tell_measured(self, bay: Bay, unsent: Unsent) -> None:
        async with bay.order:
            await self._catch_up(bay.number, unsent)

    async def _catch_up(self, number: int, unsent: Unsent) -> None:
        wire = self._station.wire
        while unsent and number in wire.transactions:
            at, samples = unsent[0]
            await self._station.deliver(partial(wire.meter_values, number, samples, offline_at=at))
            unsent.popleft()

    async def _tell_end(self, bay: Bay, ended: Instant, unsent: Unsent, *, reason: str) -> None:
        wire = self._station.wire
        async with bay.order:
            named = wire.transactions.get(bay.number)
            if named is None:
                return
            await self._catch_up(bay.number, unsent)
            await self._station.deliver(
                lambda: wire.stop_transaction(
                    bay.number, meter_wh=ended.shown_wh, reason=reason, at=ended.at, offline_at=ended.offline_at
                )
            )
            self.delivered_wh[named] = ended.delivered_wh - self._begun[bay.number].delivered_wh
