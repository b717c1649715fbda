"""The command `serve`."""

from __future__ import annotations

import errno
import os
import signal
import socket
from pathlib import Path
from types import FrameType

import click

from ..data.datasets import Split
from ..data.idx import IdxError
from ..runs.folder import Run
from ..training.interrupt import handling
from ._options import backend_option, labels_option, load_data, load_named, run_argument, whole_number
from ._streams import say


@click.command(short_help="Draw digits in the browser, and watch the model recognise them.")
@run_argument
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Where to listen.")
@click.option(
    "--port",
    callback=whole_number(0, 65535),
    default="8000",
    show_default=True,
    metavar="N",
    help="The port; 0 picks a free one.",
)
@backend_option
@labels_option("those of the run")
def serve(run: Path | None, host: str, port: int, backend: str, labels: list[str] | None) -> None:
    """Draw digits in the browser, and watch the model recognise them.

    RUN is the folder of a run, by default the newest one under ./runs. The page works with mouse, pen, finger and
    keyboard, accepts pictures too, and needs no network. Only this computer can reach it, unless --host names an
    address that others can reach. Ctrl-C ends it.

    \b
    Examples:
      stackgrad-mnist serve
      stackgrad-mnist serve runs/course --port 8080
      stackgrad-mnist serve --host 0.0.0.0   for your phone on the same network
    """
    # Imported here, since the other commands do not need them.
    import uvicorn

    from ..page.connections import MOST_CONNECTIONS, Connection
    from ..page.server import make_app

    found, names = load_named(run, backend, labels)
    with _listening(host, port) as listener:
        app = make_app(found, names, _examples(found), {host})
        config = uvicorn.Config(
            app,
            access_log=False,
            lifespan="off",
            http=Connection,
            limit_concurrency=MOST_CONNECTIONS,
            log_level="error",
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=2,
            use_colors=False,
            ws="none",
        )
        server = uvicorn.Server(config)

        def end(signum: int, frame: FrameType | None) -> None:
            server.should_exit = True

        # Until uvicorn has its own handlers, and when it raises the signals that it caught again, after the shutdown.
        with handling(end, signal.SIGINT, signal.SIGTERM):
            say(f"{click.format_filename(found.folder)}: {found.summary['model']}, backend {backend}")
            say(f"http://{_shown(host)}:{listener.getsockname()[1]}/ (Ctrl-C ends it)")
            server.run([listener])


def _shown(host: str) -> str:
    """The host in the address that a browser on this computer opens."""
    if host in ("0.0.0.0", "::"):  # all addresses of this computer
        return "localhost"
    return f"[{host}]" if ":" in host else host


def _examples(run: Run) -> Split | None:
    """The test images of the data that the run was trained on, or None if they no longer exist."""
    arguments = run.summary["arguments"]
    data = arguments.get("data") and Path(arguments["data"])
    try:
        return load_data(data, arguments.get("emnist"), None).test
    except IdxError:
        return None


def _listening(host: str, port: int) -> socket.socket:
    """A socket that listens on `host` and `port`."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except (OSError, UnicodeError) as error:
        raise click.BadParameter(f"{host!r} is not an address of this computer", param_hint="'--host'") from error
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":  # on Windows, this would let two servers share a port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRNOTAVAIL:
            raise click.BadParameter(f"{host!r} is not an address of this computer", param_hint="'--host'") from error
        if error.errno == errno.EADDRINUSE:
            raise OSError(f"port {port} is in use: name another with --port") from error
        raise OSError(f"port {port}: {error.strerror}") from error
    return listener
