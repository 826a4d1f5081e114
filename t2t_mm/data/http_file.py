"""One file over HTTP, resumed where it was cut off."""

import contextlib
import os
import shutil
import threading
import time
import urllib.parse
from typing import Any

from absl import logging
from etils import epy

from t2t_mm.data import corpus as corpora
from t2t_mm.data import progress

with epy.lazy_imports():
    import requests
    import urllib3

CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0  # the longest that a server may be silent
REACH_SECONDS = 8.0  # of looking up a name and connecting, whatever the reason
MAX_TRIES = 3  # that bring no more of a file than there was
SECONDS_BEFORE_TRY = 0.5  # doubled for each further try
CHUNK_BYTES = 1 << 20
MEGABYTE = 10**6

_RANGE_IS_PAST_THE_END = 416
_PARTIAL_CONTENT = 206
_TOO_MANY_REQUESTS = 429


class DownloadError(OSError):
    """A file that cannot be fetched."""


class _TryAgain(Exception):
    """A failure that may pass."""


def check_reachable(url: str) -> None:
    """Asks the server of a URL for an answer, any answer, within seconds.

    Raises:
      DownloadError: if there is none.
    """
    found: list[Exception] = []

    def ask() -> None:
        try:
            timeouts = (CONNECT_SECONDS, CONNECT_SECONDS)
            requests.head(url, timeout=timeouts, allow_redirects=False).close()
        except requests.ReadTimeout:
            pass  # it took the question, so it is there
        except Exception as error:  # nobody else would see it in a thread
            found.append(error)

    # Looking up a name knows no time limit, so a thread does it.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(REACH_SECONDS)
    if thread.is_alive() or found:
        reason = _reason(found[0]) if found else f"silent for {REACH_SECONDS:.0f} s"
        host = urllib.parse.urlsplit(url).netloc
        raise DownloadError(f"{host} cannot be reached ({reason}).")


def check_space(folder: str, num_bytes: int) -> None:
    """Checks that there is room for what is to be written.

    Raises:
      DownloadError: if there is not.
    """
    free = shutil.disk_usage(folder).free
    if num_bytes > free:
        raise DownloadError(
            f"'{folder}' needs {size_text(num_bytes)} of free space for what is to be "
            f"fetched; there are {size_text(free)}. Make room, or choose another "
            "--tmp_dir."
        )


def size_text(num_bytes: float | None) -> str:
    """Returns a number of bytes as a person reads it: "1.3 GB"."""
    if num_bytes is None:
        return "size unknown"
    unit, *larger = ("bytes", "kB", "MB", "GB", "TB")
    while num_bytes >= 999.5 and larger:
        num_bytes, unit = num_bytes / 1000, larger.pop(0)
    return f"{num_bytes:.3g} {unit}"


def fetch_part(download: corpora.Download, part: str) -> None:
    """Fetches what is missing of a file; tries again as long as more of it comes.

    Args:
      download: the file.
      part: where it goes; what is there already is its beginning.

    Raises:
      DownloadError: if it does not come, or the disk is too small.
    """
    furthest, failures = _size(part), 0
    while True:
        try:
            return _receive(download, part)
        except _TryAgain as error:
            had, furthest = furthest, max(furthest, _size(part))
            failures = 0 if furthest > had else failures + 1
            if failures >= MAX_TRIES:
                raise DownloadError(f"{download.url}: {error}.") from None
            logging.info(
                "downloads | %s | %s; trying again from %s",
                download.file,
                error,
                size_text(_size(part)),
            )
            time.sleep(SECONDS_BEFORE_TRY * 2**failures)


def _receive(download: corpora.Download, part: str) -> None:
    """Adds to a part all that is missing of it, in one request."""
    start = _size(part)
    if start and start == download.num_bytes:
        return
    try:
        with requests.get(
            download.url,
            headers=_request_headers(download, part),
            stream=True,
            timeout=(CONNECT_SECONDS, READ_SECONDS),
        ) as response:
            if response.status_code == _RANGE_IS_PAST_THE_END:
                return _end_beyond(response, part)
            _check_status(response)
            _write(response, download, part)
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise _TryAgain(_reason(error)) from None


def _request_headers(download: corpora.Download, part: str) -> dict[str, str]:
    # Bytes as they are in the file, not packed for the way.
    headers = {"Accept-Encoding": "identity"}
    start = _size(part)
    validator = _read_validator(part)
    if start and validator:
        headers["If-Range"] = validator  # all of it, if it has changed since
    elif start and not download.sha256:
        start = 0  # nothing would tell if it has changed
    if start:
        headers["Range"] = f"bytes={start}-"
    return headers


def _end_beyond(response: Any, part: str) -> None:
    """Ends a part that has all bytes, or begins again with one that has too many."""
    length = response.headers.get("Content-Range", "").rpartition("/")[2]
    if length != str(_size(part)):
        os.remove(part)
        raise _TryAgain("the part that is there does not belong to the file")


def _check_status(response: Any) -> None:
    code = response.status_code
    if code >= 500 or code == _TOO_MANY_REQUESTS:
        raise _TryAgain(f"the server answers {code} {response.reason}")
    if code >= 400:
        raise DownloadError(
            f"{response.url}: the server answers {code} {response.reason}."
        )


def _write(response: Any, download: corpora.Download, part: str) -> None:
    is_rest = response.status_code == _PARTIAL_CONTENT
    if not is_rest:
        forget_version(part)
        _write_validator(response, part)
    start = _size(part) if is_rest else 0
    rest = int(response.headers.get("Content-Length", 0))
    total = download.num_bytes or (start + rest if rest else None)
    if not download.num_bytes and rest:
        check_space(os.path.dirname(part), rest)
    with (
        progress.Progress(download.file, "MB", total and total // MEGABYTE) as bar,
        open(part, "ab" if is_rest else "wb") as file,
    ):
        bar.add(start // MEGABYTE)
        for chunk in response.raw.stream(CHUNK_BYTES, decode_content=False):
            before = file.tell()
            file.write(chunk)
            bar.add(file.tell() // MEGABYTE - before // MEGABYTE)
        file.flush()
        os.fsync(file.fileno())
    received = _size(part) - start
    if rest and received != rest:
        raise _TryAgain(f"it ended after {received} of {rest} bytes")


def _size(part: str) -> int:
    with contextlib.suppress(FileNotFoundError):
        return os.path.getsize(part)
    return 0


# What a server says about a version of a file is kept beside its part.


def _validator_path(part: str) -> str:
    return f"{part}.version"


def _read_validator(part: str) -> str | None:
    with contextlib.suppress(FileNotFoundError):
        with open(_validator_path(part), encoding="utf-8") as file:
            return file.read()
    return None


def _write_validator(response: Any, part: str) -> None:
    tag = response.headers.get("ETag", "")
    is_strong = tag and not tag.startswith("W/")
    validator = tag if is_strong else response.headers.get("Last-Modified")
    if validator:
        with open(_validator_path(part), "w", encoding="utf-8") as file:
            file.write(validator)


def forget_version(part: str) -> None:
    """Removes the note on which version of a file a part belongs to."""
    with contextlib.suppress(FileNotFoundError):
        os.remove(_validator_path(part))


def _reason(error: BaseException) -> str:
    """Returns the innermost reason of an error, which is the one that says most."""
    while True:
        arguments = [getattr(error, "reason", None), error.__cause__, *error.args]
        inner = [item for item in arguments if isinstance(item, BaseException)]
        if not inner:
            break
        error = inner[0]
    return f"{type(error).__name__}: {error}"
