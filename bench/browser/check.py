#!/usr/bin/env python3
"""Drives the report and the token viewer in headless Chromium, as a reader would.

    check.py DELTALOSS DEMO SHOTS

DELTALOSS is the program, DEMO a demonstration's folder; screenshots of the main states go to SHOTS. Needs Debian's packages
chromium and chromium-driver, and bench/requirements.txt. Ends with an error at the first thing that is not as it should be: a
number that does not fit the tables, an error in the console, a request to anywhere else.
"""

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

PATIENCE_SECONDS = 30


@contextlib.contextmanager
def browser():
    options = webdriver.ChromeOptions()
    profile = tempfile.mkdtemp(prefix="deltaloss-browser-")
    for argument in [
        "--headless=new", "--disable-gpu", "--disable-background-networking", "--no-first-run",
        "--window-size=1400,1000", f"--user-data-dir={profile}",
    ]:
        options.add_argument(argument)
    if os.geteuid() == 0:
        # Chromium's sandbox does not run as root, as which containers do.
        options.add_argument("--no-sandbox")
    options.binary_location = shutil.which("chromium")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    driver.set_script_timeout(PATIENCE_SECONDS)
    # The browser's own first page, and what it loaded, is none of ours.
    driver.get("about:blank")
    driver.get_log("performance")
    try:
        yield driver
    finally:
        driver.quit()
        shutil.rmtree(profile, ignore_errors=True)


