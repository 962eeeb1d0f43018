"""What FastMCP asks about clients with a metadata document: its own manager, with our fetch and our store.

FastMCP 4.2 fetches without the operator's proxy and authorities, keeps documents in one process, and answers a fetch
that fails with "no such client", on which clients delete their tokens. `EntraProxy` puts this manager in the place of
FastMCP's (`_cimd_manager`); everything it overrides is public.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from fastmcp.server.auth import OAuthProxy
from fastmcp.server.auth.auth import PrivateKeyJWTClientAuthenticator
from fastmcp.server.auth.cimd import (
    CIMDAssertionValidator,
    CIMDClientManager,
    CIMDDocument,
    CIMDFetcher,
    CIMDFetchError,
)
from mcp.server.auth.middleware.client_auth import ClientAuthenticator
from mcp.server.auth.provider import TokenError
from mcp.shared.auth import OAuthClientInformationFull
from pydantic import TypeAdapter, ValidationError

from m365_mcp.auth.client_metadata.assertions import UsedAssertions, read_assertion
from m365_mcp.auth.client_metadata.documents import Documents
from m365_mcp.auth.client_metadata.fetcher import DocumentInvalid, Kind
from m365_mcp.auth.client_metadata.hosts import is_client_id_url
from m365_mcp.auth.client_texts import spoilt_uris
from m365_mcp.errors import ClientMetadataInvalid, ClientMetadataUnavailable, Filled
from m365_mcp.errors.request_error import recorded
from m365_mcp.settings import Settings

_OBJECT = TypeAdapter(dict[str, Any])
# Nothing here depends on these members of a document, so one that is not valid is left out.
_INFORMATIVE = frozenset(
    ("client_uri", "logo_uri", "contacts", "tos_uri", "policy_uri", "software_id", "software_version", "scope")
)


def read_document(url: str, body: bytes) -> dict[str, Any]:
    """Return the metadata document of the client `url`. Raises DocumentInvalid."""
    # What has no value counts as left out, as at a registration.
    content = {name: value for name, value in _read_object(body).items() if value not in (None, "")}
    # Section 4.1 of the draft: the client id is compared as a text.
    if content.get("client_id") != url:
        raise DocumentInvalid("client_id_differs")
    invalid = _invalid_members(content)
    if invalid - _INFORMATIVE:
        raise DocumentInvalid("not_client_metadata", member=min(invalid - _INFORMATIVE))
    return {name: value for name, value in content.items() if name not in invalid}


def _invalid_members(content: dict[str, Any]) -> set[str]:
    spoilt = set(spoilt_uris(content))
    try:
        CIMDDocument.model_validate(content)
    except ValidationError as error:
        return spoilt | {str(mistake["loc"][0]) for mistake in error.errors(include_url=False, include_input=False)}
    return spoilt


def read_key_set(_: str, body: bytes) -> dict[str, Any]:
    """Return a key set (RFC 7517) without what is no key. Raises DocumentInvalid."""
    return _keys_of(_read_object(body))


def _keys_of(key_set: dict[str, Any]) -> dict[str, Any]:
    keys = key_set.get("keys")
    if not isinstance(keys, list):
        raise DocumentInvalid("not_a_key_set")
    return {"keys": [key for key in keys if isinstance(key, dict)]}


def _read_object(body: bytes) -> dict[str, Any]:
    try:
        return _OBJECT.validate_json(body)  # it limits depth and digits
    except ValueError:
        raise DocumentInvalid("not_a_json_object") from None


_MALFORMED_KEYS = (TypeError, AttributeError, KeyError)  # FastMCP 4.2 trusts the form of the keys
CLIENT_METADATA = Kind("m365-client-metadata", 5 * 1024, read_document, Filled("metadata document"))
KEY_SETS = Kind("m365-client-keys", 32 * 1024, read_key_set, Filled("set of keys"))


@dataclass(frozen=True)
class ClientMetadata:
    """The documents of clients, and the assertions that they have used.

    Attributes:
        documents: the metadata documents.
        key_sets: the keys of clients that sign assertions.
        used_assertions: the assertions that count no more.
        close: closes the connections.
    """

    documents: Documents
    key_sets: Documents
    used_assertions: UsedAssertions
    close: Callable[[], Awaitable[None]]

    async def keep(self, client: OAuthClientInformationFull) -> None:
        """Put the documents of a client into the store, because somebody signs in with it.

        Raises:
            StorageUnavailable: the store did not respond.
        """
        document = getattr(client, "cimd_document", None)
        if document is not None:
            await self.documents.keep(str(client.client_id))
            if document.jwks_uri is not None:
                await self.key_sets.keep(str(document.jwks_uri))

    async def use_assertion(self, client: OAuthClientInformationFull) -> None:
        """Count the assertion that a client has authenticated itself with, if it has.

        Raises:
            TokenError: `invalid_client`: the assertion was used before.
            StorageUnavailable: the store did not respond.
        """
        assertion = getattr(client, "assertion", None)
        if assertion is not None:
            try:
                await self.used_assertions.use(str(client.client_id), assertion)
            except ValueError as error:
                raise TokenError("invalid_client", f"Invalid client assertion: {error}") from error

    async def lend(self, client: OAuthClientInformationFull) -> None:
        """Put the document of a client into the store for one sign-in, which any replica may go on with.

        Raises:
            StorageUnavailable: the store did not respond.
        """
        if getattr(client, "cimd_document", None) is not None:
            await self.documents.lend(str(client.client_id))


class _StoredDocuments(CIMDFetcher):
    """FastMCP's fetcher with our documents."""

    def __init__(self, documents: Documents) -> None:
        super().__init__()
        self._documents = documents

    def is_cimd_client_id(self, client_id: str) -> bool:
        return is_client_id_url(client_id)

    async def fetch(self, client_id_url: str) -> CIMDDocument:
        content = await self._documents.get(client_id_url)
        if content is None:
            raise CIMDFetchError("the document is gone")
        # This server has one scope, so a list of scopes in the document decides nothing.
        return CIMDDocument.model_validate({**content, "scope": None})


