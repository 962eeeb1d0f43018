#!/usr/bin/env -S python -S
"""Asks the program in this container how it is: `probe /livez`, or `probe / 8444` for another port than MCP_PORT.

Exit code 0 when the answer is 200; else 1. Knows nothing but the standard library, so that it costs little.
"""

import http.client
import os
import sys

path, port = sys.argv[1], int(sys.argv[2] if len(sys.argv) > 2 else os.environ.get("MCP_PORT") or 8000)  # noqa: TID251
connection = http.client.HTTPConnection("127.0.0.1", port, timeout=4)
try:
    connection.request("GET", path)
    status = connection.getresponse().status
except (OSError, http.client.HTTPException) as problem:
    sys.exit(f"{path} on port {port}: {problem}")
sys.exit(0 if status == 200 else f"{path} on port {port}: {status}")
