"""The state of sign-ins: flows, sessions, codes, refresh tokens and consents."""

import secrets
import uuid
from dataclasses import dataclass, field, replace

from m365_simulator.people import Person

FLOW_SECONDS = 600.0
CODE_SECONDS = 600.0
"""An authorization code lives about ten minutes (page "OAuth 2.0 authorization code flow")."""
REFRESH_SECONDS = 90 * 86400.0
"""A refresh token dies after 90 days of inactivity (page "Refresh tokens")."""


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """What a client asked for at the authorization endpoint, after all checks."""

    client_id: str
    redirect_uri: str
    scope: str
    state: str | None = None
    response_mode: str = "query"
    prompt: str | None = None
    login_hint: str | None = None
    code_challenge: str | None = None
    code_challenge_method: str = "plain"
    nonce: str | None = None
    claims: str | None = None
    tenant_id: str | None = None
    """The tenant at whose endpoint it was asked; None for /organizations and /common."""


@dataclass(frozen=True, slots=True)
class SignIn:
    """One interactive sign-in of one person; every code and token that came of it carries its id."""

    id: str
    person: str
    at: float
    mfa: bool = False
    revoked: bool = False


@dataclass(frozen=True, slots=True)
class Flow:
    """A sign-in under way in a browser: which step it is at is told by what is already known."""

    token: str
    request: AuthorizationRequest
    started_at: float
    browser: str
    person: str | None = None
    sign_in: str | None = None


@dataclass(frozen=True, slots=True)
class Code:
    """An authorization code and what it stands for."""

    value: str
    sign_in: str
    request: AuthorizationRequest
    issued_at: float
    redeemed: bool = False


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A refresh token; `scope` is what the first access token was asked for."""

    value: str
    sign_in: str
    scope: str
    issued_at: float
    used: bool = False


@dataclass(frozen=True, slots=True)
class Consent:
    """One scope, in full, agreed to by a person or, without one, by an administrator for everybody in the tenant."""

    tenant_id: str
    scope: str
    person: str | None = None


@dataclass(slots=True)
class SignIns:
    """The state of the authorization server; a restart loses it."""

    sessions: dict[str, SignIn] = field(default_factory=dict)
    browsers: dict[str, tuple[str, ...]] = field(default_factory=dict)
    flows: dict[str, Flow] = field(default_factory=dict)
    codes: dict[str, Code] = field(default_factory=dict)
    refresh_tokens: dict[str, RefreshToken] = field(default_factory=dict)
    consents: set[Consent] = field(default_factory=set)

    def start_flow(self, request: AuthorizationRequest, browser: str, now: float) -> Flow:
        """Remember a sign-in that begins now, and forget the ones that were given up."""
        self.flows = {token: flow for token, flow in self.flows.items() if now - flow.started_at <= FLOW_SECONDS}
        flow = Flow(secrets.token_urlsafe(24), request, now, browser)
        self.flows[flow.token] = flow
        return flow

    def find_flow(self, token: str, now: float) -> Flow | None:
        """Return the flow if it is known and younger than ten minutes."""
        flow = self.flows.get(token)
        return flow if flow and 0 <= now - flow.started_at <= FLOW_SECONDS else None

    def advance(self, flow: Flow, person: str, sign_in: str) -> Flow:
        """Note who signed in during this flow."""
        later = replace(flow, person=person, sign_in=sign_in)
        self.flows[flow.token] = later
        return later

    def sign_in(self, person: str, browser: str, now: float, mfa: bool = False) -> SignIn:
        """Begin a session of this person in this browser, replacing an earlier one of the same person."""
        session = SignIn(str(uuid.uuid4()), person, now, mfa)
        self.sessions[session.id] = session
        others = [other.id for other in self.sessions_in(browser) if other.person != person]
        self.browsers[browser] = (*others, session.id)
        return session

    def sessions_in(self, browser: str) -> tuple[SignIn, ...]:
        """Return the live sessions of a browser, oldest first."""
        known = (self.sessions[id_] for id_ in self.browsers.get(browser, ()) if id_ in self.sessions)
        return tuple(session for session in known if not session.revoked)

    def revoke(self, person: str) -> None:
        """End every session of a person, as "Revoke sessions" in the admin center does."""
        for session in tuple(self.sessions.values()):
            if session.person == person:
                self.sessions[session.id] = replace(session, revoked=True)

    def issue_code(self, sign_in: str, request: AuthorizationRequest, now: float) -> Code:
        """Make a single-use authorization code."""
        code = Code(f"1.{secrets.token_urlsafe(48)}", sign_in, request, now)
        self.codes[code.value] = code
        return code

    def redeem(self, code: Code) -> None:
        """Mark the code as used."""
        self.codes[code.value] = replace(code, redeemed=True)

    def issue_refresh_token(self, sign_in: str, scope: str, now: float) -> RefreshToken:
        """Make a refresh token; the ones before it stay as they are."""
        token = RefreshToken(f"1.{secrets.token_urlsafe(64)}", sign_in, scope, now)
        self.refresh_tokens[token.value] = token
        return token

    def use_refresh_token(self, token: RefreshToken) -> None:
        """Mark the token as used once."""
        self.refresh_tokens[token.value] = replace(token, used=True)

    def missing_consents(self, person: Person, scopes: tuple[str, ...]) -> tuple[str, ...]:
        """Return the scopes that neither this person nor an administrator of the person's tenant has agreed to."""
        agreed = self.consented(person)
        return tuple(scope for scope in scopes if scope not in agreed)

    def consented(self, person: Person) -> tuple[str, ...]:
        """Return, sorted, the scopes that count as agreed to for this person."""
        mine = (one for one in self.consents if one.tenant_id == person.tenant_id and one.person in (None, person.name))
        return tuple(sorted({one.scope for one in mine}))
