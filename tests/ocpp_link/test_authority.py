"""What stations may have signed, and what they get."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given
from hypothesis import strategies as st

from ocpp_link.authority import CLOCK_SLACK, LIFETIME, Authority, UnfitRequest
from ocpp_link.testing_certificate import new_request

NOW = datetime(2027, 1, 17, 12, 0, tzinfo=UTC)
C, O, CN, SN = NameOID.COUNTRY_NAME, NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME, NameOID.SERIAL_NUMBER  # noqa: E741
EC_KEY = ec.generate_private_key(ec.SECP256R1())
PEM = serialization.Encoding.PEM


def pem_of(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def certified(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    by: tuple[str, ec.EllipticCurvePrivateKey],
    *,
    ca: bool = True,
    now: datetime = NOW,
) -> bytes:
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(CN, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(CN, by[0])]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1000))
    )
    if ca:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return builder.sign(by[1], hashes.SHA256()).public_bytes(PEM)


ROOT_KEY, BELOW_KEY = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
ROOT = certified("Root", ROOT_KEY, ("Root", ROOT_KEY))
BELOW = certified("Below", BELOW_KEY, ("Root", ROOT_KEY))
AUTHORITY = Authority(BELOW + ROOT, pem_of(BELOW_KEY))


def asked(
    names: list[tuple[x509.ObjectIdentifier, str]],
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey = EC_KEY,
    *,
    wants_to_sign: bool = False,
) -> str:
    subject = x509.Name([x509.NameAttribute(name, value) for name, value in names])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if wants_to_sign:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=9), critical=True)
    hashed = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, hashed).public_bytes(PEM).decode()


def sign(csr: str, organisation: str | None = "Operator", now: datetime = NOW) -> list[x509.Certificate]:
    chain = AUTHORITY.sign(csr, identity="CS-3", organisation=organisation, now=now)
    return x509.load_pem_x509_certificates(chain.encode())


def test_a_certificate_is_of_the_stations_key_for_a_client_and_not_for_signing() -> None:
    key, csr = new_request("CS-3", organisation="Operator")

    signed, below = sign(csr)

    assert key.public_key() == signed.public_key()
    assert "CN=CS-3,O=Operator" == signed.subject.rfc4514_string()
    assert BELOW == below.public_bytes(PEM)
    signed.verify_directly_issued_by(below)
    assert (NOW - CLOCK_SLACK, NOW + LIFETIME) == (signed.not_valid_before_utc, signed.not_valid_after_utc)
    assert not signed.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert not signed.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    usage = signed.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert [ExtendedKeyUsageOID.CLIENT_AUTH] == list(usage)


def test_nothing_but_key_and_organisation_is_taken_from_a_request() -> None:
    names = [(C, "NL"), (O, "Operator"), (SN, "CS-3"), (CN, "CS-4")]

    signed, _ = sign(asked(names, wants_to_sign=True))

    assert "CN=CS-3,O=Operator" == signed.subject.rfc4514_string()
    assert not signed.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_a_certificate_ends_with_its_authoritys() -> None:
    signed, below = sign(asked([(CN, "CS-3")]), None, NOW + timedelta(days=900))

    assert below.not_valid_after_utc == signed.not_valid_after_utc
    with pytest.raises(ValueError, match="the authority's certificate is good from 2027-01-16 to 2029-10-13"):
        sign(asked([(CN, "CS-3")]), None, NOW + timedelta(days=1000))


GOOD = [(O, "Operator"), (CN, "CS-3")]


@pytest.mark.parametrize(
    ("csr", "fault"),
    [
        (asked([(O, "Operator"), (CN, "CS-4")]), "its subject is not CS-3"),
        (asked([(O, "Operator")]), "its subject is not CS-3"),
        (asked([(O, "Other"), (CN, "CS-3")]), "its subject is not of Operator"),
        (asked([(CN, "CS-3")]), "its subject is not of Operator"),
        (asked([*GOOD, (CN, "CS-4")]), "its subject names something twice"),
        (asked([*GOOD, (O, "Other")]), "its subject names something twice"),
        (asked(GOOD, rsa.generate_private_key(65537, 1024)), "an RSA key has 2048 to 8192 bits, this one 1024"),
        (asked(GOOD, ec.generate_private_key(ec.SECP224R1())), "a curve has at least 256 bits, this one 224"),
        (asked(GOOD, ed25519.Ed25519PrivateKey.generate()), "it is signed with a hash weaker than SHA-256"),
        ("", "no request in PEM"),
        ("-----BEGIN CERTIFICATE REQUEST-----\nMAo=\n-----END CERTIFICATE REQUEST-----\n", "no request in PEM"),
    ],
)
def test_what_a_station_may_not_have_is_refused(csr: str, fault: str) -> None:
    with pytest.raises(UnfitRequest, match=fault):
        sign(csr)


def test_a_request_that_was_changed_on_its_way_is_refused() -> None:
    _, csr = new_request("CS-3", organisation="Operator")
    der = bytearray(x509.load_pem_x509_csr(csr.encode()).public_bytes(serialization.Encoding.DER))
    place = der.index(b"CS-3")
    der[place + 3] = ord("4")
    changed = x509.load_der_x509_csr(bytes(der)).public_bytes(PEM).decode()

    with pytest.raises(UnfitRequest, match="it is not signed with the key that it names"):
        AUTHORITY.sign(changed, identity="CS-4", organisation=None, now=NOW)


@given(st.text(max_size=200) | st.binary(max_size=200).map(ssl.DER_cert_to_PEM_cert))
def test_what_is_no_request_is_refused_and_nothing_else_happens(text: str) -> None:
    with pytest.raises(UnfitRequest):
        sign(text.replace("CERTIFICATE", "CERTIFICATE REQUEST"))


@pytest.mark.parametrize(
    ("certificate", "key", "fault"),
    [
        (ROOT, pem_of(BELOW_KEY), "the key is not that of the first certificate"),
        (certified("Leaf", BELOW_KEY, ("Root", ROOT_KEY), ca=False), pem_of(BELOW_KEY), "is no authority's"),
        (b"", pem_of(BELOW_KEY), "no usable certificate and key in PEM"),
        (BELOW, b"", "no usable certificate and key in PEM"),
        (BELOW, pem_of(ed25519.Ed25519PrivateKey.generate()), "the key must be RSA or of an elliptic curve"),
    ],
)
def test_an_authority_is_refused_that_is_none(certificate: bytes, key: bytes, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        Authority(certificate, key)


def test_an_encrypted_key_and_a_missing_file_are_named(tmp_path: Path) -> None:
    locked = BELOW_KEY.private_bytes(
        PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"secret")
    )

    with pytest.raises(ValueError, match="no usable certificate and key in PEM"):
        Authority(BELOW, locked)
    with pytest.raises(FileNotFoundError):
        Authority.load(tmp_path / "none.pem", tmp_path / "none.key")
