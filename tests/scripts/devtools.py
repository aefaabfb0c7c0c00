# SPDX-License-Identifier: Apache-2.0
"""A headless Chromium that a test drives with the DevTools protocol over a pair of pipes: no port,
no library. What does not come true in time is a failure, never a pass."""
import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import time

NAMES = ("chromium", "chromium-browser", "google-chrome")
PATIENCE_S = 60


def find():
    """The path of a browser, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """One page. Use it with "with"."""

    def __init__(self, path, profile):
        low_down, self.to = os.pipe()
        self.come, low_up = os.pipe()
        # Out of the way of 3 and 4.
        down, up = (fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, 50) for low in (low_down, low_up))
        arguments = [path, "--headless", "--disable-gpu", "--remote-debugging-pipe",
                     "--no-first-run", "--disable-extensions", "--hide-scrollbars",
                     f"--user-data-dir={profile}", "about:blank"]
        if os.geteuid() == 0:
            arguments.insert(1, "--no-sandbox")
        # The browser reads descriptor 3 and writes 4; bash puts them there.
        script = f'exec "$@" 3<&{down} 4>&{up} {down}<&- {up}>&-'
        self.process = subprocess.Popen(["bash", "-c", script, "bash", *arguments],
                                        pass_fds=(down, up), stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        for fd in (down, up, low_down, low_up):
            os.close(fd)
        self.rest, self.next_id, self.session, self.events = b"", 1, None, []
        targets = self.call("Target.getTargets")["targetInfos"]
        page = next((t["targetId"] for t in targets if t["type"] == "page"), None)
        if page is None:
            page = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.to)
        os.close(self.come)

    def _message(self, until):
        while b"\0" not in self.rest:
            if not select.select([self.come], [], [], max(0, until - time.monotonic()))[0]:
                raise TimeoutError("the browser does not answer")
            piece = os.read(self.come, 65536)
            if not piece:
                raise EOFError("the browser ended")
            self.rest += piece
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, **params):
        """The result of a method. Events that come meanwhile are kept."""
        number, self.next_id = self.next_id, self.next_id + 1
        request = {"id": number, "method": method, "params": params}
        if self.session:
            request["sessionId"] = self.session
        os.write(self.to, json.dumps(request).encode() + b"\0")
        until = time.monotonic() + PATIENCE_S
        while True:
            message = self._message(until)
            if message.get("id") == number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return message["result"]
            if "method" in message:
                self.events.append(message)

    def value(self, expression):
        """What JavaScript evaluates to."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True,
                           awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def until(self, expression):
        """Wait until it is true; the page itself looks, each time that it draws."""
        wait = ("new Promise((done) => { const look = () => { let is = false;"
                f"try {{ is = Boolean({expression}); }} catch {{ }}"
                "if (is) done(true); else setTimeout(look, 20); }; look(); })")
        return self.value(wait)

    def open(self, url):
        self.call("Page.navigate", url=url)
        self.until("document.readyState === 'complete'")

    def key(self, key, code=0, text=""):
        """Press and release a key, as a keyboard does."""
        same = {"key": key, "windowsVirtualKeyCode": code, "code": key}
        self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", text=text,
                  **same)
        self.call("Input.dispatchKeyEvent", type="keyUp", **same)

    def size(self, width, height):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=False)

    def scheme(self, name):
        """"light" or "dark"."""
        self.call("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": name}])

    def screenshot(self, path):
        data = self.call("Page.captureScreenshot", format="png")["data"]
        path.write_bytes(base64.b64decode(data))
