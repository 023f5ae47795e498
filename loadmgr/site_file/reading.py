"""What the sections share while a site file is read: the site's own keys, its folder, and the list of faults."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

from loadmgr.site_file.document import PathKey
from loadmgr.site_file.faults import FaultList
from loadmgr.site_file.schema import SitePart


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One reading of one file; ``holidays`` are those of the tariff.

    Files that it names count from ``folder``; where that is ``None`` the site came from afar and may name none.
    """

    site: SitePart
    folder: Path | None
    faults: FaultList
    holidays: frozenset[date] = frozenset()

    @property
    def zone(self) -> ZoneInfo:
        """The zone of the site."""
        return ZoneInfo(self.site.timezone)

    def file(self, name: str, path: PathKey) -> Path | None:
        """Return where a file lies that the site names; ``None`` with a fault noted where it may name none."""
        if self.folder is not None:
            return self.folder / name
        self.faults.add(path, f"names a file, {name[:80]}", "a site that is sent names no files: write the values out")
        return None
