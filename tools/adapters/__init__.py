"""Shipped adapters: published detectors, matchers and action unit models, switched on by ``plugins.toml``."""
