"""The page in a real browser, headless: what lives, what is drawn, and that it fits a phone. Debian's Chromium."""

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service as Chromedriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.expected_conditions import staleness_of
from selenium.webdriver.support.wait import WebDriverWait

from conqure.queue.work import WorkStatus

from ...openmpq.compiling import need
from .conftest import ADMIN, PASSWORD, until
from .web_place import ADA, BELL, BOB, HOSTILE, Place, serving

pytestmark = pytest.mark.slow

PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
DESK = {"width": 1200, "height": 900, "deviceScaleFactor": 1, "mobile": False}


class Browser:
    """What a person does in a browser, by the words on the page."""

    def __init__(self, driver: Any, url: str) -> None:
        self.driver, self.url = driver, url

    def open(self, path: str) -> None:
        self.driver.get(self.url + path)

    def all(self, css: str) -> list[Any]:
        return self.driver.find_elements(By.CSS_SELECTOR, css)

    def one(self, css: str) -> Any:
        return self.driver.find_element(By.CSS_SELECTOR, css)

    def text(self, css: str) -> str:
        """Read in one step, since what lives may be replaced between finding and reading."""
        return self.run(f"return document.querySelector({css!r})?.textContent ?? ''").strip()

    def fill(self, **fields: str) -> None:
        for name, value in fields.items():
            field = self.one(f"main [name={name}]")
            field.clear() if field.tag_name != "select" else None
            field.send_keys(value)

    def press(self, words: str) -> None:
        """Press a button that sends a form; done when the page that answers is there."""
        page = self.one("html")
        self.driver.find_element(By.XPATH, f"//main//button[contains(., '{words}')]").click()
        WebDriverWait(self.driver, 20).until(staleness_of(page))
        WebDriverWait(self.driver, 20).until(lambda _: self.all("footer"))  # the end of every page

    def log_in(self, user_id: str) -> None:
        self.open("/login")
        self.fill(email=user_id, password=PASSWORD)
        self.press("Log in")

    def run(self, script: str) -> Any:
        return self.driver.execute_script(script)

    def set(self, command: str, **values: Any) -> None:
        self.driver.execute_cdp_cmd(f"Emulation.{command}", values)

    @property
    def path(self) -> str:
        return self.driver.current_url.removeprefix(self.url)

    def complaints(self) -> list[str]:
        """What the browser wrote to its console: broken scripts, and whatever the security policy refused."""
        return [entry["message"] for entry in self.driver.get_log("browser")]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with serving(tmp_path_factory.mktemp("web")) as found:
        yield found


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    need(chromium and chromedriver, "Chromium with chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = str(chromium)
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1200,900"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    found = webdriver.Chrome(options=options, service=Chromedriver(str(chromedriver)))
    yield found
    found.quit()


@pytest.fixture
def browser(driver: Any, place: Place) -> Browser:
    found = Browser(driver, place.url)
    found.open("/login")
    driver.delete_all_cookies()
    found.set("setDeviceMetricsOverride", **DESK)
    found.set("setScriptExecutionDisabled", value=False)
    found.complaints()
    return found


def test_a_bell_circuit_becomes_done_before_ones_eyes(place: Place, browser: Browser) -> None:
    browser.log_in(ADA)
    browser.open("/submit")
    browser.fill(text=BELL, device_id="sv0", shots="1000", name="Bell", priority="HIGH")
    browser.press("Submit")
    assert browser.text(".status") == "◷READY"
    assert "next in its line" in browser.text(".timeline")
    browser.run("window.isStillThere = true")
    with place.dispatching():
        until(lambda: browser.text(".status") == "✓DONE")
    assert browser.run("return window.isStillThere"), "the page was loaded again"
    assert browser.text("#said") == "The work is DONE"
    assert [bar.text for bar in browser.all(".chart .bits")] in (["00", "11"], ["11", "00"])
    shown = [int(count.text.split(" ")[0]) for count in browser.all(".chart .count")]
    assert sum(shown) == 1000
    assert all(bar.size["width"] > 100 for bar in browser.all(".chart .bar"))
    assert [name.text for name in browser.all(".circuit .name")] == ["H"]
    assert (len(browser.all(".circuit .control")), len(browser.all(".circuit .meter"))) == (1, 2)
    assert [stage.text for stage in browser.all(".timeline strong")] == ["CREATED", "READY", "EXECUTING", "DONE"]
    assert not browser.complaints()


def test_a_work_that_waits_is_canceled_by_its_button(place: Place, browser: Browser) -> None:
    work = place.work(ADA)
    browser.log_in(ADA)
    browser.open(f"/works/{work.work_id}")
    browser.press("Cancel this work")
    assert browser.path == f"/works/{work.work_id}"
    assert browser.text(".status") == "⊘CANCELED"
    assert f"canceled by {ADA}" in browser.text(".note")
    assert not browser.all(".danger")


def test_the_list_and_the_devices_change_by_themselves_and_the_keyboard_keeps_its_place(
    place: Place, browser: Browser
) -> None:
    work = place.work(BOB, name="mine", device_id="sv1")
    browser.log_in(BOB)
    browser.open("/works")
    browser.run(f"document.querySelector('[data-key=\"{work.work_id}\"]').focus()")
    place.service.works.ask_cancel(work.work_id, 0.0)
    until(lambda: "CANCELED" in browser.text("tbody"))
    assert browser.run("return document.activeElement.dataset.key") == work.work_id
    browser.open("/devices")
    row = "tbody tr:nth-child(2)"
    waiting = int(browser.text(f"{row} [data-label=Waiting]"))
    place.work(BOB, device_id="sv1")
    until(lambda: int(browser.text(f"{row} [data-label=Waiting]")) == waiting + 1)
    assert not browser.complaints()


def test_everything_works_without_javascript(place: Place, browser: Browser) -> None:
    browser.set("setScriptExecutionDisabled", value=True)
    browser.log_in(ADA)
    browser.open("/submit")
    browser.fill(text=BELL, device_id="sv0", name="plain")
    browser.press("Submit")
    path = browser.path
    assert browser.one(".status").text.endswith("READY")
    with place.dispatching():
        until(lambda: place.service.works.get(path.rpartition("/")[2]).status is WorkStatus.DONE)
    browser.open(path)
    assert browser.all(".chart .bar")
    assert browser.one("time").text.endswith("UTC")


def test_no_page_is_wider_than_a_phone_whatever_its_names_are(place: Place, browser: Browser) -> None:
    long = place.work(ADMIN, name="W" * 200, device_id="sv0", loop="L" * 200)
    place.ended(long, WorkStatus.ERROR, error="E" * 3000, error_kind="device_fault", ran_on="R" * 250)
    done = place.work(ADMIN, name=HOSTILE)
    with place.dispatching():
        until(lambda: place.service.works.get(done.work_id).status is WorkStatus.DONE)
    browser.log_in(ADMIN)
    browser.set("setDeviceMetricsOverride", **PHONE)
    paths = ["/works?whose=all", f"/works/{long.work_id}", f"/works/{done.work_id}", "/devices", "/submit", "/account"]
    for path in [*paths, "/users", "/devices/sv0", "/nothing"]:
        browser.open(path)
        assert browser.run("return document.documentElement.scrollWidth") <= 390, path
    browser.driver.delete_all_cookies()
    browser.open("/login")
    assert browser.run("return document.documentElement.scrollWidth") <= 390


def test_hostile_names_stay_text_in_the_browser(place: Place, browser: Browser) -> None:
    work = place.work(BOB, name=HOSTILE, device_id="sv0")
    place.ended(work, WorkStatus.ERROR, error=HOSTILE, ran_on=HOSTILE)
    browser.log_in(BOB)
    for path, where in (("/works", "tbody"), (f"/works/{work.work_id}", "main"), ("/account", "h1")):
        browser.open(path)
        assert HOSTILE in browser.text(where)
        assert not browser.all("main img, main b")
        assert browser.driver.title != "hacked"
    assert not browser.complaints()


CONTRAST = """
const parse = (color) => (color.match(/[\\d.]+/g) || []).map(Number);
const linear = (value) => value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
const light = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
const ground = (node) => {
  for (; node; node = node.parentElement) {
    const color = parse(getComputedStyle(node).backgroundColor);
    if (color.length === 3 || color[3] === 1) return color;
  }
  return [255, 255, 255];
};
const poor = [];
for (const node of document.querySelectorAll("body *")) {
  const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
  if (!own || node.closest("svg, .hidden, .skip, option, datalist") || !node.offsetParent) continue;
  const [more, less] = [light(parse(getComputedStyle(node).color)), light(ground(node))].sort((a, b) => b - a);
  if ((more + 0.05) / (less + 0.05) < 4.5) poor.push(node.className + ": " + node.textContent.trim().slice(0, 40));
}
return poor;
"""
NAMELESS = """
return [...document.querySelectorAll("input:not([type=hidden]), select, textarea, button, a")]
  .filter((node) => !node.closest("[aria-hidden]"))
  .filter((node) => !(node.labels?.length || node.textContent.trim() || node.ariaLabel))
  .map((node) => node.outerHTML);
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_have_contrast_and_every_control_has_a_name(place: Place, browser: Browser, scheme: str) -> None:
    works: list[Callable[[], Any]] = [
        lambda: place.work(ADMIN, name="waits"),
        lambda: place.ended(place.work(ADMIN), WorkStatus.ERROR, error="a fault", error_kind="device_fault"),
        lambda: place.service.works.ask_cancel(place.work(ADMIN).work_id, 0.0),
    ]
    ids = [make().work_id for make in works]
    browser.log_in(ADMIN)
    media = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": media})
    for path in ["/works", "/devices", "/submit", "/account", "/users", *(f"/works/{work_id}" for work_id in ids)]:
        browser.open(path)
        assert browser.run(CONTRAST) == [], path
        assert browser.run(NAMELESS) == [], path
