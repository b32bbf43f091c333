"""Forensic tools, one file a capability, each giving ``Evidence``. They know nothing of the agent."""
