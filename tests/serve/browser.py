"""A headless Chromium, spoken to over two pipes in Chrome's DevTools protocol."""

from __future__ import annotations

import base64
import itertools
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--hide-scrollbars", "--remote-debugging-pipe"),
]
PATIENCE = 60  # seconds for what is waited for on a page


def find() -> str | None:
    """The path of a Chromium, if there is one."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Page:
    """One page; what it logs, and what it asks of hosts, is kept."""

    def __init__(self, read: int, write: int) -> None:
        self._read, self._write = os.fdopen(read, "rb"), os.fdopen(write, "wb")
        self._numbers = itertools.count(1)
        self.messages: list[str] = []
        self.addresses: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session: str | None = None
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for room in ("Page", "Runtime", "Network", "Log", "Accessibility", "DOM"):
            self.call(f"{room}.enable")

    def call(self, method: str, **parameters: Any) -> Any:
        """The result of a method of the protocol."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if getattr(self, "_session", None):
            message["sessionId"] = self._session
        self._write.write(json.dumps(message).encode() + b"\0")
        self._write.flush()
        while (answer := self._next()).get("id") != number:
            self._note(answer)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def _next(self) -> dict[str, Any]:
        pieces = b""
        while not pieces.endswith(b"\0"):
            piece = self._read.read(1)
            if not piece:
                raise RuntimeError("the browser has ended")
            pieces += piece
        message: dict[str, Any] = json.loads(pieces[:-1])
        return message

    def _note(self, event: dict[str, Any]) -> None:
        name, told = event.get("method"), event.get("params", {})
        if name == "Log.entryAdded":
            self.messages.append(told["entry"]["text"])
        elif name == "Runtime.exceptionThrown":
            self.messages.append(json.dumps(told["exceptionDetails"]))
        elif name == "Runtime.consoleAPICalled":
            self.messages.append(json.dumps(told["args"]))
        elif name == "Network.requestWillBeSent":
            self.addresses.append(told["request"]["url"])

    def open(self, address: str, *, language: str = "en-US", width: int = 1200, dark: bool = False) -> None:
        """Load a page, as a browser of this language, width and colour scheme."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        agent = self.evaluate("navigator.userAgent")
        self.call("Network.setUserAgentOverride", userAgent=agent, acceptLanguage=language)
        self.call("Page.navigate", url=address)
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'")

    def evaluate(self, code: str) -> Any:
        """The value of an expression of JavaScript, awaited if it is a promise."""
        told = self.call("Runtime.evaluate", expression=code, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in told:
            raise RuntimeError(json.dumps(told["exceptionDetails"]))
        return told["result"].get("value")

    def wait(self, code: str) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + PATIENCE
        while not self.evaluate(f"Boolean({code})"):
            assert time.monotonic() < end, (code, self.messages)
            time.sleep(0.05)

    def press(self, key: str, **more: Any) -> None:
        """Press and release a key, such as Tab or Enter."""
        codes = {"Tab": 9, "Enter": 13, " ": 32}
        told = {"key": key, "windowsVirtualKeyCode": codes[key], **more}
        if key == "Enter":
            told["text"] = "\r"
        self.call("Input.dispatchKeyEvent", type="keyDown", **told)
        self.call("Input.dispatchKeyEvent", type="keyUp", **told)

    def type(self, text: str) -> None:
        """Write into the focused element."""
        self.call("Input.insertText", text=text)

    def give(self, selector: str, file: Path) -> None:
        """Choose a file in an input."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(file)])

    def picture(self, path: Path) -> None:
        """Write the whole page to a PNG file."""
        told = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(told["data"]))


@contextmanager
def page(folder: Path) -> Iterator[Page]:
    """A page of a new browser, whose profile is in `folder`."""
    program = find()
    assert program is not None
    there, write = os.pipe()
    read, back = os.pipe()

    def give_pipes() -> None:
        os.dup2(os.dup(there), 3)
        os.dup2(os.dup(back), 4)
        os.set_inheritable(3, True)
        os.set_inheritable(4, True)

    there, back = _above(there), _above(back)
    command = [program, *FLAGS, f"--user-data-dir={folder}"]
    process = subprocess.Popen(
        command, preexec_fn=give_pipes, close_fds=False, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    os.close(there)
    os.close(back)
    opened = None
    try:
        opened = Page(read, write)
        yield opened
    finally:
        process.terminate()
        process.wait(30)
        if opened is not None:
            opened._read.close()
            opened._write.close()


def _above(descriptor: int) -> int:
    """The same pipe at a number that is neither 3 nor 4."""
    copies = [descriptor]
    while copies[-1] in (3, 4):
        copies.append(os.dup(copies[-1]))
    for copy in copies[:-1]:
        os.close(copy)
    return copies[-1]
