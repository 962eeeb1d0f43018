"""Pure: what a document that cannot be had means for a client, and who can do what about it."""

from __future__ import annotations

from m365_mcp.auth.client_metadata.fetcher import DocumentInvalid, FetchFailed, HostRefused
from m365_mcp.errors import ClientMetadataInvalid, ClientMetadataUnavailable

_ALLOW_HOST = "The operator can name the host in MCP_CIMD_ALLOWED_HOSTS."
_MAKER = "Try again in a moment; if it persists, tell the people who make the MCP client."
_PROXY = "The operator allows this server at the proxy of HTTPS_PROXY, with a name and a password if it asks for them."
# What is wrong with the content, by the reason of the failure.
_WRONG = {
    "client_id_differs": "its client_id is not the URL that it is at",
    "compressed": "it is compressed",
    "not_a_json_object": "it is no JSON object",
    "not_a_key_set": "it is no set of keys (RFC 7517)",
    "too_large": "it is too large",
}


def error_of(failure: FetchFailed, host: str, noun: str) -> ClientMetadataUnavailable | ClientMetadataInvalid:
    """Return the error for a document of that kind at `host` of which there is no earlier one."""
    if isinstance(failure, HostRefused):
        return ClientMetadataInvalid(f"This server does not fetch a client's {noun} from {host}.", advice=_ALLOW_HOST)
    if isinstance(failure, DocumentInvalid):
        wrong = _WRONG.get(failure.reason, f"its member {failure.member} is not valid")
        return ClientMetadataInvalid(f"What {host} sends is no {noun} of this client: {wrong}.")
    sentence, advice = _unavailable(failure, host, noun)
    error = ClientMetadataUnavailable(sentence, advice=advice, retry_after=failure.retry_after)
    if advice in (_ALLOW_HOST, _PROXY):  # only the operator can mend it, and reloading the page does not
        error.needs_administrator, error.for_person = True, None
    return error


def _unavailable(failure: FetchFailed, host: str, noun: str) -> tuple[str, str | None]:
    """Return what happened, and the advice; None is the one about a host that was not reached."""
    if failure.status is not None:
        return f"{host} answers with status {failure.status} instead of the {noun} of the MCP client.", _MAKER
    if failure.reason == "html_page":
        return f"{host} answers with a page instead of the {noun} of the MCP client.", _MAKER
    if failure.reason == "busy":
        return "This server fetches as many documents of MCP clients as it does at a time.", "Try again in a moment."
    if failure.reason == "special_purpose_address":
        return f"{host} has an address of a private network, and this server fetches nothing from there.", _ALLOW_HOST
    if failure.reason.startswith("proxy"):
        return f"The proxy of this server's network does not let it reach {host}{_status(failure)}.", _PROXY
    return f"The {noun} of the MCP client cannot be fetched from {host}.", None


def _status(failure: FetchFailed) -> str:
    status = failure.reason.removeprefix("proxy").removeprefix("_")
    return f" (status {status})" if status else ""
