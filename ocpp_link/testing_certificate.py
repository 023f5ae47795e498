"""How a charging station's end renews its client certificate: keys, the request, and the coming back with the new one.

Needs the package ``cryptography`` (``pip install 'loadmgr[certificates]'``).
"""

import asyncio
import logging
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ocpp_link.errors import OcppError

if TYPE_CHECKING:
    from ocpp_link.testing import ChargingStation

logger = logging.getLogger(__name__)

_TRIGGERS = {"SignChargePointCertificate", "SignChargingStationCertificate"}


def new_request(identity: str, *, organisation: str | None = None) -> tuple[ec.EllipticCurvePrivateKey, str]:
    """Return a new private key (P-256) and the request for its certificate, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    names = [] if organisation is None else [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation)]
    subject = x509.Name([*names, x509.NameAttribute(NameOID.COMMON_NAME, identity)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return key, request.public_bytes(serialization.Encoding.PEM).decode()


class ClientCertificate:
    """A station's certificate, in two files, which are replaced when it is renewed.

    Parameters
    ----------
    certificate, key
        PEM files; they need not exist before the first certificate is signed.
    context
        The TLS settings of the station's connections: the next one shows the new certificate.
    organisation
        The O that it asks for; that of its present certificate if absent.
    """

    def __init__(
        self, certificate: Path, key: Path, *, context: ssl.SSLContext, organisation: str | None = None
    ) -> None:
        self._certificate = certificate
        self._key = key
        self._context = context
        self._organisation = organisation
        self._asked_for: ec.EllipticCurvePrivateKey | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def ask(self, station: "ChargingStation") -> str:
        """Make a new key and ask the CSMS to sign its certificate; return its status."""
        organisation = self._organisation or self._present_organisation()
        self._asked_for, csr = new_request(station.identity, organisation=organisation)
        return str((await station.call("SignCertificate", {"csr": csr}))["status"])

    def answer(self, station: "ChargingStation", action: str, payload: dict[str, Any]) -> dict[str, Any] | None:
        """Answer what has to do with certificates; ``None`` for everything else."""
        if action in ("ExtendedTriggerMessage", "TriggerMessage") and payload["requestedMessage"] in _TRIGGERS:
            self._later(station, self.ask(station))
            return {"status": "Accepted"}
        if action != "CertificateSigned":
            return None
        if not self._take(payload["certificateChain"]):
            return {"status": "Rejected"}
        self._later(station, station.disconnect())  # it comes back with the new one
        return {"status": "Accepted"}

    def _present_organisation(self) -> str | None:
        if not self._certificate.exists():
            return None
        subject = x509.load_pem_x509_certificate(self._certificate.read_bytes()).subject
        named = subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
        return str(named[0].value) if named else None

    def _take(self, chain: str) -> bool:
        try:
            certificate = x509.load_pem_x509_certificate(chain.encode())
        except ValueError:
            return False
        if self._asked_for is None or certificate.public_key() != self._asked_for.public_key():
            return False
        plain = serialization.NoEncryption()
        form = serialization.PrivateFormat.PKCS8
        self._key.touch(mode=0o600)
        self._key.write_bytes(self._asked_for.private_bytes(serialization.Encoding.PEM, form, plain))
        self._certificate.write_text(chain, encoding="ascii")
        self._context.load_cert_chain(self._certificate, self._key)
        self._asked_for = None
        return True

    def _later(self, station: "ChargingStation", work: Any) -> None:
        async def run() -> None:
            try:
                await work
            except OcppError as error:
                logger.warning("%s: its certificate is not renewed: %s", station.identity, error)

        task = asyncio.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
