"""Chromium through chromedriver, spoken to by the WebDriver protocol: JSON over HTTP, no library."""

import base64
import json
import pathlib
import urllib.request

from support.ports import free_port
from support.program import Program, accepts


class Browser:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._port = free_port()
        self._driver = Program(["chromedriver", f"--port={self._port}"], self.folder / "chromedriver.log")
        self._session = None

    def __enter__(self):
        self._driver.start()
        self._driver.wait_for(lambda: accepts(self._port))
        arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                     "--disable-background-networking", "--disable-component-update", "--disable-sync",
                     "--disable-dev-shm-usage", "--window-size=1280,900",
                     f"--user-data-dir={self.folder / 'profile'}"]
        answer = self._call("POST", "/session", {"capabilities": {"alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": {"args": arguments, "binary": "/usr/bin/chromium"}}}})
        self._session = answer["sessionId"]
        return self

    def __exit__(self, *_):
        try:
            if self._session:
                self._call("DELETE", "")
        finally:
            self._driver.stop()

    def _call(self, method, path, body=None):
        base = f"http://127.0.0.1:{self._port}"
        url = f"{base}/session/{self._session}{path}" if self._session else base + path
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
            return json.load(answer)["value"]

    def open(self, url):
        self._call("POST", "/url", {"url": url})

    def run(self, script, *arguments):
        """The value that the script returns in the page."""
        return self._call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def text(self, selector="body"):
        return self.run("const e = document.querySelector(arguments[0]); return e ? e.innerText : null;", selector)

    def errors(self):
        """What the page complained about since the last call."""
        found = self._call("POST", "/se/log", {"type": "browser"})
        return [entry for entry in found if entry["level"] == "SEVERE"]

    def screenshot(self, path):
        pathlib.Path(path).write_bytes(base64.b64decode(self._call("GET", "/screenshot")))
