"""The drawings of Microsoft's portal in Traditional Chinese: the English ones, with the names of the Chinese portal.

`make translations` writes `docs/images/entra-1-register.zh-Hant.svg` and the others.
"""

from __future__ import annotations

import re
from html import escape, unescape
from pathlib import Path

from tests.translated_documents import LANGUAGE, ROOT

IMAGES = ROOT / "docs" / "images"
DRAWINGS = [path for path in sorted(IMAGES.glob("entra-*.svg")) if LANGUAGE not in path.name]
# As the portal calls them in its language 中文(繁體), and the sentences that we wrote.
NAMES = {
    "+ Add a permission": "+ 新增權限",
    "+ Add a platform": "+ 新增平台",
    "+ Add a scope": "+ 新增範圍",
    "+ New client secret": "+ 新增用戶端密碼",
    "API permissions": "API 權限",
    "Accounts in this organizational directory only": "僅此組織目錄中的帳戶",
    "Add": "新增",
    "Add scope": "新增範圍",
    "Admins and users": "管理員和使用者",
    "Application ID URI": "應用程式識別碼 URI",
    "Authentication": "驗證",
    "Certificates & secrets": "憑證及祕密",
    "Choose “Delegated permissions”, not “Application permissions”.": "請選擇「委派的權限」，而不是「應用程式權限」。",
    "Copy the Value now: the portal shows it once.": "請立即複製「值」：入口網站只顯示一次。",
    "Delegated": "委派",
    "Expires": "到期",
    "Expose an API": "公開 API",
    "M365 MCP Server | API permissions": "M365 MCP Server | API 權限",
    "M365 MCP Server | Authentication": "M365 MCP Server | 驗證",
    "M365 MCP Server | Certificates & secrets": "M365 MCP Server | 憑證及祕密",
    "M365 MCP Server | Expose an API": "M365 MCP Server | 公開 API",
    "M365 MCP Server | Manifest": "M365 MCP Server | 資訊清單",
    "Manifest": "資訊清單",
    "Name": "名稱",
    "Not “Single-page application”, not “Mobile and desktop”.": "請勿選擇「單頁應用程式」或「行動與傳統型應用程式」。",
    "Overview": "概觀",
    "Redirect URI": "重新導向 URI",
    "Redirect URIs": "重新導向 URI",
    "Register": "註冊",
    "Register an application": "註冊應用程式",
    "Save": "儲存",
    "Scope name": "範圍名稱",
    "Secret ID": "祕密識別碼",
    "Supported account types": "支援的帳戶類型",
    "The Secret ID does not work.": "「祕密識別碼」無法使用。",
    "Value": "值",
    "Who can consent?": "誰可以同意？",
    "only if “Web” is not in the list": "僅在清單中沒有「Web」時使用",
    "The form Register an application: name, one directory, platform Web with the redirect URI, Register": (
        "「註冊應用程式」表單：名稱、單一目錄、平台 Web 與重新導向 URI、註冊"
    ),
    "Expose an API: Add next to Application ID URI, then Add a scope": (
        "公開 API：應用程式識別碼 URI 旁的「新增」，然後「新增範圍」"
    ),
    "Manifest: under api, set requestedAccessTokenVersion to 2 and save": (
        "資訊清單：將 api 之下的 requestedAccessTokenVersion 設為 2 並儲存"
    ),
    "Authentication: platform Web with the redirect URI": "驗證：平台 Web 與重新導向 URI",
    "API permissions: add the delegated permissions Mail.Send and User.Read, then grant admin consent": (
        "API 權限：新增委派的權限 Mail.Send 與 User.Read，然後授與管理員同意"
    ),
    "Certificates & secrets: new client secret, then copy the Value and not the Secret ID": (
        "憑證及祕密：新增用戶端密碼，然後複製「值」，而不是「祕密識別碼」"
    ),
    "✓ Grant admin consent for Contoso": "✓ 代表 Contoso 授與管理員同意",
    "✓ Granted for Contoso": "✓ 已授與 Contoso",
}
# What the portal does not translate: our own values, and names of products.
UNCHANGED = re.compile(
    r"[\d…}]|M365 MCP Server|Microsoft Graph|Web|Mail\.Send|User\.Read|mcp-access|api://<client id>|https://\S+|\".*"
    r"|\d+/\d+/\d+|9f2c41d0-…|k3P8Q~·+"
)
# A text that somebody sees, or that is read to somebody who does not see the drawing.
_TEXT = re.compile(r'(<text[^>]*>|<title>|aria-label=")([^<"]*)(?=</text>|</title>|")')


def texts_of(drawing: str) -> list[str]:
    """Return every text of a drawing."""
    return [unescape(found[1]) for found in _TEXT.findall(drawing)]


def translated(path: Path) -> str:
    """Return a drawing in Traditional Chinese."""
    drawing = path.read_text().replace("<svg ", '<svg xml:lang="zh-Hant" ', 1)
    return _TEXT.sub(lambda found: found[1] + _name(found[2]), drawing)


def target_of(path: Path) -> Path:
    """Return where the translation of a drawing is."""
    return path.with_suffix(f"{LANGUAGE}.svg")


def write() -> None:
    """Write the translation of every drawing."""
    for path in DRAWINGS:
        target_of(path).write_text(translated(path))


def _name(text: str) -> str:
    return escape(NAMES.get(unescape(text), unescape(text)), quote=False)
