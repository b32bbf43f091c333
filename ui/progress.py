"""A sign of life on the terminal while something long runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def working(title: str) -> Iterator[Callable[[str], None]]:
    """Show a spinner with a title on standard error while the block runs; nothing where that is no terminal.

    Yields:
        A function that changes the title.
    """
    from rich.console import Console
    from rich.text import Text

    with Console(stderr=True).status(Text(title)) as status:
        yield lambda text: status.update(Text(text))
