"""A Dask cluster as an executor of ``concurrent.futures``: whatever runs on one runs there."""

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import TYPE_CHECKING

from loadmgr.errors import InputError

if TYPE_CHECKING:
    from distributed import Client

CONNECT_S = 10.0
"""How long a scheduler may take to answer [s]."""


@contextmanager
def cluster_executor(address: str, *, connect_s: float = CONNECT_S) -> Iterator[Executor]:
    """Connect to a scheduler and give the executor of its workers; the cluster is left running.

    Parameters
    ----------
    address : str
        Of the scheduler, such as ``tcp://10.0.0.5:8786``.
    connect_s : float
        How long it may take to answer [s].

    Raises
    ------
    InputError
        If Dask is not installed, the address is none, nobody answers there, the scheduler has no workers, or a worker
        lacks loadmgr.
    """
    try:
        from distributed import Client
        from distributed.comm.addressing import get_address_host_port
    except ModuleNotFoundError as error:
        raise InputError("dask is not installed: pip install 'loadmgr[cluster]'") from error
    try:
        get_address_host_port(address, strict=True)
    except ValueError as error:
        raise InputError(f"cluster {address}: must be an address such as tcp://10.0.0.5:8786") from error
    try:
        client = Client(address, timeout=connect_s, set_as_default=False)
    except (OSError, ValueError) as error:
        raise InputError(
            f"cluster {address}: no scheduler answers there within {connect_s:g} s ({_first_line(error)}); "
            "start one with: dask scheduler"
        ) from error
    try:
        _check_workers(_versions(client, address), address)
        yield client.get_executor()
    finally:
        client.close()


def _versions(client: "Client", address: str) -> dict[str, str]:
    """Return the version of loadmgr on each worker."""
    try:
        return dict(client.run(_version))
    except ModuleNotFoundError as error:
        raise InputError(f"cluster {address}: a worker lacks {error.name}: install loadmgr there") from error


def _version() -> str:
    """Return the version of loadmgr where this runs; runs on each worker."""
    import loadmgr

    return loadmgr.__version__


def _check_workers(versions: dict[str, str], address: str) -> None:
    import loadmgr

    if not versions:
        raise InputError(f"cluster {address}: the scheduler has no workers; start some with: dask worker {address}")
    other = [
        f"{worker} has {version}" for worker, version in sorted(versions.items()) if version != loadmgr.__version__
    ]
    if other:
        raise InputError(f"cluster {address}: workers must have loadmgr {loadmgr.__version__}, but {other[0]}")


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__