class MetadataClients(CIMDClientManager):
    """Answers FastMCP's questions about clients with a metadata document.

    Args:
        metadata: the documents and assertions.
        settings: the settings of the server.
    """

    def __init__(self, metadata: ClientMetadata, settings: Settings) -> None:
        uris = list(settings.redirect_uris)
        super().__init__(default_scope=settings.mcp_scope_name, allowed_redirect_uri_patterns=uris)
        self._issuer = settings.mcp_server_base_url.rstrip("/")
        self._metadata = metadata
        self._fetcher = _StoredDocuments(metadata.documents)

    async def get_client(self, client_id_url: str) -> Any:
        """Return the client, or None when its document is gone, not valid, or cannot be had now.

        In the last two cases `web.error_override` answers with the recorded error. Raised further, it would be logged
        with a traceback by the MCP SDK 2.3, as often as a stranger likes.

        Raises:
            StorageUnavailable: the store did not respond.
        """
        try:
            return await self._find_client(client_id_url)
        except (ClientMetadataInvalid, ClientMetadataUnavailable):
            return None

    @recorded
    async def _find_client(self, client_id_url: str) -> Any:
        return await super().get_client(client_id_url)

    @recorded
    async def validate_private_key_jwt(self, assertion: str, client: Any, token_endpoint: str) -> bool:
        """Return True when the assertion is valid and was not used before, and note it on the client, as unused.

        Its audience is the issuer, as draft-ietf-oauth-rfc7523bis says and the MCP SDKs do, or the token endpoint, as
        RFC 7523 section 3 says. Our metadata writes the issuer with or without a final slash.

        Raises:
            ValueError: it is not valid; FastMCP answers `invalid_client`.
            M365Error: the client's keys cannot be fetched now, or the store did not respond.
        """
        claims = read_assertion(assertion)
        if claims.audience not in (self._issuer, f"{self._issuer}/", token_endpoint):
            raise ValueError("aud must be the issuer of this server's metadata")
        try:
            document = await self._with_keys(client.cimd_document)
            # A new validator each time: its own memory of used assertions is that of one process.
            validator = CIMDAssertionValidator()  # type: ignore[no-untyped-call]
            await validator.validate_assertion(assertion, client.client_id, claims.audience, document)
        except (DocumentInvalid, *_MALFORMED_KEYS) as error:
            raise ValueError("the client's keys are not valid") from error
        await self._metadata.used_assertions.require_unused(client.client_id, claims)
        client.assertion = claims
        return True

    async def _with_keys(self, document: CIMDDocument) -> CIMDDocument:
        """Return the document with its keys inside. FastMCP 4.2 would fetch `jwks_uri` as it fetches documents."""
        if document.jwks_uri is None:
            keys = _keys_of(document.jwks) if document.jwks else None
        else:
            keys = await self._metadata.key_sets.get(str(document.jwks_uri))
        return document.model_copy(update={"jwks": keys, "jwks_uri": None})


def clients_of(metadata: ClientMetadata | None, settings: Settings) -> MetadataClients | None:
    """Return the manager for the settings; None when MCP_CIMD is off, and then FastMCP advertises nothing."""
    if metadata is None:
        return None
    return MetadataClients(metadata, settings)


def authenticator_of(proxy: OAuthProxy, clients: CIMDClientManager | None, endpoint: str) -> ClientAuthenticator:
    """Return what authenticates clients, with assertions where there are metadata documents."""
    return PrivateKeyJWTClientAuthenticator(proxy, clients, endpoint) if clients else ClientAuthenticator(proxy)
