"""Builds every long-lived object of one server process from its settings, and closes them at its end."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from zoneinfo import ZoneInfo

import httpx2

from m365_mcp import retries
from m365_mcp.audit.opening import open_audit
from m365_mcp.audit.trail import AuditTrail
from m365_mcp.auth.browser_proof import BrowserProofs, ProofClient
from m365_mcp.auth.callbacks import Callbacks
from m365_mcp.auth.client_metadata.opening import open_client_metadata
from m365_mcp.auth.graph_permissions import graph_tokens, sign_in_scopes
from m365_mcp.auth.graph_token_provider import GraphTokenProvider
from m365_mcp.auth.proxy import EntraProxy
from m365_mcp.auth.session_refresher import SessionRefresher
from m365_mcp.auth.sessions import Sessions
from m365_mcp.auth.sign_ins import SignIns
from m365_mcp.auth.step_up import StepUps
from m365_mcp.auth.unused_registrations import UnusedRegistrations
from m365_mcp.auth.upstream import UpstreamClient
from m365_mcp.auth.verified_sessions import VerifiedSessions
from m365_mcp.entra.client_credential import choose_credential
from m365_mcp.entra.signing_keys import SigningKeys
from m365_mcp.entra.token_endpoint import TokenEndpoint
from m365_mcp.entra.verifier import EntraTokenVerifier, TokenRequirements
from m365_mcp.graph.client import GraphClient
from m365_mcp.http_clients import make_http_clients
from m365_mcp.mail import DEFAULT_BLOCKED, MailRules
from m365_mcp.metrics import Metrics
from m365_mcp.policy.decision_point import PolicyDecisionPoint, read_policies
from m365_mcp.policy.facts import InternalDomains
from m365_mcp.policy.watching import PolicyWatcher
from m365_mcp.sending.approvals import PATH, Approvals
from m365_mcp.sending.cancelling import Cancelling
from m365_mcp.sending.composer import Composer
from m365_mcp.sending.delivery import Delivery
from m365_mcp.sending.group_lookup import GroupLookup
from m365_mcp.sending.held_expiry import HeldExpiry
from m365_mcp.sending.ledger import Ledger, RepeatWindows
from m365_mcp.sending.mailbox_slots import MailboxSlots
from m365_mcp.sending.opening import send_limits
from m365_mcp.sending.outbox import Outgoing, mailbox_of
from m365_mcp.sending.scheduled_review import ScheduledReview
from m365_mcp.sending.send_strategy import ApprovalTerms
from m365_mcp.sending.session_end import discard_held_mail
from m365_mcp.settings import Settings
from m365_mcp.settings.permissions import GROUPS, PROFILE
from m365_mcp.storage.encryption import RecordCipher, derive, make_cipher
from m365_mcp.storage.opening import Storage, open_storage
from m365_mcp.storage.sliding_counts import SlidingCounts
from m365_mcp.tools.call_limits import CallLimits
from m365_mcp.tools.caller import Services
from m365_mcp.uploads.links import UploadBatches, UploadLinks
from m365_mcp.uploads.pending import Uploads
from m365_mcp.web import health
from m365_mcp.web.pages import Pages


@dataclass(frozen=True)
class Container:
    """The long-lived objects of one server process."""

    settings: Settings
    http: httpx2.AsyncClient
    graph_http: httpx2.AsyncClient
    storage: Storage
    sign_ins: SignIns
    auth: EntraProxy
    proofs: BrowserProofs
    services: Services
    metrics: Metrics
    readiness: health.Readiness
    pages: Pages
    audit: AuditTrail

    @property
    def policy_watcher(self) -> PolicyWatcher:
        """Watches the file of policies."""
        file, observe, outgoing = self.settings.m365_policy_file, self.audit.record, self.services.outgoing
        return PolicyWatcher(outgoing.policies, outgoing.rules, file, self.metrics, observe=observe)

    @property
    def held_expiry(self) -> HeldExpiry:
        """Notices held mail whose time is over."""
        return HeldExpiry(self.services.outgoing.delivery.held, self.services.outgoing.delivery.ledger)

    @property
    def approvals(self) -> Approvals:
        """Shows, sends and discards the mail that waits for approval."""
        return Approvals(self.services.outgoing, self.services.tokens, self.services.graph)

    @property
    def scheduled_review(self) -> ScheduledReview:
        """Decides scheduled mail anew when the policies change."""
        known = self.services
        return ScheduledReview(Cancelling(known.outgoing, known.tokens, known.graph), self.storage.leases)

    async def close(self) -> None:
        """Give back connections."""
        self.services.outgoing.composer.close()
        await self.services.outgoing.delivery.finish()
        await self.audit.close()
        await self.http.aclose()
        await self.graph_http.aclose()
        await self.sign_ins.close()
        await self.storage.close()


def build_container(
    settings: Settings, transport: httpx2.AsyncBaseTransport | None = None, metrics: Metrics | None = None
) -> Container:
    """Build everything; only choosing the store touches the outside. In tests `transport` takes the network's place.

    A worker gives the `metrics` that it shares with others.
    """
    retries.keep_silent()
    metrics, pages = metrics or Metrics(), Pages(settings)
    http, graph_http = make_http_clients(settings, transport)
    cipher = make_cipher([key.get_secret_value() for key in settings.storage_encryption_key], settings.signing_secrets)
    storage = open_storage(settings, cipher, watch=metrics.store_operation)
    audit = open_audit(settings, storage.records, metrics)
    storage.rollbacks.observers += [audit.record, lambda event: metrics.store_rollbacks.labels(event.collection).inc()]
    keys = SigningKeys(f"{settings.authority}/{settings.azure_tenant_id}/discovery/v2.0/keys", http, metrics=metrics)
    endpoint = _token_endpoint(settings, http, metrics)
    delivery = build_delivery(settings, storage, metrics, audit)
    sign_ins = build_sign_ins(settings, storage, endpoint, keys, build_sessions(settings, delivery, audit))
    tokens_for = partial(graph_tokens, settings, storage, sign_ins.refresher, metrics)
    tokens = tokens_for(settings.graph_permissions)
    graph = GraphClient(settings.graph, graph_http, metrics)
    # A token of its own, so that all else works where the permission is missing.
    groups = GroupLookup(sign_ins.sessions, storage.leases, partial(mailbox_of, graph, tokens_for((PROFILE, GROUPS))))
    services = build_services(settings, storage, tokens, graph, audit, groups, delivery)
    return Container(
        settings,
        http,
        graph_http,
        storage,
        sign_ins,
        EntraProxy(settings, sign_ins, partial(sign_in_scopes, settings, services.outgoing.policies), pages.consent),
        build_browser_proofs(settings, endpoint, keys, cipher),
        services,
        metrics,
        health.Readiness((health.Check("storage", storage.ping), health.Check("entra", keys.warm))),
        pages,
        audit,
    )


def _token_endpoint(settings: Settings, http: httpx2.AsyncClient, metrics: Metrics) -> TokenEndpoint:
    tenant, client, credential = settings.azure_tenant_id, settings.azure_client_id, choose_credential(settings)
    return TokenEndpoint(settings.authority, tenant, client, credential, http, metrics)


def build_services(
    settings: Settings,
    storage: Storage,
    tokens: GraphTokenProvider,
    graph: GraphClient,
    audit: AuditTrail,
    groups: GroupLookup,
    delivery: Delivery,
) -> Services:
    """Build what the tools use."""
    outgoing = build_outgoing(settings, audit, groups, delivery)
    links, batches = UploadLinks(storage.records, storage.leases), UploadBatches(storage.records)
    uploads = Uploads(links, batches, settings.mcp_server_base_url)
    return Services(tokens, graph, outgoing, uploads, _call_limits(storage, delivery.metrics))


def _call_limits(storage: Storage, metrics: Metrics) -> CallLimits:
    return CallLimits(SlidingCounts(storage.counters), metrics.limit_refusals.labels("calls").inc)


def build_delivery(settings: Settings, storage: Storage, metrics: Metrics, audit: AuditTrail) -> Delivery:
    """Build what sends each message once."""
    windows = RepeatWindows(key=settings.m365_send_key_hours * 3600.0, message=settings.m365_send_repeat_minutes * 60.0)
    return Delivery(
        Ledger(storage.records, storage.leases, windows),
        MailboxSlots(storage.leases, on_refusal=metrics.limit_refusals.labels("mailbox_slots").inc),
        replace(send_limits(settings, storage), count=lambda name: metrics.limit_refusals.labels(name).inc()),
        metrics,
        settings.m365_send_throttled_seconds,
        approval_terms(settings),
        audit,
    )


def build_outgoing(settings: Settings, audit: AuditTrail, groups: GroupLookup, delivery: Delivery) -> Outgoing:
    """Build what outgoing messages go through."""
    rules = mail_rules(settings)
    return Outgoing(
        rules,
        Composer(on_refusal=delivery.metrics.limit_refusals.labels("composing").inc),
        delivery,
        settings.m365_send_mode == "draft",
        replace(_decision_point(settings, rules, audit), count=delivery.metrics.count_decision),
        groups,
        settings.m365_show_previews,
    )


def approval_terms(settings: Settings) -> ApprovalTerms:
    """Return where and how long a message waits for the person, and how they approve it."""
    url, seconds = f"{settings.mcp_server_base_url}{PATH}", settings.m365_approval_minutes * 60.0
    return ApprovalTerms(url, seconds, settings.m365_approval_proof)


def _decision_point(settings: Settings, rules: MailRules, audit: AuditTrail) -> PolicyDecisionPoint:
    internal = InternalDomains(settings.m365_internal_domains)
    policies = read_policies(rules, settings.m365_policy_file)
    time_zone = ZoneInfo(settings.m365_policy_timezone)
    return PolicyDecisionPoint(policies, internal, time_zone, observe=audit.record)


def mail_rules(settings: Settings) -> MailRules:
    """Return the operator's choices about mail."""
    blocked = settings.m365_send_blocked_extensions
    return MailRules(
        allowed_domains=settings.m365_send_allowed_domains,
        max_recipients=settings.m365_send_max_recipients,
        allow_bcc=settings.m365_send_bcc,
        allow_from=settings.m365_send_from,
        blocked_extensions=DEFAULT_BLOCKED if blocked is None else frozenset(blocked),
        level=settings.m365_send_level,
        approval=settings.m365_send_approval,
    )


