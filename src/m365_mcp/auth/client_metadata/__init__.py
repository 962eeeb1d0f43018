"""Clients whose id is the URL of a metadata document (draft-ietf-oauth-client-id-metadata-document, CIMD).

`clients` is what FastMCP asks, `documents` keeps the last good document of each client, `fetcher` fetches documents
within limits, `transport` and `hosts` decide where a request may go, `special_purpose` lists the addresses where none
may go, and `assertions` lets a client's signed assertion count once.
"""
