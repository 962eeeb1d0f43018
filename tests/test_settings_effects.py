"""Every setting is proved by its effect: which test does it, and those that need no running server."""

from __future__ import annotations

import ast
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qs, urlsplit

import httpx2
import pytest

from m365_mcp import settings
from m365_mcp.app import assemble
from m365_mcp.commands.demo.sign_in import read_form
from m365_mcp.container import build_container
from m365_mcp.settings import Settings
from tests.ids import IDS

ROOT = Path(__file__).parent
_HERE = "test_settings_effects.py"
_TUNED = "e2e/test_settings_effects.py"
_AMOUNTS = ("hourly", "daily", "recipients_hourly", "recipients_daily")
# The test that runs each setting away from its default (an id, or a secret, has none) and sees what changes.
PROOF = {
    "azure_client_id": f"{_HERE}::test_sign_in_at_entra_follows_the_settings",
    "azure_client_certificate_path": "e2e/test_client_credentials.py::test_certificate_instead_of_a_secret",
    "azure_federated_token_file": (
        "e2e/test_client_credentials.py::test_workload_identity_needs_no_secret_and_follows_the_token_file"
    ),
    "azure_client_secret": "e2e/test_sign_in_once.py::test_k4_each_secret_rotates_without_a_sign_in",
    "azure_tenant_id": f"{_HERE}::test_sign_in_at_entra_follows_the_settings",
    "azure_allowed_tenants": "e2e/test_sign_in_once.py::test_people_of_the_listed_tenants_may_come_and_others_may_not",
    "mcp_server_base_url": f"{_HERE}::test_sign_in_at_entra_follows_the_settings",
    "mcp_scope_name": f"{_HERE}::test_sign_in_at_entra_follows_the_settings",
    "mcp_host": f"{_TUNED}::test_server_listens_where_it_is_told",
    "mcp_port": f"{_TUNED}::test_server_listens_where_it_is_told",
    "redis_url": "e2e/test_storage.py::test_k3_nothing_readable_is_stored_in_redis",
    "fastmcp_stateless_http": "e2e/test_lifecycle.py::test_sessions_in_the_server_can_be_asked_for",
    "azure_cloud": f"{_HERE}::test_sign_in_at_entra_follows_the_settings",
    "azure_authority_host": f"{_HERE}::test_sign_in_at_entra_follows_the_settings",
    "graph_base_url": "e2e/test_send_rows.py::test_h6_graph_out_of_reach_is_not_sent_and_may_be_sent_again",
    "storage_encryption_key": (
        "e2e/test_storage.py::test_changed_encryption_key_means_sign_in_again_and_rotation_means_nothing"
    ),
    "jwt_signing_key": "e2e/test_sign_in_once.py::test_k4_each_secret_rotates_without_a_sign_in",
    "mcp_session_hours": f"{_TUNED}::test_tokens_are_good_for_the_chosen_hours",
    "mcp_refresh_grace_seconds": "e2e/test_refresh.py::test_c8_reuse_after_the_grace_time_ends_that_session_only",
    "mcp_session_cache_seconds": (
        "e2e/test_ending_sessions.py::test_c11_session_that_ended_elsewhere_reads_for_the_chosen_seconds_at_most"
    ),
    "mcp_shutdown_delay_seconds": "e2e/test_lifecycle.py::test_sigterm_fails_readiness_first_and_then_drains",
    "mcp_clients": f"{_HERE}::test_f4_clients_by_name_may_register_every_uri_of_theirs",
    "mcp_allowed_redirect_uris": f"{_HERE}::test_client_may_register_only_the_chosen_redirect_uris",
    "mcp_cimd": "e2e/test_metadata_documents.py::test_metadata_documents_can_be_switched_off",
    "mcp_max_unused_registrations": "auth/test_registration_store.py::test_h3_operator_chooses_how_many_are_unused",
    "mcp_cimd_allowed_hosts": "e2e/test_metadata_documents.py::test_client_with_a_metadata_document_signs_in",
    "mcp_allowed_hosts": "web/test_origins.py::test_operator_can_add_hosts_and_origins",
    "mcp_allowed_origins": "web/test_origins.py::test_operator_can_add_hosts_and_origins",
    "mcp_trusted_proxies": "web/test_trusted_proxies.py::test_h9_client_is_whom_a_trusted_proxy_names",
    "mcp_hsts_seconds": "web/test_security_headers.py::test_h21_https_is_asked_for_where_the_host_is_ours",
    "mcp_product_name": "web/test_product.py::test_mcp_product_name_is_the_one_name_everywhere",
    "mcp_product_icon": "web/test_product.py::test_mcp_product_icon_is_served_and_shown",
    "mcp_help_url": "web/test_product.py::test_mcp_product_name_is_the_one_name_everywhere",
    "mcp_server_card": "web/test_server_card.py::test_mcp_server_card_is_served_where_it_is_switched_on",
    "mcp_data_dir": f"{_TUNED}::test_data_folder_is_the_chosen_one",
    "mcp_workers": "e2e/test_workers.py::test_connections_that_stay_open_are_spread_evenly",
    "mcp_metrics_port": f"{_TUNED}::test_server_listens_where_it_is_told",
    "mcp_log_level": f"{_TUNED}::test_log_has_the_chosen_format_and_level",
    "mcp_log_format": f"{_TUNED}::test_log_has_the_chosen_format_and_level",
    "ssl_cert_file": f"{_TUNED}::test_private_authority_is_trusted_when_it_is_named",
    "m365_send_mode": f"{_TUNED}::test_send_mode_draft_sends_a_draft",
    "m365_send_level": "e2e/test_send_level.py::test_level_draft_leaves_a_reply_as_a_draft_and_asks_for_no_mail_send",
    "m365_toolsets": (
        "e2e/test_toolsets.py::test_toolset_brings_its_tools_asks_for_its_permissions_and_names_what_is_missing"
    ),
    "m365_send_key_hours": f"{_TUNED}::test_key_is_remembered_for_the_chosen_hours",
    "m365_send_repeat_minutes": f"{_TUNED}::test_equal_message_is_a_repeat_for_the_chosen_minutes",
    "m365_send_allowed_domains": (
        "e2e/test_drafts.py::test_rules_hold_for_drafts_when_they_are_made_and_when_they_are_sent"
    ),
    "m365_send_max_recipients": f"{_TUNED}::test_more_recipients_than_the_operator_allows_are_refused",
    "m365_send_hourly_limit": f"{_TUNED}::test_one_address_gets_as_many_mails_an_hour_as_the_operator_allows",
    **dict.fromkeys(
        (f"m365_send_{whose}_{what}" for whose in ("person", "total") for what in _AMOUNTS),
        "sending/test_limits_of_settings.py::test_g22_setting_limits_what_leaves",
    ),
    "m365_send_bcc": "e2e/test_arguments.py::test_every_argument_of_a_writing_tool_arrives_in_its_own_place",
    "m365_send_from": "e2e/test_arguments.py::test_every_argument_of_a_writing_tool_arrives_in_its_own_place",
    "m365_send_blocked_extensions": f"{_TUNED}::test_only_the_chosen_extensions_are_blocked",
    "m365_policy_file": "sending/test_policies.py::test_g13_forbidden_message_leaves_by_no_way",
    "m365_internal_domains": "sending/test_policies.py::test_internal_domains_are_those_of_the_setting",
    "m365_policy_timezone": "sending/test_policies.py::test_hours_are_those_of_the_chosen_time_zone",
    "m365_policy_contact_days": "sending/test_contacts.py::test_setting_says_how_long_a_contact_counts",
    "m365_send_throttled_seconds": f"{_TUNED}::test_throttled_message_is_offered_again_for_the_chosen_time",
    "m365_audit": "audit/test_records.py::test_h7_send_is_one_record_with_who_what_and_where_to",
    "m365_audit_authorization": "audit/test_opening.py::test_collector_and_spool_are_those_of_the_settings",
    "m365_audit_spool": "audit/test_opening.py::test_collector_and_spool_are_those_of_the_settings",
    "m365_audit_spool_mb": "audit/test_outputs.py::test_full_spool_stops_sends_where_records_are_required",
    "m365_audit_required": "audit/test_outputs.py::test_nothing_is_sent_without_the_required_record",
    "m365_audit_key_file": "audit/test_outputs.py::test_signed_records_of_two_replicas_bear_witness_to_each_other",
    "m365_audit_ip": "audit/test_records.py::test_address_of_a_sign_in_can_be_left_out",
    "m365_audit_content": "audit/test_records.py::test_content_is_recorded_as_far_as_the_operator_asks",
    "m365_send_approval": "sending/test_approvals.py::test_only_mail_with_an_address_outside_waits",
    "m365_approval_minutes": "sending/test_approvals.py::test_i5_l1_mail_that_waited_too_long_asks_anew",
    "m365_approval_proof": "web/test_approvals.py::test_l4_fresh_sign_in_is_for_one_mail",
    "m365_send_require_interaction": "tools/test_published.py::test_i6_clients_are_told_to_ask_before_each_send",
    "m365_show_previews": "e2e/test_answering.py::test_preview_is_shown_where_the_operator_allows_it",
}


