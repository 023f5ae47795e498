"""Routes of sites under control: facts in, commands out."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from loadmgr.apps.service.answers import json_answer
from loadmgr.apps.service.bodies import read_model
from loadmgr.apps.service.facts import Facts, facts_of
from loadmgr.apps.service.hosted import HostedSite
from loadmgr.apps.service.observed import (
    BatteryReadingFact,
    ConnectionsRequest,
    EndFact,
    MessageFact,
    MessagesRequest,
    OutgoingList,
    ReadingsRequest,
    RepliesRequest,
    RepliesTaken,
    ReplyFact,
    SiteListed,
    Taken,
    TransactionsRequest,
)
from loadmgr.apps.service.openapi import json_body
from loadmgr.apps.service.outbox import BatteryOrder, Outbox, Outgoing
from loadmgr.apps.service.problems import FieldFault, Refused, documented, invalid
from loadmgr.apps.service.service import Service
from loadmgr.apps.service.snapshot import ScheduleRequest, StationFact
from loadmgr.apps.service.tokens import Role
from loadmgr.control.observation import (
    BatteryReading,
    Observation,
    SessionDeclared,
    TransactionEnded,
    TransactionStarted,
    VehicleKnown,
)
from loadmgr.model.ids import EvseId, StationId, TransactionId
from ocpp_link.schemas import first_fault

LONGEST_POLL_S = 55.0
READS = (401, 403, 404, 409, 422, 429, 503)
WRITES = (400, 401, 403, 404, 408, 409, 413, 415, 422, 429, 503)


def site_routes(service: Service) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/v1", tags=["sites"])

    @router.get("/sites", responses={200: {"model": list[SiteListed]}, **documented(401, 403, 429, 503)})
    async def sites(request: Request) -> list[SiteListed]:
        """Return the sites that the caller may see."""
        caller = await service.gate.admit(request, Role.READ)
        return [
            SiteListed(
                name=site.name,
                title=site.process.site.name,
                evses=len(site.process.site.evses),
                controlled=site.running,
                streams=len(site.streams),
            )
            for site in service.hosted.values()
            if caller.may_see(site.name)
        ]

    _add_facts(router, service)
    _add_commands(router, service)
    return router


async def site_of(service: Service, request: Request, name: str, role: Role) -> HostedSite:
    """Return a site under control, for a caller of a role.

    Raises
    ------
    Refused
        As `Gate.admit`; 409 where it is controlled elsewhere now.
    """
    await service.gate.admit(request, role, site=name)
    found = service.hosted.get(name)
    if found is None and name not in service.to_control:
        raise Refused(404, "no-such-site", f"there is no site {name[:80]!r}")
    if found is None or not found.running:
        headers = {"Retry-After": "2"}
        raise Refused(409, "controlled-elsewhere", "another worker controls this site now", headers=headers)
    return found


def _taken(count: int, *, dry_run: bool) -> Response:
    return json_answer({"taken": count, "dry_run": dry_run})


Endpoint = Callable[..., Awaitable[Response]]


def _fact_route(router: APIRouter, path: str, body: str) -> Callable[[Endpoint], Endpoint]:
    return router.post(
        path,
        responses={200: {"model": Taken}, **documented(*WRITES)},
        response_model=None,
        openapi_extra=json_body(body),
    )


def _add_facts(router: APIRouter, service: Service) -> None:

    @_fact_route(router, "/sites/{site}/ocpp", "MessagesRequest")
    async def ocpp(request: Request, site: str) -> Response:
        """Take calls of stations as they are on the wire; all of them, or none."""
        hosted = await site_of(service, request, site, Role.OPERATE)
        asked = await read_model(request, MessagesRequest)
        _outbox(hosted)
        _check_messages(hosted, asked.messages)
        if not asked.dry_run:
            for message in asked.messages:
                link = hosted.link(message.station, message.ocpp_version)
                number = None if message.transaction_id is None else str(message.transaction_id)
                hosted.process.hear(link, message.action, message.payload, transaction=number)
        return _taken(len(asked.messages), dry_run=asked.dry_run)

    @_fact_route(router, "/sites/{site}/stations", "ConnectionsRequest")
    async def stations(request: Request, site: str) -> Response:
        """Take note of stations that came or went."""
        hosted = await site_of(service, request, site, Role.OPERATE)
        asked = await read_model(request, ConnectionsRequest)
        _outbox(hosted)
        _take_connections(hosted, asked)
        return _taken(len(asked.stations), dry_run=asked.dry_run)

    @_fact_route(router, "/sites/{site}/meter-values", "ReadingsRequest")
    async def readings(request: Request, site: str) -> Response:
        """Take what EVSEs, meters and batteries of the site measured."""
        hosted = await site_of(service, request, site, Role.OPERATE)
        asked = await read_model(request, ReadingsRequest)
        found = ScheduleRequest(
            site=site, stations=[], evse_readings=asked.evse_readings, meter_readings=asked.meter_readings
        )
        facts = facts_of(found, hosted.process.site, at=hosted.now())
        batteries = [_battery_reading(hosted, fact, i) for i, fact in enumerate(asked.battery_readings)]
        return tell(hosted, [*facts.after, *batteries], dry_run=asked.dry_run)

    @_fact_route(router, "/sites/{site}/transactions", "TransactionsRequest")
    async def transactions(request: Request, site: str) -> Response:
        """Take transactions that began or ended."""
        hosted = await site_of(service, request, site, Role.OPERATE)
        asked = await read_model(request, TransactionsRequest)
        now = hosted.now()
        known = [StationFact(id=s.id, ocpp_version=_version(hosted, s.id)) for s in hosted.process.site.stations]
        found = ScheduleRequest(site=site, stations=known, sessions=asked.started)
        facts = facts_of(found, hosted.process.site, at=now)
        said = [_as_news(o, facts, now) for o in facts.before if isinstance(o, _BEGUN)]
        ends = [_ended(hosted, fact, index, now) for index, fact in enumerate(asked.ended)]
        return tell(hosted, [*ends, *said], dry_run=asked.dry_run, count=len(asked.started) + len(ends))


_BEGUN = (TransactionStarted, SessionDeclared, VehicleKnown)


def _as_news(said: TransactionStarted | SessionDeclared | VehicleKnown, facts: Facts, now: datetime) -> Observation:
    """Return what was said as a fact of now; of what nobody said here, the controller knows best itself."""
    if isinstance(said, VehicleKnown) and facts.sessions[said.evse].memory is None:
        return replace(said, at=now, on_since=None)
    return replace(said, at=now)


def _take_connections(hosted: HostedSite, asked: ConnectionsRequest) -> None:
    faults = [
        FieldFault(f"stations[{i}].station", f"the site has no station {s.station!r}")
        for i, s in enumerate(asked.stations)
        if StationId(s.station) not in hosted.process.site.station_by_id
    ]
    if faults:
        raise invalid(faults)
    for fact in asked.stations if not asked.dry_run else ():
        if fact.connected:
            hosted.link(fact.station, fact.ocpp_version)
        else:
            hosted.unlink(fact.station, "the CSMS lost it")


def tell(
    hosted: HostedSite, facts: "list[Observation] | tuple[Observation, ...]", *, dry_run: bool, count: int | None = None
) -> Response:
    """Tell a site facts, unless it is only tried whether they could be told."""
    if not dry_run:
        for fact in facts:
            hosted.process.observe(fact, source="service")
    return _taken(len(facts) if count is None else count, dry_run=dry_run)


def _version(hosted: HostedSite, station: str) -> Any:
    link = hosted.known_link(station)
    return None if link is None else link.version


def _ended(hosted: HostedSite, fact: EndFact, index: int, now: datetime) -> TransactionEnded:
    evse = hosted.process.site.evse_by_id.get(EvseId(fact.evse))
    if evse is None:
        raise invalid([FieldFault(f"ended[{index}].evse", f"the site has no EVSE {fact.evse!r}")])
    return TransactionEnded(
        at=now,
        station=evse.station,
        number=evse.number,
        transaction=TransactionId(str(fact.transaction_id)),
        meter_wh=fact.meter_wh,
    )


def _battery_reading(hosted: HostedSite, fact: BatteryReadingFact, index: int) -> BatteryReading:
    known = [b.id for b in hosted.process.site.batteries if b.link is not None]
    if fact.battery not in known:
        problem = f"the site has no battery {fact.battery!r} with `command`"
        raise invalid([FieldFault(f"battery_readings[{index}].battery", problem, f"it has {known}")])
    return BatteryReading(
        at=hosted.now(),
        battery=fact.battery,
        power_w=fact.power_w,
        state_of_charge_ratio=fact.state_of_charge_ratio,
    )


def _check_messages(hosted: HostedSite, messages: list[MessageFact]) -> None:
    faults = []
    for index, message in enumerate(messages):
        place = f"messages[{index}]"
        if StationId(message.station) not in hosted.process.site.station_by_id:
            faults.append(FieldFault(f"{place}.station", f"the site has no station {message.station!r}"))
            continue
        try:
            fault = first_fault(message.ocpp_version, message.action, message.payload, response=False)
        except (KeyError, OSError, ValueError):
            text = f"OCPP {message.ocpp_version} has no message {message.action}"
            faults.append(FieldFault(f"{place}.action", text))
            continue
        if fault is not None:
            faults.append(FieldFault(f"{place}.payload.{fault.field}".rstrip("."), fault.description[:300]))
        if message.action == "StartTransaction" and message.transaction_id is None:
            advice = "send the number that your CSMS answered it with"
            faults.append(FieldFault(f"{place}.transaction_id", "is missing beside StartTransaction", advice))
    if faults:
        raise invalid(faults)


def _add_commands(router: APIRouter, service: Service) -> None:
    @router.get(
        "/sites/{site}/commands",
        responses={200: {"model": OutgoingList}, **documented(*READS)},
        response_model=None,
    )
    async def commands(
        request: Request,
        site: str,
        after: Annotated[int, Query(ge=0, lt=2**63, description="Leave out what was fetched before.")] = 0,
        wait_s: Annotated[float, Query(ge=0.0, le=LONGEST_POLL_S, description="How long to wait for news.")] = 0.0,
    ) -> Response:
        """Return commands for stations and orders for batteries: what is not answered comes again with `after=0`."""
        hosted = await site_of(service, request, site, Role.OPERATE)
        outbox = _outbox(hosted)
        found = await outbox.wait(after=after, within_s=wait_s)
        orders = outbox.orders(after=after)
        outbox.handed_over(orders)
        body = outgoing_json(service, hosted, found, orders, after=after)
        return json_answer(body)

    @router.post(
        "/sites/{site}/answers",
        responses={200: {"model": RepliesTaken}, **documented(*WRITES)},
        response_model=None,
        openapi_extra=json_body("RepliesRequest"),
    )
    async def answers(request: Request, site: str) -> Response:
        """Take how commands ended."""
        hosted = await site_of(service, request, site, Role.OPERATE)
        asked = await read_model(request, RepliesRequest)
        body = take_replies(_outbox(hosted), asked.answers)
        return json_answer(body)


def outgoing_json(
    service: Service, hosted: HostedSite, found: list[Outgoing], orders: list[BatteryOrder], *, after: int
) -> dict[str, Any]:
    """Return commands for stations and orders for batteries as plain values."""
    now_s = hosted.clock.now_s()
    return {
        "commands": [
            {
                "id": m.id,
                "station": m.station,
                "ocpp_version": m.version,
                "action": m.action,
                "payload": m.payload,
                "urgency": m.priority.name.lower(),
                "expires_in_s": round(max(0.0, m.expires_s - now_s), 3),
            }
            for m in found
        ],
        "batteries": [
            {
                "id": o.id,
                "battery": o.battery,
                "power_w": o.power_w,
                "expires_in_s": round(max(0.0, o.expires_s - now_s), 3),
            }
            for o in orders
        ],
        "after": max([after, *(m.id for m in found), *(o.id for o in orders)]),
        "fence": service.fence_of(hosted.name),
    }


def take_replies(outbox: Outbox, replies: list[ReplyFact]) -> dict[str, Any]:
    """Take how commands ended, all or none; ids that wait for no answer are told.

    Raises
    ------
    Refused
        422 for an answer that its version does not know.
    """
    found: list[tuple[Outgoing, ReplyFact]] = []
    unknown, faults = [], []
    for index, reply in enumerate(replies):
        message, place = outbox.of(reply.id), f"answers[{index}]"
        if (reply.result is None) == (reply.error is None):
            faults.append(FieldFault(place, "has both result and error, or none", "give one of them"))
        elif message is None:
            unknown.append(reply.id)
        elif reply.result is not None:
            fault = first_fault(message.version, message.action, reply.result, response=True)
            if fault is not None:
                faults.append(FieldFault(f"{place}.result.{fault.field}".rstrip("."), fault.description[:300]))
            found.append((message, reply))
        else:
            found.append((message, reply))
    if faults:
        raise invalid(faults)
    for message, reply in found:
        if reply.result is not None:
            outbox.answered(message, reply.result)
        else:
            outbox.failed(message, str(reply.error), reply.description)
    return {"taken": len(found), "unknown": unknown}


def _outbox(hosted: HostedSite) -> Outbox:
    if hosted.outbox is None:
        raise Refused(409, "stations-are-here", "stations of this site are connected to this process itself")
    return hosted.outbox
