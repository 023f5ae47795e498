"""Which site a request is about: one that the service was started with, or one that is sent along.

Rules
-----
1. A name is looked up in a table, never in a file system.
2. A site that is sent may name no files, and is kept by its content: the next request with it costs no reading.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from threading import Lock
from typing import Any

import orjson

from loadmgr.apps.service.problems import FieldFault, field_path, invalid
from loadmgr.apps.service.snapshot import MOST_EVSES
from loadmgr.model.tariff import Tariff
from loadmgr.site_file import SiteFile, check_tariff, check_values
from loadmgr.site_file.faults import Fault

KEPT = 64


class SiteShelf:
    """The sites of a service.

    Parameters
    ----------
    named : mapping of str to SiteFile
        Those that it was started with.
    """

    def __init__(self, named: Mapping[str, SiteFile]) -> None:
        self.named = dict(named)
        self._sent: OrderedDict[bytes, SiteFile] = OrderedDict()
        self._lock = Lock()

    def find(self, site: str | dict[str, Any], *, may_see: frozenset[str] | None, tariff: Any = None) -> SiteFile:
        """Return a site; ``may_see`` names those that the caller may know of, ``None`` all.

        Raises
        ------
        Refused
            422, the same for a site that is not there and for one that the caller may not see.
        """
        if isinstance(site, dict):
            found = self._of_values(site)
        else:
            known = sorted(self.named if may_see is None else may_see & self.named.keys())
            if site not in known:
                advice = f"there are {', '.join(known)}" if known else "send the site's content in its place"
                raise invalid([FieldFault("site", f"there is no site {site!r}", advice)])
            found = self.named[site]
        return found if tariff is None else replace(found, tariff=_tariff(tariff, found))

    def _of_values(self, values: dict[str, Any]) -> SiteFile:
        key = orjson.dumps(values, option=orjson.OPT_SORT_KEYS)
        with self._lock:
            kept = self._sent.get(key)
            if kept is not None:
                self._sent.move_to_end(key)
                return kept
        check = check_values(values, name="site")
        if check.site_file is None:
            raise invalid([_field_fault(f, ("site",)) for f in check.faults], what="the site")
        if len(check.site_file.site.evses) > MOST_EVSES:
            raise invalid([FieldFault("site.evses", f"more than {MOST_EVSES} EVSEs", "send a part of the site")])
        with self._lock:
            self._sent[key] = check.site_file
            while len(self._sent) > KEPT:
                self._sent.popitem(last=False)
        return check.site_file


def _tariff(values: Any, site_file: SiteFile) -> Tariff:
    site = site_file.site
    tariff, faults = check_tariff(values, time_zone=site.time_zone, currency=site.currency)
    if tariff is None:
        raise invalid([_field_fault(f, ()) for f in faults], what="the tariff")
    return tariff


def _field_fault(fault: Fault, above: tuple[str, ...]) -> FieldFault:
    return FieldFault(field_path((*above, *fault.path)) or "site", fault.text, fault.advice)
