"""Runs the demo and draws what it prints: `python -m tests.docs.demo_picture` writes docs/images/demo.svg."""

from __future__ import annotations

import asyncio
import io
import re
import sys
from pathlib import Path
from typing import Any

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console

from m365_mcp import settings

PICTURE = Path(__file__).parents[2] / "docs" / "images" / "demo.svg"
COLUMNS = 104
# Without the fonts that rich has a reader's browser fetch from elsewhere.
FORMAT = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)


class Picture(Console):
    """A console that breaks long lines itself, as the terminal does for the demo; rich would cut them off."""

    def print(self, *parts: Any, **options: Any) -> None:
        """Print as a console of rich does, but never with `soft_wrap`."""
        super().print(*parts, **{**options, "soft_wrap": False})


def draw() -> int:
    """Run the demo once, write the picture, and return the demo's exit code."""
    settings.ignore_dotenv()
    from m365_mcp.commands.demo.run import run_demo

    console = Picture(record=True, width=COLUMNS, file=io.StringIO(), color_system="truecolor", force_terminal=False)
    code = asyncio.run(run_demo(console, once=True, port=8000, verbose=True))
    PICTURE.write_text(console.export_svg(title="make demo", code_format=FORMAT), "utf-8")
    return code


if __name__ == "__main__":
    sys.exit(draw())
