"""The names of the delegated permissions that exist in this tenant, and the resources they belong to."""

OIDC_SCOPES = ("openid", "profile", "email", "offline_access")
GRAPH = "https://graph.microsoft.com"
GRAPH_APP_ID = "00000003-0000-0000-c000-000000000000"
GRAPH_SCOPES = {
    "User.Read": "Read your name and address",
    "User.ReadBasic.All": "Look up the names and addresses of people in the organisation",
    "GroupMember.Read.All": "See which groups there are, and who is in them",
    "People.Read": "See the people you work with",
    "Mail.Send": "Send mail as you",
    "Mail.Send.Shared": "Send mail for others who allowed you to",
    "Mail.Read": "Read your mail",
    "Mail.ReadBasic": "Read your mail without its text",
    "Mail.ReadWrite": "Read and change your mail",
}
"""The delegated Graph permissions known here, each with what it means for the person asked."""
