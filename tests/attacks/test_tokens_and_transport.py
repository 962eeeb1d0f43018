"""Attacks on tokens, on the transport and on handles: rows C of the acceptance suite, with the whole server."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from m365_mcp.auth.mcp_tokens import McpTokens
from m365_mcp.auth.session import TokenPair
from tests.attacks.serving import HEADERS, call, serving
from tests.inprocess import EVERY_TOOLSET, GRACE, SERVER, World, running

KEY = "a-signing-key-that-is-the-same-on-all-replicas"
LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
PRIVATE = rsa.generate_private_key(65537, 2048)
PUBLIC = PRIVATE.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with running(jwt_signing_key=KEY, m365_toolsets=EVERY_TOOLSET) as world:
        yield world


async def mcp(world: World, token: str, path: str = "/mcp", **headers: str) -> httpx2.Response:
    """Ask for the tools; only tokens that are refused get an answer, because no session manager runs here."""
    async with world.http() as http:
        return await http.post(path, json=LIST, headers={**HEADERS, "Authorization": f"Bearer {token}", **headers})


def encoded(part: Any) -> str:
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def signed(header: Any, claims: Any, key: bytes) -> str:
    """Return a token with any header, signed with HMAC-SHA256."""
    text = f"{encoded(header)}.{encoded(claims)}"
    return f"{text}.{encoded(hmac.new(key, text.encode(), hashlib.sha256).digest())}"


def forged(good: str, key: bytes) -> dict[str, str]:
    """Return what is made from a good token: without the key, and with it but with wrong claims."""
    head, body, signature = good.split(".")
    header, claims = jwt.get_unverified_header(good), jwt.decode(good, options={"verify_signature": False})
    hs256 = {"alg": "HS256", "typ": "JWT"}
    embedded = {
        "jwk": {"kty": "oct", "k": encoded(b"k" * 32)},
        "jku": "https://evil.example/keys",
        "kid": "../../dev/null",
    }
    made = {
        **{
            f"alg {name}": f"{encoded({**header, 'alg': name})}.{body}."
            for name in ("none", "None", "nOnE", "NONE", "")
        },
        "no signature": f"{head}.{body}.",
        "none with the signature": f"{encoded({**header, 'alg': 'none'})}.{body}.{signature}",
        "other body": f"{head}.{encoded({**claims, 'jti': 'other.1'})}.{signature}",
        "reversed signature": f"{head}.{body}.{signature[::-1]}",
        "no alg": signed({"typ": "JWT"}, claims, key),
        "RS256": jwt.encode(claims, PRIVATE, "RS256"),
        "RS256 said, HMAC done": signed({"alg": "RS256"}, claims, key),
        "HMAC with a public key": signed(hs256, claims, PUBLIC),
        "HS512": jwt.encode(claims, key.ljust(64, b"x"), "HS512"),
        "crit": signed({**hs256, "crit": ["exp"]}, claims, key),
        "b64": signed({**hs256, "b64": False, "crit": ["b64"]}, claims, key),
        **{f"key {key.decode()}": signed(hs256, claims, key) for key in (b"secret", b"x" * 32, KEY.encode())},
        **{f"header {name}": signed({**hs256, name: value}, claims, b"k" * 32) for name, value in embedded.items()},
    }
    wrong: dict[str, dict[str, Any]] = {
        "aud": {"aud": "https://other.example/mcp"},
        "aud list": {"aud": ["https://other.example/mcp"]},
        "iss": {"iss": "https://evil.example/"},
        "exp": {"exp": int(time.time()) - 61},
        "exp text": {"exp": "never"},
        "iat": {"iat": int(time.time()) + 3600},
        "token_use": {"token_use": "refresh"},
        "jti": {"jti": "nobody.1"},
    }
    return made | {f"claim {name}": signed(hs256, {**claims, **change}, key) for name, change in wrong.items()}


async def test_c1_forged_token_is_401(world: World) -> None:
    """No algorithm, another one, another key, and with the real key every wrong claim: each is `invalid_token`."""
    tokens = await world.sign_in()
    key = world.container.auth._tokens.keys[0]
    same = signed(jwt.get_unverified_header(tokens.access), claims_of(tokens.access), key)
    assert await world.container.auth.load_access_token(same) is not None  # the others fail for what they change

    for name, token in forged(tokens.access, key).items():
        answer = await mcp(world, token)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token"), name
        assert await world.container.auth.load_access_token(token) is None, name


def claims_of(token: str) -> dict[str, Any]:
    found: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return found


async def test_c2_token_of_microsoft_is_no_token_of_ours(world: World) -> None:
    """Entra's token for this app, its refresh token, and the Graph token, all real and valid, are 401 as bearer."""
    tokens = await world.sign_in()
    await (await world.outbox(tokens)).mailbox.profile()
    [session] = [one async for one in world.container.sign_ins.sessions.all()]
    graph = [
        request.headers["Authorization"].removeprefix("Bearer ")
        for request in world.network.seen
        if request.url.path.startswith("/v1.0/")
    ]
    raw = [session.upstream.access_token, str(session.upstream.refresh_token), *graph]

    assert len(raw) >= 3
    assert [(await mcp(world, token)).status_code for token in raw] == [401] * len(raw)


