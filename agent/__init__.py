"""The agent: graph, state, plan, fusion, reasoning, grounding check, record. Start at ``graph.py``."""
