"""Text corpora in their real formats: WMT, IMDB, and files of a user's own."""

import gzip
import html
import io
import pathlib
import tarfile

ANIMALS = (
    ("cat", "Katze", "chat"),
    ("dog", "Hund", "chien"),
    ("goose", "Gans", "oie"),
    ("horse", "Pferd", "cheval"),
    ("sheep", "Schaf", "mouton"),
)
LANGUAGES = {"en": "Number {}: {}", "de": "Nummer {}: {}", "fr": "Numéro {} : {}"}
WMT_TEST_SIZE = 7


def make(root):
    """Returns a path for every text corpus, as --corpus_path gives them."""
    root = pathlib.Path(root, "text")
    make_wmt(root / "wmt")
    make_imdb(root / "imdb")
    pairs = root / "pairs"
    write_lines(pairs / "train.inputs.txt", sentences("en", 0, 80))
    write_lines(pairs / "train.targets.txt", sentences("de", 0, 80))
    for part, start in (("dev", 80), ("test", 90)):
        columns = zip(sentences("en", start, 9), sentences("de", start, 9), strict=True)
        write_lines(pairs / f"{part}.tsv", map("\t".join, columns))
    for language in LANGUAGES:
        for number in range(40):
            path = root / "lm" / language / f"{number}.txt"
            write_lines(path, sentences(language, 2 * number, 2))
    return {
        "wmt": str(root / "wmt"),
        "imdb": str(root / "imdb"),
        "text2text_folder": str(pairs),
        "lm_text_folder": str(root / "lm"),
    }


def sentences(language, start, count):
    """Returns sentences that mean the same in each language."""
    column = list(LANGUAGES).index(language)
    return [
        LANGUAGES[language].format(number, ANIMALS[number % len(ANIMALS)][column])
        for number in range(start, start + count)
    ]


# WMT.


def make_wmt(folder):
    """Writes every archive that WMT offers for the three pairs of languages."""
    write_archive(
        folder / "training-parallel-europarl-v7.tgz",
        {
            f"training/europarl-v7.{pair}.{language}": lines(language, start, 12)
            for pair, start in (("de-en", 0), ("fr-en", 5))
            for language in pair.split("-")
        },
    )
    crawl = {
        f"commoncrawl.{pair}.{language}": lines(language, 100, 12)
        for pair in ("de-en", "fr-en")
        for language in pair.split("-")
    }
    crawl["commoncrawl.de-en.annotation"] = b"www.example.org\n"
    write_archive(folder / "training-parallel-commoncrawl.tgz", crawl)
    for version, stem in (("v9", "training"), ("v11", "training-parallel-nc-v11")):
        write_archive(
            folder / f"training-parallel-nc-{version}.tgz",
            {
                f"{stem}/news-commentary-{version}.{pair}.{language}": lines(
                    language, 200, 12
                )
                for pair in ("de-en", "fr-en")
                for language in pair.split("-")
            },
        )
    write_archive(
        folder / "training-parallel-un.tgz",
        {f"un/undoc.2000.fr-en.{part}": lines(part, 300, 12) for part in ("fr", "en")},
    )
    write_archive(
        folder / "training-giga-fren.tar",
        {
            f"giga-fren.release2.fixed.{part}.gz": gzip.compress(lines(part, 400, 12))
            for part in ("fr", "en")
        },
    )
    make_german_french(folder / "fr-de" / "bitexts")
    make_dev_and_test(folder)


def make_german_french(folder):
    """Writes the training texts of WMT 2019, which come singly."""
    folder.mkdir(parents=True)
    for language in ("de", "fr"):
        for name, start in (("europarl-v7", 500), ("commoncrawl", 600)):
            packed = gzip.compress(lines(language, start, 12))
            (folder / f"{name}.{language}.gz").write_bytes(packed)
    columns = zip(sentences("de", 700, 12), sentences("fr", 700, 12), strict=True)
    table = "\n".join(map("\t".join, columns)) + "\n"
    path = folder / "news-commentary-v14.de-fr.tsv.gz"
    path.write_bytes(gzip.compress(table.encode()))


def make_dev_and_test(folder):
    """Writes dev.tgz and test-full.tgz."""
    dev = {
        f"dev/newstest2013.{language}": lines(language, 800, 5)
        for language in LANGUAGES
    }
    dev["dev/euelections_dev2019.fr-de.src.fr"] = lines("fr", 900, 6)
    dev["dev/euelections_dev2019.fr-de.tgt.de"] = lines("de", 900, 6)
    write_archive(folder / "dev.tgz", dev)
    test = {}
    for pair in ("deen", "fren"):
        for language in (pair[:2], pair[2:]):
            for kind in ("src", "ref"):
                test[f"test-full/newstest2014-{pair}-{kind}.{language}.sgm"] = sgm(
                    sentences(language, 1000, WMT_TEST_SIZE), kind, language
                )
    write_archive(folder / "test-full.tgz", test)


def sgm(segments, kind, language):
    """Returns one side of a test set, as the organisers mark it up."""
    tag = {"src": "srcset", "ref": "refset"}[kind]
    body = "\n".join(
        f'<seg id="{number}">{html.escape(text, quote=False)}</seg>'
        for number, text in enumerate(segments, 1)
    )
    return (
        f'<{tag} setid="newstest2014" srclang="any" trglang="{language}">\n'
        f'<doc sysid="ref" docid="example.org.1" genre="news" origlang="en">\n'
        f"<p>\n{body}\n</p>\n</doc>\n</{tag}>\n"
    ).encode()


# IMDB.


def make_imdb(folder):
    """Writes the folder aclImdb with a few reviews."""
    for part in ("train", "test"):
        for label in ("neg", "pos"):
            parent = folder / "aclImdb" / part / label
            parent.mkdir(parents=True)
            for number, text in enumerate(reviews(part, label)):
                rating = {"neg": 2, "pos": 9}[label]
                (parent / f"{number}_{rating}.txt").write_text(text, encoding="utf-8")
    write_lines(folder / "aclImdb" / "train" / "unsup" / "0_0.txt", ["No label."])
    write_lines(folder / "aclImdb" / "train" / "urls_neg.txt", ["http://example.org"])


def reviews(part, label):
    """Returns 60 reviews of films with animals."""
    verdict = {"neg": "dull", "pos": "moving"}[label]
    return [
        f"{text}. In this {part} a {verdict} film.<br /><br />The end"
        for text in sentences("en", 0, 60)
    ]


# Files.


def lines(language, start, count):
    """Returns the content of a file of sentences."""
    return "".join(f"{text}\n" for text in sentences(language, start, count)).encode()


def write_lines(path, texts):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(f"{text}\n" for text in texts).encode())


def write_archive(path, members):
    """Writes {name: content} as a tar archive, compressed unless it ends in .tar."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w" if path.suffix == ".tar" else "w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
