"""The command line: serve, demo, call, doctor, settings, policy, sessions and other commands of operators."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from rich.console import Console

import m365_mcp
from m365_mcp.commands.call_command import app as call
from m365_mcp.commands.doctor_command import doctor
from m365_mcp.commands.error_messages import errors_as_messages
from m365_mcp.commands.people import contacts, passkeys
from m365_mcp.commands.running import importing
from m365_mcp.commands.session_commands import sessions
from m365_mcp.commands.settings_command import show_settings

app = App(
    name="m365-mcp",
    help="An MCP server that sends mail as the signed-in person, through Microsoft Graph.",
    version=lambda: m365_mcp.__version__,
    help_format="markdown",
)
app.command(doctor)
app.command(call)
app.command(show_settings, name="settings")
app.command(sessions)
app.command(contacts)
policy = App(name="policy", help="See the policies about what may leave.")
app.command(policy)
app.command(passkeys)
audit = App(name="audit", help="Verify the audit trail.")
app.command(audit)


@app.command
def serve(*, workers: int | None = None, listen_fd: Annotated[int | None, Parameter(show=False)] = None) -> None:
    """Start the server with the settings from the environment and `.env`.

    Example: `AZURE_CLIENT_ID=… AZURE_CLIENT_SECRET=… AZURE_TENANT_ID=… m365-mcp serve`

    Example: `cp .env.example .env`, fill in the two ids and the secret, then `m365-mcp serve`

    Example: `m365-mcp serve --workers 2` serves one port from two processes, with a Redis

    Args:
        workers: processes that serve the port, in place of `MCP_WORKERS`.
        listen_fd: an inherited socket that listens already, as the demo hands it over; else the port is bound.
    """
    with importing():
        import socket

        from m365_mcp import settings

        overrides = {} if workers is None else {"mcp_workers": workers}
        chosen = settings.load(**overrides)  # first: FastMCP reads some of the same variables while it is imported
        settings.skip_type_checks()
        from m365_mcp.commands import serve as commands

    listener = None if listen_fd is None else socket.socket(fileno=listen_fd)
    if chosen.mcp_workers == 1:
        commands.serve_alone(chosen, listener)
    else:
        sys.exit(commands.serve_with_workers(chosen, listener))


@app.command
def demo(
    *,
    once: Annotated[bool, Parameter(negative=())] = False,
    port: int = 8000,
    verbose: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Sign in and send a mail against the simulator, step by step; needs no tenant and no Redis.

    It has every toolset; `M365_TOOLSETS` and other `M365_` variables of the environment change that.

    Example: `m365-mcp demo` keeps running afterwards, so that you can connect your own MCP client

    Example: `m365-mcp demo --once` ends after the mail

    Args:
        once: end after the mail instead of running on.
        port: port of the server; when it is in use, another free port is used.
        verbose: where something fails, show the traceback and the logs, too.
    """
    import asyncio

    from m365_mcp import settings

    settings.ignore_dotenv()
    from m365_mcp.commands.demo.run import run_demo

    _require_simulator()
    sys.exit(asyncio.run(run_demo(Console(), once=once, port=port, verbose=verbose)))


@policy.command(name="check")
def check_policies() -> None:
    """Read the settings and `M365_POLICY_FILE` as the server does, and print the policies or the mistake.

    Example: `M365_POLICY_FILE=policies.cedar m365-mcp policy check`
    """
    from m365_mcp import settings

    chosen = settings.load()
    from m365_mcp.commands.policy import check

    check(chosen, Console())


@policy.command(name="explain")
def explain_policies(
    file: Path,
    *,
    person: str | None = None,
    client: str | None = None,
    group: tuple[str, ...] = (),
    role: tuple[str, ...] = (),
) -> None:
    """Print what the policies decide of one message, by which rule and why, and what they were told of it.

    Example: `m365-mcp policy explain message.yaml --person ada@contoso.example --role Mail.External`

    Args:
        file: the message, in YAML or JSON; docs/policy.md says how it is written.
        person: address of the person who sends, in place of what the file says.
        client: client id of the MCP client, in place of what the file says.
        group: a group of the person, as `<tenant id>:<object id>`; several times for several groups.
        role: an app role of the person; several times for several roles.
    """
    from m365_mcp import settings

    chosen = settings.load()
    from m365_mcp.commands.policy import explain

    explain(chosen, Console(), file, person=person, client=client, groups=group, roles=role)


