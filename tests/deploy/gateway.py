"""The part of the Gateway API's HTTPRoute (v1) that the overlay uses, as the schema of its CRD has it."""

from __future__ import annotations

import jsonschema

from tests.deploy.tools import Document

NAME = {"type": "string", "pattern": r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "maxLength": 253}
# GEP-2257: a subset of Go's durations.
DURATION = {"type": "string", "pattern": r"^([0-9]{1,5}(h|m|s|ms)){1,4}$"}
PORT = {"type": "integer", "minimum": 1, "maximum": 65535}
HOST = {"type": "string", "pattern": r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"}


def _object(required: tuple[str, ...] = (), **properties: object) -> dict[str, object]:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def _list(items: object, most: int, least: int = 0) -> dict[str, object]:
    return {"type": "array", "items": items, "minItems": least, "maxItems": most}


PATH = _object(
    ("type", "value"),
    type={"enum": ["Exact", "PathPrefix"]},
    value={"type": "string", "pattern": r"^/(?!.*//)(?!.*/\.{1,2}(/|$))[^#]*$", "maxLength": 1024},
)
RULE = _object(
    ("backendRefs",),
    name=NAME,
    matches=_list(_object(path=PATH), 64),
    timeouts=_object(request=DURATION, backendRequest=DURATION),
    backendRefs=_list(_object(("name", "port"), name=NAME, namespace=NAME, port=PORT, weight={"type": "integer"}), 16),
)
ROUTE = _object(
    ("apiVersion", "kind", "metadata", "spec"),
    apiVersion={"const": "gateway.networking.k8s.io/v1"},
    kind={"const": "HTTPRoute"},
    metadata=_object(
        ("name", "namespace"),
        name=NAME,
        namespace=NAME,
        labels={"type": "object", "additionalProperties": {"type": "string"}},
    ),
    spec=_object(
        ("parentRefs", "rules"),
        parentRefs=_list(_object(("name",), name=NAME, namespace=NAME, sectionName=NAME, port=PORT), 32, 1),
        hostnames=_list(HOST, 16, 1),
        rules=_list(RULE, 16, 1),
    ),
)


def mistakes_of_route(route: Document) -> list[str]:
    """Return what the schema refuses; a retry is refused too, since a send must not be repeated."""
    validator = jsonschema.Draft202012Validator(ROUTE)
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(route)]
