"""Which permissions have no consent: asks Entra ID for each of them alone, as the person who has signed in."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from functools import reduce

from m365_mcp.auth.graph_permissions import graph_tokens
from m365_mcp.container import Container
from m365_mcp.errors import ConsentMissing, Filled, M365Error
from m365_mcp.settings.permissions import PERMISSIONS


def consent_url(container: Container) -> str:
    """Return the page where an administrator consents to what the application asks for."""
    chosen = container.settings
    return f"{chosen.authority}/{chosen.tenants[0]}/adminconsent?client_id={chosen.azure_client_id}"


async def lacking_consent(container: Container, token: str) -> str:
    """Return the permissions without consent and the toolsets that need them; empty where it cannot be told.

    Args:
        container: of the settings of the server; the session must be in its store.
        token: an access token of the session.
    """
    lacking = []
    with contextlib.suppress(M365Error):
        container.auth.set_mcp_path("/mcp")
        access = await container.auth.load_access_token(token)
        if access is None:
            return ""
        session_id = access.claims["session"]
        for name in container.settings.graph_permissions:
            if not await _has_consent(container, session_id, name):
                lacking.append(name)
    described = [_described(name, container.settings.m365_toolsets) for name in lacking]
    return (
        reduce(lambda first, rest: Filled("%(first)s, %(rest)s", first=first, rest=rest), described) if lacking else ""
    )


async def _has_consent(container: Container, session_id: str, name: str) -> bool:
    sign_ins = container.sign_ins
    tokens = graph_tokens(container.settings, container.storage, sign_ins.refresher, container.metrics, (name,))
    try:
        await tokens.on_behalf_of.graph_token(await tokens.caller(session_id))
    except ConsentMissing:
        return False
    return True


def _described(name: str, toolsets: Sequence[str]) -> Filled:
    of = [toolset for toolset in toolsets if name in PERMISSIONS[toolset]]
    if not of:
        return Filled.of(name)
    return Filled("%(permission)s (toolset %(toolsets)s)", permission=name, toolsets=", ".join(of))