@policy.command(name="test")
def decide_cases(file: Path | None = None) -> None:
    """Decide the cases of a file, and print which are not decided as expected.

    Example: `m365-mcp policy test cases.yaml` (exit code 0 when every case is met, 1 when one is not)

    Args:
        file: the cases, in YAML or JSON. Left out: the file beside `M365_POLICY_FILE` whose name ends in .cases.yaml.
    """
    from m365_mcp import settings

    chosen = settings.load()
    from m365_mcp.commands.policy import decide_cases as decide

    sys.exit(decide(chosen, Console(), file))


@policy.command(name="replay")
def replay_policies(
    *files: Path,
    policy_file: Annotated[Path, Parameter(name="--policy")],
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> None:
    """Print what other policies would have decided on the decisions of the audit trail.

    Example: `m365-mcp policy replay --policy new.cedar audit-*.ndjson` (exit code 1 when a line is no record)

    Args:
        files: files of the audit trail, of all replicas.
        policy_file: the policies that decide, together with those of the settings.
        as_json: print one JSON object a line: each change, each line that is no record, and the numbers last.
    """
    from m365_mcp import settings

    chosen = settings.load()
    from m365_mcp.commands.policy_replay import replay

    sys.exit(replay(chosen, Console(), policy_file, files, as_json=as_json))


@audit.command(name="verify")
def verify_audit(
    *files: Path,
    public_key: Path | None = None,
    require_tip: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Find records of the audit trail that were changed, removed, moved or cut off.

    Exit code 0: nothing is wrong. 1: something is. 3: nothing is, but a chain has no tip that the key has signed.

    Example: `m365-mcp audit verify audit-1.ndjson audit-2.ndjson --public-key audit.pub.pem`

    Args:
        files: files of the audit trail, of all replicas, the oldest first.
        public_key: PEM file with the public half of the key in M365_AUDIT_KEY_FILE.
        require_tip: count a chain without a tip that the key has signed as a problem.
    """
    from m365_mcp.commands.audit import verify

    sys.exit(verify(files, public_key, Console(), require_tip=require_tip))


@app.command
def simulator(
    *,
    host: str = "127.0.0.1",
    port: int = 8443,
    control_port: int = 8444,
    redirect_uri: tuple[str, ...] = ("http://localhost:8000/auth/callback",),
    state_dir: Path | None = None,
    ready_file: Path | None = None,
) -> None:
    """Start the simulator of Entra ID and Microsoft Graph, with a page that shows the mailboxes.

    Example: `m365-mcp simulator`, then open http://127.0.0.1:8444/

    Args:
        host: address to listen on. Use another address than loopback only inside a container, because anyone who
            reaches the ports can read and change everything.
        port: HTTPS port of Entra ID and Graph; 0: a free port.
        control_port: HTTP port of the mailbox page and the control plane; 0: a free port.
        redirect_uri: redirect URIs of the simulated app registration.
        state_dir: folder of the certificate; a temporary folder when left out.
        ready_file: file to write when both ports listen, with addresses, ids and the CA file, as JSON.
    """
    _require_simulator()
    import asyncio

    from m365_simulator.run import Options
    from m365_simulator.run import serve as serve_simulator

    options = Options(
        host=host,
        port=port,
        control_port=control_port,
        redirect_uris=redirect_uri,
        state_dir=state_dir,
        ready_file=ready_file,
    )
    asyncio.run(serve_simulator(options))


@app.command
def version() -> None:
    """Print the version.

    Example: `m365-mcp version`
    """
    Console().print(m365_mcp.__version__, highlight=False)


def main() -> None:
    """Run the command line."""
    with errors_as_messages():
        app()


def _require_simulator() -> None:
    """End with exit code 2 and one sentence where the extra `demo` is not installed."""
    if find_spec("m365_simulator") is not None:
        return
    sentence = "The simulator is not installed: pip install 'm365-mcp-server[demo]' (in a checkout: make demo)."
    Console(stderr=True).print(sentence, style="red", markup=False, highlight=False, soft_wrap=True)
    sys.exit(2)
