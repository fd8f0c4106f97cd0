"""The server of the explorer: one process, one port, ended by Ctrl-C."""

from __future__ import annotations

import errno
import logging
import socket
import webbrowser
from collections.abc import Callable
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from ..ground import arguments
from ..ground.errors import InvalidParameterError, ResourceError
from ..ground.extras import extra
from .dashboard import NEEDED_BY, Explorer
from .fields import State
from .pages import PAGES
from .work import solved

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["serve"]

LARGEST_PORT = 65_535


def serve(
    *,
    host: str = "127.0.0.1",
    port: int = 5006,
    browser: bool = True,
    started: Callable[[str], None] | None = None,
) -> None:
    """Serve the explorer until Ctrl-C.

    Parameters
    ----------
    host
        Address to listen on. "127.0.0.1" is this machine alone; whoever reaches another one can make it compute.
    port
        Port to listen on; 0 for any that is free.
    browser
        Whether to open a window.
    started
        Called with the address once it can be opened.

    Raises
    ------
    MissingExtraError
        Without Bokeh: ``pip install 'hmm_rs[explore]'``.
    InvalidParameterError
        If the host or the port is no address of this machine.
    ResourceError
        If the port is in use.
    KeyboardInterrupt
        On Ctrl-C.
    """
    server_module = extra("bokeh.server.server", of="explore", needed_by=NEEDED_BY)
    port = arguments.count("port", port, minimum=0, maximum=LARGEST_PORT) or _free_port(host)
    browser = arguments.flag("browser", browser)
    with _quiet():
        try:
            server = server_module.Server(
                {"/": Explorer},
                address=host,
                port=port,
                allow_websocket_origin=[f"{name}:{port}" for name in _names(host)],
            )
        except OSError as error:
            raise _refused(error, host, port) from None
        shown = "127.0.0.1" if host in ("0.0.0.0", "") else host
        address = f"http://[{shown}]:{port}/" if ":" in shown else f"http://{shown}:{port}/"
        try:
            # Answers to the first slider must not wait for scipy and xarray to load.
            for page in PAGES:
                solved(State(page, page.defaults()))
            server.start()
            if started is not None:
                started(address)
            if browser:
                server.io_loop.add_callback(webbrowser.open, address)
            server.io_loop.start()
        finally:
            server.unlisten()
            server.stop()


def _free_port(host: str) -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as tried:
        try:
            tried.bind((host, 0))
        except OSError as error:
            raise _refused(error, host, 0) from None
        return int(tried.getsockname()[1])


def _names(host: str) -> list[str]:
    """Return the names under which pages of ours may ask for data: no page of somebody else's may."""
    names = {host, "localhost", "127.0.0.1"}
    if host in ("0.0.0.0", "::", ""):
        here = socket.gethostname()
        names |= {here, socket.getfqdn()}
        with suppress(OSError):
            names |= {str(found[4][0]) for found in socket.getaddrinfo(here, None)}
    return sorted(name for name in names if name)


def _refused(error: OSError, host: str, port: int) -> Exception:
    """Return what is wrong with an address, in our words."""
    if error.errno == errno.EADDRINUSE:
        return ResourceError(
            f"port = {port}: is in use; pass --port with another one, or 0 for any that is free"
        )
    if error.errno == errno.EACCES:
        return InvalidParameterError(f"port = {port}: needs the rights of the system; pass one from 1024 on")
    return InvalidParameterError(
        f"host = {arguments.shown(host)}: is no address of this machine ({error.strerror}); pass 127.0.0.1"
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the log of the server to what is wrong."""
    loggers = [logging.getLogger(name) for name in ("bokeh", "tornado")]
    before = [each.level for each in loggers]
    for each in loggers:
        each.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for each, level in zip(loggers, before, strict=True):
            each.setLevel(level)
