"""A current on each phase, as site files write it: one for all, or one for each that is named."""

from typing import Annotated, Any

from pydantic import BeforeValidator

from loadmgr.site_file.quantities import Amps, StrictPart


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
