"""The authorization endpoint and the steps of a sign-in after it; ends in a redirect with a code or an error."""

import secrets
import uuid
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from m365_simulator.entra.authorization_request import check_client, read_request, wants_mfa
from m365_simulator.entra.authorization_response import refuse, send_back, show
from m365_simulator.entra.forms import read_form
from m365_simulator.entra.problems import EntraError
from m365_simulator.entra.scopes import read_scopes
from m365_simulator.entra.sign_in_pages import account_page, consent_page, proof_page
from m365_simulator.entra.tenants import check_account, may_sign_in
from m365_simulator.people import Person
from m365_simulator.sign_ins import AuthorizationRequest, Consent, Flow, SignIn
from m365_simulator.tenant import Tenant

COOKIE = "simulator-browser"


async def authorize(request: Request) -> Response:
    """Respond to `GET /{tenant}/oauth2/v2.0/authorize`."""
    tenant: Tenant = request.app.state.tenant
    query = request.query_params
    try:
        tenant_id = check_client(tenant, request.path_params["tenant"], query)
    except EntraError as problem:
        return show(tenant, request, problem)
    try:
        authorization = read_request(tenant, tenant_id, query)
    except EntraError as problem:
        # Only what is needed to find the way back is taken from a request that is wrong.
        mode = query.get("response_mode", "query")
        mode = mode if mode in ("fragment", "form_post") else "query"
        back = AuthorizationRequest(query["client_id"], query["redirect_uri"], "", query.get("state"), mode)
        return refuse(tenant, request, back, problem)
    browser = request.cookies.get(COOKIE) or secrets.token_urlsafe(24)
    response = _begin(tenant, request, authorization, browser)
    response.set_cookie(COOKIE, browser, secure=True, httponly=True, samesite="lax", path="/")
    return response


async def choose_account(request: Request) -> Response:
    """Respond to `POST /{tenant}/login`: a person signs in."""
    tenant: Tenant = request.app.state.tenant
    try:
        form = await read_form(request)
        flow = _flow(tenant, form.get("flow", ""))
        if form.get("action") == "cancel":
            return _cancel(tenant, request, flow)
        person = _person(tenant, flow, form.get("username", ""))
    except EntraError as problem:
        return show(tenant, request, problem)
    session = tenant.sign_ins.sign_in(person.name, flow.browser, tenant.clock.now())
    return _next_step(tenant, request, tenant.sign_ins.advance(flow, person.name, session.id))


async def prove(request: Request) -> Response:
    """Respond to `POST /{tenant}/proof`: the person approves the sign-in as a second factor, or gives up."""
    tenant: Tenant = request.app.state.tenant
    try:
        form = await read_form(request)
        flow = _flow(tenant, form.get("flow", ""))
        session = _session(tenant, flow)
    except EntraError as problem:
        return show(tenant, request, problem)
    if form.get("action") != "approve":
        return _cancel(tenant, request, flow)
    tenant.sign_ins.sessions[session.id] = replace(session, mfa=True)
    return _next_step(tenant, request, flow)


async def consent(request: Request) -> Response:
    """Respond to `POST /{tenant}/consent`: the person agrees, which is remembered, or declines."""
    tenant: Tenant = request.app.state.tenant
    try:
        form = await read_form(request)
        flow = _flow(tenant, form.get("flow", ""))
        session = _session(tenant, flow)
    except EntraError as problem:
        return show(tenant, request, problem)
    if form.get("action") != "accept" or not tenant.switches.user_consent_allowed:
        return _cancel(tenant, request, flow)
    tenant_id = tenant.people[session.person].tenant_id
    for scope in read_scopes(flow.request.scope, tenant.app).in_full(tenant.app):
        tenant.sign_ins.consents.add(Consent(tenant_id, scope, session.person))
    return _finish(tenant, flow.request, session, flow)


async def log_out(request: Request) -> Response:
    """Respond to `GET /{tenant}/oauth2/v2.0/logout`: forget the sessions; tokens stay valid (page "Refresh tokens")."""
    tenant: Tenant = request.app.state.tenant
    tenant.sign_ins.browsers.pop(request.cookies.get(COOKIE, ""), None)
    target = request.query_params.get("post_logout_redirect_uri", "")
    if tenant.app.knows_redirect(target):
        return RedirectResponse(target, 302)
    return Response("Signed out of the simulator.", media_type="text/plain")


