"""Id tokens by other names: what is kept of a driver is a keyed hash, and the key lies beside the journal.

Rules
-----
1. The same token has the same name as long as the key lives: a vehicle that comes back is known.
2. Without the key nobody gets from a name to a token, nor can try out all tokens that there are.
3. Tokens differ in letters, not in their case (OCPP 1.6 section 4, 2.x identifierString).
"""

import hashlib
import os
import secrets
from pathlib import Path

from loadmgr.errors import InputError

KEY_BYTES = 32


class Pseudonyms:
    """Names for tokens under one key.

    Parameters
    ----------
    key : bytes
        32 random bytes.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def of(self, token: str) -> str:
        """Return the name of a token.

        Examples
        --------
        >>> names = Pseudonyms(bytes(32))
        >>> names.of("04A2B3") == names.of("04a2b3")
        True
        >>> names.of("04A2B3")
        '~0175f605cb80e16b'
        """
        digest = hashlib.blake2b(token.casefold().encode("utf-8", "surrogatepass"), key=self._key, digest_size=8)
        return f"~{digest.hexdigest()}"


def pseudonyms_beside(path: Path) -> Pseudonyms:
    """Return the names under the key in a file, which is made where it is missing, for its owner's eyes alone.

    Raises
    ------
    InputError
        If it is no key.
    OSError
        If it can be neither read nor made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        key = path.read_bytes()
    else:
        key = secrets.token_bytes(KEY_BYTES)
        with os.fdopen(descriptor, "wb") as file:
            file.write(key)
            file.flush()
            os.fsync(file.fileno())
    if len(key) != KEY_BYTES:
        raise InputError(f"{path}: holds {len(key)} bytes and not a key of {KEY_BYTES}: restore it from a backup")
    return Pseudonyms(key)
