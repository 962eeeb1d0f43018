"""Reads form bodies (`application/x-www-form-urlencoded`), the only kind that Entra takes."""

from collections.abc import Mapping
from urllib.parse import parse_qsl

from starlette.requests import Request

from m365_simulator.entra.problems import EntraError

Form = Mapping[str, str]
KIND = "application/x-www-form-urlencoded"


async def read_form(request: Request) -> Form:
    """Return the fields, none for a body of another kind; EntraError for a repeated one (RFC 6749 section 3.2)."""
    if request.headers.get("content-type", "").partition(";")[0].strip().casefold() != KIND:
        return {}
    pairs = parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True)
    form = dict(pairs)
    if len(form) != len(pairs):
        raise EntraError(9002313, "Invalid request. Request is malformed or invalid: a parameter is repeated.")
    return form
