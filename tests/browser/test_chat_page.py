"""The chat page in headless Chromium: a question, its streamed answer, the next question."""

import pathlib
import subprocess

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

ANSWER_SECONDS = 90
DRIVERS = ("/usr/bin/chromedriver", "/snap/bin/chromium.chromedriver")


@pytest.fixture(scope="module")
def page_url(gallop, foal):
    process = subprocess.Popen(
        [gallop, "serve", foal / "target", "--drafter", foal / "drafter", "--port", "0",
         "--served-model-name", "foal"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    line = process.stdout.readline()
    assert line.startswith("listening on "), line
    yield line.split()[-1] + "/"
    process.terminate()
    assert process.wait(timeout=30) == 0


@pytest.fixture
def browser():
    options = webdriver.ChromeOptions()
    for flag in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu",
                 "--window-size=1100,820", "--hide-scrollbars"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    path = next(path for path in DRIVERS if pathlib.Path(path).exists())
    driver = webdriver.Chrome(options=options, service=Service(path))
    yield driver
    driver.quit()


def ask(browser, text):
    """Sends a message; returns the answer's bubble once it is complete."""
    before = len(browser.find_elements(By.CSS_SELECTOR, ".assistant"))
    browser.find_element(By.ID, "input").send_keys(text, Keys.ENTER)
    WebDriverWait(browser, ANSWER_SECONDS).until(lambda driver: len(
        driver.find_elements(By.CSS_SELECTOR, ".assistant[data-done]")) == before + 1)
    return browser.find_elements(By.CSS_SELECTOR, ".assistant")[-1]


def text_of(bubble, name):
    return bubble.find_element(By.CLASS_NAME, name).get_attribute("textContent")


def test_a_chat(browser, page_url, reference, decode, tmp_path, request):
    item = next(item for item in reference["greedy"]["items"]
                if item["enable_thinking"] and item["tools"] is None and len(item["messages"]) == 1)
    reasoning, content = decode(item["greedy_ids"]).split("</think>")
    browser.get(page_url)
    WebDriverWait(browser, 20).until(
        lambda driver: driver.find_element(By.ID, "model").text == "foal")
    browser.find_element(By.ID, "temperature").send_keys("0")
    bubble = ask(browser, item["messages"][-1]["content"])
    assert text_of(bubble, "content").strip() == content.strip()
    assert text_of(bubble, "reasoning").strip() == reasoning.strip()
    assert "tokens" in text_of(bubble, "note")
    bubble.find_element(By.TAG_NAME, "summary").click()  # the picture shows the reasoning too
    picture = pathlib.Path(request.config.getoption("--screenshot") or tmp_path / "chat-page.png")
    picture.parent.mkdir(parents=True, exist_ok=True)
    assert browser.save_screenshot(str(picture))
    assert picture.stat().st_size > 10_000

    browser.find_element(By.ID, "thinking").click()
    second = ask(browser, "Tell me a short story about a fox.")
    assert text_of(second, "content").strip()
    assert not second.find_element(By.TAG_NAME, "details").is_displayed()
    assert len(browser.find_elements(By.CSS_SELECTOR, ".message")) == 4
    errors = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert errors == []


def test_stop_and_new_chat(browser, page_url):
    browser.get(page_url)
    # No way to ask for an answer without end in the page: the body is widened on its way out.
    browser.execute_script("""
        const send = window.fetch;
        window.fetch = (url, options) => {
          if (options && options.body) {
            options.body = JSON.stringify(
                {...JSON.parse(options.body), ignore_eos: true, max_tokens: 20000});
          }
          return send(url, options);
        };""")
    browser.find_element(By.ID, "input").send_keys("Tell me a short story.", Keys.ENTER)
    bubble = WebDriverWait(browser, ANSWER_SECONDS).until(
        lambda driver: driver.find_element(By.CSS_SELECTOR, ".assistant"))
    WebDriverWait(browser, ANSWER_SECONDS).until(
        lambda _: len(text_of(bubble, "content") + text_of(bubble, "reasoning")) > 10)
    browser.find_element(By.ID, "stop").click()
    WebDriverWait(browser, 20).until(lambda _: bubble.get_attribute("data-done") == "yes")
    assert "Stopped" in text_of(bubble, "note")
    assert browser.find_element(By.ID, "send").is_displayed()
    browser.find_element(By.ID, "clear").click()
    assert browser.find_elements(By.CSS_SELECTOR, ".message") == []
