"""The examination as a LangGraph graph: the whole flow on one screen.

    ingest → find_faces → plan → examine (one branch per face and tool) and look (one per face), in parallel
           → weigh → reason → check_grounding → report

``look`` shows a face to a vision-language model, whose answers' probabilities are evidence beside the tools'. The
verdict is computed by ``weigh`` (``fusion.py``) from the evidence. A language model only writes the reasoning; every
sentence is checked against the evidence that it cites. One that fails is written anew once, then dropped; the template
stands in for a section that lost all its sentences.
"""

from __future__ import annotations

from typing import Literal

from langgraph.graph import END, START, StateGraph
from langgraph.types import Send

from . import looking, nodes, reasoning, sight
from .state import Context, Request, State, Task

RECURSION_LIMIT = 30


def fan_out(state: State) -> list[Send] | Literal["weigh"]:
    """One branch per planned task; a branch gets names only, never pixels."""
    return [Send("look" if task["tool"] == sight.TOOL else "examine", task) for task in state["tasks"]] or "weigh"


def after_check(state: State) -> Literal["reason", "report"]:
    """Back to ``reason`` while a subject has unsupported sentences and an attempt is left."""
    return "reason" if reasoning.needs_revision(state) else "report"


def build_graph() -> StateGraph[State, Context, Request, State]:
    """The graph, not yet compiled, so that a caller can choose a checkpointer."""
    graph = StateGraph(State, context_schema=Context, input_schema=Request)
    graph.add_node("ingest", nodes.ingest)
    graph.add_node("find_faces", nodes.find_faces)
    graph.add_node("plan", nodes.plan)
    graph.add_node("examine", nodes.examine, input_schema=Task)
    graph.add_node("look", looking.look, input_schema=Task)
    graph.add_node("weigh", nodes.weigh)
    graph.add_node("reason", reasoning.reason)
    graph.add_node("check_grounding", reasoning.check_grounding)
    graph.add_node("report", nodes.report)

    graph.add_edge(START, "ingest")
    graph.add_edge("ingest", "find_faces")
    graph.add_edge("find_faces", "plan")
    graph.add_conditional_edges("plan", fan_out, ["examine", "look", "weigh"])
    graph.add_edge("examine", "weigh")
    graph.add_edge("look", "weigh")
    graph.add_edge("weigh", "reason")
    graph.add_edge("reason", "check_grounding")
    graph.add_conditional_edges("check_grounding", after_check, ["reason", "report"])
    graph.add_edge("report", END)
    return graph
