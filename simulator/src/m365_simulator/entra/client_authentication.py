"""How an application proves who it is: a secret in the body or by HTTP Basic, or a signed assertion.

Sources: RFC 6749 section 2.3, RFC 7523 section 2.2.
"""

import base64
from dataclasses import dataclass
from urllib.parse import unquote_plus

from m365_simulator.entra.client_assertion import check_assertion
from m365_simulator.entra.forms import Form
from m365_simulator.entra.problems import EntraError
from m365_simulator.tenant import Tenant


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the client presented."""

    client_id: str
    secret: str | None


def authenticate_client(tenant: Tenant, tenant_id: str | None, form: Form, authorization: str | None) -> None:
    """Raise EntraError unless the request comes from the registered application."""
    presented = _presented(tenant, form, authorization)
    if presented.client_id.casefold() != tenant.app.client_id:
        raise EntraError(
            700016,
            f"Application with identifier '{presented.client_id}' was not found in the directory "
            f"'{tenant.directory.home.display_name}'. This can happen if the application has not been installed by the "
            "administrator "
            "of the tenant or consented to by any user in the tenant.",
        )
    if not tenant.app.enabled:
        raise EntraError(7000112, f"Application '{tenant.app.client_id}'({tenant.app.display_name}) is disabled.")
    if "client_assertion" in form:
        check_assertion(tenant, tenant_id, form)
        return
    _check_secret(tenant, presented.secret)


def _presented(tenant: Tenant, form: Form, authorization: str | None) -> Credentials:
    basic = _from_basic(authorization, tenant.switches.url_decode_basic_credentials)
    if basic is None:
        if "client_assertion" in form and "client_secret" in form:
            raise EntraError(9002313, "Invalid request. More than one client authentication method was used.")
        if "client_id" not in form:
            raise EntraError(900144, "The request body must contain the following parameter: 'client_id'.")
        return Credentials(form["client_id"], form.get("client_secret"))
    if "client_secret" in form or "client_assertion" in form:
        # RFC 6749 section 2.3: not more than one authentication method in a request.
        raise EntraError(9002313, "Invalid request. More than one client authentication method was used.")
    if "client_id" not in form and tenant.switches.client_id_required_in_body_with_basic:
        raise EntraError(900144, "The request body must contain the following parameter: 'client_id'.")
    if form.get("client_id", basic.client_id) != basic.client_id:
        raise EntraError(9002313, "Invalid request. The client_id differs between the header and the body.")
    return basic


def _from_basic(authorization: str | None, url_decode: bool) -> Credentials | None:
    scheme, _, encoded = (authorization or "").partition(" ")
    if scheme.casefold() != "basic":
        return None
    try:
        client_id, colon, secret = base64.b64decode(encoded, validate=True).decode("latin-1").partition(":")
    except ValueError:
        raise EntraError(9002313, "Invalid request. The Authorization header is malformed.") from None
    if url_decode:
        client_id, secret = unquote_plus(client_id), unquote_plus(secret)
    return Credentials(client_id, secret if colon and secret else None)


def _check_secret(tenant: Tenant, value: str | None) -> None:
    if not value:
        raise EntraError(
            7000218, "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."
        )
    secret = tenant.app.find_secret(value)
    if secret is None:
        raise EntraError(
            7000215,
            "Invalid client secret provided. Ensure the secret being sent in the request is the client secret "
            "value, not the "
            f"client secret ID, for a secret added to app '{tenant.app.client_id}'.",
        )
    if secret.expires_at is not None and secret.expires_at <= tenant.clock.now():
        raise EntraError(
            7000222,
            f"The provided client secret keys for app '{tenant.app.client_id}' are expired. Visit the Azure "
            "portal to create new "
            "keys for your app: https://aka.ms/NewClientSecret, or consider using certificate credentials for "
            "added security: "
            "https://aka.ms/certCreds.",
        )
