import dataclasses
import hashlib
import io
import multiprocessing
import os
import re
import shutil
import socket
import tarfile
import threading
import time
import zipfile

import file_server
import pytest

from t2t_mm import problem as problems
from t2t_mm.data import corpus, downloads, generation, http_file, text_problem

CONTENT = bytes(range(251)) * 4000  # a megabyte


@pytest.fixture
def server():
    with file_server.running() as running:
        running.files["books.txt"] = CONTENT
        yield running


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(http_file, "SECONDS_BEFORE_TRY", 0.01)


def download(server, name="books.txt", content=CONTENT, **fields):
    known = {
        "num_bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    return corpus.Download(**{"url": server.url(name), "file": name, **known, **fields})


def books(*files):
    return corpus.Corpus(name="books", title="all books", downloads=files)


def fetch(tmp_path, *files):
    return downloads.fetch(books(*files), str(tmp_path))


# What is fetched.


def test_a_file_is_fetched_once_and_alone_in_its_folder(server, tmp_path):
    folder = fetch(tmp_path, download(server))
    fetch(tmp_path, download(server))

    assert folder == str(tmp_path / "books")
    assert os.listdir(folder) == ["books.txt"]
    assert (tmp_path / "books/books.txt").read_bytes() == CONTENT
    assert server.gets() == [None]
    assert not (tmp_path / "books.incomplete").exists()


def test_files_may_lie_in_folders_below(server, tmp_path):
    fetch(tmp_path, download(server, file="a/b/c.txt"))

    assert (tmp_path / "books/a/b/c.txt").read_bytes() == CONTENT


@pytest.mark.parametrize("file", ["/etc/passwd", "../x", "a/../x", "a//b", "", "./a"])
def test_a_file_stays_below_the_folder(file):
    with pytest.raises(ValueError, match="must be a path below"):
        corpus.Download(url="http://x", file=file)


def test_a_file_of_unknown_size_and_hash_is_fetched(server, tmp_path):
    server.lengths = False
    fetch(tmp_path, download(server, num_bytes=None, sha256=None))

    assert (tmp_path / "books/books.txt").read_bytes() == CONTENT


# Interrupted.


def test_a_connection_that_is_cut_is_taken_up_where_it_ended(server, tmp_path):
    # More cuts than tries that bring nothing; each of these brings something.
    server.cut_after = [300_000, 200_000, 100_000, 50_000, 25_000]
    fetch(tmp_path, download(server))

    starts = [None, *(f"bytes={n}-" for n in (300_000, 500_000, 600_000, 650_000))]
    assert server.gets()[:5] == starts
    assert (tmp_path / "books/books.txt").read_bytes() == CONTENT


def test_another_run_takes_up_what_the_first_left(server, tmp_path):
    server.cut_after = [300_000, 0, 0, 0]
    with pytest.raises(OSError, match="books.txt"):
        fetch(tmp_path, download(server))
    part = tmp_path / "books.incomplete/books.txt"
    assert part.read_bytes() == CONTENT[:300_000]
    assert os.listdir(tmp_path / "books") == []
    server.requests.clear()

    fetch(tmp_path, download(server))

    assert server.gets() == ["bytes=300000-"]
    assert (tmp_path / "books/books.txt").read_bytes() == CONTENT


def test_a_server_without_ranges_sends_all_again(server, tmp_path):
    server.ranges, server.cut_after = False, [300_000]

    fetch(tmp_path, download(server))

    assert (tmp_path / "books/books.txt").read_bytes() == CONTENT


def test_a_server_without_ranges_that_always_cuts_is_given_up(server, tmp_path):
    server.ranges, server.cut_after = False, [300_000] * 9

    with pytest.raises(OSError, match="IncompleteRead"):
        fetch(tmp_path, download(server))

    assert len(server.gets()) == 4  # one that brought something, three that did not


def test_a_part_with_all_bytes_is_only_verified(server, tmp_path):
    part = tmp_path / "books.incomplete/books.txt"
    part.parent.mkdir()
    part.write_bytes(CONTENT)

    fetch(tmp_path, download(server))

    assert server.gets() == []
    assert (tmp_path / "books/books.txt").read_bytes() == CONTENT


def test_a_part_of_another_file_is_fetched_again_from_its_beginning(server, tmp_path):
    part = tmp_path / "books.incomplete/books.txt"
    part.parent.mkdir()
    part.write_bytes(b"x" * 300_000)

    fetch(tmp_path, download(server))

    assert server.gets() == ["bytes=300000-", None]
    assert (tmp_path / "books/books.txt").read_bytes() == CONTENT


def test_a_part_that_is_too_long_is_fetched_again(server, tmp_path):
    part = tmp_path / "books.incomplete/books.txt"
    part.parent.mkdir()
    part.write_bytes(CONTENT + b"x")

    fetch(tmp_path, download(server))

    assert (tmp_path / "books/books.txt").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("tag", "changed", "gets"),
    [
        ('"1"', '"1"', [None, "bytes=300000-"]),  # the same: only the rest
        ('"1"', '"2"', [None, "bytes=300000-"]),  # answered by all of the other
        (None, None, [None, None]),  # nobody can tell
    ],
)
def test_without_a_hash_two_versions_are_never_mixed(
    server, tmp_path, tag, changed, gets
):
    file = download(server, num_bytes=None, sha256=None)
    server.tag, server.cut_after = tag, [300_000, 0, 0, 0]
    with pytest.raises(OSError):
        fetch(tmp_path, file)
    server.requests[1:] = server.requests[1:2]  # only the first GET
    server.tag, expected = changed, CONTENT
    if changed != tag:
        expected = server.files["books.txt"] = CONTENT[::-1]

    fetch(tmp_path, file)

    assert server.gets() == gets
    assert (tmp_path / "books/books.txt").read_bytes() == expected


