import gzip

import pytest
import text_corpora

from t2t_mm.data import text_files
from t2t_mm.data.text_files import TextFile
from t2t_mm.problem import Rejected


@pytest.fixture
def write(tmp_path):
    """A function that writes bytes into a file and returns it as a text."""

    def write_file(name, content):
        (tmp_path / name).write_bytes(content)
        return TextFile(str(tmp_path / name))

    return write_file


def lines_of(file):
    return list(text_files.read_lines(file))


def pairs_of(inputs, targets):
    samples = text_files.read_pairs(inputs, targets, "news.de-en")
    return [(s["inputs"], s["targets"]) if isinstance(s, dict) else s for s in samples]


# Lines.


@pytest.mark.parametrize(
    "inside", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\r"]
)
def test_only_a_line_feed_ends_a_line(write, inside):
    file = write("a.txt", f"one{inside}line\ntwo\n".encode())

    assert lines_of(file) == [f"one{inside}line", "two"]


def test_carriage_returns_at_the_end_are_dropped(write):
    assert lines_of(write("a.txt", b"one\r\ntwo\r\n\r\n")) == ["one", "two", ""]


@pytest.mark.parametrize(
    ("content", "lines"),
    [(b"", []), (b"\n", [""]), (b"a", ["a"]), (b"a\n", ["a"]), (b"a\n\n", ["a", ""])],
)
def test_a_last_line_needs_no_end(write, content, lines):
    assert lines_of(write("a.txt", content)) == lines


def test_a_byte_order_mark_is_no_text(write):
    assert lines_of(write("a.txt", b"\xef\xbb\xbfone\ntwo")) == ["one", "two"]
    assert lines_of(write("b.txt", b"\xef\xbb\xbf")) == []


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_is_refused(write, encoding):
    file = write("a.txt", "\ufeffone\n".encode(encoding))

    with pytest.raises(ValueError, match=r"a\.txt' must be UTF-8; .* UTF-16"):
        lines_of(file)


def test_a_line_that_is_not_utf_8_is_named(write):
    file = write("news.de", "gut\nschön\n".encode("latin-1") + "schön\n".encode())

    bad = Rejected(name="news.de line 2", reason="not UTF-8")
    assert lines_of(file) == ["gut", bad, "schön"]


def test_the_longest_line_is_read_and_a_longer_one_is_named(write):
    longest = "x" * text_files.MAX_LINE_BYTES
    content = f"{longest}\r\n{longest}y\r\n{longest}y\n{longest * 3}\nafter\n"
    file = write("news.de", content.encode())

    reason = "line of more than 65536 bytes"
    bad = [Rejected(name=f"news.de line {n}", reason=reason) for n in (2, 3, 4)]
    assert lines_of(file) == [longest, *bad, "after"]


def test_a_long_last_line_without_an_end_is_named(write):
    content = b"a\n" + b"x" * (text_files.MAX_LINE_BYTES + 9)

    assert [type(line) for line in lines_of(write("a", content))] == [str, Rejected]


# Compressed files and archives.


@pytest.mark.parametrize("name", ["news.de.gz", "news.de"])
def test_compressed_files_are_seen_by_their_content(write, name):
    file = write(name, gzip.compress(b"eins\nzwei\n"))

    assert lines_of(file) == ["eins", "zwei"]
    assert file.name == "news.de"


@pytest.mark.parametrize("name", ["all.tgz", "all.tar.gz", "all.tar"])
def test_a_member_of_an_archive_is_read_in_place(tmp_path, name):
    members = {
        "./training/news.de": b"eins\nzwei\n",
        "training/news.en.gz": gzip.compress(b"one\ntwo\n"),
        "training/news.den": b"other\n",
    }
    text_corpora.write_archive(tmp_path / name, members)
    archive = str(tmp_path / name)

    assert lines_of(TextFile(archive, "news.en")) == ["one", "two"]
    assert lines_of(TextFile(archive, "news.de")) == ["eins", "zwei"]
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_both_sides_may_be_in_one_archive(tmp_path):
    members = {"news.de": b"eins\nzwei\n", "news.en": b"one\ntwo\n"}
    text_corpora.write_archive(tmp_path / "all.tgz", members)
    sides = [TextFile(str(tmp_path / "all.tgz"), name) for name in members]

    assert pairs_of(*sides) == [("eins", "one"), ("zwei", "two")]


