"""What schemas do not see: quantities, closed lists of words, and names, wherever they stand in an object."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from tests.deploy.tools import Document

# https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
UNITS: dict[str, Decimal | int] = {
    "": 1,
    "m": Decimal("0.001"),
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
}
QUANTITY = re.compile(r"^([0-9]+(?:\.[0-9]+)?)(m|k|M|G|Ki|Mi|Gi)?$")
NAME = re.compile(r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")
WORDS: dict[str, set[str]] = {
    "accessModes": {"ReadWriteOnce", "ReadWriteOncePod", "ReadWriteMany", "ReadOnlyMany"},
    "drop": {"ALL"},
    "fsGroupChangePolicy": {"Always", "OnRootMismatch"},
    "imagePullPolicy": {"Always", "IfNotPresent", "Never"},
    "medium": {"Memory"},
    "nodeTaintsPolicy": {"Honor", "Ignore"},
    "operator": {"In", "NotIn", "Exists", "DoesNotExist"},
    "pathType": {"Exact", "Prefix", "ImplementationSpecific"},
    "policyTypes": {"Ingress", "Egress"},
    "protocol": {"TCP", "UDP", "SCTP"},
    "restartPolicy": {"Always"},
    "unhealthyPodEvictionPolicy": {"AlwaysAllow", "IfHealthyBudget"},
    "whenUnsatisfiable": {"DoNotSchedule", "ScheduleAnyway"},
}
TYPES: dict[str, set[str]] = {
    "seccompProfile": {"RuntimeDefault"},
    "strategy": {"RollingUpdate", "Recreate"},
    "metrics": {"Resource"},
    "target": {"Utilization", "AverageValue"},
    "policies": {"Pods", "Percent"},
    "path": {"PathPrefix", "Exact"},
}


def quantity(value: object) -> Decimal | None:
    """Return the amount, or None for something that is no quantity."""
    found = QUANTITY.fullmatch(str(value))
    return None if found is None else Decimal(found[1]) * UNITS[found[2] or ""]


def walk(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value below with the key it stands under; an entry of a list has the key of the list."""
    yield key, value
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from walk(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from walk(inner, key)


def quantities_parse(documents: list[Document]) -> Iterator[str]:
    for document in documents:
        for key, value in walk(document):
            if key in ("requests", "limits") and isinstance(value, dict):
                for name in value:
                    if quantity(value[name]) is None:
                        yield f"{document['kind']} {key}.{name}: {value[name]} is no quantity."
            elif key == "sizeLimit" and quantity(value) is None:
                yield f"{document['kind']} {key}: {value} is no quantity."
            elif key == "resources" and isinstance(value, dict) and "limits" in value:
                for name, least in value["requests"].items():
                    if (quantity(least) or 0) > (quantity(value["limits"].get(name)) or 0):
                        yield f"{document['kind']} asks for more {name} than it may have."


def words_are_known(documents: list[Document]) -> Iterator[str]:
    for document in documents:
        for key, value in walk(document.get("spec", {})):
            if key in WORDS and isinstance(value, str) and value not in WORDS[key]:
                yield f"{document['kind']} {key}: {value} is not one of {sorted(WORDS[key])}."
            if key in TYPES and isinstance(value, dict) and value.get("type", min(TYPES[key])) not in TYPES[key]:
                yield f"{document['kind']} {key}.type: {value['type']} is not one of {sorted(TYPES[key])}."


def names_are_names(documents: list[Document]) -> Iterator[str]:
    seen = set()
    for document in documents:
        name = document["metadata"]["name"]
        if not NAME.fullmatch(name):
            yield f"{document['kind']} {name}: no name for an object."
        if (document["kind"], name) in seen:
            yield f"{document['kind']} {name} is there twice."
        seen.add((document["kind"], name))
        for key, value in walk(document.get("spec", {})):
            if key == "ports" and isinstance(value, dict) and len(value.get("name", "")) > 15:
                yield f"Port name {value['name']} is longer than 15 characters."


VALUE_RULES = (quantities_parse, words_are_known, names_are_names)
