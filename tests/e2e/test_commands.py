"""The commands as a person starts them: the demo, bad settings, a clean stop."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest
from fastmcp import Client
from fastmcp.client.transports import StdioTransport

from m365_mcp.settings import foreign_environment
from tests.e2e.person import text_of
from tests.e2e.preloaded import run_preloaded
from tests.e2e.programs import PATIENCE_SECONDS, Program, Simulator, free_port, listens, make_server
from tests.ids import VARIABLES
from tests.trust import NO_AUTHORITY

pytestmark = pytest.mark.full

PRESS = "11111111-2222-4333-8444-555555555555:11111111-aaaa-4000-8000-000000000001"

M365_MCP = [sys.executable, "-m", "m365_mcp"]


def environment_with(**environment: str) -> dict[str, str]:
    """Return what a command finds: none of our settings but the given ones."""
    return {**foreign_environment(), "COLUMNS": "160", **environment}


def run(*arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end, in a process that is forked."""
    return run_preloaded(*arguments, folder=folder, environment=environment_with(**environment))


def run_by_hand(*arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end, as a person does."""
    return subprocess.run(
        [*M365_MCP, *arguments],
        cwd=folder,
        env=environment_with(**environment),
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE_SECONDS,
        check=False,
    )


def children_of(parent: int) -> list[int]:
    """Return the ids of a process's children."""
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(parent)], capture_output=True, text=True, check=False)
    return [int(word) for word in found.stdout.split()]


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.full
def test_two_demos_at_once_walk_through_ten_steps_each_and_end(tmp_path: Path) -> None:
    """`m365-mcp demo --once` shows every step and the mail, and exits 0; a second one takes another port."""
    port = str(free_port())
    with ThreadPoolExecutor() as pool:
        starts = [
            pool.submit(
                run_by_hand, "demo", "--once", "--port", port, folder=tmp_path, REDIS_URL="redis://nowhere.invalid"
            )
            for _ in range(2)
        ]
        both = [start.result() for start in starts]

    ports = []
    for ran in both:
        assert ran.returncode == 0, ran.stdout + ran.stderr
        steps = re.findall(r"^ *(\d+(?:-\d+)?) \w", ran.stdout, re.MULTILINE)
        assert steps == ["1", "2", "3", "4", "5", "6-7", "8", "9", "10"]
        assert "get_my_profile → Ada Lovelace <ada@contoso.example>" in ran.stdout
        assert "Meeting notes ✉ 會議記錄" in ran.stdout
        assert "Grace Hopper <grace@contoso.example>" in ran.stdout
        ports += re.findall(r"POST http://localhost:(\d+)/mcp", ran.stdout)[-1:]
    assert port in ports
    assert len(set(ports)) == 2


UTF_16, LATIN_1 = "MCP_PORT=8100\r\n".encode("utf-16"), "# Größe\n".encode("latin-1")


@pytest.mark.parametrize("content", [UTF_16, LATIN_1], ids=["UTF-16", "Latin-1"])
@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["serve"], 2),
        (["doctor"], 1),
        (["sessions", "list"], 2),
        (["sessions", "end", "--all"], 2),
        (["demo", "--help"], 0),
        (["version"], 0),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
@pytest.mark.sample(2)
def test_f8_command_names_the_coding_of_dotenv_or_does_not_read_it(
    tmp_path: Path, command: list[str], code: int, content: bytes
) -> None:
    """What needs settings says in a row what is wrong with the file; what needs none runs."""
    (tmp_path / ".env").write_bytes(content)

    ran = run_by_hand(*command, folder=tmp_path)

    said = " ".join((ran.stdout + ran.stderr).split())
    assert (ran.returncode, "Traceback" in said, "save it as UTF-8" in said) == (code, False, code > 0)


