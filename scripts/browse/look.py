"""Opens pages in headless Chromium and says what is wrong with them: look.py PICTURES PAGE…

Each page is shown at three widths, in light and dark, and printed; with its scripts and without. It must ask for nothing but itself,
complain of nothing, fit its window and break no rule of axe-core. The pictures are kept for whoever wants to look.
"""

import sys
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import TimeoutError, sync_playwright

# A phone, a tablet, a desk.
WIDTHS = [360, 800, 1200]
HEIGHT = 900
# Set by whatever in scripts/browse/hostile.py gets to run.
MARK = "ran"
# Whether a flame graph's script has fitted its frames to the width there is.
DRAWN = """() => {
    let frames = document.getElementById('frames'), drawing = document.querySelector('svg');
    return frames && Math.abs(frames.getAttribute('width') - (drawing.width.baseVal.value - 20)) < 1;
}"""
DRAWN_WITHIN_MS = 5000


def shown(browser, url, width, scheme, faults):
    """The page in a window of its own, once it has settled; what it asked for and complained of is in `faults`."""
    context = browser.new_context(viewport={"width": width, "height": HEIGHT}, color_scheme=scheme)
    page = context.new_page()
    page.on("request", lambda asked: asked.url.split("#")[0] in (url, "about:srcdoc") or asked.url.startswith("data:")
            or faults.append(f"asks for {asked.url[:100]}"))
    page.on("console", lambda said: said.type in ("error", "warning") and faults.append(f"{said.type}: {said.text[:200]}"))
    page.on("pageerror", lambda error: faults.append(f"a script fails: {error}"))
    page.on("dialog", lambda dialog: (faults.append(f"a dialog: {dialog.message}"), dialog.dismiss()))
    page.goto(url, wait_until="load")
    return page


def frames(page, pictures, name):
    """Frames are drawn when they come into sight, so a picture of the whole page does not have them: each is looked at by itself."""
    faults = []
    for number, element in enumerate(page.locator("iframe").element_handles()):
        element.scroll_into_view_if_needed()
        title, frame = element.get_attribute("title"), element.content_frame()
        try:
            frame.wait_for_function(DRAWN, timeout=DRAWN_WITHIN_MS)
        except TimeoutError:
            faults.append(f"the frame {title!r} is not drawn")
        element.screenshot(path=pictures / f"{name}-frame{number}.png")
    page.evaluate("window.scrollTo(0, 0)")
    return faults


def size(page):
    """Whether nothing sticks out of the window; what is wider scrolls within itself."""
    wide = page.evaluate("document.documentElement.scrollWidth")
    return [f"is {wide} px wide in a window of {page.viewport_size['width']}"] if wide > page.viewport_size["width"] else []


def rules(browser, url, scheme):
    """What axe-core finds. Its own script is kept out by the page's policy, so the policy is put aside for it and for nothing else."""
    context = browser.new_context(viewport={"width": WIDTHS[-1], "height": HEIGHT}, color_scheme=scheme, bypass_csp=True)
    page = context.new_page()
    page.goto(url, wait_until="load")
    found = Axe().run(page).response["violations"]
    context.close()
    return [f"{scheme}: axe {one['impact']}: {one['help']} ({len(one['nodes'])} x, first {one['nodes'][0]['html'][:120]})" for one in found]


def without_scripts(browser, url, text):
    """The same words have to be there."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(url, wait_until="load")
    same = page.locator("body").inner_text() == text
    context.close()
    return [] if same else ["says something else without scripts"]


def look(browser, path, pictures):
    url, faults = path.resolve().as_uri(), []
    for width in WIDTHS:
        for scheme in ("light", "dark"):
            page = shown(browser, url, width, scheme, faults)
            faults += [f"{scheme}: {fault}" for fault in size(page)]
            faults += frames(page, pictures, f"{path.stem}-{width}-{scheme}")
            page.screenshot(path=pictures / f"{path.stem}-{width}-{scheme}.png", full_page=True)
            if page.evaluate(f"window.{MARK} !== undefined || document.title === {MARK!r}"):
                faults.append("something in its data ran")
            text = page.locator("body").inner_text()
            page.context.close()
    faults += without_scripts(browser, url, text)
    faults += rules(browser, url, "light") + rules(browser, url, "dark")
    page = shown(browser, url, WIDTHS[-1], "light", faults)
    page.pdf(path=pictures / f"{path.stem}.pdf", format="A4")
    page.context.close()
    return list(dict.fromkeys(faults))


def main():
    pictures, pages = Path(sys.argv[1]), [Path(page) for page in sys.argv[2:]]
    pictures.mkdir(parents=True, exist_ok=True)
    wrong = 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        print(f"Chromium {browser.version}")
        for path in pages:
            faults = look(browser, path, pictures)
            wrong += len(faults)
            print(f"{path.name}: {path.stat().st_size // 1000} kB, {'nothing wrong' if not faults else ''}")
            for fault in faults:
                print(f"    {fault}")
        browser.close()
    sys.exit(f"{wrong} faults" if wrong else 0)


main()
