"""Which permissions of Graph are asked for: at a sign-in, and in the exchange for a token."""

from __future__ import annotations

from m365_mcp.auth.graph_token_provider import GraphTokenProvider
from m365_mcp.auth.session_refresher import SessionRefresher
from m365_mcp.entra.on_behalf_of import GraphTokenCache, OnBehalfOf
from m365_mcp.metrics import Metrics
from m365_mcp.policy.decision_point import PolicyDecisionPoint
from m365_mcp.settings import Settings
from m365_mcp.settings.clouds import graph_scopes
from m365_mcp.settings.permissions import GROUPS
from m365_mcp.storage.opening import Storage


def sign_in_scopes(settings: Settings, policies: PolicyDecisionPoint) -> tuple[str, ...]:
    """Return what the settings and the policies now in force need of Graph."""
    of_policies = (GROUPS,) if policies.policies.named.groups else ()
    return graph_scopes(settings.cloud, settings.graph, (*settings.graph_permissions, *of_policies))


def graph_tokens(
    settings: Settings, storage: Storage, refresher: SessionRefresher, metrics: Metrics, permissions: tuple[str, ...]
) -> GraphTokenProvider:
    """Return what provides Graph tokens with these permissions."""
    scopes, shared = graph_scopes(settings.cloud, settings.graph, permissions), GraphTokenCache(storage.records)
    exchange = OnBehalfOf(refresher.endpoint, scopes, shared=shared, leases=storage.leases, metrics=metrics)
    return GraphTokenProvider(exchange, refresher)
