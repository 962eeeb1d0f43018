"""Pure: what a document that cannot be had means for a client, and who can do what about it."""

from __future__ import annotations

from m365_mcp.auth.client_metadata.fetcher import DocumentInvalid, FetchFailed, HostRefused
from m365_mcp.errors import ClientMetadataInvalid, ClientMetadataUnavailable, Filled

_ALLOW_HOST = Filled("The operator can name the host in MCP_CIMD_ALLOWED_HOSTS.")
_MAKER = Filled("Try again in a moment; if it persists, tell the people who make the MCP client.")
_PROXY = Filled(
    "The operator allows this server at the proxy of HTTPS_PROXY, with a name and a password if it asks for them."
)
_BUSY = Filled("This server fetches as many documents of MCP clients as it does at a time.")
_LATER = Filled("Try again in a moment.")
# What is wrong with the content, by the reason of the failure.
_WRONG = {
    "client_id_differs": Filled("its client_id is not the URL that it is at"),
    "compressed": Filled("it is compressed"),
    "not_a_json_object": Filled("it is no JSON object"),
    "not_a_key_set": Filled("it is no set of keys (RFC 7517)"),
    "too_large": Filled("it is too large"),
}


def error_of(failure: FetchFailed, host: str, noun: str) -> ClientMetadataUnavailable | ClientMetadataInvalid:
    """Return the error for a document of that kind at `host` of which there is no earlier one."""
    if isinstance(failure, HostRefused):
        sentence = Filled("This server does not fetch a client's %(noun)s from %(host)s.", noun=noun, host=host)
        return ClientMetadataInvalid(sentence, advice=_ALLOW_HOST)
    if isinstance(failure, DocumentInvalid):
        named = Filled("its member %(member)s is not valid", member=str(failure.member))
        wrong = _WRONG.get(failure.reason, named)
        return ClientMetadataInvalid(
            Filled("What %(host)s sends is no %(noun)s of this client: %(wrong)s.", host=host, noun=noun, wrong=wrong)
        )
    sentence, advice = _unavailable(failure, host, noun)
    error = ClientMetadataUnavailable(sentence, advice=advice, retry_after=failure.retry_after)
    if advice in (_ALLOW_HOST, _PROXY):  # only the operator can mend it, and reloading the page does not
        error.needs_administrator, error.for_person = True, None
    return error


def _unavailable(failure: FetchFailed, host: str, noun: str) -> tuple[Filled, Filled | None]:
    """Return what happened, and the advice; None is the one about a host that was not reached."""
    if failure.status is not None:
        return _answered(host, failure.status, noun), _MAKER
    if failure.reason == "html_page":
        page = Filled("%(host)s answers with a page instead of the %(noun)s of the MCP client.", host=host, noun=noun)
        return page, _MAKER
    if failure.reason == "busy":
        return _BUSY, _LATER
    if failure.reason == "special_purpose_address":
        return _private(host), _ALLOW_HOST
    if failure.reason.startswith("proxy"):
        return _refused_by_proxy(host, failure.reason.removeprefix("proxy").removeprefix("_")), _PROXY
    return Filled("The %(noun)s of the MCP client cannot be fetched from %(host)s.", noun=noun, host=host), None


def _answered(host: str, status: int, noun: str) -> Filled:
    return Filled(
        "%(host)s answers with status %(status)s instead of the %(noun)s of the MCP client.",
        host=host,
        status=str(status),
        noun=noun,
    )


def _private(host: str) -> Filled:
    return Filled(
        "%(host)s has an address of a private network, and this server fetches nothing from there.", host=host
    )


def _refused_by_proxy(host: str, status: str) -> Filled:
    if not status:
        return Filled("The proxy of this server's network does not let it reach %(host)s.", host=host)
    return Filled(
        "The proxy of this server's network does not let it reach %(host)s (status %(status)s).",
        host=host,
        status=status,
    )