# Wrong.


def test_wrong_content_names_both_hashes_and_leaves_nothing(server, tmp_path):
    server.files["books.txt"] = wrong = CONTENT[::-1]

    with pytest.raises(ValueError) as caught:
        fetch(tmp_path, download(server))

    message = str(caught.value)
    assert hashlib.sha256(CONTENT).hexdigest() in message
    assert hashlib.sha256(wrong).hexdigest() in message
    assert f"'{tmp_path}/books/books.txt' by hand" in message
    assert not (tmp_path / "books/books.txt").exists()
    assert not (tmp_path / "books.incomplete/books.txt").exists()


def test_wrong_size_is_named(server, tmp_path):
    server.files["books.txt"] = b"<html>Log in first</html>"

    with pytest.raises(ValueError, match="must have 1004000 bytes; it has 25"):
        fetch(tmp_path, download(server))


def test_a_missing_page_is_not_asked_for_again(server, tmp_path):
    second = download(server, name="more.txt", num_bytes=12_300_000)

    with pytest.raises(OSError) as caught:
        fetch(tmp_path, download(server), second)

    message = str(caught.value)
    assert "the server answers 404 Not Found" in message
    assert f"{tmp_path}/books/more.txt (12.3 MB) from {second.url}" in message
    assert "books.txt" not in message  # that one is there
    assert len(server.gets()) == 2


def test_a_busy_server_is_asked_again(server, tmp_path):
    server.status = 503

    with pytest.raises(OSError, match="answers 503"):
        fetch(tmp_path, download(server))

    assert len(server.gets()) == 3


def test_no_network_is_answered_within_seconds_by_all_files(tmp_path):
    with socket.socket() as unused:  # bound, but nobody listens
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        files = [
            corpus.Download(url=f"http://127.0.0.1:{port}/{name}", file=name)
            for name in ("one.zip", "two.zip")
        ]
        start = time.monotonic()
        with pytest.raises(OSError) as caught:
            fetch(tmp_path, *files)

    assert time.monotonic() - start < 2
    message = str(caught.value)
    assert f"127.0.0.1:{port} cannot be reached (ConnectionRefusedError" in message
    for name in ("one.zip", "two.zip"):
        assert f"{tmp_path}/books/{name} (size unknown)" in message
    assert "--corpus_path=books=PATH" in message