def test_every_setting_has_its_proof() -> None:
    """A new setting needs a test of what it does."""
    assert set(PROOF) == set(Settings.model_fields)


@pytest.mark.parametrize("name", PROOF)
def test_proof_exists_and_sets_the_setting(name: str) -> None:
    """The named test is there, and it, or a fixture it asks for, mentions the setting."""
    path, _, function = PROOF[name].partition("::")
    text = (ROOT / path).read_text()

    assert name.upper() in _written_for(function, text).upper()


def _written_for(function: str, text: str) -> str:
    """Return the source of a test and of what it asks for in its module: fixtures, and constants these use."""
    parts: dict[str, ast.stmt] = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            parts[node.name] = node
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            parts |= {target.id: node for target in targets if isinstance(target, ast.Name)}
    wanted, seen = [function], dict[str, str]()
    while wanted:
        part = parts[wanted.pop()]
        seen[ast.unparse(part)] = ast.get_source_segment(text, part) or ""
        names = {node.id for node in ast.walk(part) if isinstance(node, ast.Name)}
        names |= {node.arg for node in ast.walk(part) if isinstance(node, ast.arg)}
        wanted += [name for name in names if name in parts and ast.unparse(parts[name]) not in seen]
    decorators = [ast.unparse(one) for one in getattr(parts[function], "decorator_list", ())]
    return "\n".join([*seen.values(), *decorators])


