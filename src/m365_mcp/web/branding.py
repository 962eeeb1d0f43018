"""The server's icon, drawn here so that nothing is loaded from elsewhere."""

from __future__ import annotations

import base64

from mcp_types import Icon

_SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64">'
    '<rect x="4" y="12" width="56" height="40" rx="8" fill="#2563eb"/>'
    '<path d="M8 18l24 18 24-18" fill="none" stroke="#fff" stroke-width="5" stroke-linecap="round"'
    ' stroke-linejoin="round"/><circle cx="52" cy="14" r="9" fill="#f59e0b"/></svg>'
)
ICON = Icon(src="data:image/svg+xml;base64," + base64.b64encode(_SVG.encode()).decode(), mime_type="image/svg+xml")
