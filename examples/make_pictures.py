"""Draw the sample reports into build/pictures: .svg, .html, .txt, and screenshots on light and dark.

Run it after a change of the picture, and look at what it drew:

    python examples/make_pictures.py [NAME …]
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "build" / "pictures"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def main(names: list[str]) -> None:
    """Draw the named samples, or all."""
    sys.path.insert(0, str(ROOT / "tests"))
    from concmagic.renderers.html import HtmlRenderer
    from concmagic.renderers.svg import SvgRenderer
    from concmagic.renderers.text import TextRenderer
    from sample_reports import SAMPLES

    if unknown := set(names) - set(SAMPLES):
        sys.exit(f"no sample is called {', '.join(sorted(unknown))}; there are {', '.join(SAMPLES)}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    renderers = {".svg": SvgRenderer(), ".html": HtmlRenderer(page=True), ".txt": TextRenderer()}
    for name in names or SAMPLES:
        report = SAMPLES[name]()
        for suffix, renderer in renderers.items():
            (FOLDER / (name + suffix)).write_text(renderer.render(report), encoding="utf-8")
    photograph(names or list(SAMPLES))
    print(f"{len(names or SAMPLES)} pictures in {FOLDER.relative_to(ROOT)}")


def photograph(names: list[str]) -> None:
    """Take each page on light and on dark, as a browser shows it."""
    from playwright.sync_api import sync_playwright

    path = next((found for found in map(shutil.which, BROWSERS) if found), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            page = browser.new_page(
                viewport={"width": 1080, "height": 400}, color_scheme=scheme, device_scale_factor=2
            )
            for name in names:
                page.goto((FOLDER / f"{name}.html").as_uri())
                for summary in page.locator("summary").all():
                    summary.click()
                page.locator(".concmagic canvas").first.wait_for()
                page.screenshot(path=FOLDER / f"{name}-{scheme}.png", full_page=True)
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1:])