@pytest.mark.parametrize("content", [UTF_16, LATIN_1], ids=["UTF-16", "Latin-1"])
@pytest.mark.full
def test_f8_inspector_names_the_coding_of_dotenv(tmp_path: Path, content: bytes) -> None:
    """The Inspector shows what its server writes to standard error: the row, and no traceback."""
    (tmp_path / ".env").write_bytes(content)

    ran = subprocess.run(
        [sys.executable, "-m", "m365_mcp.commands.inspector"],
        cwd=tmp_path,
        env=environment_with(),
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=2 * PATIENCE_SECONDS,
        check=False,
    )

    assert (ran.returncode, ran.stdout, "save it as UTF-8" in ran.stderr) == (2, "", True)


@pytest.mark.full
def test_f8_demo_needs_no_dotenv_and_reads_none(tmp_path: Path) -> None:
    """It runs to its end beside the `.env` of something else, in whatever coding."""
    (tmp_path / ".env").write_bytes(UTF_16)

    ran = run_by_hand("demo", "--once", "--port", str(free_port()), folder=tmp_path)

    assert (ran.returncode, ran.stderr) == (0, "")
    assert "Meeting notes ✉ 會議記錄" in ran.stdout


@pytest.mark.full
def test_demo_stays_up_for_a_real_client_and_stops_cleanly(tmp_path: Path) -> None:
    """Without --once server and mailbox page stay up, with mails to read; Ctrl-C ends everything the demo started."""
    port = free_port()
    log = tmp_path / "demo.log"
    program = Program([*M365_MCP, "demo", "--port", str(port)], log, {"COLUMNS": "160"})
    program.start()
    program.wait_until(lambda: "&message=" in log.read_text())
    assert program.process is not None
    children = children_of(program.process.pid)
    page = re.search(r"(http://\S+&message=\S+)", log.read_text())
    assert page is not None

    assert httpx2.get(f"http://localhost:{port}/readyz", verify=NO_AUTHORITY, trust_env=False).status_code == 200
    mailbox = httpx2.get(page.group(1), verify=NO_AUTHORITY, trust_env=False)
    assert mailbox.status_code == 200
    subjects = re.findall(r'class="subject">([^<]+)<', mailbox.text)
    code = program.end(signal.SIGINT)

    assert code == 0
    assert subjects[:4] == ["RE: Room on Thursday?", "會議記錄", "The sum is right now", "The garden in November"]
    assert len(children) == 2
    assert not [child for child in children if is_running(child)]
    assert "Traceback" not in log.read_text()


def test_bad_settings_are_told_all_at_once(tmp_path: Path) -> None:
    """A server that cannot start names every variable, exits with 2 and shows no traceback."""
    ran = run("serve", folder=tmp_path, MCP_PORT="none", AZURE_TENANT_ID="common", REDIS_URL="x")

    assert ran.returncode == 2
    for name in ("AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_TENANT_ID", "MCP_PORT", "REDIS_URL"):
        assert name in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("command", ["serve", "demo", "doctor", "simulator", "version"])
def test_every_command_has_help_with_an_example(tmp_path: Path, command: str) -> None:
    """`--help` works without any settings and shows how to call the command."""
    ran = run(command, "--help", folder=tmp_path)

    assert ran.returncode == 0
    assert "Example" in ran.stdout


def test_version_is_printed(tmp_path: Path) -> None:
    """`m365-mcp version` prints the version and nothing else."""
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", run_by_hand("version", folder=tmp_path).stdout)


