"""Questions after an examination, answered with sentences that cite its evidence; see docs/design/conversation.md."""

from .conversation import Answer, Conversation, Turn
from .savers import saver

__all__ = ["Answer", "Conversation", "Turn", "saver"]
