"""The responses of the authorization endpoint: a code or an error to the client, or a page for the person."""

import re
from urllib.parse import urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from m365_simulator.entra.problems import EntraError, describe, new_trace
from m365_simulator.entra.sign_in_pages import form_post_page, problem_page
from m365_simulator.sign_ins import AuthorizationRequest
from m365_simulator.tenant import Tenant


def refuse(
    tenant: Tenant,
    request: Request,
    authorization: AuthorizationRequest,
    problem: EntraError,
    extra: dict[str, str] | None = None,
) -> Response:
    """Send the error to the redirect URI (RFC 6749 section 4.1.2.1)."""
    answer = problem.answer(tenant.switches.aadsts_overrides)
    description = describe(problem, new_trace(tenant.clock.today(), request.headers))
    uri = f"{tenant.authority}/error?code={problem.code}"
    return send_back(
        authorization, {"error": answer.error, "error_description": description, "error_uri": uri}, extra or {}
    )


def send_back(authorization: AuthorizationRequest, parameters: dict[str, str], extra: dict[str, str]) -> Response:
    """Carry parameters to the client by the response mode that it asked for; `state` comes back without HTML."""
    state = {} if authorization.state is None else {"state": re.sub(r"<[^>]*>", "", authorization.state)}
    everything = parameters | state | extra
    parts = urlsplit(authorization.redirect_uri)
    parts = parts._replace(path=parts.path or "/")
    if authorization.response_mode == "form_post":
        return form_post_page(parts.geturl(), everything)
    text = urlencode(everything)
    if authorization.response_mode == "fragment":
        parts = parts._replace(fragment=text)
    else:
        parts = parts._replace(query=f"{parts.query}&{text}" if parts.query else text)
    return RedirectResponse(parts.geturl(), 302)


def show(tenant: Tenant, request: Request, problem: EntraError) -> Response:
    """Show the error to the person, because there is no address that may be trusted with it."""
    return problem_page(problem, new_trace(tenant.clock.today(), request.headers))