def test_doctor_finds_nothing_wrong_with_a_good_setup(simulator: Simulator, tmp_path: Path) -> None:
    """With everything in place the doctor exits 0."""
    ran = run("doctor", folder=tmp_path, **simulator.settings, MCP_DATA_DIR=str(tmp_path))

    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_doctor_says_what_is_in_force(simulator: Simulator, tmp_path: Path) -> None:
    """The level, the permissions, the policies with their digest, the domains, the limits and the audit trail."""
    policy = (
        f'@id("new") forbid(principal in Group::"{PRESS}", action, resource) when {{ resource.firstTimeCount > 9 }};'
    )
    (tmp_path / "p.cedar").write_text(policy)
    chosen = {
        "M365_SEND_LEVEL": "draft",
        "M365_TOOLSETS": "drafts",
        "M365_POLICY_FILE": "p.cedar",
        "M365_SEND_ALLOWED_DOMAINS": "none",
        "M365_SEND_HOURLY_LIMIT": "0",
        "M365_AUDIT": "stdout",
        "M365_AUDIT_REQUIRED": "true",
    }
    run_with = {**simulator.settings, **chosen, "MCP_DATA_DIR": str(tmp_path), "COLUMNS": "80"}

    ran = run("doctor", folder=tmp_path, **run_with)
    checked = run("policy", "check", folder=tmp_path, **run_with)
    plain = run("doctor", folder=tmp_path, **simulator.settings, MCP_DATA_DIR=str(tmp_path))

    shown = re.sub(r"[\s│]+", " ", ran.stdout)
    digest = re.findall(r"digest (\w{12})", checked.stdout)[0]
    assert ran.returncode == 0
    assert "M365_SEND_LEVEL draft: the tools leave drafts, and send nothing" in shown
    assert "Permissions User.Read, Mail.ReadWrite, GroupMember.Read.All" in shown
    assert f"6 policies: 5 of the settings, 1 of p.cedar; digest {digest}" in shown
    assert "M365_POLICY_CONTACT_DAYS whom each person has written to is kept for 180 days" in shown
    assert "M365_SEND_ALLOWED_DOMAINS none: no message leaves" in shown
    assert "M365_SEND_HOURLY_LIMIT no limit" in shown
    assert "M365_AUDIT to standard output; required before each send; not signed" in shown
    assert "M365_AUDIT_REQUIRED with M365_AUDIT=stdout only makes sure" in shown
    assert "off: nothing is recorded" in plain.stdout
    assert max(map(len, ran.stdout.splitlines())) <= 80
    assert re.search(r"M365_SEND_ALLOWED_DOMAINS +│ unset: every domain", plain.stdout)
    assert "nothing is kept" in plain.stdout
    assert re.search(r"3 policies: 3 of the settings, no file; digest \w{12}", plain.stdout)


def test_doctor_says_what_to_change(simulator: Simulator, tmp_path: Path) -> None:
    """A Redis that is away and a tenant that does not exist are both named, with the variable to change."""
    wrong = {
        "REDIS_URL": f"redis://127.0.0.1:{free_port()}/0",
        "AZURE_TENANT_ID": "00000000-aaaa-4bbb-8ccc-dddddddddddd",
    }

    ran = run("doctor", folder=tmp_path, **{**simulator.settings, **wrong})

    assert ran.returncode == 1
    assert "REDIS_URL" in ran.stdout
    assert "AZURE_TENANT_ID" in ran.stdout
    assert "Traceback" not in ran.stdout + ran.stderr


def test_taken_port_is_a_message_and_no_traceback(simulator: Simulator, tmp_path: Path) -> None:
    """Starting twice on one port says so."""
    server = make_server(tmp_path, simulator, REDIS_URL="memory://")
    server.start()
    second = run("serve", folder=tmp_path, **server.program.environment)
    server.program.end()

    assert second.returncode == 2
    assert "MCP_PORT" in second.stderr
    assert "already in use" in second.stderr
    assert "Traceback" not in second.stderr