async def test_c3_refresh_token_and_token_in_the_address_open_nothing(world: World) -> None:
    """A refresh token is no access token, nor the other way round, and a token in the query or a form is none."""
    tokens = await world.sign_in()
    as_refresh = await world.token(grant_type="refresh_token", refresh_token=tokens.access, client_id=tokens.client_id)
    async with world.http() as http:
        bare = [
            await http.post(f"/mcp?access_token={tokens.access}", json=LIST, headers=HEADERS),
            await http.post("/mcp", data={"access_token": tokens.access}, headers={"Accept": HEADERS["Accept"]}),
            await http.post("/mcp", json=LIST, headers={**HEADERS, "Cookie": f"access_token={tokens.access}"}),
        ]

    assert (await mcp(world, tokens.refresh)).status_code == 401
    assert as_refresh.status_code in (400, 401)
    assert [answer.status_code for answer in bare] == [401] * 3


@pytest.mark.parametrize("kind", ["access", "refresh"])
async def test_c4_token_of_another_server_with_the_same_key_is_401(world: World, kind: str) -> None:
    """Same key, same store, same session: the address of the other server in `aud` and `iss` makes it worthless."""
    tokens, ours = await world.sign_in(), world.container.auth._tokens
    [session] = [one async for one in world.container.sign_ins.sessions.all()]
    other = McpTokens(ours.keys, "http://localhost:9000/", "http://localhost:9000/mcp", 7200)
    foreign, own = (issuer.issue(session, TokenPair(number=1, at=int(time.time()))) for issuer in (other, ours))

    assert await world.container.auth.load_access_token(own.access_token) is not None
    if kind == "access":
        assert (await mcp(world, foreign.access_token)).status_code == 401
    else:
        form = {"grant_type": "refresh_token", "client_id": tokens.client_id}
        answer = await world.token(**form, refresh_token=str(foreign.refresh_token))
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_grant")


PREFIXED = "http://localhost:8000/m365"


@pytest.mark.parametrize("base", [SERVER, PREFIXED])
@pytest.mark.parametrize("path", ["/mcp/", "//mcp", "/mcp//", "/token/", "/.well-known/oauth-protected-resource/mcp/"])
async def test_c14_slash_too_many_redirects_nowhere(base: str, path: str) -> None:
    """No spelling of a path is answered with a redirect, and a foreign `Host` is reflected by none."""
    async with running(mcp_server_base_url=base) as world, world.http() as http:
        prefix = base.removeprefix(SERVER)
        for headers in ({}, {"Host": "evil.example"}, {"X-Forwarded-Host": "evil.example"}):
            for method in ("GET", "POST"):
                answer = await http.request(method, prefix + path, headers=headers)
                assert answer.status_code not in range(300, 400), (method, headers)
                assert "evil.example" not in answer.text + str(answer.headers), (method, headers)


