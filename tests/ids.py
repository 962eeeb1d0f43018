"""Ids and a secret of an app registration that the settings accept, for tests in which nobody signs in."""

IDS = {
    "azure_client_id": "66666666-7777-4888-9999-aaaaaaaaaaaa",
    "azure_client_secret": "a~secret.of-an-app",
    "azure_tenant_id": "11111111-2222-4333-8444-555555555555",
}
VARIABLES = {name.upper(): value for name, value in IDS.items()}