def build_sessions(settings: Settings, delivery: Delivery, audit: AuditTrail) -> Sessions:
    """Build the sessions; when one ends, the mail that it holds goes with it."""
    grace, clean_up = settings.mcp_refresh_grace_seconds, partial(discard_held_mail, delivery)
    return Sessions(
        delivery.ledger.records,
        delivery.metrics,
        grace,
        observe=audit.record,
        clean_up=clean_up,
        verified=VerifiedSessions(settings.mcp_session_cache_seconds),
    )


def build_sign_ins(
    settings: Settings,
    storage: Storage,
    endpoint: TokenEndpoint,
    keys: SigningKeys,
    sessions: Sessions,
) -> SignIns:
    """Build what people sign in with and stay signed in by."""
    verifier = EntraTokenVerifier(_expected_token(settings), keys)
    step_ups = StepUps(storage.records)
    scope = f"api://{settings.azure_client_id}/{settings.mcp_scope_name} openid profile offline_access"
    return SignIns(
        storage.client_storage,
        sessions,
        SessionRefresher(sessions, storage.leases, endpoint, verifier, step_ups, scope),
        Callbacks(storage.records),
        UpstreamClient(endpoint, verifier, step_ups),
        storage.leases,
        open_client_metadata(settings, storage.records),
        UnusedRegistrations(storage.records, storage.numbers, settings.mcp_max_unused_registrations),
        tuple(derive(secret, "jwt") for secret in settings.signing_secrets),
    )


def build_browser_proofs(
    settings: Settings, endpoint: TokenEndpoint, keys: SigningKeys, cipher: RecordCipher
) -> BrowserProofs:
    """Build what tells who is at a browser, for the pages of mail that waits for approval."""
    client = ProofClient(
        f"{settings.authority}/{settings.azure_tenant_id}/oauth2/v2.0/authorize",
        settings.azure_client_id,
        f"api://{settings.azure_client_id}/{settings.mcp_scope_name} openid profile",
        settings.mcp_server_base_url,
        settings.public_path,
    )
    return BrowserProofs(client, endpoint, EntraTokenVerifier(_expected_token(settings), keys), cipher)


def _expected_token(settings: Settings) -> TokenRequirements:
    return TokenRequirements(
        authority=settings.authority,
        audiences=(settings.azure_client_id, f"api://{settings.azure_client_id}"),
        tenants=settings.tenants,
        scope=settings.mcp_scope_name,
    )
