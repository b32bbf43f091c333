"""The master key of the service and the keys derived from it; made and kept as the store of people keeps its own."""

from __future__ import annotations

import secrets
from typing import cast

from sqlalchemy import select

from ...agent.people import keys
from ...agent.people.sealing import Vault
from ...errors import StoreKeyUnavailable
from .database import Database
from .tables import Head


def open_vault(database: Database) -> Vault:
    """Keys of this database; the first call makes the master key.

    Raises:
        StoreKeyUnavailable: The key is gone, locked, readable by others, or that of another database.
    """
    folder = database.settings.folder
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with database.writing() as session:
        head = session.scalar(select(Head))
        if head is None:
            store_id = secrets.token_hex(16)
            master, source = keys.create(folder, store_id)
            vault = Vault(master, store_id)
            session.add(Head(id=store_id, key_source=source, key_id=vault.key_id))
            return vault
        vault = Vault(keys.load(folder, head.id, cast(keys.Source, head.key_source)), head.id)
        if vault.key_id != head.key_id:
            raise StoreKeyUnavailable("The key that was found belongs to another database.")
        return vault
