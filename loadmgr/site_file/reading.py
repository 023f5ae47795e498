"""What the sections share while a site file is read: the site's own keys, its folder, and the list of faults."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

from loadmgr.site_file.faults import FaultList
from loadmgr.site_file.schema import SitePart


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One reading of one file; files that it names count from ``folder``; ``holidays`` are those of the tariff."""

    site: SitePart
    folder: Path
    faults: FaultList
    holidays: frozenset[date] = frozenset()

    @property
    def zone(self) -> ZoneInfo:
        """The zone of the site."""
        return ZoneInfo(self.site.timezone)
