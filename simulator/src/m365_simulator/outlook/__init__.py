"""The HTTP skin of the host that takes large attachments, outlook.office.com in the real world."""
