"""The page that Prometheus reads: ``GET /metrics`` on the loopback address, nothing else."""

import asyncio
from collections.abc import Callable
from http import HTTPStatus

_REQUEST_TIMEOUT_S = 5.0
_HOST = "127.0.0.1"  # who is connected is nobody else's business; a proxy may publish it


async def serve_metrics(port: int, render: Callable[[], str]) -> asyncio.Server:
    """Listen for Prometheus.

    Parameters
    ----------
    port : int
        0 lets the system choose.
    render : callable
        Returns the metrics in Prometheus' text format.

    Raises
    ------
    OSError
        If the port cannot be opened.
    """

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_REQUEST_TIMEOUT_S):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(_response(head, render))
                await writer.drain()
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return  # no HTTP, or nobody who waits for the answer
        finally:
            writer.close()

    return await asyncio.start_server(answer, _HOST, port)


def _response(head: bytes, render: Callable[[], str]) -> bytes:
    method, _, rest = head.partition(b" ")
    found = method == b"GET" and rest.partition(b" ")[0].partition(b"?")[0] == b"/metrics"
    status = HTTPStatus.OK if found else HTTPStatus.NOT_FOUND
    body = render().encode() if found else b"only GET /metrics is here\n"
    lines = (
        f"HTTP/1.1 {status.value} {status.phrase}",
        "Content-Type: text/plain; version=0.0.4; charset=utf-8",
        f"Content-Length: {len(body)}",
        "Connection: close",
    )
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
