"""Tells why a host cannot be reached: DNS, a closed way out, a proxy, TLS or a certificate."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx2

from m365_mcp.errors import (
    CertificateNotTrusted,
    ConnectionRefused,
    ConnectionTimedOut,
    Filled,
    M365Error,
    NameNotResolved,
    ProxyFailed,
    TlsFailed,
)
from m365_mcp.http_clients import plain_client

SIGN_IN = "Run m365-mcp doctor --sign-in."
REQUEST_SECONDS = 5.0  # for one request; several of them are shorter than the limit of a check


def patient_client(verify: ssl.SSLContext, *, uses_proxy: bool = True) -> httpx2.AsyncClient:
    """Return a client that waits five seconds for a response.

    Args:
        verify: what servers are verified with.
        uses_proxy: whether it uses the proxy of the environment; nobody reaches this machine itself through one.
    """
    http = plain_client(verify=verify, trust_env=uses_proxy)
    http.timeout = httpx2.Timeout(REQUEST_SECONDS)
    return http


async def get(http: httpx2.AsyncClient, url: str) -> httpx2.Response:
    """Return the response to a GET of `url` within five seconds. Raises M365Error that says why there is none."""
    try:
        return await http.get(url, timeout=REQUEST_SECONDS)
    except httpx2.HTTPError as error:
        raise why_unreachable(error, url) from error


def why_unreachable(error: BaseException, url: str, *, uses_proxy: bool = True) -> M365Error:
    """Return what an error of a connection to `url` means.

    Args:
        error: the error of the client.
        url: where it should have led.
        uses_proxy: whether the client uses the proxy of the environment.
    """
    host, causes = urlsplit(url).hostname or url, list(_causes(error))
    if uses_proxy and (proxy := _proxy_of(url)):
        through = urlsplit(proxy if "://" in proxy else f"http://{proxy}").hostname or Filled("of the environment")
        if isinstance(error, httpx2.ProxyError) or not _of_tls(causes):
            form = "The proxy %(proxy)s does not pass a connection to %(host)s on."
            return ProxyFailed(Filled(form, proxy=through, host=host))
    return _of_certificate(causes, host) or _of_connection(causes, host)


def _of_certificate(causes: list[BaseException], host: str) -> M365Error | None:
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            if cause.verify_code == 10:  # X509_V_ERR_CERT_HAS_EXPIRED
                return CertificateNotTrusted(
                    Filled("The certificate of %(host)s has expired.", host=host), advice="Renew it."
                )
            if cause.verify_code in (62, 64):  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH
                advice = "Check that the name leads to the right address, and that nothing on the way inspects TLS."
                named = Filled("The certificate of %(host)s is for another name.", host=host)
                return CertificateNotTrusted(named, advice=advice)
            form = "The certificate of %(host)s is of an authority that nobody trusts here."
            return CertificateNotTrusted(Filled(form, host=host))
    if _of_tls(causes):
        return TlsFailed(Filled("The TLS handshake with %(host)s fails.", host=host))
    return None


def _of_connection(causes: list[BaseException], host: str) -> M365Error:
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return NameNotResolved(Filled("DNS has no address for %(host)s.", host=host))
    if any(isinstance(cause, ConnectionRefusedError | ConnectionResetError) for cause in causes):
        return ConnectionRefused(Filled("%(host)s refuses the connection.", host=host))
    return ConnectionTimedOut(Filled("%(host)s does not respond.", host=host))


def _of_tls(causes: list[BaseException]) -> bool:
    return any(isinstance(cause, ssl.SSLError) for cause in causes)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, what it was raised from, and what a group of errors holds."""
    yield error
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _causes(inner)
    beneath = error.__cause__ or error.__context__
    if beneath is not None:
        yield from _causes(beneath)


def _proxy_of(url: str) -> str | None:
    """Return the proxy that the environment names for an http or https URL, with or without a scheme of its own."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or parts.hostname is None or proxy_bypass(parts.hostname):
        return None
    proxies = getproxies()
    return proxies.get(parts.scheme) or proxies.get("all")
