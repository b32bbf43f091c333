"""All that one process works with, made before the first request."""

from __future__ import annotations

import asyncio
import threading

from . import traces
from .access import ApiKeys
from .audit import Audit
from .batch import Batches
from .bodies import Uploads
from .database import Database
from .decoder import Decoder
from .deliveries import Deliveries
from .jobs import Jobs
from .leases import Leases
from .logs import LOG
from .marking import opened
from .masterkey import open_vault
from .metrics import Metrics
from .rates import Rates
from .settings import Settings
from .signing import Signer
from .tenants import Tenants
from .webhooks import SENDERS, Sender, Turns
from .work import Sweeper, Worker

SEARCHES = 2
"""At a time: the first search of an owner unseals all templates, and others wait for it in threads."""


class Service:
    """Database, keys, queue and workers of one process.

    Args:
        settings: See ``Settings``.

    Raises:
        DatabaseUnusable: The database cannot be opened.
        StoreError: The master key cannot be had.
        CertificateUnusable: Certificate or key for overlays cannot be used.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings, self.marker = settings, opened(settings)
        self.database = Database(settings)
        vault = open_vault(self.database)
        self.keys = ApiKeys(self.database, vault)
        self.jobs, self.leases = Jobs(self.database, vault), Leases(self.database, vault)
        self.deliveries = Deliveries(self.database, vault)
        self.batches = Batches(self.database, vault)
        self.decoder = Decoder(settings.workers + 1)
        self.people = Tenants(settings.folder, vault)
        self.audit = Audit(self.database, vault)
        self.signer = Signer(self.database, vault)
        self.metrics = Metrics(self.jobs)
        self.rates = Rates(self.database, settings.rate)
        self.uploads, self.searches = Uploads(), asyncio.Semaphore(SEARCHES)
        self.wake = threading.Event()
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start the decoder, the workers, the sweeper and the senders of webhooks."""
        if not self.decoder.start():
            LOG.warning("no separate decoder: photos are decoded in the process of the service")
        elif not self.decoder.limits:
            LOG.warning("the decoder has no limit of memory on this platform")
        workers = [Worker(self, self.wake, self._stop) for _ in range(self.settings.workers)]
        turns = Turns(self.deliveries)
        senders = [Sender(turns, self.metrics, self.settings.private_webhooks, self._stop) for _ in range(SENDERS)]
        self._threads = [*workers, Sweeper(self.jobs, self._stop), *senders]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End the workers after what they are doing; what still waits stays in the database."""
        self._stop.set()
        self.wake.set()
        for thread in self._threads:
            thread.join(timeout=self.settings.lease)
        self.decoder.close()
        traces.flush()
        self.database.close()

    def working(self) -> bool:
        """Whether the workers are alive."""
        return bool(self._threads) and all(thread.is_alive() for thread in self._threads)
