"""Reads a JSON request body: an object, in whole characters, or Graph's refusal."""

import json
from typing import Any

from m365_simulator.graph.problems import GraphError

Json = dict[str, Any]


def read_object(body: bytes) -> Json:
    """Return the object in the body; GraphError 400 for anything else."""
    try:
        value = json.loads(body)
        json.dumps(value, ensure_ascii=False).encode()  # half of a surrogate pair is no text
    except ValueError:
        raise GraphError(
            400, "BadRequest", "Unable to read JSON request payload. The payload is not valid JSON."
        ) from None
    if not isinstance(value, dict):
        raise GraphError(400, "BadRequest", "Unable to read JSON request payload. An object is expected.")
    return value


def read_parameters(body: bytes, *known: str) -> Json:
    """Return the parameters of an action by name, first letter in lower case; an empty body has none."""
    parameters = {key[:1].lower() + key[1:]: value for key, value in (read_object(body) if body else {}).items()}
    for key in parameters.keys() - set(known):
        raise GraphError(
            400, "RequestBodyRead", f"The parameter '{key}' in the request payload is not a valid parameter."
        )
    return parameters