class Page:
    """A page, with what a reader does to it."""

    def __init__(self, driver, shots):
        self.driver, self.shots = driver, shots

    def open(self, url):
        # A new fragment alone would not load the page again.
        self.driver.get("about:blank")
        self.driver.get(url)

    def wait(self, condition, what):
        patient = WebDriverWait(self.driver, PATIENCE_SECONDS, ignored_exceptions=[StaleElementReferenceException])
        patient.until(lambda _: condition(), what)

    def viewer(self):
        self.wait(lambda: self.script("return document.getElementById('viewer').dataset.ready"), "the viewer is ready")
        self.script("document.documentElement.style.scrollBehavior = 'auto'")
        return self.find("v-code")

    def find(self, name):
        return self.driver.find_element(By.ID, name)

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def script(self, text, *given):
        return self.driver.execute_script(text, *given)

    def text(self, name):
        return self.find(name).text

    def choose(self, name, value):
        Select(self.find(name)).select_by_value(value)

    def fill(self, name, text):
        field = self.find(name)
        field.clear()
        field.send_keys(text)

    def shot(self, name):
        self.driver.save_screenshot(str(self.shots / f"{name}.png"))

    def pinned(self):
        return self.script("const at = document.querySelector('.t.pinned'); return at && Number(at.dataset.token)")

    def panel(self):
        """The panel's facts: the first column's words to the second's."""
        # At one moment: the page may draw it anew between two questions.
        return dict(self.script(
            "return [...document.querySelectorAll('#v-panel dt')].map((name) => [name.textContent, name.nextSibling.textContent])"))

    def nothing_overflows(self, what):
        wide, room = self.script("const r = document.documentElement; return [r.scrollWidth, r.clientWidth]")
        check(wide <= room, f"{what}: the page is {wide} wide where there is room for {room}")

    def check_quiet(self, own):
        """Nothing went wrong, and nothing was asked of anyone else."""
        complaints = [line for line in self.driver.get_log("browser") if line["level"] in ("SEVERE", "WARNING")]
        check(not complaints, f"the console says {complaints}")
        for line in self.driver.get_log("performance"):
            message = json.loads(line["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                url = message["params"]["request"]["url"]
                check(url.startswith((*own, "data:", "about:")), f"a request to {url}")


def check(holds, what):
    if not holds:
        raise AssertionError(what)


def same(found, due, what):
    check(found == due, f"{what}: {found!r}, not {due!r}")


def nats(text):
    return float(text.split(" ")[0].replace("−", "-"))


@contextlib.contextmanager
def viewing(program, comparison):
    server = subprocess.Popen([program, "view", comparison], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        yield server.stdout.readline().strip()
    finally:
        server.terminate()
        server.wait(timeout=PATIENCE_SECONDS)


def check_report(page, comparison):
    url = (comparison / "report.html").absolute().as_uri()
    page.open(url)
    page.viewer()
    check_sorting(page)
    check_theme(page)
    check_walking(page, whole=False)
    links = page.all("a.download")
    check(len(links) > 15 and all(link.get_attribute("href").startswith("data:text/csv") for link in links), "data is one click away")
    page.script("document.getElementById('tokens').scrollIntoView()")
    page.shot("report-tokens")
    # A window of 320 is one of 1280 at 400 %.
    for theme in ["light", "dark"]:
        emulate(page, theme)
        page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": 320, "height": 640, "deviceScaleFactor": 1, "mobile": False})
        page.nothing_overflows(f"the report at 400 %, {theme}")
        page.script("scrollTo(0, 0)")
        page.shot(f"report-narrow-{theme}")
        page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    emulate(page, "light")
    page.check_quiet([url.split("report.html")[0]])


def check_sorting(page):
    table = page.driver.find_element(By.CSS_SELECTOR, "#categories table.sortable")
    names = lambda: [cell.text for cell in table.find_elements(By.CSS_SELECTOR, "tbody th")]
    heads = {head.text: head for head in table.find_elements(By.CSS_SELECTOR, "thead button")}
    before = names()
    column = next(head for text, head in heads.items() if text.startswith("Tokens"))
    column.send_keys(Keys.ENTER)
    tokens = lambda: [int(cell.replace(",", "")) for cell in page.script(
        "return [...arguments[0].tBodies[0].rows].map((row) => row.cells[1].textContent)", table)]
    counts = tokens()
    same(counts, sorted(counts, reverse=True), "the categories by their tokens")
    same(len(page.all("#categories [aria-sort=descending]")), 1, "columns that say that they sort")
    column.send_keys(Keys.ENTER)
    same(tokens(), sorted(counts), "the other way round")
    column.send_keys(Keys.ENTER)
    same(names(), before, "the order of the report again")


def emulate(page, theme):
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": theme}]})


def check_theme(page):
    ground = lambda: page.script("return getComputedStyle(document.body).backgroundColor")
    page.script("scrollTo(0, 0)")
    page.shot("report-light")
    light = ground()
    emulate(page, "dark")
    dark = ground()
    check(light != dark, "the system's dark theme is followed")
    page.shot("report-dark")
    page.find("theme").click()
    same(ground(), light, "the button has the last word")
    page.find("theme").click()
    emulate(page, "light")
    same(ground(), dark, "and keeps it")
    page.find("theme").click()


def check_walking(page, whole):
    """Points, pins, walks, jumps, shades and filters; the numbers are those of the page's own data."""
    code = page.viewer()
    page.script("arguments[0].scrollIntoView({block: 'center'})", code)
    tokens = page.all("#v-code .t[data-track='0']")
    ActionChains(page.driver).move_to_element(tokens[4]).perform()
    page.wait(lambda: "Δ" in page.panel(), "the pointer's token is in the panel")
    same(page.pinned(), None, "pointing pins nothing")
    tokens[4].click()
    first = page.pinned()
    same(first, int(tokens[4].get_attribute("data-token")), "a click pins")
    code.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_LEFT)
    same(page.pinned(), first + 1, "arrow keys walk")
    top = lambda: page.all(".t.pinned")[0].rect["y"] + page.script("return document.getElementById('v-code').scrollTop")
    before = top()
    code.send_keys(Keys.ARROW_DOWN)
    check(top() > before, "the down arrow goes down")
    code.send_keys(Keys.ARROW_UP)
    check(abs(top() - before) < 3, "and the up arrow back")
    for key, sign in [("a", -1), ("b", 1)]:
        code.send_keys(key)
        page.wait(lambda: "Δ" in page.panel(), "a jump ends at a token")
        check(sign * nats(page.panel()["Δ"]) >= 1, f"{key} jumps to a big win of {key}: {page.panel()}")
    check(page.all(".t.pinned")[0].get_attribute("class").find("big-b") > 0, "a big win is marked without colour")
    code.send_keys(Keys.ESCAPE)
    same(page.pinned(), None, "Escape lets go")
    check_filters(page, code)
    check_shades(page)
    check_link(page, whole)


def check_filters(page, code):
    page.choose("v-category", "Indentation")
    fit = [token for token in page.all("#v-code .t[data-track='0']") if "off" not in token.get_attribute("class").split()]
    count = len({token.get_attribute("data-token") for token in fit})
    same(page.text("v-status"), f"{count:,} tokens match here", "tokens of the category")
    code.send_keys(Keys.HOME)
    same(page.panel()["Category"], "Indentation", "arrow keys walk what matches")
    page.fill("v-least", "1.5")
    code.send_keys(Keys.HOME)
    facts = page.panel()
    check(facts["Category"] == "Indentation" and abs(nats(facts["Δ"])) >= 1.5, f"both filters hold: {facts}")
    page.find("v-clear").click()
    same(page.all("#v-code .t.off"), [], "no filter is left")
    texts = page.script("return [...document.querySelectorAll('#v-code .t')].map((t) => t.textContent.trim())")
    word = max((text for text in texts if text.isalpha()), key=len).upper()
    page.fill("v-text", word)
    page.wait(lambda: "match" in page.text("v-status"), "the text filters")
    left = page.script("return [...document.querySelectorAll('#v-code .t:not(.off)')].map((t) => t.textContent)")
    check(left and all(word in text.upper() for text in left), f"tokens that hold {word}: {left}")
    page.find("v-clear").click()


def check_shades(page):
    for value in [option.get_attribute("value") for option in Select(page.find("v-shade")).options]:
        page.choose("v-shade", value)
        shaded = page.script(
            "return [...document.querySelectorAll('#v-code .t')].filter((t) => /\\b[sc]-/.test(t.className)).length")
        check((shaded > 0) != (value == "none"), f"{value} shades {shaded} parts of tokens")
    page.choose("v-shade", "delta")


def check_link(page, whole):
    """A view is reopened from its address."""
    item = page.all("#v-list button")[2]
    name = item.find_element(By.CSS_SELECTOR, ".v-file").text
    item.click()
    page.wait(lambda: page.text("v-name") == name, "the document is opened")
    page.choose("v-shade", "entropy-b")
    page.fill("v-least", "0.25")
    page.find("v-code").send_keys("b")
    page.wait(lambda: page.pinned() is not None, "a token is pinned")
    facts, link = page.panel(), page.driver.current_url
    check("#tokens?" in link and "shade=entropy-b" in link and "least=0.25" in link, link)
    page.open(link)
    page.viewer()
    page.wait(lambda: page.pinned() is not None, "the link pins its token")
    same((page.text("v-name"), page.panel()), (name, facts), "the view of the link")
    same(Select(page.find("v-shade")).first_selected_option.get_attribute("value"), "entropy-b", "its shading")
    same(page.find("v-least").get_attribute("value"), "0.25", "its filter")
    page.shot("viewer-link" if whole else "report-link")
    page.find("v-clear").click()
    page.choose("v-shade", "delta")


def check_viewer(page, program, comparison):
    with viewing(program, comparison) as address:
        page.open(address)
        page.viewer()
        results = json.loads((comparison / "results.json").read_text())
        same(page.text("v-count"), f"{results['setup']['documents']} documents", "every document is there")
        check_walking(page, whole=True)
        sums = "return [...document.querySelectorAll('#v-list .v-sum')].map((sum) => sum.textContent)"
        totals = lambda: [nats(text.split("Δ ")[1]) for text in page.script(sums)]
        same(totals(), sorted(totals()), "documents by what a wins")
        first = page.text("v-list").split("\n")[0]
        page.choose("v-order", "b")
        page.wait(lambda: page.text("v-list").split("\n")[0] != first, "another order")
        same(totals(), sorted(totals(), reverse=True), "documents by what b wins")
        check_stretches(page)
        page.fill("v-find", "tarfile")
        page.wait(lambda: page.text("v-count") == "1 document", "documents are found by name")
        page.shot("viewer-light")
        emulate(page, "dark")
        page.shot("viewer-dark")
        emulate(page, "light")
        page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": 320, "height": 640, "deviceScaleFactor": 1, "mobile": False})
        page.nothing_overflows("the viewer at 400 %")
        page.shot("viewer-narrow")
        page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        page.check_quiet([address])


def check_stretches(page):
    """A long document is shown in stretches; walking goes on from one to the next, and back."""
    page.all("#v-list button")[0].click()
    page.wait(lambda: page.find("v-after").is_displayed(), "there are later tokens")
    code = page.find("v-code")
    code.send_keys(Keys.END)
    place = page.panel()["Place"]
    code.send_keys(Keys.ARROW_RIGHT)
    page.wait(lambda: page.text("v-range").startswith("Tokens 8,193 "), "the next stretch")
    page.wait(lambda: page.panel().get("Place", place) != place, "its first token")
    code.send_keys(Keys.ARROW_LEFT)
    page.wait(lambda: page.panel().get("Place") == place, "the token before it again")


EVIL = '# \u202e</script><script>document.title = "taken"</script><img src=x onerror="document.title = 1">\nx = "\U0001f980 日本語 é"\n'


def check_two_tokenizers(page, program, folder):
    """Two models of different tokenizers, over names and texts that are up to no good."""
    def run(*arguments):
        subprocess.run([program, *map(str, arguments), "--quiet"], cwd=folder, check=True, stdout=subprocess.DEVNULL)

    code = folder / "code"
    code.mkdir()
    (code / "<img src=x onerror=alert(1)>.py").write_text(EVIL)
    for index in range(12):
        (code / f"{index}.py").write_text(f"class C{index}:\n    def get(self, a, b={index}):\n        return {{'é{index}': [a, (b, {index})]}}\n")
    (folder / "tiny.toml").write_text(
        "seed = 5\n[model]\nblock_size = 24\nn_layer = 1\nn_head = 2\nd_head = 8\nd_model = 16\n"
        '[data]\ncorpus = "code"\ntokenizer = "tokenizer"\n[recipe]\nsteps = 20\nbatch_sequences = 2\n')
    run("train-tokenizer", "--corpus", "code", "--size", 300, "--out", "tokenizer")
    run("train", "tiny.toml", "--out", "tiny")
    for role, model in [("a", "builtin:dense"), ("b", "tiny")]:
        run("score", "--model", model, "--corpus", "code", "--out", role)
    run("compare", "--a", "a", "--b", "b", "--out", "out", "--label", "b=<b>tiny</b>")
    url = (folder / "out" / "report.html").as_uri()
    with viewing(program, folder / "out") as address:
        for where in [url, address]:
            page.open(where)
            page.viewer()
            page.find("v-find").send_keys("onerror")
            page.wait(lambda: len(page.all("#v-list button")) == 1, "the document is found")
            page.all("#v-list button")[0].click()
            page.wait(lambda: "onerror" in page.text("v-name"), "the document is opened")
            same(page.all("img"), [], "no text became an element")
            check(page.driver.title not in ("taken", "1"), "no text became a script")
            rows = lambda role: "".join(row.get_attribute("textContent") for row in page.all(f"#v-code .of-{role}"))
            same(rows("a"), EVIL.replace("\u202e", "\\u{202e}").replace("\n", ""), "the text, over a's tokens")
            same(rows("b"), rows("a"), "and over b's")
            parts = lambda track: len(page.all(f"#v-code .t[data-track='{track}']"))
            check(parts(0) != parts(1), "each with its own boundaries")
            page.all("#v-code .t[data-track='1']")[3].click()
            same(page.panel()["Tokens of"], "<b>tiny</b>", "a token of b is b's")
            page.find("v-code").send_keys(Keys.ARROW_UP)
            check("Δ" in page.panel(), "the token above it is a's")
            page.choose("v-shade", "loss-b")
            page.shot("two-tokenizers")
        page.check_quiet([address, (folder / "out").as_uri()])


def main():
    program, comparison, shots = (pathlib.Path(argument).absolute() for argument in sys.argv[1:4])
    shots.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with browser() as driver, tempfile.TemporaryDirectory() as folder:
        page = Page(driver, shots)
        check_report(page, comparison)
        check_viewer(page, program, comparison)
        check_two_tokenizers(page, program, pathlib.Path(folder))
    print(f"the report and the viewer hold in the browser ({time.monotonic() - started:.0f} s)")


if __name__ == "__main__":
    main()
