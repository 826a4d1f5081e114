"""A web server on this machine that can be told to misbehave."""

import contextlib
import http.server
import threading


class FileServer(http.server.ThreadingHTTPServer):
    """Serves `files`, bytes by name; a test changes how it does so.

    `cut_after` is a list of byte counts: each request that sends content takes one and
    hangs up after so many bytes. `ranges` says whether parts can be asked for, `tag`
    is the ETag, `status` an error that every request gets.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files, self.cut_after, self.requests = {}, [], []
        self.ranges, self.tag, self.status, self.lengths = True, None, None, True

    def url(self, name):
        return f"http://127.0.0.1:{self.server_port}/{name}"

    def gets(self):
        """Returns the ranges of the requests for content, None for all of a file."""
        return [value for method, value in self.requests if method == "GET"]


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self):
        self.server.requests.append(("HEAD", None))
        self.send_response(200)
        self.end_headers()

    def do_GET(self):
        server, asked = self.server, self.headers["Range"]
        server.requests.append(("GET", asked))
        if server.status:
            return self.send_error(server.status)
        content = server.files.get(self.path[1:])
        if content is None:
            return self.send_error(404)
        start = 0
        is_other = self.headers["If-Range"] not in (None, server.tag)
        if asked and server.ranges and not is_other:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                return self.end_headers()
            self.send_response(206)
            span = f"bytes {start}-{len(content) - 1}/{len(content)}"
            self.send_header("Content-Range", span)
        else:
            self.send_response(200)
        if server.tag:
            self.send_header("ETag", server.tag)
        if server.lengths:
            self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        end = start + server.cut_after.pop(0) if server.cut_after else len(content)
        self.wfile.write(content[start:end])

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def running():
    with FileServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
