"""Errors of a sign-in in a browser, and of addresses that a browser cannot use; a part of the tree in `errors.base`.

InvalidArgument                    invalid_argument
  SignInExpired                    sign_in_expired
  SignInAlreadyDone                sign_in_already_done
  SignInFailed                     sign_in_failed               Microsoft was asked too often without success
  SignInElsewhere                  sign_in_elsewhere            begun in another browser, or without cookies
  SignInReloaded                   sign_in_reloaded             the consent page was loaded too often
  HostNotServed                    misdirected_request          the request names another host
  OriginNotAllowed                 forbidden_origin             a page of another site sent the request
  OriginHidden                     origin_hidden                the browser hides which page sent the form
  ClientUnknown                    client_unknown
  AuthorizationRequestInvalid      authorization_request_invalid
    AuthorizationRequestTooLarge   authorization_request_too_large
  PageUnknown                      page_unknown
  AddressForClients                address_for_clients          the MCP endpoint, opened in a browser
  RequestRefused                   request_refused
  RedirectNotAllowed               redirect_not_allowed         the operator does not allow the redirect URI
  RedirectNotRegistered            redirect_not_registered      the client has not registered the redirect URI
  RedirectNotInDocument            redirect_not_in_document     the client's metadata document does not list it
  RedirectNotUsable                redirect_not_usable          it can be no redirect URI, whoever allows it
"""

from __future__ import annotations

from m365_mcp.errors.base import InvalidArgument
from m365_mcp.errors.filled import Filled


class SignInExpired(InvalidArgument):
    """The sign-in is not known: it is over, was open for too long, or never was."""

    code = "sign_in_expired"
    title = "This sign-in has expired"
    sentence = "It was open for more than 15 minutes, or it was finished in another tab."
    advice = "Go back to your assistant and connect again. You can close this page."


class SignInFailed(InvalidArgument):
    """Entra was asked for the tokens of one sign-in several times, and gave none."""

    code = "sign_in_failed"
    title = "This sign-in did not work"
    sentence = "Microsoft was asked to complete it several times, without success."
    advice = "Go back to your assistant and connect again. You can close this page."


class SignInElsewhere(InvalidArgument):
    """The sign-in was approved in another browser, or this browser keeps no cookies."""

    code = "sign_in_elsewhere"
    title = "This sign-in began in another browser"
    sentence = "Only the browser that you allowed the assistant in can finish its sign-in."
    advice = (
        "Go back to your assistant, connect again, and stay in one browser that accepts cookies of this site. "
        "If somebody sent you the link to this page, close it."
    )
    status = 403


class ClientUnknown(InvalidArgument):
    """The client id is not known: the registration was not used for long, or the store is a new one."""

    code = "client_unknown"
    title = "Your assistant has to register again"
    sentence = "This server does not know the client id that your assistant uses."
    advice = "Remove this server in your assistant, add it again, and connect."


class AuthorizationRequestInvalid(InvalidArgument):
    """The client's authorization request is not valid, and nobody can be sent back (RFC 6749 section 4.1.2.1)."""

    code = "authorization_request_invalid"
    title = "This sign-in cannot begin"
    sentence = "The address that your assistant opened is not complete, or not valid."
    advice = "Go back to your assistant and connect again. Do not copy this address by hand."


class AuthorizationRequestTooLarge(AuthorizationRequestInvalid):
    """The authorization request, or a parameter of it, is larger than this server accepts.

    Args:
        detail: which part is too large, one sentence for the administrator.
    """

    code = "authorization_request_too_large"
    sentence = "Your assistant sent more than this server accepts."
    advice = (
        "Tell the people who make the MCP client. An authorization request may have 32 KB: state 8 KB, client_id, "
        "redirect_uri and resource 2 KB each, code_challenge 128 bytes, and other parameters 4 KB each."
    )
    needs_administrator = True

    def __init__(self, detail: str | None = None) -> None:
        super().__init__()
        if detail is not None:
            self.for_administrator = Filled("%(sentence)s %(advice)s", sentence=detail, advice=Filled(self.advice))


class PageUnknown(InvalidArgument):
    """The server has no page at this address."""

    code = "page_unknown"
    title = "There is nothing at this address"
    sentence = "The address is wrong, or what was here is gone."
    advice = "Check that you copied the whole address."
    status = 404


