"""Contenders that are a page of Python; each runs as `python -m benchmarks.servers.NAME PLACE`, with a JSON text."""

from __future__ import annotations

import sys

from pydantic import TypeAdapter

from benchmarks.contender import Place


def place() -> Place:
    """Return what the first argument of the command line says."""
    return TypeAdapter(Place).validate_json(sys.argv[1])
