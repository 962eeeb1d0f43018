"""The checks of the public URL: what clients on the way in meet, from here or from outside."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx2

from m365_mcp.commands.doctor.examination import Check, Warn
from m365_mcp.commands.doctor.reaching import why_unreachable
from m365_mcp.errors import (
    ConnectionRefused,
    Filled,
    M365Error,
    NotChecked,
    PublicUrlBuffers,
    PublicUrlUnreachable,
    PublicUrlWrong,
    ReplicasDiffer,
    UnexpectedResponse,
)
from m365_mcp.loopback import is_loopback
from m365_mcp.web.health import EVENT_STREAM, PAUSE_SECONDS

HEADER_BYTES = 8_000  # a token of this server has about 500; some clients and proxies add much
_REQUESTS = 12  # with three replicas that take turns by chance, each responds to one of them with 99.2 percent
_ATTEMPTS = 3  # a busy machine, too, may read both parts of a stream at once
_NOT_STARTED = (502, 503, 504)  # what a load balancer says while no server is behind it (RFC 9110 section 15.6)
_SERVER_ADVICE = "Check that the server runs and is ready (/readyz), and that the proxy leads to its port."
_HOST_ADVICE = "Check host and path of the public URL, and that the proxy passes on every path below it to this server."
_PATH_ADVICE = "Have the proxy pass on every path below the public URL, and both /.well-known paths at its host."


@dataclass(frozen=True)
class PublicUrlChecks:
    """The checks of a public URL.

    Attributes:
        url: the public URL without a trailing slash.
        http: a client that follows no redirects.
        instance: the instance id of the server that should respond; None: any server of this project.
        is_outside: whether this program stands where clients are, so that silence is a failure.
        unless: the checks whose failure is the cause of what is found here.
    """

    url: str
    http: httpx2.AsyncClient
    instance: str | None = None
    is_outside: bool = False
    unless: Sequence[str] = ()

    def checks(self) -> Iterator[Check]:
        """Yield the checks, each behind what it depends on."""
        yield Check("public_url", self.reach, ("settings",), unless=self.unless)
        yield Check("replicas", self.compare_replicas, ("public_url", "client_credential"))
        yield Check("public_metadata", self.read_metadata, ("public_url",))
        yield Check("public_headers", self.send_large_header, ("public_url",))
        yield Check("public_streaming", self.receive_in_parts, ("public_url",))

    async def reach(self) -> None:
        """Return when this server responds at the public URL."""
        if urlsplit(self.url).path.endswith("/mcp"):
            sentence = "The public URL ends in /mcp, so the endpoint would be /mcp/mcp."
            raise PublicUrlWrong(sentence, advice="Leave /mcp out of MCP_SERVER_BASE_URL.")
        try:
            response = await self.http.get(f"{self.url}/livez")
        except httpx2.HTTPError as error:
            raise self._unreachable(self._why(error)) from error
        if response.status_code in _NOT_STARTED and not self.is_outside:
            answer = Filled("Its host responds with HTTP %(status)s.", status=str(response.status_code))
            raise self._unreachable(UnexpectedResponse(answer))
        if response.status_code in _NOT_STARTED:
            form = "The proxy at the public URL reaches no server (HTTP %(status)s)."
            raise PublicUrlWrong(Filled(form, status=str(response.status_code)), advice=_SERVER_ADVICE)
        self._check_redirect(response)
        live = _object(response)
        if response.status_code == 421:
            raise PublicUrlWrong(
                "The server does not serve the host of the public URL.",
                advice="Set MCP_SERVER_BASE_URL to that host, or have the proxy pass the Host header on unchanged.",
            )
        if response.status_code != 200 or live.get("status") != "ok" or "instance" not in live:
            form = "No server of this project responds at the public URL (HTTP %(status)s)."
            raise PublicUrlWrong(Filled(form, status=str(response.status_code)), advice=_HOST_ADVICE)

    async def compare_replicas(self) -> None:
        """Return when all replicas behind the public URL have one version, and the keys of these settings if known."""
        seen = [await self._live() for _ in range(_REQUESTS)]
        if self.instance is None and len({live.get("instance") for live in seen}) > 1:
            raise ReplicasDiffer(
                "The replicas behind the public URL have different keys.",
                advice="Give all replicas the same keys and secrets.",
            )
        if self.instance is not None and any(live.get("instance") != self.instance for live in seen):
            raise ReplicasDiffer(
                "A server with other keys responds at the public URL.",
                advice="Check where the host leads, and give all replicas the same keys and secrets.",
            )
        if len({live.get("build") for live in seen}) > 1:
            raise Warn(ReplicasDiffer("The replicas behind the public URL have different versions."))

    async def _live(self) -> dict[str, Any]:
        """Return what a replica says at /livez, over a connection of its own."""
        url = f"{self.url}/livez"
        try:
            return _object(await self.http.get(url, headers={"Connection": "close"}))
        except httpx2.HTTPError as error:
            raise self._why(error) from error

    def _why(self, error: httpx2.HTTPError) -> M365Error:
        return why_unreachable(error, self.url, uses_proxy=self.http.trust_env)

    def _unreachable(self, why: M365Error) -> M365Error | Warn:
        if self.is_outside:
            return why
        if isinstance(why, ConnectionRefused) and is_loopback(urlsplit(self.url).hostname):
            sentence, advice = "No server runs at the public URL.", "Start the server, then run the doctor again."
            return Warn(PublicUrlUnreachable(sentence, advice=advice), is_end=True)
        both = {"sentence": Filled(PublicUrlUnreachable.sentence), "why": Filled.of(why.sentence)}
        return Warn(PublicUrlUnreachable(Filled("%(sentence)s %(why)s", **both)), is_end=True)

    def _check_redirect(self, response: httpx2.Response) -> None:
        if not 300 <= response.status_code < 400:
            return
        target = urlsplit(response.headers.get("Location", ""))
        if urlsplit(self.url).scheme == "http" and target.scheme == "https":
            raise PublicUrlWrong(
                "The public URL has http, and its host redirects to https.", advice="Write https in the public URL."
            )
        raise PublicUrlWrong(
            "The public URL redirects to another address, which MCP clients do not follow with a token.",
            advice="Set the public URL to the address that it redirects to, or end the redirect at the proxy.",
        )

    async def read_metadata(self) -> None:
        """Return when both metadata documents are there and name this URL (RFC 9728 and RFC 8414)."""
        parts = urlsplit(self.url)
        origin = f"{parts.scheme}://{parts.netloc}"
        resource = await self._document(f"{origin}/.well-known/oauth-protected-resource{parts.path}/mcp")
        if resource.get("resource") != f"{self.url}/mcp":
            raise PublicUrlWrong(
                "The metadata names another resource than the public URL followed by /mcp.",
                advice="Set MCP_SERVER_BASE_URL to the URL that clients use, to the letter.",
            )
        server = await self._document(f"{origin}/.well-known/oauth-authorization-server{parts.path}")
        if str(server.get("issuer")).rstrip("/") != self.url:
            raise PublicUrlWrong(
                "The metadata names another issuer than the public URL.",
                advice="Set MCP_SERVER_BASE_URL to the URL that clients use, to the letter.",
            )

    async def _document(self, url: str) -> dict[str, Any]:
        try:
            response = await self.http.get(url)
        except httpx2.HTTPError as error:
            raise self._why(error) from error
        document = _object(response)
        if response.status_code != 200 or not document:
            what = {"path": urlsplit(url).path, "status": str(response.status_code)}
            sentence = Filled("There is no metadata at %(path)s (HTTP %(status)s).", **what)
            raise PublicUrlWrong(sentence, advice=_PATH_ADVICE)
        return document

    async def send_large_header(self) -> None:
        """Return when a request with a header of 8 KB arrives, as a client with a long token sends it."""
        headers = {"Authorization": f"Bearer {'x' * HEADER_BYTES}", "Accept": "application/json, text/event-stream"}
        try:
            response = await self.http.post(f"{self.url}/mcp", headers=headers, json={})
        except httpx2.HTTPError as error:
            raise self._why(error) from error
        if response.status_code != 401 or "WWW-Authenticate" not in response.headers:
            form = "A request with a token of 8 KB is answered with HTTP %(status)s instead of 401."
            raise PublicUrlWrong(
                Filled(form, status=str(response.status_code)),
                advice="Give the proxy buffers for headers of 16 KB, and have it pass on 401 and WWW-Authenticate.",
            )

    async def receive_in_parts(self) -> None:
        """Return when the first part of a response arrives before the second is sent."""
        for _ in range(_ATTEMPTS):
            if await self._pause() > PAUSE_SECONDS / 4:
                return
        raise Warn(PublicUrlBuffers())

    async def _pause(self) -> float:
        """Return the seconds from the first part of a response to its end."""
        try:
            async with self.http.stream("GET", f"{self.url}/livez", headers={"Accept": EVENT_STREAM}) as response:
                if not response.headers.get("Content-Type", "").startswith(EVENT_STREAM):
                    raise NotChecked("The server sends no response in parts; it has another version, or is busy.")
                arrived = [time.monotonic() async for _ in response.aiter_raw()]
        except httpx2.HTTPError as error:
            raise self._why(error) from error
        return time.monotonic() - arrived[0] if arrived else 0.0


def _object(response: httpx2.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
