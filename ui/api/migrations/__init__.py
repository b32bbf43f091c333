"""Alembic's steps from each schema to the next; ``Database`` runs them when it opens."""