def _begin(tenant: Tenant, request: Request, authorization: AuthorizationRequest, browser: str) -> Response:
    """Go on with a live session of this browser if `prompt` permits it; ask for an account otherwise."""
    sessions = tuple(
        session
        for session in tenant.sign_ins.sessions_in(browser)
        if may_sign_in(tenant, authorization.tenant_id, tenant.people[session.person])
    )
    if authorization.login_hint:
        hinted = tenant.find_person(authorization.login_hint)
        sessions = tuple(s for s in sessions if hinted is not None and s.person == hinted.name)
    session = sessions[0] if len(sessions) == 1 and tenant.people[sessions[0].person].enabled else None
    if authorization.prompt == "none":
        return _silently(tenant, request, authorization, session)
    flow = tenant.sign_ins.start_flow(authorization, browser, tenant.clock.now())
    if session is None or authorization.prompt in ("login", "select_account"):
        return account_page(tenant, flow)
    return _next_step(tenant, request, tenant.sign_ins.advance(flow, session.person, session.id))


def _silently(
    tenant: Tenant, request: Request, authorization: AuthorizationRequest, session: SignIn | None
) -> Response:
    """Return the response to `prompt=none`: a code, or the reason why a person would have to be asked."""
    if session is None:
        problem = EntraError(50058, "A silent sign-in request was sent but no user is signed in.")
    elif _needs_mfa(tenant, authorization, session):
        problem = EntraError(50076, "You must use multi-factor authentication.", error="interaction_required")
    elif _lacking(tenant, authorization, session):
        problem = EntraError(
            65001, "The user or administrator has not consented to use the application.", error="consent_required"
        )
    else:
        return _finish(tenant, authorization, session, None)
    return refuse(tenant, request, authorization, problem)


def _next_step(tenant: Tenant, request: Request, flow: Flow) -> Response:
    session = _session(tenant, flow)
    person = tenant.people[session.person]
    if _needs_mfa(tenant, flow.request, session):
        return proof_page(flow, person)
    lacking = _lacking(tenant, flow.request, session)
    if flow.request.prompt == "consent":
        lacking = read_scopes(flow.request.scope, tenant.app).in_full(tenant.app)
    if lacking:
        return consent_page(tenant, flow, person, lacking)
    return _finish(tenant, flow.request, session, flow)


def _needs_mfa(tenant: Tenant, authorization: AuthorizationRequest, session: SignIn) -> bool:
    if session.mfa:
        return False
    if wants_mfa(authorization):
        return True
    return tenant.people[session.person].must_do_mfa and not tenant.switches.mfa_only_when_claims_ask


def _lacking(tenant: Tenant, authorization: AuthorizationRequest, session: SignIn) -> tuple[str, ...]:
    wanted = read_scopes(authorization.scope, tenant.app).in_full(tenant.app)
    return tenant.sign_ins.missing_consents(tenant.people[session.person], wanted)


def _flow(tenant: Tenant, token: str) -> Flow:
    flow = tenant.sign_ins.find_flow(token, tenant.clock.now())
    if flow is None:
        raise EntraError(
            50089, "Authentication failed due to flow token expired. Go back to the application and sign in again."
        )
    return flow


def _person(tenant: Tenant, flow: Flow, username: str) -> Person:
    person = tenant.find_person(username)
    if person is None:
        raise EntraError(50034, "The user account does not exist in the directory.")
    check_account(tenant, flow.request.tenant_id, person)
    if not person.enabled:
        raise EntraError(50057, "The user account is disabled.")
    return person


def _session(tenant: Tenant, flow: Flow) -> SignIn:
    session = tenant.sign_ins.sessions.get(flow.sign_in or "")
    if session is None or session.revoked:
        raise EntraError(
            50089, "Authentication failed: nobody has signed in during this flow, or the session was revoked."
        )
    return session


def _finish(tenant: Tenant, authorization: AuthorizationRequest, session: SignIn, flow: Flow | None) -> Response:
    if flow is not None:
        tenant.sign_ins.flows.pop(flow.token, None)
    code = tenant.sign_ins.issue_code(session.id, authorization, tenant.clock.now())
    return send_back(authorization, {"code": code.value}, {"session_state": str(uuid.uuid4())})


def _cancel(tenant: Tenant, request: Request, flow: Flow) -> Response:
    tenant.sign_ins.flows.pop(flow.token, None)
    problem = EntraError(65004, "User declined to consent to access the app.")
    return refuse(tenant, request, flow.request, problem, {"error_subcode": "cancel"})
