#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The status page of arild in a headless Chromium: what it shows of names that are not friendly,
that it works by keyboard, in light and dark, and that it says when arild is gone. Screenshots stay
in artefacts/ of the build."""
import os
import pathlib
import sys
import tempfile

import devtools
from fake_admin import Fake

BUILD = pathlib.Path(os.environ["ARIL_BUILD_DIR"])
ARTEFACTS = BUILD / "artefacts"
HOSTILE = ["%6Fther", "%E2%80%AEgnp.exe", "<img src=x onerror=document.title='owned'>",
           "M\u00fcnchen", "a%1B[31mred%0Aline%FF", "acme", "\u05d0\u05d1\u05d2 &amp; co"]
LUMINANCE = """((id, property) => {
  const rgb = getComputedStyle(document.querySelector(id))[property].match(/[0-9.]+/g).map(Number);
  const [r, g, b] = rgb.map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92
                                                       : ((c / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b; })"""
# The timers of the page that run; what the test itself waits with is none of them.
TIMERS = """window.timers = new Set(); {
  const [set, clear] = [window.setTimeout, window.clearTimeout];
  window.setTimeout = (run, ms) => {
    const id = set(() => { timers.delete(id); run(); }, ms);
    if (ms === PERIOD_MS) timers.add(id);
    return id;
  };
  window.clearTimeout = (id) => { timers.delete(id); clear(id); };
}"""
TAB = ("Tab", 9, "")

passed, failed = 0, 0


def check(text, good, more=""):
    global passed, failed
    if good:
        passed += 1
    else:
        failed += 1
        print(f"FAILED: {text} {more}")


def names(page):
    return page.value("[...document.querySelectorAll('#tenants tbody th')]"
                      ".map((t) => t.textContent)")


def shows(page):
    """What is there, and nothing that a name smuggled in."""
    page.until("document.querySelectorAll('#tenants tbody tr').length === 7")
    check("tenants stand in order, as they are escaped", names(page) == HOSTILE, names(page))
    check("no name became an element", page.value("document.querySelector('main img')") is None)
    check("no name ran", page.value("document.title") == "arild: ready")
    check("the state is a word", page.value("document.getElementById('state').textContent") ==
          "ready")
    check("clients", page.value("document.getElementById('clients').textContent") == "28")
    check("the key that is past its date is told",
          page.value("document.querySelector('#tenants tbody tr:last-child').textContent")
          .find("overdue") > 0)
    check("the rates are there after the second look",
          page.until("Number(document.getElementById('rate').textContent) > 0"))
    check("latency of the last minute",
          page.value("document.getElementById('latency-span').textContent") == "last minute" and
          page.value("document.getElementById('p50').textContent") == "50 \u00b5s")
    check("a server that refuses", page.value(
        "document.querySelectorAll('#servers td.bad')[0].textContent") == "refused")
    check("every control has a name", page.value(
        "[...document.querySelectorAll('button, a, [tabindex]')].every((e) => "
        "e.textContent.trim() !== '')"))
    check("no id is there twice", page.value(
        "(() => { const ids = [...document.querySelectorAll('[id]')].map((e) => e.id);"
        "return new Set(ids).size === ids.length; })()"))
    wide = page.value("document.documentElement.scrollWidth <= innerWidth")
    check("the page is not wider than the window", wide)


def colours(page):
    """Enough contrast (WCAG AA) in both schemes, and they differ."""
    grounds = {}
    for scheme in ("light", "dark"):
        page.scheme(scheme)
        for name, ground in (("body", "body"), (".quiet", "body"), ("footer a", "body"),
                             ("#state", "#state"), ("#servers td.bad", ".scroll"),
                             ("#servers td.good", ".scroll"), ("dt", ".cards > div"),
                             ("#tampered", "#tampered-card"), ("#tenants td.warn", ".scroll")):
            ink = page.value(f"{LUMINANCE}('{name}', 'color')")
            paper = page.value(f"{LUMINANCE}('{ground}', 'backgroundColor')")
            ratio = (max(ink, paper) + 0.05) / (min(ink, paper) + 0.05)
            check(f"contrast of {name} in {scheme}", ratio >= 4.5, f"{ratio:.2f}")
        grounds[scheme] = page.value(f"{LUMINANCE}('body', 'backgroundColor')")
        page.size(1200, 1060)
        page.screenshot(ARTEFACTS / f"arild-page-{scheme}.png")
        page.size(400, 900)
        check(f"a phone has room ({scheme})",
              page.value("document.documentElement.scrollWidth <= innerWidth"))
        page.screenshot(ARTEFACTS / f"arild-page-{scheme}-narrow.png")
        page.size(1200, 1060)
    check("dark is dark, light is light",
          grounds["dark"] < 0.05 and grounds["light"] > 0.8, grounds)


def keyboard(page):
    """Tab reaches everything in order, and space and enter do what a click does."""
    page.call("Page.bringToFront")
    page.value(TIMERS)
    page.until("timers.size > 0")
    focus = "document.activeElement"
    page.value("document.activeElement.blur()")
    page.key(*TAB)
    check("Tab comes to the button first", page.value(f"{focus}.id") == "pause")
    check("focus is seen", page.value(f"getComputedStyle({focus}).outlineStyle") == "solid")
    page.key(" ", 32, " ")
    check("space pauses", page.value(f"{focus}.getAttribute('aria-pressed')") == "true")
    # An answer may be on its way; after it no timer is left that would ask again.
    page.until("!asking")
    check("nothing is asked while it is paused", page.value("timers.size") == 0)
    page.key("Enter", 13, "\r")
    check("enter goes on", page.value(f"{focus}.getAttribute('aria-pressed')") == "false")
    check("and asks again", page.until("timers.size > 0"))
    page.key(*TAB)
    check("then the table, which scrolls", page.value(f"{focus}.getAttribute('role')") == "region")
    for _ in range(8):
        page.key(*TAB)
        if page.value(f"{focus}.dataset.sort") == "tampered":
            break
    check("headings are buttons", page.value(f"{focus}.dataset.sort") == "tampered")
    page.key("Enter", 13, "\r")
    check("enter sorts", names(page)[0].startswith("<img"), names(page))
    check("and says so", page.value(f"{focus}.parentElement.getAttribute('aria-sort')") ==
          "descending")
    page.key("Enter", 13, "\r")
    check("the other way", names(page)[-1].startswith("<img"), names(page))
    page.until("document.activeElement.dataset.sort === 'tampered'")
    shown = page.value("document.getElementById('at').textContent")
    page.until(f"document.getElementById('at').textContent !== '{shown}'")
    check("the next look leaves focus and order",
          page.value(f"{focus}.dataset.sort") == "tampered" and names(page)[-1].startswith("<img"))


def states(page, fake):
    """What is told when something is wrong, and when it is right again."""
    fake.tell("locked")
    page.until("document.getElementById('state').textContent === 'not ready'")
    check("the reason is shown", page.value("document.getElementById('trouble').textContent") ==
          "Clients cannot be served: the keyring is locked; run: aril keys unlock")
    check("and announced", page.value("document.getElementById('announce').textContent") ==
          page.value("document.getElementById('trouble').textContent"))
    page.screenshot(ARTEFACTS / "arild-page-not-ready.png")
    fake.tell("ready")
    page.until("document.getElementById('state').textContent === 'ready'")
    check("trouble goes", page.value("document.getElementById('trouble').hidden"))
    fake.tell("restart")
    page.until("samples.length > 0 && samples[0].status.latency.count < 1000")
    check("after a restart no rate is negative", page.value(
        "Number(document.getElementById('rate').textContent) >= 0"))
    fake.tell("tenants 0")
    page.until("document.querySelector('#tenants td.none')")
    check("no tenant is said", page.value(
        "document.querySelector('#tenants td.none').textContent") == "No tenant yet.")
    fake.tell("tenants 1500")
    page.until("document.querySelectorAll('#tenants tbody tr').length === 1000")
    check("what is left out is said", page.value(
        "document.getElementById('tenants-count').textContent") == "1,500, 500 of them not shown")
    fake.tell("tenants 7")


def gone(page, fake):
    """arild ends, and comes back on the same port."""
    check("the fake ended well", fake.end() == 0)
    page.until("document.getElementById('state').textContent === 'no answer'")
    check("the page says it", page.value("document.getElementById('trouble').textContent")
          .startswith("arild does not answer. What is shown is of "))
    check("figures are marked as old", page.value(
        "document.getElementById('main').classList.contains('old')"))
    check("the title says it", page.value("document.title") == "! arild: no answer")
    page.scheme("light")
    page.screenshot(ARTEFACTS / "arild-page-gone.png")


def errors(page):
    """What the browser itself complained about; that arild is gone is none of it."""
    found = []
    for event in page.events:
        if event["method"] == "Runtime.exceptionThrown":
            found.append(event["params"]["exceptionDetails"].get("text", "an exception"))
        if event["method"] == "Log.entryAdded":
            entry = event["params"]["entry"]
            if entry["level"] == "error" and "ERR_CONNECTION_REFUSED" not in entry["text"]:
                found.append(entry["text"])
        if event["method"] == "Network.requestWillBeSent":
            url = event["params"]["request"]["url"]
            ours = event["params"]["documentURL"].startswith("http://127.0.0.1:")
            if ours and not url.startswith("http://127.0.0.1:"):
                found.append(f"it asked for {url}")
    return found


def main():
    browser = devtools.find()
    if not (BUILD / "tests/tools/fake_admin").exists():
        print("FAILED: the build has no tests/tools/fake_admin")
        return 1
    if browser is None:
        print("SKIPPED: no chromium (apt-get install chromium): the status page is not tested")
        return 77
    ARTEFACTS.mkdir(exist_ok=True)
    fake = Fake(BUILD, "127.0.0.1")
    with tempfile.TemporaryDirectory() as profile, devtools.Browser(browser, profile) as page:
        page.size(1200, 1060)
        page.scheme("light")
        fake.tell("tamper 3")
        page.open(f"http://{fake.address}/")
        shows(page)
        colours(page)
        keyboard(page)
        states(page, fake)
        gone(page, fake)
        wrong = errors(page)
        check("the browser has nothing to complain about", wrong == [], wrong)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
