"""Measures the contenders named on the command line, or all: `python -m benchmarks [NAME…]`."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from benchmarks.bench import Timing, running_bench
from benchmarks.contenders import ALL
from benchmarks.processes import choose_cores, resident_bytes
from benchmarks.requests import requests_of
from benchmarks.sign_ins import add_people, graph_tokens, sign_in_all

ROWS = (("profile", 32, False), ("list", 32, False), ("send", 16, True), ("send", 1, True))


def main() -> None:
    """Measure and print."""
    console = Console(width=160)
    names = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder, running_bench(Path(folder), choose_cores()) as bench:
        people = add_people(bench.simulator, 100)
        bench.graph_token = asyncio.run(graph_tokens(bench.simulator, people[:1]))[0].access
        for contender in ALL:
            if names and contender.name not in names:
                continue
            place = bench.place(contender)
            with bench.running(contender, place) as replicas:
                url = place.public_url
                tokens = asyncio.run(sign_in_all(url, place.ca_file, people)) if contender.sign_in == "oauth" else []
                for row, callers, fixed in ROWS:
                    if row in contender.calls:
                        call = contender.calls[row]
                        source = requests_of(contender, call, tokens, contender.revision, f"{url}/mcp", fixed=fixed)
                        found = bench.load(replicas, callers, source, Timing(), len(tokens))
                        console.print(
                            f"{contender.name:12} {row:8} {callers:3} {found.rate:6.0f}/s"
                            f"  p50 {found.p50 * 1e3:6.1f} ms"
                            f"  p99 {found.p99 * 1e3:6.1f} ms"
                            f"  processor {found.processor * 1e3:5.2f} ms  {found.errors}"
                        )
                console.print(f"{contender.name:12} memory {resident_bytes(replicas[0].pid) / 2**20:.0f} MiB")


if __name__ == "__main__":
    main()
