"""`GET /v1.0/me/people`: the people around the caller, by relevance, found with some tolerance (page "List people")."""

import re
from difflib import SequenceMatcher

from m365_simulator.graph.call import Call, Outcome
from m365_simulator.graph.problems import GraphError
from m365_simulator.people import Person

DEFAULT_TOP, LARGEST_TOP = 10, 1000
SIMILAR = 0.75
"""How alike two words must be for a misspelt name to be found."""
_OPTIONS = ("$search", "$top", "$select", "$skip")


def people(call: Call) -> Outcome:
    """Return the colleagues that the search finds, the most relevant first."""
    for name in call.query:
        if name.startswith("$") and name not in _OPTIONS:
            raise GraphError(400, "ErrorInvalidUrlQuery", f"The query option '{name}' is not modelled.")
    top, skip = _number(call.query.get("$top"), DEFAULT_TOP), _number(call.query.get("$skip"), 0)
    caller = call.caller.person
    colleagues = [one for one in call.tenant.people.values() if one.tenant_id == caller.tenant_id and one != caller]
    words = re.findall(r"\w+", call.query.get("$search", "").casefold())
    scored = [(score, one) for one in colleagues if (score := _relevance(one, words)) > 0]
    scored.sort(key=lambda pair: (-pair[0], pair[1].display_name))
    names = call.query["$select"].split(",") if call.query.get("$select") else None
    context = f"{call.tenant.authority}/v1.0/$metadata#users('{caller.object_id}')/people"
    found = [_person_json(one, score, names) for score, one in scored[skip : skip + top]]
    return Outcome(200, {"@odata.context": context, "value": found})


def _relevance(person: Person, words: list[str]) -> float:
    """Return how well a person fits, 0 for not at all; every word must be found somewhere."""
    known = re.findall(r"\w+", f"{person.display_name} {person.mail or person.user_principal_name}".casefold())
    return min((max(_likeness(word, other) for other in known) for word in words), default=1.0)


def _likeness(word: str, other: str) -> float:
    if other.startswith(word):
        return 1.0
    ratio = SequenceMatcher(None, word, other).ratio()
    return ratio if ratio >= SIMILAR else 0.0


def _person_json(person: Person, score: float, names: list[str] | None) -> dict[str, object]:
    addresses = [
        {"address": person.mail, "relevanceScore": round(10 * score, 1), "selectionLikelihood": "notSpecified"}
    ]
    known: dict[str, object] = {
        "id": person.object_id,
        "displayName": person.display_name,
        "givenName": person.given_name,
        "surname": person.surname,
        "jobTitle": person.job_title,
        "officeLocation": person.office_location,
        "userPrincipalName": person.user_principal_name,
        "scoredEmailAddresses": addresses if person.mail else [],
        "personType": {"class": "Person", "subclass": "OrganizationUser"},
    }
    return known if names is None else {name: known[name] for name in ("id", *names) if name in known}


def _number(text: str | None, otherwise: int) -> int:
    if text is None:
        return otherwise
    if not text.isdecimal() or int(text) > LARGEST_TOP:
        raise GraphError(400, "ErrorInvalidUrlQuery", f"A whole number up to {LARGEST_TOP} is expected.")
    return int(text)
