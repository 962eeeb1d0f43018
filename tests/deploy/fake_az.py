"""A stand-in for the Azure CLI: the few commands that deploy/register-app.sh uses, on a directory kept in a JSON file.

Run as `python fake_az.py STATE az-arguments…` in an environment that has jmespath, which is what the real one
answers `--query` with. It keeps to the rules of Microsoft Graph that the script has to respect, and refuses the rest.
"""

from __future__ import annotations

import json
import re
import sys
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jmespath

# Beside this program where it is installed as `az`.
from fake_az_constants import EMPTY, GRAPH, PERMISSIONS, TENANT  # type: ignore[import-not-found]

FLAGS = {"--append", "--only-show-errors"}


class Refusal(Exception):
    """What Azure says no to."""


def main(file: Path, arguments: list[str]) -> int:
    state = json.loads(file.read_text()) if file.exists() else json.loads(json.dumps(EMPTY))
    state["calls"].append(arguments)
    words, options = _parse(arguments)
    try:
        result = _answer(state, words, options)
    except Refusal as refusal:
        print(f"ERROR: {refusal}", file=sys.stderr)  # noqa: T201
        return 1
    finally:
        file.write_text(json.dumps(state, indent=1))
    _print(result, options)
    return 0


def _parse(arguments: list[str]) -> tuple[str, dict[str, str]]:
    words, options, rest = [], {}, list(arguments)
    while rest:
        word = rest.pop(0)
        if word in FLAGS:
            options[word] = "yes"
        elif word.startswith("-"):
            options["--output" if word == "-o" else word] = rest.pop(0)
        else:
            words.append(word)
    return " ".join(words), options


def _answer(state: dict[str, Any], words: str, options: dict[str, str]) -> Any:
    if state["faults"].get(words, 0) > 0:
        state["faults"][words] -= 1
        raise Refusal("Service unavailable.")
    if words not in COMMANDS:
        raise Refusal(f"'{words}' is misspelled or not recognized by the system.")
    return COMMANDS[words](state, options)


def _app(state: dict[str, Any], options: dict[str, str]) -> dict[str, Any]:
    app: dict[str, Any]
    for app in state["apps"]:
        if app["appId"] == options["--id"]:
            if app.get("unseen", 0) > 0:
                app["unseen"] -= 1
                break
            return app
    raise Refusal(f"Resource '{options['--id']}' does not exist or one of its queried reference-property objects does.")


def _account(_state: dict[str, Any], _options: dict[str, str]) -> Any:
    return {"tenantId": TENANT, "name": "sample"}


def _cloud(_state: dict[str, Any], _options: dict[str, str]) -> Any:
    return {"endpoints": {"microsoftGraphResourceId": f"{GRAPH}/"}}


def _list(state: dict[str, Any], options: dict[str, str]) -> Any:
    name = re.fullmatch(r"displayName eq '([^']*)'", options["--filter"])
    if name is None:
        raise Refusal("Invalid filter clause.")
    return [app for app in state["apps"] if app["displayName"] == name[1]]


def _create(state: dict[str, Any], options: dict[str, str]) -> Any:
    app = {
        "id": str(uuid.uuid4()),
        "appId": str(uuid.uuid4()),
        "displayName": options["--display-name"],
        "signInAudience": options["--sign-in-audience"],
        "identifierUris": [],
        "web": {"redirectUris": []},
        "api": {"requestedAccessTokenVersion": None, "oauth2PermissionScopes": []},
        "requiredResourceAccess": [],
        "passwordCredentials": [],
        "federatedIdentityCredentials": [],
        "unseen": state["lag"],
    }
    state["apps"].append(app)
    return app


def _rest(state: dict[str, Any], options: dict[str, str]) -> Any:
    base = f"{GRAPH}/v1.0/applications/"
    if options["--method"] != "PATCH" or options["--headers"] != "Content-Type=application/json":
        raise Refusal("Unsupported request.")
    found = [app for app in state["apps"] if options["--uri"] == base + app["id"]]
    if not found:
        raise Refusal("Not Found.")
    _patch(found[0], json.loads(options["--body"]))
    return None


