"""A controller's memory as JSON.

EVSEs and stations are written by their ids: what they are, the site says.
"""

from typing import Any

from cattrs import Converter

from loadmgr.control.memory import CONTROLLER, Memory, state_types
from loadmgr.errors import JournalError
from loadmgr.model.topology import Evse, Site, Station
from loadmgr.store.codec import Codec, from_json, to_json


class MemoryCodec:
    """Writes and reads the memory of controllers of one site.

    Parameters
    ----------
    site : Site
        The site that the memory is of; for a changed site see ``control.memory.moved``.
    """

    def __init__(self, site: Site) -> None:
        def refine(converter: Converter) -> None:
            converter.register_unstructure_hook(Evse, lambda e: e.id)
            converter.register_unstructure_hook(Station, lambda s: s.id)
            converter.register_structure_hook(Evse, lambda name, _: site.evse_by_id[name])
            converter.register_structure_hook(Station, lambda name, _: site.station_by_id[name])

        self._codec = Codec(refine)
        self._types = {"state": state_types(), "controller": CONTROLLER}

    def encode(self, memory: Memory) -> bytes:
        """Return the memory as JSON."""
        parts = {"state": memory.state, "controller": memory.controller}
        return to_json(
            {
                part: {name: self._codec.plain(value, self._types[part][name]) for name, value in values.items()}
                for part, values in parts.items()
            }
        )

    def decode(self, text: bytes) -> Memory:
        """Return the memory that JSON writes; names that this version does not know are passed over.

        Raises
        ------
        JournalError
            If it is no memory of this site.
        """
        plain = from_json(text)
        if not isinstance(plain, dict) or set(plain) != {"state", "controller"}:
            raise JournalError("a snapshot must hold `state` and `controller`")
        return Memory(state=self._part("state", plain), controller=self._part("controller", plain))

    def _part(self, part: str, plain: dict[str, Any]) -> dict[str, Any]:
        types = self._types[part]
        return {name: self._codec.value(value, types[name]) for name, value in plain[part].items() if name in types}
