"""The pages a person sees while signing in: choose an account, approve, consent, and what went wrong.

They are plain HTML forms that post `application/x-www-form-urlencoded`, so that a script can fill them in:

* account: `POST {action}` with `flow` (hidden) and `username` (a button's value, e.g. `ada@contoso.example`), or
`action=cancel`
* proof (only when MFA is asked for): `POST {action}` with `flow` and `action=approve|cancel`
* consent (only when one is missing): `POST {action}` with `flow` and `action=accept|cancel`

`{action}` is the form's own `action` attribute. Each step answers the next page (200) or the redirect to the client
(302).
"""

from urllib.parse import urlsplit

from starlette.responses import HTMLResponse, Response

from m365_simulator.entra.problems import EntraError, Trace
from m365_simulator.entra.tenants import may_sign_in
from m365_simulator.pages import card_page
from m365_simulator.people import Person
from m365_simulator.permissions import GRAPH, GRAPH_SCOPES
from m365_simulator.sign_ins import Flow
from m365_simulator.tenant import Tenant

_OIDC_MEANING = {
    "openid": "Know that it is you",
    "profile": "See your name",
    "email": "See your mail address",
    "offline_access": "Keep the access you give it, until you take it back",
}


def account_page(tenant: Tenant, flow: Flow) -> HTMLResponse:
    """Return the choice of those who may use the app; a person named by `login_hint` comes first.

    Like a browser's own list it does not ask whose endpoint this is: choosing a foreign account is AADSTS50020.
    """
    hint = flow.request.login_hint or ""
    admitted = [person for person in tenant.people.values() if may_sign_in(tenant, None, person)]
    people = sorted(admitted, key=lambda person: not person.answers_to(hint))
    return card_page("account.html", flow=flow, app_name=tenant.app.display_name, people=people)


def proof_page(flow: Flow, person: Person) -> HTMLResponse:
    """Return the stand-in for multi-factor authentication."""
    return card_page("proof.html", flow=flow, person=person)


def consent_page(tenant: Tenant, flow: Flow, person: Person, scopes: tuple[str, ...]) -> HTMLResponse:
    """Return the question whether the app may have these scopes, in plain words."""
    return card_page(
        "consent.html",
        flow=flow,
        person=person,
        app_name=tenant.app.display_name,
        host=urlsplit(flow.request.redirect_uri).netloc,
        allowed=tenant.switches.user_consent_allowed,
        permissions=[(meaning(scope, tenant), scope.rpartition("/")[2]) for scope in scopes],
    )


def problem_page(problem: EntraError, trace: Trace) -> HTMLResponse:
    """Return Entra's own error page, used when there is nowhere safe to redirect to; always with status 400."""
    return card_page("problem.html", status=400, problem=problem, trace=trace)


def form_post_page(redirect_uri: str, parameters: dict[str, str]) -> Response:
    """Return the self-submitting form of OAuth 2.0 Form Post Response Mode; without scripts a button does it."""
    script = "document.forms[0].submit()"
    return card_page("form_post.html", script=script, redirect_uri=redirect_uri, parameters=parameters)


def meaning(scope: str, tenant: Tenant) -> str:
    """Return what a scope lets the app do, said to the person who is asked."""
    if scope == tenant.app.scope:
        return f"Use {tenant.app.display_name} as you"
    return GRAPH_SCOPES.get(scope.removeprefix(f"{GRAPH}/")) or _OIDC_MEANING.get(scope, scope)
