"""The chat: drop a photo, see the evidence, ask why."""
