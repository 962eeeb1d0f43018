"""What a policy is about, read from Cedar's JSON policy format (https://docs.cedarpolicy.com/policies/json-format.html).

Unlike the text of a policy, the JSON shows a name in one spelling, and no comment or annotation looks like one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def may_concern(policy: Mapping[str, Any], action: str) -> bool:
    """Return whether the scope of a policy covers an action; its conditions may still exclude it."""
    scope = policy["action"]
    if scope["op"] == "All":
        return True
    entities = scope.get("entities") or [scope["entity"]]
    return any(entity["id"] == action for entity in entities)


def attributes_of(policy: Mapping[str, Any]) -> frozenset[str]:
    """Return the names of all attributes that the conditions of a policy read, or ask for with `has`."""
    return frozenset(
        str(node["attr"]) for node in _nodes(policy["conditions"]) if isinstance(node, Mapping) and "attr" in node
    )


def tested_attributes_of(policy: Mapping[str, Any]) -> frozenset[str]:
    """Return the names that the conditions of a policy ask for with `has`."""
    nodes = (node for node in _nodes(policy["conditions"]) if isinstance(node, Mapping))
    return frozenset(str(node["has"]["attr"]) for node in nodes if isinstance(node.get("has"), Mapping))


def entities_of(policy: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
    """Return type and id of all entities that a policy names, in its scope and in its conditions."""
    parts = [policy["principal"], policy["action"], policy["resource"], policy["conditions"]]
    named = ((node.get("type"), node.get("id")) for node in _nodes(parts) if isinstance(node, Mapping))
    return frozenset((kind, id_) for kind, id_ in named if isinstance(kind, str) and isinstance(id_, str))


def entity_types_of(policy: Mapping[str, Any]) -> frozenset[str]:
    """Return the types of all entities that a policy names, in its scope and in its conditions."""
    return frozenset(kind for kind, _ in entities_of(policy))


def _nodes(value: Any) -> Iterator[Any]:
    """Iterate over a value of JSON and all values in it."""
    waiting = [value]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += node.values() if isinstance(node, Mapping) else node if isinstance(node, list) else ()