SETTINGS = {**IDS, "redis_url": "memory://"}
ANOTHER = "99999999-aaaa-4bbb-8ccc-dddddddddddd"
CALLBACK = "http://localhost:1234/callback"


@asynccontextmanager
async def browser(**changes: Any) -> AsyncIterator[httpx2.AsyncClient]:
    """A browser in front of a server with these settings."""
    chosen = settings.load(**{**SETTINGS, **changes})
    container = build_container(chosen)
    transport = httpx2.ASGITransport(app=assemble(container))
    async with httpx2.AsyncClient(transport=transport, base_url=chosen.mcp_server_base_url) as http:
        yield http
    await container.close()


async def register(http: httpx2.AsyncClient, redirect_uri: str) -> httpx2.Response:
    """Register a client, as any MCP client does."""
    body = {"redirect_uris": [redirect_uri], "token_endpoint_auth_method": "none"}
    return await http.post("/register", json=body)


async def sign_in_at_entra(**changes: Any) -> tuple[SplitResult, dict[str, str]]:
    """Return where the browser is sent to sign in, and with which query."""
    async with browser(**changes) as http:
        client_id = (await register(http, CALLBACK)).json()["client_id"]
        query = {"response_type": "code", "client_id": client_id, "redirect_uri": CALLBACK, "state": "s"}
        query |= {"code_challenge": "c" * 43, "code_challenge_method": "S256"}
        page = await http.get("/authorize", params=query)
        page = await http.get(page.headers["Location"])
        form = read_form(str(page.url), page.text)
        page = await http.post(form.action, data={**form.fields, "action": "approve"})
        address = urlsplit(page.headers["Location"])
        return address, {name: values[0] for name, values in parse_qs(address.query).items()}


@pytest.mark.parametrize(
    ("name", "value", "host", "path", "query"),
    [
        ("azure_client_id", ANOTHER, None, None, {"client_id": ANOTHER}),
        ("azure_client_id", ANOTHER, None, None, {"scope": f"api://{ANOTHER}/mcp-access"}),
        ("azure_tenant_id", ANOTHER, None, f"/{ANOTHER}/oauth2/v2.0/authorize", {}),
        ("azure_authority_host", "https://login.example.com", "login.example.com", None, {}),
        ("azure_cloud", "usgov", "login.microsoftonline.us", None, {"scope": "https://graph.microsoft.us/Mail.Send"}),
        ("mcp_scope_name", "other-access", None, None, {"scope": f"api://{IDS['azure_client_id']}/other-access"}),
        (
            "mcp_server_base_url",
            "https://mcp.example.com",
            None,
            None,
            {"redirect_uri": "https://mcp.example.com/auth/callback"},
        ),
        ("m365_send_mode", "draft", None, None, {"scope": "https://graph.microsoft.com/Mail.ReadWrite"}),
        ("m365_send_from", True, None, None, {"scope": "https://graph.microsoft.com/Mail.Send.Shared"}),
    ],
)
async def test_sign_in_at_entra_follows_the_settings(
    name: str, value: Any, host: str | None, path: str | None, query: dict[str, str]
) -> None:
    """Whom Entra is asked for, where, and for what, is what the operator has chosen; without it, it is another."""
    plain_address, plain = await sign_in_at_entra()
    address, found = await sign_in_at_entra(**{name: value})

    assert (host or plain_address.netloc, path or plain_address.path) == (address.netloc, address.path)
    assert plain_address.netloc == "login.microsoftonline.com"
    for key, part in query.items():
        assert part in found[key].split()
        assert part not in plain[key].split()


async def test_f4_clients_by_name_may_register_every_uri_of_theirs() -> None:
    """MCP_CLIENTS expands to what each client registers, and MCP_ALLOWED_REDIRECT_URIS then adds to it."""
    own, added = "https://global.consent.azure-apim.net/redirect/tool-1", "https://app.example.com/cb"
    async with browser(mcp_clients="vscode, Copilot-Studio", mcp_allowed_redirect_uris=added) as http:
        asked = ["https://vscode.dev/redirect", own, added, "https://claude.ai/api/mcp/auth_callback"]
        statuses = [(await register(http, uri)).status_code for uri in asked]

    assert statuses == [201, 201, 201, 400]


async def test_client_may_register_only_the_chosen_redirect_uris() -> None:
    """MCP_ALLOWED_REDIRECT_URIS alone takes the place of Claude's own and of loopback."""
    async with browser(mcp_allowed_redirect_uris="https://app.example.com/cb") as http:
        statuses = [(await register(http, uri)).status_code for uri in ("https://app.example.com/cb", CALLBACK)]

    assert statuses == [201, 400]
