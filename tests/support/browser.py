"""Chromium through chromedriver, spoken to by the WebDriver protocol: JSON over HTTP, no library."""

import base64
import json
import pathlib

from support.ports import free_port
from support.program import Program, accepts, run


class Browser:
    def __init__(self, folder, namespace=None):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._port = free_port()
        self._namespace = namespace
        self._driver = Program(["chromedriver", f"--port={self._port}"], self.folder / "chromedriver.log", namespace)
        self._session = None

    def __enter__(self):
        self._driver.start()
        self._driver.wait_for(lambda: self._namespace.accepts("127.0.0.1", self._port) if self._namespace
                              else accepts(self._port))
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
        sent = ["-H", "Content-Type: application/json", "--data-binary", "@-"] if body is not None else []
        answer = run("curl", "-sS", "--noproxy", "", "--max-time", "60", "--request", method, *sent, url,
                     input=json.dumps(body) if body is not None else None, namespace=self._namespace, timeout=70).stdout
        value = json.loads(answer)["value"]
        if isinstance(value, dict) and "error" in value:
            raise RuntimeError(f"{method} {path}: {value['error']}: {value.get('message', '')[:500]}")
        return value

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
