"""Webhooks: signed, tried again, and never to an address that is not out on the open internet."""

import asyncio
import hashlib
import hmac
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from loadmgr.apps.service import webhook_post
from loadmgr.apps.service.tokens import Role
from loadmgr.apps.service.webhook_post import BadTarget, check_target, post_signed, resolved
from loadmgr.apps.service.webhooks import deliver
from tests.loadmgr.apps.service.test_hosted import Csms, under_control


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/x",
        "https://127.0.0.1/x",
        "https://10.1.2.3/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[fd00::1]/",
        "https://[2002:7f00:1::]/",
        "https://0.0.0.0/",
        "https://2130706433/",
        "https://0x7f.0.0.1/",
        "https://0177.0.0.1/",
        "https://127.1/",
        "https://[64:ff9b::7f00:1]/",
        "https://[64:ff9b:1::a00:1]/",
        "https://[::127.0.0.1]/",
        "https://[fe80::1%25eth0]/",
        "https://224.0.0.1/",
        "https://100.64.0.1/",
        "https://localhost/",
        "https://user:pass@example.com/",
        "https://example.com:0/",
        "https://example.com:99999/",
        "https:///x",
        "file:///etc/passwd",
        "gopher://example.com",
        "https://exa mple.com/",
        "https://exämple.com/",
    ],
)
def test_targets_within_are_refused(url):
    with pytest.raises(BadTarget):
        resolved(check_target(url, private=False), private=False)


class Receiver:
    """An HTTP server that notes what is posted, and refuses the first of it."""

    def __init__(self, refusals):
        self.got = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append((dict(self.headers), body))
                self.send_response(503 if len(receiver.got) <= refusals else 204)
                self.end_headers()

            def log_message(self, *_):
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"


def test_commands_are_posted_signed_and_again_until_they_are_taken():
    receiver = Receiver(refusals=1)

    async def play():
        async with under_control(Role.ADMIN, private_webhooks=True) as (client, hosted):
            service = client._transport.app.state.service
            made = (await client.put("/v1/sites/small/webhook", json={"url": receiver.url})).json()
            hosted.accompany(deliver(service, hosted))
            await Csms(client).boot("E1")
            async with asyncio.timeout(30):
                while len(receiver.got) < 2:  # noqa: ASYNC110 - another thread counts
                    await asyncio.sleep(0.02)
            shown = (await client.get("/v1/sites/small/webhook")).json()
            gone = await client.delete("/v1/sites/small/webhook")
            return made, shown, gone.status_code, (await client.get("/v1/sites/small/webhook")).status_code

    made, shown, gone, after = asyncio.run(play())
    receiver.server.shutdown()
    assert ({"url": receiver.url}, 204, 404) == (shown, gone, after)
    (_, first), (headers, body) = receiver.got[:2]
    known = {c["id"] for c in json.loads(first)["commands"]}
    assert known <= {c["id"] for c in json.loads(body)["commands"]}
    signed = hmac.new(made["secret"].encode(), headers["Loadmgr-Timestamp"].encode() + b"." + body, hashlib.sha256)
    assert f"v1={signed.hexdigest()}" == headers["Loadmgr-Signature"]


def test_a_webhook_to_this_machine_is_refused_by_its_field():
    async def play():
        async with under_control(Role.ADMIN) as (client, _):
            return await client.put("/v1/sites/small/webhook", json={"url": "https://127.0.0.1/hook"})

    found = asyncio.run(play())
    assert (422, "url") == (found.status_code, found.json()["errors"][0]["field"])


def test_a_name_that_changes_its_mind_is_connected_to_where_it_was_looked_at(monkeypatch):
    """Between the look and the connection the name would lead within; it is not asked a second time."""
    asked, reached = [], []

    def getaddrinfo(host, port, **_):
        asked.append(host)
        where = "93.184.215.14" if len(asked) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (where, port))]

    def create_connection(address, timeout):
        reached.append(address)
        raise OSError("that far, and no further")

    monkeypatch.setattr(webhook_post.socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(webhook_post.socket, "create_connection", create_connection)
    found = post_signed("https://rebind.example/", b"{}", secret="s", timestamp=1, delivery="1", private=False)
    assert not found.good
    assert (["rebind.example"], [("93.184.215.14", 443)]) == (asked, reached)


def test_a_name_with_one_address_within_leads_nowhere(monkeypatch):
    both = [(0, 0, 0, "", (where, 443)) for where in ("93.184.215.14", "10.0.0.7")]
    monkeypatch.setattr(webhook_post.socket, "getaddrinfo", lambda *_, **__: both)
    found = post_signed("https://both.example/", b"{}", secret="s", timestamp=1, delivery="1", private=False)
    assert "10.0.0.7, which is no public address" in found.trouble


def test_a_redirect_is_not_followed():
    followed = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            followed.append(self.path)
            self.send_response(307)
            self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}/within")
            self.end_headers()

        def log_message(self, *_):
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/hook"
    found = post_signed(url, b"{}", secret="s", timestamp=1, delivery="1", private=True)
    server.shutdown()
    assert (307, False, ["/hook"]) == (found.status, found.good, followed)
