"""What ``egostream view`` does in a terminal."""

from __future__ import annotations

import asyncio
import threading
import webbrowser

import typer

from egostream.supervise.signals import stop_signals
from egostream.view.server import show
from egostream.view.settings import ViewSettings


def view_page(settings: ViewSettings, opens: bool) -> None:
    """Serve the page until Ctrl-C. opens: in the browser, too. Raises EgostreamError where the port cannot be had."""
    stopped: list[bool] = []

    def say(url: str) -> None:
        typer.echo(f"{url}. Ctrl-C ends it")
        if opens:
            threading.Thread(target=webbrowser.open, args=(url.split()[-1],), daemon=True).start()

    with stop_signals(lambda: stopped.append(True)):
        asyncio.run(show(settings, lambda: bool(stopped), say))