def test_a_member_that_is_missing_is_named(tmp_path):
    text_corpora.write_archive(tmp_path / "all.tgz", {"news.de": b"eins\n"})

    with pytest.raises(ValueError, match=r"all\.tgz' must hold 'news\.en'"):
        lines_of(TextFile(str(tmp_path / "all.tgz"), "news.en"))


def test_files_that_are_cut_off_are_named(tmp_path, write):
    content = gzip.compress(b"".join(b"line %d\n" % n for n in range(9999)))
    text_corpora.write_archive(tmp_path / "a.tgz", {"news.de": content})
    whole = (tmp_path / "a.tgz").read_bytes()
    packed = write("b.gz", content[: len(content) // 2])
    member = write("c.tgz", whole[: len(whole) // 2]).path
    nothing = write("d.tgz", b"Not Found").path

    with pytest.raises(ValueError, match=r"b\.gz' must be a whole file"):
        lines_of(packed)
    with pytest.raises(ValueError, match=r"c\.tgz' .* must be a whole file"):
        lines_of(TextFile(member, "news.de"))
    with pytest.raises(ValueError, match=r"d\.tgz' must be a whole file.*Fetch it"):
        lines_of(TextFile(nothing, "news.de"))


def test_all_members_of_an_archive_are_read_in_their_order(tmp_path):
    members = {f"{number}.txt": b"x" for number in range(50)}
    text_corpora.write_archive(tmp_path / "all.tgz", members)

    seen = [
        (name, content.read())
        for name, content in text_files.read_members(str(tmp_path / "all.tgz"))
    ]

    assert seen == list(members.items())


# Segments.


def test_segments_are_the_texts_of_an_sgm(write):
    content = text_corpora.sgm(["AT&T <b>", 'said "no"', "a &c; b"], "src", "en")
    file = write("news-src.en.sgm", content)

    assert list(text_files.read_texts(file)) == ["AT&T <b>", 'said "no"', "a &c; b"]


@pytest.mark.parametrize(
    ("markup", "texts"),
    [
        ('<seg id="1">a &amp;lt; &quot;b&#39;&#x2019;</seg>', ["a &lt; \"b'\u2019"]),
        ('<hl>\n<seg id="1">a</seg></hl> <seg id="2">b</seg>', ["a", "b"]),
        ('<seg id="1">on\ntwo lines</seg>\n<seg id="2">c</seg>', ["on two lines", "c"]),
        ('<SEG ID="1">A</SEG>', ["A"]),
        ('<seg id="1"></seg>', [""]),
        ("Q&A &notanentity; &copy 2012", []),
        ("<seg>Q&A &notanentity; &copy 2012</seg>", ["Q&A &notanentity; &copy 2012"]),
        ("<seg>in\u2028side</seg>", ["in\u2028side"]),
    ],
)
def test_markup_of_segments(write, markup, texts):
    file = write("a.sgm", f"<srcset>\n{markup}\n</srcset>\n".encode())

    assert list(text_files.read_segments(file)) == texts


# Pairs.


def test_lines_are_paired_without_the_blanks_around_them(write):
    samples = text_files.read_pairs(
        write("a.de", b" eins \nzwei\t\n"), write("a.en", b"one\ntwo \r\n"), "a.de-en"
    )

    assert list(samples) == [
        {"inputs": "eins", "targets": "one", "name": "a.de-en line 1"},
        {"inputs": "zwei", "targets": "two", "name": "a.de-en line 2"},
    ]


@pytest.mark.parametrize("blank", ["", " ", "\t", "\u2028", "\xa0"])
def test_a_blank_line_on_either_side_is_harmless(write, blank):
    inputs = write("a.de", f"{blank}\nzwei\ndrei\n".encode())
    targets = write("a.en", f"one\n{blank}\nthree\n".encode())

    blanks = [
        Rejected(name=f"news.de-en line {number}", reason="blank line", harmless=True)
        for number in (1, 2)
    ]
    assert pairs_of(inputs, targets) == [*blanks, ("drei", "three")]


def test_separators_inside_a_line_shift_nothing(write):
    inputs = write("a.de", "eins\u2028zwei\x85\ndrei\n".encode())
    targets = write("a.en", b"one two\nthree\n")

    assert pairs_of(inputs, targets) == [
        ("eins\u2028zwei\x85", "one two"),
        ("drei", "three"),
    ]


def test_a_bad_line_spoils_its_pair_only(write):
    inputs = write("a.de", b"eins\nsch\xf6n\ndrei\n")
    targets = write("a.en", b"one\nnice\nthree\n")

    bad = Rejected(name="a.de line 2", reason="not UTF-8")
    assert pairs_of(inputs, targets) == [("eins", "one"), bad, ("drei", "three")]


@pytest.mark.parametrize("longer", [0, 1])
def test_sides_of_different_lengths_are_refused_in_the_end(write, longer):
    contents = [b"1\n2\n3\n", b"1\n2\n3\n"]
    contents[longer] += b"4\n\n6\n"
    sides = write("a.de", contents[0]), write("a.en", contents[1])
    samples = text_files.read_pairs(*sides, "news.de-en")

    assert [next(samples)["inputs"] for _ in range(3)] == ["1", "2", "3"]
    with pytest.raises(ValueError, match=r"a\.de' has \d and '.*a\.en' \d") as error:
        next(samples)
    counts = ("6", "3") if longer == 0 else ("3", "6")
    assert f"a.de' has {counts[0]} and " in str(error.value)
    assert f"a.en' {counts[1]}. " in str(error.value)


def test_an_empty_side_is_refused(write):
    sides = write("a.de", b""), write("a.en", b"1\n")

    with pytest.raises(ValueError, match=r"a\.de' has 0 and .*a\.en' 1"):
        pairs_of(*sides)


def test_blank_lines_at_the_end_do_not_count(write):
    sides = write("a.de", b"eins\n"), write("a.en", b"one\n\n \n")

    assert pairs_of(*sides) == [("eins", "one")]


# Tables.


def test_a_table_has_two_columns(write):
    file = write("a.tsv", b"eins\tone\n\t\n\nzwei\ndrei\tthree\t3\nvier \t four\n")

    samples = list(text_files.read_bitext([file], "news"))

    reason = "not two columns with a tab between them"
    assert samples == [
        {"inputs": "eins", "targets": "one", "name": "news line 1"},
        Rejected(name="news line 2", reason="blank line", harmless=True),
        Rejected(name="news line 3", reason="blank line", harmless=True),
        Rejected(name="news line 4", reason=reason),
        Rejected(name="news line 5", reason=reason),
        {"inputs": "vier", "targets": "four", "name": "news line 6"},
    ]


def test_an_empty_column_is_blank(write):
    file = write("a.tsv", b"eins\t\n")

    assert list(text_files.read_table(file, "a")) == [
        Rejected(name="a line 1", reason="blank line", harmless=True)
    ]


# Text without inputs.


def test_lines_keep_the_blanks_before_them(write):
    file = write("a.txt", b"  one \r\n\ntwo\n")

    assert list(text_files.read_line_samples(file)) == [
        {"targets": "  one", "name": "a.txt line 1"},
        Rejected(name="a.txt line 2", reason="blank line", harmless=True),
        {"targets": "two", "name": "a.txt line 3"},
    ]


def test_paragraphs_have_blank_lines_between_them(write):
    file = write("a.txt", b"\none\n two \n\xff\nthree\n\n\n \nfour")

    assert list(text_files.read_paragraphs(file)) == [
        Rejected(name="a.txt line 4", reason="not UTF-8"),
        {"targets": "one two three", "name": "a.txt line 2"},
        {"targets": "four", "name": "a.txt line 9"},
    ]


def test_a_paragraph_without_an_end_is_cut(write):
    line = "x" * 40_000
    file = write("a.txt", f"{line}\n{line}\n{line}\n".encode())

    samples = list(text_files.read_paragraphs(file))

    assert [sample["targets"] for sample in samples] == [f"{line} {line}", line]
