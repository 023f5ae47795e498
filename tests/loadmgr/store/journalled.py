"""A controller that keeps a journal, for the small closed loop of ``tests.control_world``."""

from datetime import datetime

from loadmgr.control.controller import SiteController
from loadmgr.control.decision import Decision
from loadmgr.control.observation import Observation
from loadmgr.control.settings import ControlSettings
from loadmgr.model.tariff import Tariff
from loadmgr.model.topology import Site
from loadmgr.store.journal import Journal
from loadmgr.store.recall import Store, wake


class Journalled:
    """Tells a journal what it observes and decides, as the controller process does."""

    def __init__(
        self,
        store: Store,
        site: Site,
        *,
        now: datetime,
        tariff: Tariff | None = None,
        settings: ControlSettings | None = None,
    ) -> None:
        awake = wake(store, site, tariff, settings=settings, now=now)
        self.awake = awake
        self.controller: SiteController = awake.controller
        self.journal = Journal(store, next_number=store.last_number() + 1)
        self.journal.started(awake.started, awake.controller)
        for observation in awake.first:
            self.observe(observation)

    def observe(self, observation: Observation) -> None:
        self.journal.observed(observation)
        self.controller.observe(observation)

    def decide(self, now: datetime) -> Decision:
        decision = self.controller.decide(now)
        self.journal.decided(decision, self.controller)
        return decision