@pytest.mark.parametrize("host", ["no-such-host.invalid", "203.0.113.9"])
def test_f9_host_of_another_machine_is_a_message_that_names_it(simulator: Simulator, tmp_path: Path, host: str) -> None:
    """The server does not start, and says which variable to change."""
    server = make_server(tmp_path, simulator, REDIS_URL="memory://", MCP_HOST=host)
    ran = run("serve", folder=tmp_path, **server.program.environment)

    assert ran.returncode == 2
    assert "MCP_HOST" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_taken_metrics_port_does_not_stop_the_server(simulator: Simulator, tmp_path: Path) -> None:
    """Two servers on one machine both start; the second logs that its metrics are off."""
    port = str(free_port())
    first = make_server(tmp_path, simulator, REDIS_URL="memory://", MCP_METRICS_PORT=port)
    first.start()
    second = make_server(tmp_path, simulator, REDIS_URL="memory://", MCP_METRICS_PORT=port)
    second.start()
    metrics = httpx2.get(f"http://127.0.0.1:{port}/metrics", verify=NO_AUTHORITY, trust_env=False).text
    second.program.end()
    first.program.end()

    assert "m365_mcp_tool_calls_total" in metrics
    assert "metrics_port_taken" in second.log


@pytest.mark.full
async def test_inspector_gets_the_server_over_stdio(tmp_path: Path) -> None:
    """`fastmcp dev inspector -m m365_mcp.commands.inspector` runs this: tools are listed; calling one says how."""
    ids = {**VARIABLES, "REDIS_URL": "memory://"}
    transport = StdioTransport(
        sys.executable, ["-m", "m365_mcp.commands.inspector"], env={**foreign_environment(), **ids}, cwd=str(tmp_path)
    )

    async with Client(transport) as client:
        names = [tool.name for tool in await client.list_tools()]
        result = await client.call_tool("get_my_profile", raise_on_error=False)

    assert names == ["send_mail", "get_my_profile"]
    assert text_of(result).startswith("sign_in_needed: This connection has no access token")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has all of 127.0.0.0/8 without setting it up")
@pytest.mark.full
def test_simulator_listens_where_it_is_told(tmp_path: Path) -> None:
    """`simulator --host` binds that address for both ports, and no other."""
    ready = tmp_path / "ready.json"
    options = ["--host", "127.0.0.2", "--port", "0", "--control-port", "0", "--ready-file", str(ready)]
    program = Program([*M365_MCP, "simulator", *options], tmp_path / "simulator.log")
    program.start()
    program.wait_until(ready.exists)
    told = json.loads(ready.read_text())
    ports = [int(told[name].rpartition(":")[2]) for name in ("authority", "control")]
    elsewhere = [listens(port, "127.0.0.3") for port in ports]  # other programs use the same ports of 127.0.0.1
    for port in ports:
        socket.create_connection(("127.0.0.2", port)).close()
    code = program.end()

    assert elsewhere == [False, False]
    assert code == 0


def test_policy_test_prints_a_table_and_fails_where_a_case_does(tmp_path: Path) -> None:
    """The cases beside the policies are decided as expected (0), one is not (1), or cannot be read (1, a sentence)."""
    (tmp_path / "p.cedar").write_text('@id("no-bcc") forbid(principal, action, resource) when { resource.hasBcc };')
    cases, chosen = tmp_path / "p.cases.yaml", {**VARIABLES, "M365_POLICY_FILE": "p.cedar", "COLUMNS": "80"}
    good = "cases: [{name: Blind copy, message: {bcc: [a@contoso.example]}, expect: denied, rule: no-bcc}]"

    cases.write_text(good)
    met = run("policy", "test", folder=tmp_path, **chosen)
    cases.write_text(good.replace("bcc: [a@", "cc: [a@"))
    failed = run("policy", "test", folder=tmp_path, **chosen)
    cases.write_text(good.replace("expect", "expected"))
    mistaken = run("policy", "test", folder=tmp_path, **chosen)
    none = run("policy", "test", folder=tmp_path, **VARIABLES)

    assert (met.returncode, failed.returncode, mistaken.returncode, none.returncode) == (0, 1, 1, 1)
    assert "1 cases, 0 failed" in met.stdout
    assert re.search(r"denied by no-bcc.*permitted.*FAILED", failed.stdout)
    assert "cases.1.expected: is not known" in " ".join(mistaken.stderr.split())
    assert "No file of cases is named." in none.stderr
    assert max(map(len, failed.stdout.splitlines())) <= 80


