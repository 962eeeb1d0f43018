"""The HTTP endpoint of the host that takes large attachments; Microsoft's is outlook.office.com."""
