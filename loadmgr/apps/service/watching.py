"""What is seen of every request: a count, a duration, a line in the log; and the headers that every answer gets."""

import logging
import time
from collections import Counter
from collections.abc import Iterator
from secrets import token_hex

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ocpp_link.metrics import family, sample

log = logging.getLogger(__name__)

BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
)


class RequestCounts:
    """Counts requests by route, method and status, and how long they took."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, str, int]] = Counter()
        self._took_buckets: Counter[tuple[str, float]] = Counter()
        self._took_s: dict[str, float] = {}
        self._took: Counter[str] = Counter()

    def note(self, route: str, method: str, status: int, took_s: float) -> None:
        """Count one request."""
        self.requests[route, method, status] += 1
        self._took[route] += 1
        self._took_s[route] = self._took_s.get(route, 0.0) + took_s
        for bound_s in BUCKETS_S:
            if took_s <= bound_s:
                self._took_buckets[route, bound_s] += 1

    def lines(self) -> Iterator[str]:
        """Yield the metrics in Prometheus' text format."""
        yield from family(
            "loadmgr_http_requests_total",
            "counter",
            "Requests by route, method and status.",
            [({"route": r, "method": m, "status": str(s)}, n) for (r, m, s), n in sorted(self.requests.items())],
        )
        yield "# HELP loadmgr_http_seconds Time from a request to the end of its answer, by route."
        yield "# TYPE loadmgr_http_seconds histogram"
        for route, count in sorted(self._took.items()):
            for bound_s in BUCKETS_S:
                labels = {"route": route, "le": f"{bound_s:g}"}
                yield sample("loadmgr_http_seconds_bucket", labels, self._took_buckets[route, bound_s])
            yield sample("loadmgr_http_seconds_bucket", {"route": route, "le": "+Inf"}, count)
            yield sample("loadmgr_http_seconds_sum", {"route": route}, round(self._took_s[route], 6))
            yield sample("loadmgr_http_seconds_count", {"route": route}, count)


class Watched:
    """Middleware that watches every request.

    What a log line holds: request id, method, route as it is declared (never the path as it was sent, which may hold
    what should not be in a log), status, milliseconds, and the id of the token.
    """

    def __init__(self, app: ASGIApp, *, counts: RequestCounts) -> None:
        self._app = app
        self._counts = counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and watch it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        request_id = token_hex(8)
        scope.setdefault("state", {})["request_id"] = request_id
        status = 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *HEADERS, (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            took_s = time.perf_counter() - started
            route = getattr(scope.get("route"), "path", "none")
            self._counts.note(route, scope["method"] if status != 405 else "other", status, took_s)
            caller = scope["state"].get("caller")
            log.info(
                "%s %s %d",
                scope["method"] if scope["method"].isalpha() else "?",
                route,
                status,
                extra={
                    "request": request_id,
                    "route": route,
                    "status": status,
                    "took_ms": round(took_s * 1000.0, 1),
                    "token": None if caller is None else caller.token,
                },
            )
