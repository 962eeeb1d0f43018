"""Errors that only `m365-mcp doctor` reports; a part of the tree in `errors.base`.

SetupMistake                       setup_mistake              what the doctor finds wrong with a set-up
  NameNotResolved                  name_not_resolved
  ConnectionRefused                connection_refused
  ConnectionTimedOut               connection_timed_out
  ProxyFailed                      proxy_failed
  TlsFailed                        tls_failed
  CertificateNotTrusted            certificate_not_trusted
  UnexpectedResponse               unexpected_response        something else answers
  ClockWrong                       clock_wrong
  CredentialEndsSoon               credential_ends_soon
  RedirectUriNotRegistered         redirect_uri_not_registered
  ScopeNotExposed                  scope_not_exposed
  StorePasswordRejected            store_password_rejected
  StorePermissionMissing           store_permission_missing
  StoreIsReplica                   store_is_replica
  StoreNotPersistent               store_not_persistent
  StoreEvicts                      store_evicts
  StoreSlow                        store_slow
  StoreFillsUp                     store_fills_up
  PublicUrlWrong                   public_url_wrong
  PublicUrlUnreachable             public_url_unreachable
  PublicUrlBuffers                 public_url_buffers
  ReplicasDiffer                   replicas_differ
  PortInUse                        port_in_use
  NotChecked                       not_checked                it cannot be told, or waits for another check
"""

from __future__ import annotations

from m365_mcp.errors.base import M365Error


class SetupMistake(M365Error):
    """Something outside this server's settings is not set up as it must be."""

    code = "setup_mistake"
    needs_administrator = True
    status = 503


class NameNotResolved(SetupMistake):
    """DNS has no address for the host."""

    code = "name_not_resolved"
    sentence = "DNS has no address for the host."
    advice = "Check the spelling of the host, and the DNS server that this machine or pod uses."


class ConnectionRefused(SetupMistake):
    """Nobody listens at the address, or a firewall refuses the connection at once."""

    code = "connection_refused"
    sentence = "The host refuses the connection."
    advice = "Check the port, that the service runs, and that no firewall or network policy refuses the connection."


class ConnectionTimedOut(SetupMistake):
    """Packets get no response: egress is closed, or there is no route."""

    code = "connection_timed_out"
    sentence = "The host does not respond."
    advice = "Allow egress to the host in the firewall and the network policy, or set HTTPS_PROXY."


class ProxyFailed(SetupMistake):
    """The proxy of the environment does not respond, or refuses the host."""

    code = "proxy_failed"
    sentence = "The proxy does not pass the connection on."
    advice = "Check HTTPS_PROXY and NO_PROXY, and that the proxy allows the host."


class TlsFailed(SetupMistake):
    """The host does not speak TLS as expected."""

    code = "tls_failed"
    sentence = "The TLS handshake with the host fails."
    advice = "Check the scheme and the port, and that nothing on the way inspects TLS."


class CertificateNotTrusted(SetupMistake):
    """The certificate of the host is of no trusted authority, for another name, or expired."""

    code = "certificate_not_trusted"
    sentence = "The certificate of the host is not trusted."
    advice = "Name a PEM file with the certificate authority of your network in SSL_CERT_FILE."


class UnexpectedResponse(SetupMistake):
    """Something responds, but not as the service does."""

    code = "unexpected_response"
    sentence = "What responds is not the expected service."
    advice = "Check the address, and that no proxy or sign-in page of a network responds in its place."


class ClockWrong(SetupMistake):
    """The clock of this machine differs from that of Entra ID."""

    code = "clock_wrong"
    sentence = "The clock of this machine is wrong."
    advice = "Set the clock by NTP."


class CredentialEndsSoon(SetupMistake):
    """The client secret or certificate ends within 30 days."""

    code = "credential_ends_soon"
    sentence = "The client credential ends soon."
    advice = "Create a new one under Certificates & secrets, and set it before the old one ends."


