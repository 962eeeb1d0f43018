"""The pages a person sees while signing in: choose an account, approve, consent, and what went wrong.

They are plain HTML forms that post `application/x-www-form-urlencoded`, so that a script can fill them in:

* account: `POST {action}` with `flow` (hidden) and `username` (a button's value, e.g. `ada@contoso.example`), or
`action=cancel`
* proof (only when MFA is asked for): `POST {action}` with `flow` and `action=approve|cancel`
* consent (only when one is missing): `POST {action}` with `flow` and `action=accept|cancel`

`{action}` is the form's own `action` attribute. Each step answers the next page (200) or the redirect to the client
(302).
"""

from html import escape
from urllib.parse import urlsplit

from starlette.responses import HTMLResponse, Response

from m365_simulator.entra.problems import EntraError, Trace
from m365_simulator.entra.tenants import may_sign_in
from m365_simulator.pages import card_page, initials_html
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
    choices = "".join(_choice_html(person) for person in people)
    inner = (
        f"<h1>Choose an account</h1><p>to continue to <strong>{escape(tenant.app.display_name)}</strong></p>"
        f'{_form_html(flow, "login")}<div class="choices">{choices}</div>'
        f"{_buttons_html('', '')}</form>"
    )
    return card_page("Sign in (simulator)", inner)


def proof_page(tenant: Tenant, flow: Flow, person: Person) -> HTMLResponse:
    """Return the stand-in for multi-factor authentication."""
    inner = (
        "<h1>Approve this sign-in</h1>"
        f"<p>Your organisation asks for one more proof that you are <strong>{escape(person.display_name)}</strong>.</p>"
        f"{_form_html(flow, 'proof')}{_buttons_html('approve', 'Approve')}</form>"
    )
    return card_page("Approve sign-in (simulator)", inner)


def consent_page(tenant: Tenant, flow: Flow, person: Person, scopes: tuple[str, ...]) -> HTMLResponse:
    """Return the question whether the app may have these scopes, in plain words."""
    rows = "".join(
        f"<li>{escape(meaning(scope, tenant))} <small>{escape(_short(scope))}</small></li>" for scope in scopes
    )
    host = urlsplit(flow.request.redirect_uri).netloc
    allowed = tenant.switches.user_consent_allowed
    title = "Permissions requested" if allowed else "Approval required"
    note = (
        "" if allowed else '<p class="notice">AADSTS90094: an administrator of your organisation has to grant this.</p>'
    )
    inner = (
        f"<h1>{title}</h1>"
        f'<p class="who">{initials_html(person.display_name)} <span>{escape(person.user_principal_name)}</span></p>'
        f"<p><strong>{escape(tenant.app.display_name)}</strong> at <code>{escape(host)}</code> would like to:</p>"
        f'<ul class="wishes">{rows}</ul>{note}'
        f"{_form_html(flow, 'consent')}{_buttons_html('accept' if allowed else '', 'Accept')}</form>"
    )
    return card_page(f"{title} (simulator)", inner)


def problem_page(problem: EntraError, trace: Trace) -> HTMLResponse:
    """Return Entra's own error page, used when there is nowhere safe to redirect to; always with status 400."""
    rows = (
        f"<dt>Trace ID</dt><dd>{trace.trace_id}</dd><dt>Correlation ID</dt><dd>{trace.correlation_id}</dd>"
        f"<dt>Timestamp</dt><dd>{trace.timestamp}</dd>"
    )
    notice = f'<p class="notice">{escape(str(problem))}</p>'
    inner = f'<h1>You can\'t sign in like this</h1>{notice}<dl class="trace">{rows}</dl>'
    return card_page("Sign-in error (simulator)", inner, status=400)


def form_post_page(redirect_uri: str, parameters: dict[str, str]) -> Response:
    """Return the self-submitting form of OAuth 2.0 Form Post Response Mode; without scripts a button does it."""
    fields = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in parameters.items()
    )
    inner = (
        f'<h1>Going back to the application</h1><form method="post" action="{escape(redirect_uri)}">{fields}'
        '<button class="primary">Continue</button></form>'
    )
    return card_page("Continue (simulator)", inner, script="document.forms[0].submit()")


def meaning(scope: str, tenant: Tenant) -> str:
    """Return what a scope lets the app do, said to the person who is asked."""
    if scope == tenant.app.scope:
        return f"Use {tenant.app.display_name} as you"
    return GRAPH_SCOPES.get(scope.removeprefix(f"{GRAPH}/")) or _OIDC_MEANING.get(scope, scope)


def _short(scope: str) -> str:
    return scope.rpartition("/")[2]


def _form_html(flow: Flow, step: str) -> str:
    segment = flow.request.tenant_id or "organizations"
    return (
        f'<form method="post" action="/{segment}/{step}"><input type="hidden" name="flow" value="{escape(flow.token)}">'
    )


def _choice_html(person: Person) -> str:
    note = "" if person.enabled else " <small>(account disabled)</small>"
    note += "" if person.licensed else " <small>(no mailbox)</small>"
    return (
        f'<button class="choice" name="username" value="{escape(person.user_principal_name)}">'
        f"{initials_html(person.display_name)}<span><strong>{escape(person.display_name)}</strong>{note}<br>"
        f"{escape(person.user_principal_name)}</span></button>"
    )


def _buttons_html(action: str, label: str) -> str:
    yes = f'<button class="primary" name="action" value="{action}">{label}</button>' if action else ""
    return f'<div class="buttons"><button name="action" value="cancel">Cancel</button>{yes}</div>'