async def test_c15_head_of_a_request_stays_below_the_limit_of_a_default_nginx(world: World) -> None:
    """Whatever groups a person is in, the token says nothing of them: the head has less than a quarter of 8 KB."""
    tokens = await world.sign_in()
    head = httpx2.Request("POST", f"{SERVER}/mcp", headers={**HEADERS, "Authorization": f"Bearer {tokens.access}"})
    size = sum(len(name) + len(value) + 4 for name, value in head.headers.raw)

    assert "groups" not in claims_of(tokens.access)
    assert size < 2048


GRACES = {"send_mail": {"to": ["grace@contoso.example"], "subject": "Hers", "body": "Text", "idempotency_key": "k"}}


async def test_c17_handles_of_another_person_lead_nowhere() -> None:
    """Ids of Ada's drafts, files, scheduled and held mail are unknown to Grace, and Ada's key names nothing for her."""
    options = {"m365_send_approval": "external", "m365_internal_domains": "contoso.example"}
    async with serving(m365_toolsets=EVERY_TOOLSET, **options) as world:
        ada, grace = (await world.sign_in()).access, (await world.sign_in(GRACE)).access
        mail = {"to": [GRACE], "subject": "Lunch?", "body": "At noon?"}
        draft = await call(world, ada, "create_draft", **mail)
        files = await call(world, ada, "attach_files", **mail, files=[{"name": "a.txt"}])
        later = (datetime.now(UTC) + timedelta(days=1)).isoformat()
        scheduled = await call(world, ada, "schedule_mail", **mail, send_at=later)
        held = await call(world, ada, "send_mail", **{**mail, "to": ["marie@fabrikam.example"]})
        await call(world, ada, "send_mail", **mail, idempotency_key="k")
        handles = {
            "send_draft": {"draft_id": said(draft, "draft_id")},
            "discard_draft": {"draft_id": said(draft, "draft_id")},
            "send_with_attachments": {"draft_id": said(files, "draft_id")},
            "cancel_scheduled": {"message_id": said(scheduled, "message_id")},
            "get_send_status": {"message_id": said(held, "message_id")},
        }
        before = len(await world.sent())
        refused = {tool: await call(world, grace, tool, **arguments) for tool, arguments in handles.items()}
        for tool, arguments in handles.items():
            missing = await call(world, grace, tool, **dict.fromkeys(arguments, "0" * 32))
            codes = [answer["content"][0]["text"].partition(":")[0] for answer in (refused[tool], missing)]
            assert codes[0] == codes[1], tool
        own = await call(world, grace, "send_mail", **GRACES["send_mail"])
        sent = await world.sent()
        still = await call(world, ada, "send_draft", draft_id=said(draft, "draft_id"))

    assert all(answer["isError"] for answer in refused.values()), refused
    assert [said(own, "status"), said(still, "status")] == ["sent", "sent"]
    assert [mail["from"]["address"] for mail in sent[before:]] == [GRACE]


def said(result: dict[str, Any], name: str) -> str:
    """Return a member of what a tool answered."""
    assert not result.get("isError"), result
    return str(result["structuredContent"][name])


async def test_c17_upload_link_leads_to_its_owners_draft_only() -> None:
    """What Grace sends to Ada's link is Ada's file and reaches no draft of Grace's; a guessed link is 404."""
    async with serving(m365_toolsets="attachments") as world, world.http() as http:
        ada, grace = (await world.sign_in()).access, (await world.sign_in(GRACE)).access
        mail = {"to": [GRACE], "subject": "Lunch?", "body": "At noon?", "files": [{"name": "a.txt"}]}
        answers = {token: await call(world, token, "attach_files", **mail) for token in (ada, grace)}
        link = answers[ada]["structuredContent"]["files"][0]["upload_url"]
        put = await http.put(link, content=b"x", headers={"Authorization": f"Bearer {grace}"})
        guessed = await http.put(link[:-4] + "AAAA", content=b"x")
        incomplete = await call(world, grace, "send_with_attachments", draft_id=said(answers[grace], "draft_id"))

    assert (put.status_code, guessed.status_code) == (201, 404)
    assert incomplete["isError"]