def test_policy_explain_prints_decision_rule_reason_and_advice(tmp_path: Path) -> None:
    """One message in JSON, with the person and the client of the command line, and what the policies were told."""
    policy = (
        '@id("out") @advice("Ask [Grace].") forbid(principal, action, resource) when { resource.externalCount > 0 } '
        f'unless {{ principal in Role::"Mail.External" || principal in Group::"{PRESS}" }};'
    )
    (tmp_path / "p.cedar").write_text(policy)
    (tmp_path / "m.json").write_text(json.dumps({"message": {"to": ["eve@fabrikam.example"]}}))
    chosen = {**VARIABLES, "M365_POLICY_FILE": "p.cedar"}

    outside = run("policy", "explain", "m.json", "--person", "ada@contoso.example", folder=tmp_path, **chosen)
    inside = run("policy", "explain", "m.json", "--person", "ada@fabrikam.example", folder=tmp_path, **chosen)
    member = run("policy", "explain", "m.json", "--group", PRESS, "--role", "Other", folder=tmp_path, **chosen)
    odd = run("policy", "explain", "m.json", "--group", "press", folder=tmp_path, **chosen)

    assert (outside.returncode, inside.returncode, member.returncode, odd.returncode) == (0, 0, 0, 1)
    assert re.search(r"Decision +│ denied", outside.stdout)
    assert re.search(r"Rule +│ out ", outside.stdout)
    assert "policy_denied: The policy 'out' of this organization does not allow this message." in outside.stdout
    assert "Ask [Grace]." in outside.stdout
    assert re.search(r"externalDomains +│ fabrikam.example", outside.stdout)
    assert re.search(r"Decision +│ permitted", inside.stdout)
    assert re.search(r"Decision +│ permitted", member.stdout)
    assert re.search(rf"principal: groups +│ {PRESS.partition(':')[2]}", member.stdout)
    assert re.search(r"principal: roles +│ Other", member.stdout)
    assert "groups.1: must be a tenant's id and an object id" in " ".join(odd.stderr.split())


def test_policy_check_prints_the_policies_or_the_mistake(tmp_path: Path) -> None:
    """Settings and file are read as the server reads them; a mistake is a sentence, exit code 2 and no traceback."""
    file = tmp_path / "policies.cedar"
    chosen = {**VARIABLES, "M365_POLICY_FILE": str(file), "M365_SEND_ALLOWED_DOMAINS": "contoso.example"}

    file.write_text(
        '@id("house") @advice("Ask first.") forbid(principal, action, resource) when { resource.hasBcc }'
        f' unless {{ principal in Group::"{PRESS}" }};'
    )
    good = run("policy", "check", folder=tmp_path, **chosen)
    file.write_text("permit(principal, action, resource);")
    bad = run("policy", "check", folder=tmp_path, **chosen)

    assert good.returncode == 0, good.stderr
    assert re.search(r"house\W+Ask first\.", good.stdout)
    assert "setting:M365_SEND_ALLOWED_DOMAINS" in good.stdout
    assert "1 groups named; sign-ins ask for the Graph permission GroupMember.Read.All" in good.stdout
    assert bad.returncode == 2
    assert "M365_POLICY_FILE" in bad.stdout + bad.stderr
    assert "everything that is not forbidden is permitted" in " ".join((bad.stdout + bad.stderr).split())
    assert "Traceback" not in bad.stderr


def test_h11_sessions_are_seen_and_ended_without_the_policies(tmp_path: Path) -> None:
    """H11: a file of policies that is away does not take the operator's way to end sessions away."""
    data = {"MCP_DATA_DIR": str(tmp_path), "REDIS_URL": "", "M365_POLICY_FILE": str(tmp_path / "away.cedar")}

    ended = run("sessions", "end", "--all", folder=tmp_path, **VARIABLES, **data)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert "0 sessions ended" in ended.stdout
