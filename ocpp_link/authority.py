"""A certificate authority for charging stations: what they ask to have signed, and what they get.

Rules: 1.6 security whitepaper ed. 3, section 4.4 (A00.FR.5xx of 2.x part 2): RSA keys of 2,048 bits or more, elliptic
curves of 256 or more, SHA-256 or better; the O is the operator's, the CN the station's.

Rule 1: of a request only the key and the organisation are taken. The rest of the certificate is made here, so that a
    station can ask neither for another's name nor for the right to sign.
Rule 2: a station that cannot show the private key, or whose key is weak, gets nothing.

Needs the package ``cryptography`` (``pip install 'loadmgr[certificates]'``).
"""

from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFETIME = timedelta(days=365)
"""How long a station's certificate is good; never longer than the authority's own."""

CLOCK_SLACK = timedelta(hours=1)
"""A certificate is good from so long before its making, for stations whose clocks are behind."""

MIN_RSA_BITS = 2048
MAX_RSA_BITS = 8192
"""Beyond it the check of a signature costs more than any station needs."""
MIN_CURVE_BITS = 256

_HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512)


class UnfitRequest(ValueError):  # noqa: N818 - it says what the request is
    """What a station asks to have signed is nothing that it may have."""


class Authority:
    """Signs certificates of stations.

    Parameters
    ----------
    certificate
        PEM: the authority's own certificate first, then those up to the one that stations' peers trust.
    key
        PEM: its private key, not encrypted.

    Raises
    ------
    ValueError
        If they cannot be read, do not belong together, or are no authority's.
    """

    def __init__(self, certificate: bytes, key: bytes) -> None:
        try:
            self._chain = x509.load_pem_x509_certificates(certificate)
            private = serialization.load_pem_private_key(key, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise ValueError(f"no usable certificate and key in PEM: {error}") from error
        if not isinstance(private, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
            raise ValueError("the key must be RSA or of an elliptic curve")  # noqa: TRY004 - a file
        self._key = private
        self._own = self._chain[0]
        if private.public_key() != self._own.public_key():
            raise ValueError("the key is not that of the first certificate")
        if not _may_sign(self._own):
            raise ValueError("the first certificate is no authority's: basicConstraints must say CA")

    @classmethod
    def load(cls, certificate: Path, key: Path) -> "Authority":
        """Read both from files.

        Raises
        ------
        ValueError
            As the class does.
        OSError
            If a file cannot be read.
        """
        return cls(certificate.read_bytes(), key.read_bytes())

    def sign(self, csr: str, *, identity: str, organisation: str | None, now: datetime) -> str:
        """Return a station's new certificate in PEM, followed by those of the authorities below the root.

        Parameters
        ----------
        csr
            What the station sent: PKCS#10 in PEM.
        identity
            Who it is, known by its login.
        organisation
            The O that it must name; ``None`` accepts any.
        now
            The time.

        Raises
        ------
        UnfitRequest
            If it may not have what it asks for.
        ValueError
            If the authority's own certificate is not good now.
        """
        request = read_request(csr, identity=identity, organisation=organisation)
        begins, ends = self._own.not_valid_before_utc, self._own.not_valid_after_utc
        if not begins <= now < ends:
            raise ValueError(f"the authority's certificate is good from {begins:%Y-%m-%d} to {ends:%Y-%m-%d}")
        public = request.public_key()
        named = request.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
        subject = x509.Name([*named, x509.NameAttribute(NameOID.COMMON_NAME, identity)])
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._own.subject)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(max(now - CLOCK_SLACK, begins))
            .not_valid_after(min(now + LIFETIME, ends))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(of_rsa=isinstance(public, rsa.RSAPublicKey)), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(_issuer_key(self._own), critical=False)
        )
        signed = builder.sign(self._key, hashes.SHA256())
        below_root = [each for each in self._chain if each.subject != each.issuer]
        return "".join(each.public_bytes(serialization.Encoding.PEM).decode() for each in (signed, *below_root))


def read_request(csr: str, *, identity: str, organisation: str | None) -> x509.CertificateSigningRequest:
    """Return a station's request, if it may have what it asks for.

    Raises
    ------
    UnfitRequest
        With what is wrong.
    """
    try:
        request = x509.load_pem_x509_csr(csr.encode())
        proven = request.is_signature_valid
        hashed = request.signature_hash_algorithm
        public = request.public_key()
        names = {each: request.subject.get_attributes_for_oid(each) for each in _NAMES}
    except (ValueError, UnsupportedAlgorithm, InvalidSignature) as error:
        raise UnfitRequest(f"no request in PEM: {error}") from error
    if not proven:
        raise UnfitRequest("it is not signed with the key that it names")
    if not isinstance(hashed, _HASHES):
        raise UnfitRequest("it is signed with a hash weaker than SHA-256")
    _require_strength(public)
    if any(len(found) > 1 for found in names.values()):
        raise UnfitRequest("its subject names something twice")
    values = {each: str(found[0].value) for each, found in names.items() if found}
    if identity not in (values.get(NameOID.COMMON_NAME), values.get(NameOID.SERIAL_NUMBER)):
        raise UnfitRequest(f"its subject is not {identity}: CN or serialNumber has to say so")
    if organisation is not None and values.get(NameOID.ORGANIZATION_NAME) != organisation:
        raise UnfitRequest(f"its subject is not of {organisation}: O has to say so")
    return request


_NAMES = (NameOID.COMMON_NAME, NameOID.SERIAL_NUMBER, NameOID.ORGANIZATION_NAME)


def _require_strength(public: object) -> None:
    match public:
        case rsa.RSAPublicKey(key_size=bits):
            if not MIN_RSA_BITS <= bits <= MAX_RSA_BITS:
                raise UnfitRequest(f"an RSA key has {MIN_RSA_BITS} to {MAX_RSA_BITS} bits, this one {bits}")
        case ec.EllipticCurvePublicKey(curve=curve):
            if curve.key_size < MIN_CURVE_BITS:
                raise UnfitRequest(f"a curve has at least {MIN_CURVE_BITS} bits, this one {curve.key_size}")
        case _:
            raise UnfitRequest("its key is neither RSA nor of an elliptic curve")


def _may_sign(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _issuer_key(own: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    try:
        found = own.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        found = x509.SubjectKeyIdentifier.from_public_key(own.public_key())
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(found)


def _usage(*, of_rsa: bool) -> x509.KeyUsage:
    """Return what a station's key is for: to sign, and in old suites of TLS to take a secret."""
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=of_rsa,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
