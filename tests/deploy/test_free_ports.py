"""A port that a firewall's rule takes away is given to nobody. Tried in a network namespace of its own."""

import subprocess
import sys

import pytest

from tests.deploy.containers import REPOSITORY, forget_dead_rules, why_not

LEFT_BEHIND = """
set -e
ip link set lo up
echo 40000 40199 > /proc/sys/net/ipv4/ip_local_port_range
iptables -t nat -N NETAVARK-HOSTPORT-DNAT
iptables -t nat -A OUTPUT -d 127.0.0.1 -j NETAVARK-HOSTPORT-DNAT
iptables -t nat -A NETAVARK-HOSTPORT-DNAT -p tcp --dport 40000:40149 \
  -m comment --comment "dnat name: m365-deploy-none_default id: 1" -j DNAT --to-destination 127.0.0.1:9
"""


def in_own_network(script: str) -> str:
    command = ["unshare", "--net", "bash", "-c", LEFT_BEHIND + script]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout


@pytest.fixture(autouse=True)
def tools() -> None:
    if reason := why_not():
        pytest.skip(reason)


def test_redirected_ports_are_passed_over() -> None:
    """Of 200 ports the firewall sends 150 to nowhere; every port handed out is one of the other 50."""
    program = "from m365_simulator.run import bind_free_port as bind"
    program += "; print(*[bind('127.0.0.1').getsockname()[1] for _ in range(20)])"
    ports = [int(port) for port in in_own_network(f'{sys.executable} -c "{program}"').split()]

    assert len(ports) == 20
    assert min(ports) >= 40150


def test_rules_of_a_dead_engine_are_removed() -> None:
    """An engine that starts removes the rules of engines whose monitors no longer run."""
    program = f"from {forget_dead_rules.__module__} import forget_dead_rules as forget; forget()"
    rules = in_own_network(f'{sys.executable} -c "{program}"; iptables -t nat -S NETAVARK-HOSTPORT-DNAT')

    assert rules == "-N NETAVARK-HOSTPORT-DNAT\n"
