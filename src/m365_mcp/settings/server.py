"""The settings of the server itself: its identity, its addresses, its store. See `settings`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from m365_mcp.settings import addresses, checks, identity
from m365_mcp.settings.checks import CommaSeparated
from m365_mcp.settings.clouds import CLOUDS, Cloud, CloudName
from m365_mcp.settings.environment import DOTENV, ENCODING
from m365_mcp.settings.redis_url import check_redis
from m365_mcp.urls import MAX_PORT, read_url

YEAR_SECONDS = 365 * 24 * 3600
DEFAULT_REDIS_URL = "redis://localhost:6379/0"
NOT_SET = "is required and not set"
KEPT_EMPTY = ("m365_send_allowed_domains",)  # an empty list of these is a mistake, and not the default

PublicUrl = Annotated[str, AfterValidator(addresses.check_public_url)]
AppId = Annotated[str, AfterValidator(identity.check_app)]
TenantId = Annotated[str, AfterValidator(identity.check_tenant)]
ClientSecret = Annotated[SecretStr, AfterValidator(identity.check_secret)]


class ServerSettings(BaseSettings):
    """The settings of the server itself; each field is one variable (`azure_client_id` is `AZURE_CLIENT_ID`)."""

    model_config = SettingsConfigDict(
        env_file=DOTENV,
        env_file_encoding=ENCODING,
        extra="ignore",
        frozen=True,
        env_ignore_empty=True,
        hide_input_in_errors=True,
    )

    azure_client_id: AppId = Field(
        description="Application (client) ID of the app registration.", examples=["your-client-id"]
    )
    azure_client_certificate_path: Path | None = Field(
        None,
        description="PEM file with a certificate of the app registration and its private key; replaces the secret.",
        examples=["/run/secrets/app.pem"],
    )
    azure_federated_token_file: Path | None = Field(
        None,
        description="File with the token of AKS workload identity; replaces the secret. The webhook sets it.",
        examples=["/var/run/secrets/azure/tokens/azure-identity-token"],
    )
    azure_client_secret: ClientSecret | None = Field(
        None,
        validate_default=True,
        description="Value (not the Secret ID) of a client secret of the app registration. "
        "Required unless one of the two variables above is set.",
        examples=["your-client-secret-value"],
    )
    azure_tenant_id: TenantId = Field(
        description="Directory (tenant) ID; or organizations, to allow people of the tenants in AZURE_ALLOWED_TENANTS.",
        examples=["your-tenant-id"],
    )
    azure_allowed_tenants: Annotated[CommaSeparated, AfterValidator(identity.check_tenants)] = Field(
        (),
        validate_default=True,
        description="Directory (tenant) IDs of the tenants whose people may sign in, comma separated. Required when "
        "AZURE_TENANT_ID is organizations, and only then.",
    )
    mcp_server_base_url: PublicUrl = Field(
        "http://localhost:8000",
        description="Public URL of this server. Entra redirects to this URL followed by /auth/callback.",
    )
    mcp_scope_name: Annotated[str, AfterValidator(identity.check_scope)] = Field(
        "mcp-access", description="Name of the scope under 'Expose an API'."
    )
    mcp_host: Annotated[str, AfterValidator(addresses.check_listening_host)] = Field(
        "0.0.0.0", description="Address to listen on: 0.0.0.0 for IPv4, :: for IPv4 and IPv6."
    )
    mcp_port: int = Field(8000, ge=1, le=65535, description="Port to listen on.")
    fastmcp_stateless_http: bool = Field(
        True,
        description="Stateless HTTP: the server keeps no MCP session between requests. Needed behind a load balancer.",
    )
    mcp_session_hours: int = Field(
        168,
        ge=1,
        le=2160,
        description="Lifetime of MCP clients' access tokens, in hours; a client that refreshes stays signed in.",
    )
    mcp_refresh_grace_seconds: int = Field(
        30,
        ge=0,
        le=300,
        description="How long a used refresh token still returns the tokens of its first use, in seconds.",
    )
    mcp_session_cache_seconds: int = Field(
        2,
        ge=0,
        le=30,
        description="Seconds for which a session that has ended elsewhere can still read, and never write; 0: none.",
    )
    mcp_shutdown_delay_seconds: float = Field(
        3.0,
        allow_inf_nan=False,
        ge=0,
        le=60,
        description="How long the server still accepts calls after SIGTERM, while /readyz fails, in seconds.",
    )
    mcp_metrics_port: int = Field(9090, ge=0, le=65535, description="Port of /metrics; 0 switches it off.")
    mcp_log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Log level: debug, info, warning or error."
    )
    mcp_log_format: Literal["auto", "json", "text"] = Field(
        "auto", description="Log format: json, text, or auto (text in a terminal, else json)."
    )
    redis_url: Annotated[str, AfterValidator(check_redis)] | None = Field(
        None,
        description="URL of Redis or Valkey, or of one node of a cluster, redis:// or rediss:// (TLS). Unset: "
        "redis://localhost:6379/0 if a Redis answers there, else an encrypted store on disk for a single process. "
        "memory://: a store in memory.",
        examples=[DEFAULT_REDIS_URL],
    )
    mcp_data_dir: Path | None = Field(
        None, description="Folder of the store on disk. Unset: the user's data folder.", examples=["/var/lib/m365-mcp"]
    )
    mcp_workers: Annotated[int, AfterValidator(checks.check_workers)] = Field(
        1,
        ge=1,
        le=64,
        description="Processes that serve the port; `serve --workers` takes precedence. More than 1 needs Redis and "
        "Linux. In Kubernetes leave it at 1, and run more pods.",
    )
    storage_encryption_key: Annotated[
        tuple[SecretStr, ...], NoDecode, BeforeValidator(checks.split), AfterValidator(checks.check_fernet_keys)
    ] = Field(
        (),
        description="Fernet keys that encrypt the store, comma separated; the first encrypts, all decrypt. "
        "Unset: a key derived from JWT_SIGNING_KEY or the client secret. "
        "Make one: openssl rand -base64 32 | tr '+/' '-_'",
    )
    jwt_signing_key: Annotated[
        tuple[SecretStr, ...], NoDecode, BeforeValidator(checks.split), AfterValidator(checks.check_signing_keys)
    ] = Field(
        (),
        validate_default=True,
        description="Keys that sign the tokens of MCP clients (32 characters or more each), comma separated; the first "
        "signs, all are accepted. Unset: a key derived from the client secret, so that a new client secret signs "
        "everybody out. Required when there is no client secret. Make one: openssl rand -hex 32",
    )
    mcp_allowed_hosts: Annotated[CommaSeparated, AfterValidator(addresses.check_hosts)] = Field(
        (),
        description="Further hosts in the Host header to accept, besides MCP_SERVER_BASE_URL's host and loopback.",
    )
    mcp_allowed_origins: Annotated[CommaSeparated, AfterValidator(addresses.check_origins)] = Field(
        (),
        description="Further origins whose pages may call this server, comma separated: https://inspector.example.com, "
        "app://obsidian.md, vscode-webview://* (every page of that scheme), or null (every page without an origin).",
    )
    mcp_trusted_proxies: Annotated[CommaSeparated, AfterValidator(addresses.check_networks)] = Field(
        (),
        description="Addresses and networks (CIDR) of the proxies in front of this server, comma separated, such as "
        "10.244.0.0/16; the client is whom their X-Forwarded-For names. Unset: whoever opens the connection.",
    )
    mcp_hsts_seconds: int | None = Field(
        None,
        ge=0,
        le=63_072_000,
        description="How long browsers use only https for this host (HSTS), in seconds; 0: not at all. Unset: a year, "
        "or 0 when the public URL has a path, because the host is then shared. No effect on http.",
        examples=["31536000"],
    )
    azure_cloud: CloudName = Field(
        "global", description="Microsoft cloud: global, usgov, usgov-dod or china. It sets the next two variables."
    )
    azure_authority_host: Annotated[str, AfterValidator(addresses.check_authority)] | None = Field(
        None,
        description="Address of Entra ID, to replace the cloud's own.",
        examples=["https://login.microsoftonline.com"],
    )
    graph_base_url: Annotated[str, AfterValidator(addresses.check_graph)] | None = Field(
        None,
        description="Address of Microsoft Graph, to replace the cloud's own.",
        examples=["https://graph.microsoft.com"],
    )
    ssl_cert_file: Annotated[Path, AfterValidator(checks.check_ca_file)] | None = Field(
        None,
        description="PEM file with the certificate authorities to trust, for a private certificate authority.",
        examples=["/etc/ssl/private-ca.pem"],
    )

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, values: dict[str, Any]) -> dict[str, Any]:
        # Files and portals put white space around values; what is empty then counts as unset.
        values = {name: value.strip() if isinstance(value, str) else value for name, value in values.items()}
        values = {name: value for name, value in values.items() if value != "" or name in KEPT_EMPTY}
        for name in ("azure_cloud", "mcp_cimd", "mcp_log_level", "mcp_log_format", "m365_send_mode", "m365_send_level"):
            if isinstance(values.get(name), str):
                values[name] = values[name].lower()
        # Without a public URL, the address is this machine with the chosen port.
        port = str(values.get("mcp_port"))
        is_port = port.isascii() and port.isdecimal() and 0 < int(port[:6]) <= MAX_PORT
        return {"mcp_server_base_url": f"http://localhost:{port}", **values} if is_port else values

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_what_copying_adds(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'`":
            raise ValueError("is in quotes; remove them")
        if any(end in value for end in "\r\n"):
            raise ValueError("has a line break; write the value in one line, with commas between the entries of a list")
        if not value.isprintable():
            raise ValueError("has an invisible character; type the value instead of copying it")
        return value

    @field_validator("azure_client_secret")
    @classmethod
    def _require_one_credential(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        certificate = info.data.get("azure_client_certificate_path")
        if value is None and certificate is None and info.data.get("azure_federated_token_file") is None:
            raise ValueError(NOT_SET)
        if value is not None and certificate is not None:
            raise ValueError("and AZURE_CLIENT_CERTIFICATE_PATH are both set; choose one")
        return value

    @field_validator("jwt_signing_key")
    @classmethod
    def _require_signing_key(cls, value: tuple[SecretStr, ...], info: ValidationInfo) -> tuple[SecretStr, ...]:
        if not value and info.data.get("azure_client_secret", "") is None:
            raise ValueError("is required when there is no AZURE_CLIENT_SECRET to derive it from")
        return value

    @field_validator("azure_allowed_tenants")
    @classmethod
    def _require_allowed_tenants(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        shared = info.data.get("azure_tenant_id") == identity.ORGANIZATIONS
        if shared and not value:
            raise ValueError("is required when AZURE_TENANT_ID is organizations; name the tenants that may sign in")
        if value and not shared and "azure_tenant_id" in info.data:
            raise ValueError("is only for AZURE_TENANT_ID=organizations; one tenant needs no list")
        return value

    @property
    def signing_secrets(self) -> tuple[str, ...]:
        """The secrets that the server derives its keys from; the first makes new tokens, all are accepted."""
        # The client secret stays in the list, so that setting JWT_SIGNING_KEY for the first time signs no one out.
        chosen = (*self.jwt_signing_key, *filter(None, [self.azure_client_secret]))
        return tuple(secret.get_secret_value() for secret in chosen)

    @property
    def tenants(self) -> tuple[str, ...]:
        """The tenants whose people may sign in."""
        return self.azure_allowed_tenants or (self.azure_tenant_id,)

    @property
    def cloud(self) -> Cloud:
        """The Microsoft cloud in use."""
        return CLOUDS[self.azure_cloud]

    @property
    def authority(self) -> str:
        """Entra ID's address without a trailing slash, e.g. `https://login.microsoftonline.com`."""
        return self.azure_authority_host or self.cloud.authority

    @property
    def graph(self) -> str:
        """Microsoft Graph's address without version or trailing slash."""
        return self.graph_base_url or self.cloud.graph

    @property
    def public_host(self) -> str:
        """Host of the public URL without its port, in its normal form."""
        return read_url(self.mcp_server_base_url).host

    @property
    def public_path(self) -> str:
        """Decoded path of the public URL without a trailing slash; empty when the server is at the root of its host."""
        return read_url(self.mcp_server_base_url).path

    @property
    def hsts_seconds(self) -> int:
        """How long browsers use only https for this host (RFC 6797 section 6.1.1); 0: they are not told to."""
        if read_url(self.mcp_server_base_url).scheme != "https":
            return 0  # section 7.2: the header has no place in a response over http
        if self.mcp_hsts_seconds is not None:
            return self.mcp_hsts_seconds
        return 0 if self.public_path else YEAR_SECONDS