def test_a_silent_network_is_answered_within_seconds(tmp_path, monkeypatch):
    monkeypatch.setattr(http_file, "REACH_SECONDS", 0.2)
    is_over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: is_over.wait() and [])
    file = corpus.Download(url="http://books.example/one.zip", file="one.zip")

    with pytest.raises(OSError, match=r"books\.example cannot be reached \(silent"):
        fetch(tmp_path, file)
    is_over.set()


def test_a_small_disk_is_found_out_before(server, tmp_path, monkeypatch):
    usage = (10**9, 10**9 - 900_000, 900_000)
    fields = type("Usage", (), dict(zip(("total", "used", "free"), usage, strict=True)))
    monkeypatch.setattr(http_file.shutil, "disk_usage", lambda _: fields)

    with pytest.raises(OSError, match="needs 1 MB .*; there are 900 kB") as caught:
        fetch(tmp_path, download(server))

    assert server.requests == []
    assert "--tmp_dir" in str(caught.value)


# By hand.


def test_files_put_there_by_hand_are_verified_and_used(server, tmp_path):
    folder = tmp_path / "books"
    folder.mkdir()
    (folder / "books.txt").write_bytes(CONTENT)

    fetch(tmp_path, download(server))

    assert server.requests == []


def test_a_wrong_file_put_there_by_hand_is_kept_and_named(server, tmp_path):
    file = tmp_path / "books/books.txt"
    file.parent.mkdir()
    file.write_bytes(CONTENT[::-1])

    with pytest.raises(ValueError, match=re.escape(f"'{file}' must have the SHA-256")):
        fetch(tmp_path, download(server))

    assert file.exists()


def test_a_verified_file_is_read_again_only_if_it_changed(
    server, tmp_path, monkeypatch
):
    fetch(tmp_path, download(server))
    hashed = []
    original = hashlib.file_digest
    monkeypatch.setattr(
        hashlib, "file_digest", lambda *args: hashed.append(1) or original(*args)
    )

    fetch(tmp_path, download(server))
    assert not hashed
    os.utime(tmp_path / "books/books.txt", (1, 1))
    fetch(tmp_path, download(server))
    assert len(hashed) == 1


# Side by side.


def _fetch_in_process(url, tmp_path, content_hash, num_bytes):
    file = corpus.Download(
        url=url, file="books.txt", sha256=content_hash, num_bytes=num_bytes
    )
    fetch(tmp_path, file)


def test_two_processes_fetch_a_file_once(server, tmp_path):
    file = download(server)
    context = multiprocessing.get_context("fork")
    arguments = (file.url, tmp_path, file.sha256, file.num_bytes)
    processes = [
        context.Process(target=_fetch_in_process, args=arguments) for _ in range(3)
    ]

    for process in processes:
        process.start()
    for process in processes:
        process.join()

    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert server.gets() == [None]


# Unpacking.


def make_tar(path, members):
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def make_zip(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


@pytest.mark.parametrize("make", [make_tar, make_zip])
def test_an_archive_is_unpacked_once(make, tmp_path):
    make(tmp_path / "archive", {"a/one.txt": b"1", "two.txt": b"2"})
    folder = tmp_path / "out"

    assert downloads.extract(str(tmp_path / "archive"), str(folder)) == str(folder)
    (tmp_path / "archive").unlink()
    downloads.extract(str(tmp_path / "archive"), str(folder))

    assert (folder / "a/one.txt").read_bytes() == b"1"
    assert (folder / "two.txt").read_bytes() == b"2"


@pytest.mark.parametrize("make", [make_tar, make_zip])
@pytest.mark.parametrize("name", ["../outside.txt", "a/../../outside.txt"])
def test_nothing_is_unpacked_outside(make, name, tmp_path):
    make(tmp_path / "archive", {"good.txt": b"1", name: b"2"})

    with pytest.raises(ValueError, match="must not be unpacked.*outside"):
        downloads.extract(str(tmp_path / "archive"), str(tmp_path / "out"))

    assert not (tmp_path / "outside.txt").exists()
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "out.incomplete").exists()