class RedirectUriNotRegistered(SetupMistake):
    """Entra ID refuses the redirect URI of this server (AADSTS50011)."""

    code = "redirect_uri_not_registered"
    sentence = "The app registration does not have the redirect URI of this server."
    advice = "Add it under Authentication, platform Web, to the letter."


class ScopeNotExposed(SetupMistake):
    """The app registration does not expose the scope that clients ask for."""

    code = "scope_not_exposed"
    sentence = "The app registration does not expose the scope of this server."
    advice = "Under 'Expose an API', set the Application ID URI to api://<client id> and add the scope."


class StorePasswordRejected(SetupMistake):
    """Redis answers, and does not accept the name or the password."""

    code = "store_password_rejected"
    sentence = "Redis does not accept the user name or the password."
    advice = "Correct them in REDIS_URL, with special characters percent-encoded."


class StorePermissionMissing(SetupMistake):
    """Redis accepts the password, and refuses a command to this user (ACL)."""

    code = "store_permission_missing"
    sentence = "Redis does not allow its user a command that this server needs."
    advice = "Allow the Redis user of REDIS_URL what this server needs: ACL SETUSER <user> ~* +@all -@dangerous +info."


class StoreIsReplica(SetupMistake):
    """Redis is a replica outside a cluster, which accepts no changes."""

    code = "store_is_replica"
    sentence = "The Redis of REDIS_URL is a replica, which accepts no changes."
    advice = "Name the primary in REDIS_URL."


class StoreNotPersistent(SetupMistake):
    """Redis keeps nothing on disk."""

    code = "store_not_persistent"
    sentence = "Redis keeps nothing on disk, so everybody signs in again after it restarts."
    advice = "Set appendonly yes, or save."


class StoreEvicts(SetupMistake):
    """Redis removes records when its memory is full."""

    code = "store_evicts"
    sentence = "Redis removes records when its memory is full, so people are signed out."
    advice = "Set maxmemory-policy to noeviction."


class StoreSlow(SetupMistake):
    """Redis takes long for a command."""

    code = "store_slow"
    sentence = "Redis responds slowly."
    advice = "Put Redis near this server, and look at its load with SLOWLOG."


class StoreFillsUp(SetupMistake):
    """Redis has used 80 percent of its memory or more."""

    code = "store_fills_up"
    sentence = "The memory of Redis is nearly used up."
    advice = "Give Redis more memory (maxmemory)."


class PublicUrlWrong(SetupMistake):
    """The public URL does not lead to this server as clients need it."""

    code = "public_url_wrong"
    sentence = "MCP_SERVER_BASE_URL does not lead to this server."
    advice = "Set MCP_SERVER_BASE_URL to the address that clients use, without /mcp at its end."


class PublicUrlUnreachable(SetupMistake):
    """The public URL does not respond from here; that may be right inside a cluster."""

    code = "public_url_unreachable"
    sentence = "MCP_SERVER_BASE_URL cannot be reached from here, which may be right inside a network."
    advice = "Run m365-mcp doctor --url with the public URL from outside."


class PublicUrlBuffers(SetupMistake):
    """A proxy collects a response before it passes anything on; nothing is lost by it, but progress comes late."""

    code = "public_url_buffers"
    sentence = "A proxy in front of the server collects responses before it passes them on, so progress is seen late."
    advice = "Switch the buffering of responses off at the proxy: in nginx, proxy_buffering off."


class ReplicasDiffer(SetupMistake):
    """Servers with different keys or versions respond at one public URL."""

    code = "replicas_differ"
    sentence = "The replicas differ."
    advice = "Finish the rollout, so that all replicas run one version with the same settings."


class PortInUse(SetupMistake):
    """Another program listens on the port."""

    code = "port_in_use"
    sentence = "Another program listens on the port of this server."
    advice = "End that program, or set MCP_PORT to a free port."


class NotChecked(SetupMistake):
    """The doctor cannot tell, or another check has to pass first."""

    code = "not_checked"
    sentence = "This could not be checked."
    advice = "Mend what failed, and run the doctor again."
