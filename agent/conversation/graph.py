"""A turn of a conversation as a LangGraph graph.

    understand ─┬→ measure ─┬→ think ⇄ act ─┬→ compose ─┬→ end
                ├→ put → wait (a person is asked) ↑     └→ wait
                └→ compose (declined)

``measure`` makes what the rules know the question to need. A model that calls tools may then ask for more, within
bounds. Without such a model ``compose`` answers by the rules.
"""

from __future__ import annotations

from typing import Literal

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime

from . import nodes, thinking
from .state import Begun, Context, Talk


def after_measuring(state: Talk, runtime: Runtime[Context]) -> Literal["think", "compose"]:
    """To the model, if there is one that can write an answer."""
    settled = state["intent"]["kind"] == "sensitive"
    return "think" if thinking.writes(runtime.context) and not settled else "compose"


def after_thinking(state: Talk) -> Literal["act", "compose"]:
    """To the tools while the last round of calls is not answered."""
    return "act" if state["rounds"] and not state["rounds"][-1]["answers"] and not state["claims"] else "compose"


def after_composing(state: Talk) -> Literal["wait", "__end__"]:
    """To a person, where the answer ends with an offer."""
    return "wait" if state["asks"] else "__end__"


def build_graph() -> StateGraph[Talk, Context, Begun, Talk]:
    """The graph, not yet compiled, so that a caller can choose a checkpointer."""
    graph = StateGraph(Talk, context_schema=Context, input_schema=Begun)
    graph.add_node("understand", nodes.understand)
    graph.add_node("put", nodes.put)
    graph.add_node("wait", nodes.wait)
    graph.add_node("measure", nodes.measure)
    graph.add_node("think", thinking.think)
    graph.add_node("act", thinking.act)
    graph.add_node("compose", nodes.compose)

    graph.add_edge(START, "understand")
    graph.add_conditional_edges("understand", nodes.after_understanding, ["put", "compose", "measure"])
    graph.add_edge("put", "wait")
    graph.add_conditional_edges("measure", after_measuring, ["think", "compose"])
    graph.add_conditional_edges("think", after_thinking, ["act", "compose"])
    graph.add_edge("act", "think")
    graph.add_conditional_edges("compose", after_composing, ["wait", END])
    return graph
