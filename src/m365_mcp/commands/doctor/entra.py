"""Checks of Entra ID, and of what it knows of the app registration without anybody's sign-in."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx2
from cryptography import x509

from m365_mcp.commands.doctor.examination import Check, Warn
from m365_mcp.commands.doctor.reaching import REQUEST_SECONDS, SIGN_IN, get
from m365_mcp.entra import meanings
from m365_mcp.entra.decipher import aadsts_codes
from m365_mcp.entra.meaning import Meaning
from m365_mcp.entra.refusals import REFUSALS
from m365_mcp.entra.token_endpoint import TokenEndpoint
from m365_mcp.errors import (
    AppRegistrationMistake,
    ClientAssertionRejected,
    ClientSecretExpired,
    ClientSecretRejected,
    ClockWrong,
    CredentialEndsSoon,
    EntraUnavailable,
    Filled,
    M365Error,
    NotChecked,
    RedirectUriNotRegistered,
    ScopeNotExposed,
    UnexpectedResponse,
)
from m365_mcp.settings import Settings
from m365_mcp.settings.clouds import graph_scopes
from m365_mcp.settings.identity import ORGANIZATIONS

MAX_CLOCK_SECONDS = 120.0  # Entra's tokens are refused from five minutes on
SOON = timedelta(days=30)
_OF_CREDENTIAL = (ClientSecretRejected, ClientSecretExpired, ClientAssertionRejected)
_NOT_IN_TENANT = ("AADSTS700016", "AADSTS700011", "AADSTS7000229")
_DISABLED = "AADSTS7000112"


@dataclass
class EntraChecks:
    """The checks of Entra ID.

    Attributes:
        settings: the settings of the server.
        http: the client for Entra ID.
        endpoint: Entra's token endpoint for this application.
    """

    settings: Settings
    http: httpx2.AsyncClient
    endpoint: TokenEndpoint
    _date: str = field(default="", init=False)
    _page: tuple[int, ...] | None = field(default=None, init=False)
    _answers: dict[str, dict[str, Any] | M365Error] = field(default_factory=dict, init=False)

    def checks(self) -> Iterator[Check]:
        """Yield the checks, each behind what it depends on."""
        yield Check("entra_connection", self.connect, ("settings",))
        yield Check("clock", self.compare_clocks, ("entra_connection",))
        yield Check("tenant", self.find_tenants, ("entra_connection",))
        yield Check("client_id", self.find_application, ("tenant", "clock"))
        yield Check("client_credential", self.prove_credential, ("tenant", "clock"), unless=("client_id",))
        is_asked = self.settings.azure_client_secret is not None  # of the others, nothing is known at Entra ID
        yield Check("credential_end", self.see_end_of_credential, ("client_credential" if is_asked else "settings",))
        yield Check("scope", self.find_scope, ("client_credential",))

    def redirect_uri(self) -> Check:
        """Return the check of the redirect URI; a wrong public URL or scope is one cause of two failures."""
        causes = ("client_id", "public_url", "public_metadata", "scope")
        return Check("redirect_uri", self.find_redirect_uri, ("tenant", "clock"), unless=causes)

    @property
    def _tenant(self) -> str:
        """The first tenant whose people may sign in; `organizations` has no applications of its own."""
        return self.settings.tenants[0]

    async def connect(self) -> None:
        """Return when the metadata of the first tenant is there, or Entra says that it does not know the tenant."""
        response = await get(self.http, self._metadata_url(self._tenant))
        if not isinstance(_json(response), dict):
            form = "What responds at %(url)s is not Entra ID."
            raise UnexpectedResponse(Filled(form, url=self.settings.authority))
        self._date = response.headers.get("Date", "")

    def _metadata_url(self, tenant: str) -> str:
        return f"{self.settings.authority}/{tenant}/v2.0/.well-known/openid-configuration"

    async def compare_clocks(self) -> None:
        """Return when this machine's clock and Entra's differ by less than two minutes (header Date)."""
        try:
            entra = parsedate_to_datetime(self._date).timestamp()
        except ValueError:
            raise NotChecked("The response of Entra ID has no date.", advice="Compare the clock by hand.") from None
        ahead = time.time() - entra
        if abs(ahead) > MAX_CLOCK_SECONDS:
            fast, slow = (
                "The clock of this machine is %(minutes)s minutes fast.",
                "The clock of this machine is %(minutes)s minutes slow.",
            )
            raise ClockWrong(Filled(fast if ahead > 0 else slow, minutes=str(round(abs(ahead) / 60))))

    async def find_tenants(self) -> None:
        """Return when Entra knows each tenant by the id that its tokens have in their issuer."""
        for tenant in self.settings.tenants:
            response = await get(self.http, self._metadata_url(tenant))
            body = _json(response)
            issuer = body.get("issuer") if isinstance(body, dict) else None
            if issuer != f"{self.settings.authority}/{tenant}/v2.0":
                raise AppRegistrationMistake(
                    Filled("Entra ID does not know a tenant with the id %(tenant)s.", tenant=tenant),
                    advice="Set AZURE_TENANT_ID (or AZURE_ALLOWED_TENANTS) to the Directory (tenant) ID, a GUID.",
                )

    async def find_application(self) -> None:
        """Return when Entra knows the application: it gives a token, or refuses the credential only."""
        refusal = self._refusal(await self._ask(self._graph_scope))
        if refusal is None or isinstance(refusal, _OF_CREDENTIAL):
            return
        if refusal.reference == _DISABLED:
            raise AppRegistrationMistake(
                "The application is disabled in Entra ID.",
                advice="Enable it: Enterprise applications, Properties, 'Enabled for users to sign-in'.",
                reference=refusal.reference,
            )
        if refusal.reference in _NOT_IN_TENANT and not self._may_lack_consent(refusal):
            raise AppRegistrationMistake(
                "Entra ID does not know AZURE_CLIENT_ID in this tenant.",
                advice="Set AZURE_CLIENT_ID to the Application (client) ID of the app registration in this tenant.",
                reference=refusal.reference,
            )
        raise self._untold(refusal)

    async def prove_credential(self) -> None:
        """Return when Entra gives a token for the credential (RFC 6749 section 4.4)."""
        refusal = self._refusal(await self._ask(self._graph_scope))
        if refusal is not None:
            raise refusal if isinstance(refusal, _OF_CREDENTIAL) or _is_unread_token(refusal) else self._untold(refusal)

    def _may_lack_consent(self, refusal: M365Error) -> bool:
        """Whether the application is of another tenant, and this one has not consented to it."""
        return self.settings.azure_tenant_id == ORGANIZATIONS and refusal.reference in _NOT_IN_TENANT

    def _untold(self, refusal: M365Error) -> NotChecked:
        """Return what a refusal says that tells nothing of the application and its credential."""
        if _is_unread_token(refusal):
            return NotChecked("There is nothing to ask Entra ID with.", advice=refusal.administrator_advice)
        if isinstance(refusal, EntraUnavailable):
            return NotChecked("Entra ID does not respond to a token request.", advice="Run the doctor again later.")
        form = "Entra ID gives this application no token of its own (%(reference)s)."
        sentence = Filled(form, reference=refusal.reference or refusal.code)
        if not self._may_lack_consent(refusal):
            return NotChecked(sentence, advice=SIGN_IN)
        link = f"{self.settings.authority}/{self._tenant}/adminconsent?client_id={self.settings.azure_client_id}"
        form = "If AZURE_CLIENT_ID is right, have an administrator of the tenant %(tenant)s consent at %(link)s"
        return NotChecked(sentence, advice=Filled(form, tenant=self._tenant, link=link))

    async def see_end_of_credential(self) -> None:
        """Return when the credential is good for 30 days more, by the certificate or by the application's record."""
        end = await self._end_of_credential()
        if end - datetime.now(UTC) < SOON:
            raise Warn(CredentialEndsSoon(Filled("The client credential ends on %(date)s.", date=f"{end:%Y-%m-%d}")))

    async def _end_of_credential(self) -> datetime:
        certificate = self.settings.azure_client_certificate_path
        if self.settings.azure_client_secret is None and certificate is not None:
            return _end_of(certificate)
        if self.settings.azure_client_secret is None:
            raise NotChecked("A federated credential has no end.", advice="Nothing has to be done.")
        hint = self.settings.azure_client_secret.get_secret_value()[:3]
        ends = [
            datetime.fromisoformat(one["endDateTime"])
            for one in (await self._application() or {}).get("passwordCredentials", [])
            if one.get("hint") == hint and one.get("endDateTime")
        ]
        if not ends:
            raise NotChecked(
                "Entra ID does not tell when the secret ends.", advice="See Certificates & secrets in the portal."
            )
        return max(ends)

    async def find_scope(self) -> None:
        """Return when the application exposes the scope, by its record.

        Where the application may not read that, Entra's sign-in page may refuse the scope. A page that does not has
        not looked at it, so NotChecked is raised.
        """
        resource = f"api://{self.settings.azure_client_id}"
        refusal = self._refusal(await self._ask(f"{resource}/.default"))
        if refusal is not None and refusal.reference in ("AADSTS500011", "AADSTS50001"):
            form = "The app registration does not have the Application ID URI %(uri)s."
            raise ScopeNotExposed(Filled(form, uri=resource), reference=refusal.reference)
        application, number = await self._application(), None
        if application is None and (number := await self._number_of(meanings.SCOPE_UNKNOWN)) is None:
            raise NotChecked("The application may not read its own record in Entra ID.", advice=SIGN_IN)
        exposed = (application or {}).get("api", {}).get("oauth2PermissionScopes", [])
        names = [scope.get("value") for scope in exposed if scope.get("isEnabled", True)]
        if self.settings.mcp_scope_name not in names:
            form = "The app registration does not expose the scope %(scope)s."
            reference = f"AADSTS{number}" if number else None
            raise ScopeNotExposed(Filled(form, scope=self.settings.mcp_scope_name), reference=reference)

    async def find_redirect_uri(self) -> None:
        """Return when Entra shows its sign-in page for the redirect URI of this server."""
        if number := await self._number_of(meanings.REDIRECT_URI):
            form = "The app registration does not have the redirect URI %(uri)s."
            raise RedirectUriNotRegistered(Filled(form, uri=self._redirect_uri), reference=f"AADSTS{number}")
        if numbers := await self._numbers_of_page():
            raise NotChecked(Filled("Entra ID's page says AADSTS%(number)s.", number=str(numbers[0])), advice=SIGN_IN)

    async def _number_of(self, meaning: Meaning) -> int | None:
        """Return the number of a refusal with this meaning on Entra's sign-in page, None without one."""
        numbers = await self._numbers_of_page()
        return next((one for one in numbers if one in REFUSALS and REFUSALS[one].meaning is meaning), None)

    async def _numbers_of_page(self) -> tuple[int, ...]:
        """Return the AADSTS numbers on Entra's sign-in page for this server; asks once."""
        if self._page is None:
            query = {
                "client_id": self.settings.azure_client_id,
                "response_type": "code",
                "redirect_uri": self._redirect_uri,
                "scope": f"api://{self.settings.azure_client_id}/{self.settings.mcp_scope_name} openid",
                "state": "doctor",
                "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",  # of RFC 7636 appendix B
                "code_challenge_method": "S256",
            }
            url = f"{self.settings.authority}/{self.settings.azure_tenant_id}/oauth2/v2.0/authorize?{urlencode(query)}"
            response = await get(self.http, url)
            text = response.text + response.headers.get("Location", "")
            self._page = tuple(aadsts_codes({"error_description": text}))
        return self._page

    @property
    def _redirect_uri(self) -> str:
        return f"{self.settings.mcp_server_base_url}/auth/callback"

    @property
    def _graph_scope(self) -> str:
        return graph_scopes(self.settings.cloud, self.settings.graph, (".default",))[0]

    async def _ask(self, scope: str) -> dict[str, Any] | M365Error:
        """Return the token of the application for `scope`, or Entra's refusal; asks once."""
        if scope not in self._answers:
            form = {"grant_type": "client_credentials", "scope": scope}
            try:
                self._answers[scope] = await self.endpoint.request(form, repeatable=True, tenant=self._tenant)
            except M365Error as error:
                self._answers[scope] = error
        return self._answers[scope]

    @staticmethod
    def _refusal(answer: dict[str, Any] | M365Error) -> M365Error | None:
        return answer if isinstance(answer, M365Error) else None

    async def _application(self) -> dict[str, Any] | None:
        """Return the record of the application; None where the application may not read it."""
        answer = await self._ask(self._graph_scope)
        if isinstance(answer, M365Error):
            return None
        url = f"{self.settings.graph}/v1.0/applications(appId='{self.settings.azure_client_id}')"
        try:
            headers = {"Authorization": f"Bearer {answer['access_token']}"}
            response = await self.http.get(url, headers=headers, timeout=REQUEST_SECONDS)
        except httpx2.HTTPError:
            return None
        body = _json(response)
        return body if response.status_code == 200 and isinstance(body, dict) else None


def _is_unread_token(refusal: M365Error | None) -> bool:
    """Whether no request was made, because the federated token of this pod cannot be read."""
    return isinstance(refusal, AppRegistrationMistake) and isinstance(refusal.__cause__, OSError)


def _json(response: httpx2.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None


def _end_of(path: Path) -> datetime:
    return x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc
