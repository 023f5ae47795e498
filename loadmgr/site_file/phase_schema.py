"""Phases as site files write them: which ones, and a current on each (one for all, or one for each that is named)."""

import itertools
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from loadmgr.site_file.quantities import Amps, StrictPart, fault


def _same_on_each_phase(value: Any) -> Any:
    return value if isinstance(value, dict) else {"L1": value, "L2": value, "L3": value}


class PhaseAmpsPart(StrictPart):
    """A current on each phase; a phase that is not named has none."""

    L1: Amps | None = None
    L2: Amps | None = None
    L3: Amps | None = None

    @property
    def each(self) -> tuple[float | None, float | None, float | None]:
        """The currents on L1, L2, L3."""
        return self.L1, self.L2, self.L3


PerPhase = Annotated[
    PhaseAmpsPart,
    BeforeValidator(_same_on_each_phase, json_schema_input_type=PhaseAmpsPart | Amps),
]

_NAMES = ("L1", "L2", "L3")
_PHASES = {"".join(order): order for count in (1, 2, 3) for order in itertools.permutations(_NAMES, count)}


def _parse_phases(value: Any) -> tuple[str, ...]:
    written = value.replace(" ", "") if isinstance(value, str) else value
    if isinstance(written, str) and written in _PHASES:
        return _PHASES[written]
    advice = "name the grid phases behind L1, L2, L3 of the EVSE in that order, such as L1L2L3, L2L3L1 or L3"
    raise fault(f"{value!r} are not phases", advice)


Phases = Annotated[
    tuple[str, ...],
    BeforeValidator(_parse_phases),
    WithJsonSchema({"enum": sorted(_PHASES), "description": "grid phases in the order of the EVSE's own L1, L2, L3"}),
]
