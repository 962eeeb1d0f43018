"""Every page a person sees in a browser, in one look and in every language of `m365_mcp/locale`.

`templates/` has the pages, the style and the scripts as files; `rendering` renders them. `languages` chooses the
language, `product` has the name and the icon, `consent_page` and `error_page` what those two pages say.
"""

from __future__ import annotations

from m365_mcp.web.pages.pages import Pages as Pages
from m365_mcp.web.pages.pages import State as State
from m365_mcp.web.pages.product import Product as Product