class AddressForClients(InvalidArgument):
    """The MCP endpoint was opened in a browser."""

    code = "address_for_clients"
    title = "This address is for your assistant"
    sentence = "It is no page; it works in Claude and other MCP clients."
    advice = "Copy the address from the bar of your browser, and add it to your assistant as a connector."


class RequestRefused(InvalidArgument):
    """The server did not take the request of a browser, for a reason of HTTP."""

    code = "request_refused"
    title = "That did not work"
    sentence = "This server did not accept what your browser sent."
    advice = "Go back to your assistant and connect again."


class RedirectNotAllowed(InvalidArgument):
    """The redirect URI is not on the operator's list."""

    code = "redirect_not_allowed"
    title = "This assistant is not allowed here yet"
    sentence = "The people who run this server have not allowed the address that the answer would go to."
    advice = (
        "Add the client to MCP_CLIENTS, or the redirect URI to MCP_ALLOWED_REDIRECT_URIS, "
        "but only if you know who receives it."
    )
    needs_administrator = True


class RedirectNotRegistered(InvalidArgument):
    """The operator allows the redirect URI, but the client has not registered it."""

    code = "redirect_not_registered"
    title = "Your assistant has to register again"
    sentence = "The address that the answer would go to is not one that your assistant registered."
    advice = "Remove this server in your assistant, add it again, and connect."


class RedirectNotInDocument(InvalidArgument):
    """The operator allows the redirect URI, but the client's metadata document does not list it."""

    code = "redirect_not_in_document"
    title = "Your assistant asks for an address that its maker does not list"
    sentence = "The maker of your assistant publishes a list of addresses, and the answer would go to another one."
    advice = "Update your assistant and connect again. If this page comes again, tell the maker of your assistant."


class RedirectNotUsable(InvalidArgument):
    """Nobody can be redirected to the redirect URI: it is not safe, or has no normal form."""

    code = "redirect_not_usable"
    title = "Your assistant asks for an address that no answer can go to"
    sentence = "An answer goes to a web address, to your own computer or to an app, and never to an address like this."
    advice = "Update your assistant and connect again. If this page comes again, tell the maker of your assistant."


class SignInAlreadyDone(InvalidArgument):
    """The browser came back from Entra a second time with the same sign-in."""

    code = "sign_in_already_done"
    title = "This sign-in is done already"
    sentence = "This sign-in is being completed already, or is complete."
    advice = "Close this page and go back to your assistant. If it is not connected, connect again there."


class SignInReloaded(InvalidArgument):
    """The consent page of one sign-in was loaded more often than this server keeps its forms."""

    code = "sign_in_reloaded"
    title = "This page was loaded too often"
    sentence = "This server shows the page of one sign-in only a few times."
    advice = (
        "If the page is still open in another tab, continue there. "
        "Otherwise go back to your assistant and connect again; that begins a new sign-in."
    )
    status = 429


class HostNotServed(InvalidArgument):
    """The host of the request is not one of this server's (RFC 9110 section 15.5.20)."""

    code = "misdirected_request"
    title = "This address is not set up yet"
    sentence = "This server does not serve the host that the request names."
    advice = "Use the address in MCP_SERVER_BASE_URL, or have the operator add the host to MCP_ALLOWED_HOSTS."
    needs_administrator = True
    status = 421


class OriginNotAllowed(InvalidArgument):
    """A page of another site sent the request (`Origin`), and the operator does not allow that site."""

    code = "forbidden_origin"
    title = "Another site is not allowed here yet"
    sentence = "A page of another site tried to call this server."
    advice = "To allow that site, the operator adds its origin to MCP_ALLOWED_ORIGINS."
    needs_administrator = True
    status = 403


class OriginHidden(InvalidArgument):
    """The form of the consent page came with `Origin: null`, as a sandboxed window sends it."""

    code = "origin_hidden"
    title = "Your browser hides which page sent the form"
    sentence = "So this server cannot tell your answer from one that another site sent."
    advice = (
        "Go back to your assistant, connect again, and open the sign-in in an ordinary browser window, "
        "without extensions that hide where you come from."
    )
    status = 403