@pytest.mark.parametrize("make", [make_tar, make_zip])
@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_a_damaged_archive_leaves_nothing(make, damage, tmp_path):
    path = tmp_path / "archive"
    make(path, {"one.txt": os.urandom(300_000), "two.txt": b"2"})
    content = bytearray(path.read_bytes())
    if damage == "cut":
        content = content[:-1000]
    else:
        content[150_000] ^= 255
    path.write_bytes(content)

    with pytest.raises(ValueError, match="must be a whole tar or zip archive"):
        downloads.extract(str(path), str(tmp_path / "out"))

    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "out.incomplete").exists()


def test_what_an_interrupted_run_unpacked_is_not_taken_for_whole(tmp_path):
    make_tar(tmp_path / "archive", {"one.txt": b"1"})
    (tmp_path / "out.incomplete").mkdir()
    (tmp_path / "out.incomplete/half.txt").touch()

    downloads.extract(str(tmp_path / "archive"), str(tmp_path / "out"))

    assert os.listdir(tmp_path / "out") == ["one.txt"]


# The folder of a problem.


class Reader(problems.Problem):
    name = "book_reader"
    corpus = books()

    def generate_samples(self, data_dir, tmp_dir, dataset_split):
        yield {}

    encode_inputs = encode_targets = inputs_spec = targets_spec = None
    decode_targets = None


def test_the_users_path_comes_first(server, tmp_path):
    reader = Reader()
    reader.corpus = books(download(server))
    reader.corpus_path = str(tmp_path)

    assert reader.corpus_folder(str(tmp_path / "tmp")) == str(tmp_path)
    assert server.requests == []


def test_downloads_come_next(server, tmp_path):
    reader = Reader()
    reader.corpus = books(download(server))

    folder = reader.corpus_folder(str(tmp_path))

    assert os.listdir(folder) == ["books.txt"]


def test_the_help_page_comes_last(tmp_path):
    with pytest.raises(FileNotFoundError, match="made from all books"):
        Reader().corpus_folder(str(tmp_path))


def test_a_path_that_does_not_exist_is_no_reason_to_download(server, tmp_path):
    reader = Reader()
    reader.corpus = books(download(server))
    reader.corpus_path = str(tmp_path / "nowhere")

    with pytest.raises(FileNotFoundError, match=f"there is no '{tmp_path}/nowhere'"):
        reader.corpus_folder(str(tmp_path))

    assert server.requests == []


@pytest.mark.parametrize(
    ("num_bytes", "text"),
    [
        (None, "size unknown"),
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1 kB"),
        (1_234_567, "1.23 MB"),
        (999_600, "1 MB"),
        (147_897_477_120, "148 GB"),
        (2.5e15, "2.5e+03 TB"),
    ],
)
def test_sizes_are_short(num_bytes, text):
    assert http_file.size_text(num_bytes) == text


class Lines(text_problem.Text2TextProblem):
    name = "book_lines"
    vocab_type = "byte"

    def generate_samples(self, data_dir, tmp_dir, dataset_split):
        with open(f"{self.corpus_folder(tmp_dir)}/lines.txt") as file:
            for line in file:
                yield {"inputs": line, "targets": line}


def test_records_are_made_from_downloads_and_then_need_them_no_more(server, tmp_path):
    content = b"one\ntwo\n"
    server.files["lines.txt"] = content
    lines = Lines()
    lines.corpus = books(download(server, "lines.txt", content))
    folders = str(tmp_path / "data"), str(tmp_path / "tmp")

    made = generation.generate(lines, *folders)
    shutil.rmtree(tmp_path / "tmp")
    again = generation.generate(lines, *folders)

    assert [files.index.count for files in made.splits.values()] == [2, 2, 2]
    assert again == made
    assert server.gets() == [None]


def test_other_files_make_other_records():
    file = corpus.Download(url="http://x/a", file="a", sha256="0" * 64)
    moved = dataclasses.replace(file, url="http://y/a")
    changed = dataclasses.replace(file, sha256="1" * 64)

    original = downloads.fingerprint(books(file))
    assert downloads.fingerprint(books(moved)) == original
    assert downloads.fingerprint(books(changed)) != original
