"""Errors of a client's metadata document; a part of the tree in `errors.base`.

InvalidArgument
  ClientMetadataInvalid        client_metadata_invalid       the document, or the place where it is
Unavailable
  ClientMetadataUnavailable    client_metadata_unavailable   the document cannot be fetched now
"""

from m365_mcp.errors.base import InvalidArgument, Unavailable


class ClientMetadataInvalid(InvalidArgument):
    """The client id is the URL of a document that is not valid, or at a host that nothing is fetched from."""

    code = "client_metadata_invalid"
    title = "This assistant cannot sign in here"
    sentence = "This server cannot use the document that describes your assistant."
    advice = "Tell the people who make the MCP client."
    needs_administrator = True


class ClientMetadataUnavailable(Unavailable):
    """The metadata document of a client cannot be fetched, and this server has no earlier one."""

    code = "client_metadata_unavailable"
    sentence = "The metadata document of the MCP client cannot be fetched."
    advice = "Try again in a moment; if it persists, the operator can allow the server to reach that host."
