"""How the service listens: TLS, who may be let in where, slow clients, and a log that machines read."""

import asyncio
import json
import logging
import socket
import ssl
import subprocess

import httpx2
import pytest

from loadmgr.apps.service.beside import serving
from loadmgr.apps.service.json_log import JsonLines
from loadmgr.apps.service.patience import PatientProtocol
from loadmgr.apps.service.running import Listening, Working, check_broker, check_listening
from loadmgr.errors import InputError
from loadmgr.site_file import load_site
from tests.loadmgr.apps.service.asking import SMALL, a_service, token


@pytest.mark.parametrize(
    ("listening", "says"),
    [
        ({"host": "0.0.0.0"}, "in the clear"),
        ({"host": "::"}, "in the clear"),
        ({"host": "example.com"}, "in the clear"),
        ({"host": "0.0.0.0", "plain_http": True, "is_open": True}, "loopback"),
        ({"host": "127.0.0.1", "tls_cert": "a.pem"}, "go together"),
        ({"host": "127.0.0.1", "tls_client_ca": "a.pem"}, "needs --tls-cert"),
    ],
)
def test_what_would_let_anybody_in_is_refused(listening, says):
    with pytest.raises(InputError, match=says):
        check_listening(Listening(port=0, **listening))
    check_listening(Listening(port=0, host="127.0.0.1", is_open=True))
    check_listening(Listening(port=0, host="0.0.0.0", plain_http=True))


@pytest.mark.parametrize(
    ("working", "says"),
    [
        ({"mqtt": "mqtt://127.0.0.1"}, "needs --control"),
        ({"mqtt": "http://127.0.0.1", "control": True}, "write mqtt://"),
    ],
)
def test_a_broker_that_nobody_could_be_on_is_refused(working, says):
    with pytest.raises(InputError, match=says):
        check_broker({}, Working(**working))


def test_a_controlled_site_that_listens_to_topics_needs_a_broker(tmp_path):
    limit = {"id": "ems", "mqtt": {"topic": "home/limit"}, "heartbeat": "60s", "when_silent": {"current": "10A"}}
    (tmp_path / "small.yaml").write_text(json.dumps({**SMALL, "external_limits": [limit]}))
    sites = {"small": load_site(tmp_path / "small.yaml")}
    with pytest.raises(InputError, match="external limit ems listens to MQTT, but there is no broker"):
        check_broker(sites, Working(control=True))
    check_broker(sites, Working())
    check_broker(sites, Working(control=True, mqtt="mqtt://127.0.0.1"))


def made_certificate(folder):
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *files, *names]
    subprocess.run(command, check=True, capture_output=True)


def test_tls_is_spoken_and_a_client_certificate_asked_for(tmp_path):
    made_certificate(tmp_path)
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"

    async def play():
        service = a_service()
        listening = Listening(host="127.0.0.1", port=0, tls_cert=cert, tls_key=key, tls_client_ca=cert)
        async with serving(service, listening) as server:
            url = f"https://127.0.0.1:{server.port}/v1/tokens"
            trusting = ssl.create_default_context(cafile=str(cert))
            with pytest.raises((httpx2.TransportError, ssl.SSLError)):
                async with httpx2.AsyncClient(verify=trusting) as client:
                    await client.get(url)
            trusting.load_cert_chain(cert, key)
            async with httpx2.AsyncClient(verify=trusting, headers=token(service)) as client:
                return (await client.get(url)).status_code

    assert 200 == asyncio.run(play())


def test_whoever_says_a_letter_a_minute_is_shown_the_door(monkeypatch):
    monkeypatch.setattr(PatientProtocol, "head_s", 0.3)

    async def play():
        async with serving(a_service(), Listening(host="127.0.0.1", port=0)) as server:
            silent, slow = (socket.create_connection(("127.0.0.1", server.port)) for _ in range(2))
            slow.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ")
            async with httpx2.AsyncClient() as client:
                for _ in range(2):  # one that keeps its connection is not disturbed
                    assert 200 == (await client.get(f"http://127.0.0.1:{server.port}/healthz")).status_code
                    await asyncio.sleep(0.4)
            ends = []
            for each in (silent, slow):
                each.settimeout(3)
                try:
                    ends.append(await asyncio.to_thread(each.recv, 10))
                except ConnectionError:
                    ends.append(b"")
                each.close()
            return ends

    assert [b"", b""] == asyncio.run(play())


def test_a_port_that_is_taken_is_said_so():
    async def play():
        async with serving(a_service(), Listening(host="127.0.0.1", port=0)) as server:
            with pytest.raises(OSError, match="port"):
                async with serving(a_service(), Listening(host="127.0.0.1", port=server.port)):
                    pass

    asyncio.run(play())


def test_a_line_of_the_json_log_holds_what_belongs_to_it():
    record = logging.makeLogRecord(
        {"name": "loadmgr.x", "levelno": 20, "levelname": "INFO", "msg": "%s: %s", "args": ("A1", "8 A"),
         "site": "garage", "station": "A1", "session": None}
    )  # fmt: skip
    line = json.loads(JsonLines().format(record))
    assert ("A1: 8 A", "info", "garage", "A1") == (line["message"], line["level"], line["site"], line["station"])
    assert "session" not in line
    assert "\n" not in JsonLines().format(record)
