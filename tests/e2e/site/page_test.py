"""The status page in a real browser: its figures are live."""

import pytest

from support.browser import Browser
from support.wait import wait_until


@pytest.fixture(scope="module")
def browser(folder):
    with Browser(folder / "browser") as browser:
        yield browser


def test_page_shows_nodes_and_follows_the_traffic(browser, site, joined, origin):
    browser.open(f"http://127.0.0.1:{site.admin_port}/")
    wait_until(lambda: "node1" in browser.text(), what="node1 on the page")
    assert browser.text("#bytes-hit") == browser.text("#bytes-miss") == "0 B"
    data = origin.write("watched.bin", 5_000_000)
    assert joined.get("/watched.bin").body == data
    joined.program.wait_for(lambda: joined.metric("larder_cache_objects") == 1, what="the object in the store")
    for _ in range(2):
        assert joined.get("/watched.bin").body == data
    # No reload: the page itself asks for news. One miss and two hits of 5 MB.
    wait_until(lambda: browser.text("#bytes-hit").startswith("10"), what="the hits on the page")
    assert browser.text("#bytes-miss").startswith("5")
    assert browser.text("#delivered").startswith("15")
    assert browser.text("#saved").startswith("10")
    # What is passed on, and what the node says itself, saves nothing.
    assert joined.get("/never/watched.bin").body == data
    assert joined.get("/watched.bin", host="unknown.test").status == 403
    wait_until(lambda: browser.text("#bytes-miss").startswith("10"), what="what was passed on")
    assert browser.text("#delivered").startswith("20") and browser.text("#saved").startswith("10")
    assert "days" in browser.text().lower()
    assert browser.errors() == []
    browser.screenshot(site.folder / "status.png")
