"""The HTTP API: verdicts over a durable queue, signed records, and an OpenAI-compatible chat; see docs/api.md."""
