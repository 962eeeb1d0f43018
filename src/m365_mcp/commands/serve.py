"""`m365-mcp serve`: one process, or a supervisor with several workers.

Nothing of FastMCP is imported with this module: where workers share their metrics, that must be said before.
"""

from __future__ import annotations

import shutil
import socket
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from m365_mcp import logs, settings
from m365_mcp.commands.error_messages import errors_as_messages
from m365_mcp.commands.running import importing
from m365_mcp.errors import SettingsMistake
from m365_mcp.settings import Settings

_log = logs.get(__name__)


def serve_alone(chosen: Settings, listener: socket.socket | None) -> None:
    """Serve from this process until SIGTERM or Ctrl-C; on `listener`, if there is one. Raises SettingsMistake."""
    with importing():
        from m365_mcp.app import assemble
        from m365_mcp.container import build_container
        from m365_mcp.web.serving import configure, run

    _configure_logs(chosen)  # after the import: FastMCP brings a handler of its own
    _start_traces(chosen)
    container = build_container(chosen)
    _say_that_it_starts(chosen)
    config = configure(assemble(container), host=chosen.mcp_host, port=chosen.mcp_port, public_path=chosen.public_path)
    run(config, container.readiness, delay=chosen.mcp_shutdown_delay_seconds, listener=listener)


def serve_with_workers(chosen: Settings, listener: socket.socket | None) -> int:
    """Serve from several processes until SIGTERM or Ctrl-C; on `listener`, if there is one.

    Everything that one process would find wrong is found here, once, before there is a worker.

    Returns:
        The exit code.

    Raises:
        SettingsMistake: the settings are not valid, or not for several workers.
    """
    metrics = _folder_of_metrics() if chosen.mcp_metrics_port else None
    try:
        if metrics is not None:
            settings.share_metrics(metrics)
        return _supervise(chosen, listener, metrics)
    finally:
        if metrics is not None:
            shutil.rmtree(metrics, ignore_errors=True)


def _folder_of_metrics() -> Path:
    try:
        return Path(tempfile.mkdtemp(prefix="m365-mcp-metrics-"))
    except OSError:
        mistake = "must name a folder that can be written to; workers share their metrics there. Or MCP_METRICS_PORT=0"
        raise SettingsMistake((("TMPDIR", mistake),)) from None


def _supervise(chosen: Settings, listener: socket.socket | None, metrics: Path | None) -> int:
    with importing():
        import m365_mcp.app  # noqa: F401 - once, for all workers
        from m365_mcp.container import build_container
        from m365_mcp.storage.opening import shared_url
        from m365_mcp.web.listening import listen
        from m365_mcp.web.supervisor import Supervisor

    _configure_logs(chosen)
    chosen = chosen.model_copy(update={"redis_url": shared_url(chosen)})
    build_container(chosen)  # to find what is wrong; each worker builds its own
    listeners = listen(chosen.mcp_host, chosen.mcp_port) if listener is None else [listener]
    _say_that_it_starts(chosen)
    worker = Worker(chosen, metrics)
    delay, on_end = chosen.mcp_shutdown_delay_seconds, partial(_drop_gauges, metrics)
    return Supervisor(listeners, chosen.mcp_workers, worker.run, delay=delay, on_end=on_end).run()


def _configure_logs(chosen: Settings, worker: int | None = None) -> None:
    logs.configure(chosen.mcp_log_level, chosen.mcp_log_format, worker=worker, may_colour=settings.wants_colour())
    logs.catch_uncaught()


def _start_traces(chosen: Settings) -> None:
    """Export spans, if the environment names a collector; in each process of its own, because it starts a thread."""
    if not settings.wants_traces():
        return
    from m365_mcp import tracing
    from m365_mcp.storage.encryption import derive
    from m365_mcp.tools import TOOLSETS, name_of, tools_for

    try:
        names = frozenset(name_of(tool) for tool in tools_for(tuple(TOOLSETS), may_ask=True))
        tracing.start(derive(chosen.signing_secrets[0], "traces"), names)
    except ImportError:
        _log.warning(
            "traces_not_exported", advice="install m365-mcp-server[otel], or unset OTEL_EXPORTER_OTLP_ENDPOINT"
        )


def _say_that_it_starts(chosen: Settings) -> None:
    endpoint, workers = f"{chosen.mcp_server_base_url}/mcp", chosen.mcp_workers
    _log.info("starting", endpoint=endpoint, port=chosen.mcp_port, **({} if workers == 1 else {"workers": workers}))


def _drop_gauges(metrics: Path | None, pid: int) -> None:
    """Forget the gauges of a worker that has ended; what it counted stays."""
    from prometheus_client.multiprocess import mark_process_dead

    if metrics is not None:
        mark_process_dead(pid, str(metrics))  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class Worker:
    """What a forked process becomes.

    Attributes:
        settings: the operator's choices, checked.
        metrics: folder in which the workers share their metrics.
    """

    settings: Settings
    metrics: Path | None

    def run(self, number: int, channel: socket.socket, on_close: Callable[[], None]) -> None:
        """Serve the connections that come through `channel`, until it ends; ends the process where it cannot start.

        Args:
            number: of the worker; the first serves `/metrics` for all.
            channel: to the supervisor.
            on_close: is called when a connection has ended.
        """
        from m365_mcp.app import assemble
        from m365_mcp.container import build_container
        from m365_mcp.metrics import Metrics
        from m365_mcp.web.serving import configure
        from m365_mcp.web.worker import WorkerServer

        chosen = self.settings if number == 0 else self.settings.model_copy(update={"mcp_metrics_port": 0})
        with errors_as_messages():
            _configure_logs(chosen, number)
            _start_traces(chosen)
            container = build_container(chosen, metrics=Metrics(self.metrics))
            application, public_path = assemble(container), chosen.public_path
            config = configure(application, host=chosen.mcp_host, port=chosen.mcp_port, public_path=public_path)
            WorkerServer(config, container.readiness, channel, on_close).serve_handed()