def _patch(app: dict[str, Any], change: dict[str, Any]) -> None:
    for uri in change["web"]["redirectUris"]:
        parts = urlsplit(uri)
        if parts.scheme != "https" and parts.hostname not in ("localhost", "127.0.0.1"):
            raise Refusal("A redirect URI must use https.")
    # Graph: a scope that is enabled cannot be taken away; it has to be disabled first.
    kept = {scope["id"] for scope in change["api"]["oauth2PermissionScopes"]}
    for scope in app["api"]["oauth2PermissionScopes"]:
        if scope["isEnabled"] and scope["id"] not in kept:
            raise Refusal("Property api.oauth2PermissionScopes cannot be deleted unless it is disabled first.")
    for scope in change["api"]["oauth2PermissionScopes"]:
        uuid.UUID(scope["id"])
    resources = [entry["resourceAppId"] for entry in change["requiredResourceAccess"]]
    if len(set(resources)) < len(resources):
        raise Refusal("Property requiredResourceAccess has duplicates.")
    app.update(change)


def _principals(state: dict[str, Any], options: dict[str, str]) -> Any:
    return [{"id": f"principal of {p}", "appId": p} for p in state["principals"] if f"'{p}'" in options["--filter"]]


def _create_principal(state: dict[str, Any], options: dict[str, str]) -> Any:
    if options["--id"] in state["principals"]:
        raise Refusal("The service principal name is already in use.")
    state["principals"].append(options["--id"])
    return {}


def _consent(state: dict[str, Any], options: dict[str, str]) -> Any:
    asked = [
        entry["id"]
        for resource in _app(state, options)["requiredResourceAccess"]
        for entry in resource["resourceAccess"]
    ]
    if options["--id"] not in state["principals"]:
        raise Refusal("The service principal does not exist.")
    state["grants"][options["--id"]] = " ".join(
        PERMISSIONS[permission] for permission in asked if permission in PERMISSIONS
    )
    return None


def _grants(state: dict[str, Any], options: dict[str, str]) -> Any:
    return [{"scope": scope} for scope in [state["grants"].get(options["--id"])] if scope]


def _secret(state: dict[str, Any], options: dict[str, str]) -> Any:
    app = _app(state, options)
    if "--append" not in options:
        app["passwordCredentials"].clear()
    value = f"fake~secret.{len(app['passwordCredentials']) + 1}"
    app["passwordCredentials"].append({"displayName": options["--display-name"], "years": options["--years"]})
    return {"appId": app["appId"], "password": value, "tenant": TENANT}


def _credentials(state: dict[str, Any], options: dict[str, str]) -> Any:
    return _app(state, options)["federatedIdentityCredentials"]


def _create_credential(state: dict[str, Any], options: dict[str, str]) -> Any:
    known, new = _app(state, options)["federatedIdentityCredentials"], json.loads(options["--parameters"])
    if any(
        old["name"] == new["name"] or (old["issuer"], old["subject"]) == (new["issuer"], new["subject"])
        for old in known
    ):
        raise Refusal("FederatedIdentityCredential already exists.")
    known.append(new)
    return new


COMMANDS = {
    "account show": _account,
    "cloud show": _cloud,
    "ad app list": _list,
    "ad app create": _create,
    "ad app show": _app,
    "rest": _rest,
    "ad sp list": _principals,
    "ad sp create": _create_principal,
    "ad app permission admin-consent": _consent,
    "ad app permission list-grants": _grants,
    "ad app credential reset": _secret,
    "ad app federated-credential list": _credentials,
    "ad app federated-credential create": _create_credential,
}


def _print(result: Any, options: dict[str, str]) -> None:
    if "--query" in options:
        result = jmespath.search(options["--query"], result)
    output = options.get("--output", "json")
    if output == "json" and result is not None:
        print(json.dumps(result, indent=2))  # noqa: T201
    elif output == "tsv" and result is not None:
        # As knack's TsvOutput: a list has one line an entry, and true is written as Python or JSON has it.
        for entry in result if isinstance(result, list) else [result]:
            print(str(entry).lower() if isinstance(entry, bool) else entry)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
