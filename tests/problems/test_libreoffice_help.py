import pathlib

import corpora
import pytest

from t2t_mm import registry
from t2t_mm.features import Split
from t2t_mm.problems import libreoffice_help, libreoffice_html

DIRECTIONS = ("mini_ende", "mini_deen", "mini_enfr", "mini_defr")


def samples(root, name, split):
    problem = registry.problem(name)
    problem.corpus_path = str(root)
    pairs = problem.generate_samples("", "", split)
    return [(pair["inputs"], pair["targets"]) for pair in pairs]


def all_samples(root, name):
    return [pair for split in Split for pair in samples(root, name, split)]


def pair_is_good(english, german):
    sentence = {"en": english, "de": german, "fr": ""}
    return libreoffice_help.is_good_pair(sentence, "en", "de")


@pytest.fixture(scope="module")
def animals(tmp_path_factory):
    root = tmp_path_factory.mktemp("animals")
    corpora.write_help_page(root, "swriter/main.html", corpora.animal_texts())
    return root


# Pages.


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("Plain  text\n here ", "Plain text here"),
        ("a &lt;b&gt; &amp;amp; &quot;&eacute;&#233;", 'a <b> &amp; "éé'),
        (
            'See <a href="x"><span class="emph">File</span> - Open</a>.',
            "See File - Open.",
        ),
        ("First line<br>Second<br/>Third", "First line Second Third"),
        ('Click <img src="a.svg" alt="an icon"> here', "Click here"),
        ("Fichier\xa0: ouvrir", "Fichier : ouvrir"),
        ("x<sup>2</sup>", "x2"),
    ],
)
def test_markup_becomes_what_a_reader_sees(markup, text):
    assert libreoffice_html.plain_text(markup) == text


def test_a_switch_shows_its_default():
    markup = (
        'Press <span id="swlnsys1" class="switchinline">'
        '<span hidden="true" id="MAC1" class="MAC"><span>Command</span></span>'
        '<span hidden="true" id="default1"><span class="key">Ctrl</span></span>'
        "</span>+<span>A</span>."
    )

    assert libreoffice_html.plain_text(markup) == "Press Ctrl+A."


def test_a_switch_without_a_default_shows_its_first_alternative():
    markup = (
        'Choose <span id="swlnappl1" class="switchinline">'
        '<span hidden="true" id="IMPRESS1">Slide</span>'
        '<span hidden="true" id="DRAW1">Page</span></span> - New'
    )

    assert libreoffice_html.plain_text(markup) == "Choose Slide - New"


def test_a_switch_may_stand_within_another():
    inner = (
        '<span class="switchinline"><span hidden="true" id="MAC2">Option</span>'
        '<span hidden="true" id="default2">Alt</span></span>'
    )
    markup = (
        '<span class="switchinline"><span hidden="true" id="CALC1">Cell</span>'
        f'<span hidden="true" id="default1">Hold {inner} down</span></span>'
    )

    assert libreoffice_html.plain_text(markup) == "Hold Alt down"


def test_texts_are_the_elements_with_an_id():
    markup = (
        '<h1 id="hd_1" dir="auto"><a name="x"></a>Title</h1><p class="y">None</p>'
        '<td rowspan=""><p id="par_1">In a\ntable</p></td><div id="z">No</div>'
        '<li class="l" id="par_2">Item</li><p data-id="par_3">No</p>'
    )

    assert libreoffice_html.read_texts(markup) == {
        ("hd_1", 0): "Title",
        ("par_1", 0): "In a table",
        ("par_2", 0): "Item",
    }


def test_elements_with_the_same_id_are_counted():
    markup = '<p id="a">One</p><p id="b">Two</p><p id="a">Three</p>'

    assert libreoffice_html.read_texts(markup) == {
        ("a", 0): "One",
        ("b", 0): "Two",
        ("a", 1): "Three",
    }


def test_a_page_that_is_not_utf_8_is_named(tmp_path):
    page = tmp_path / "page.html"
    page.write_bytes('<p id="a">schön</p>'.encode("latin-1"))

    with pytest.raises(ValueError, match=r"page\.html' must be UTF-8"):
        libreoffice_html.read_pages(tmp_path)


# Sentences.


def test_a_text_is_split_if_all_languages_have_as_many_sentences():
    text = {
        "en": "Stop! Is it 1.5 cm? Éclair",
        "de": "Halt! Sind es 1,5 cm? Über",
        "fr": "Arrêtez! Est-ce 1,5 cm? Écoutez",
    }

    assert libreoffice_html.split_text(text) == [
        {"en": "Stop!", "de": "Halt!", "fr": "Arrêtez!"},
        {"en": "Is it 1.5 cm?", "de": "Sind es 1,5 cm?", "fr": "Est-ce 1,5 cm?"},
        {"en": "Éclair", "de": "Über", "fr": "Écoutez"},
    ]


def test_a_text_stays_whole_if_one_language_has_fewer_sentences():
    text = {"en": "One. Two.", "de": "Eins. Zwei.", "fr": "Un et deux."}

    assert libreoffice_html.split_text(text) == [text]


def test_texts_are_joined_by_page_and_id(tmp_path):
    texts = {"a": ("One", "eins", "un"), "b": ("Three", None, "trois")}
    corpora.write_help_page(tmp_path, "one.html", texts)
    corpora.write_help_page(tmp_path, "sub/one.html", {"a": ("Two", "zwei", "deux")})

    folder = pathlib.Path(tmp_path, corpora.HELP_FOLDER)
    sentences = libreoffice_html.read_sentences(str(folder))

    assert [sentence for sentence in sentences if sentence["en"]] == [
        {"en": "One", "de": "eins", "fr": "un"},
        {"en": "Two", "de": "zwei", "fr": "deux"},
    ]


# Pairs.


@pytest.mark.parametrize(
    ("english", "german", "good"),
    [
        ("Open the file", "Datei jetzt öffnen", True),
        ("Open it", "Das hier öffnen", False),
        ("Open the file", "Datei öffnen", False),
        (" ".join(["word"] * 25), " ".join(["Wort"] * 25), True),
        (" ".join(["word"] * 26), " ".join(["Wort"] * 25), False),
        ("word " * 3, "Wort " * 7, True),
        ("word " * 3, "Wort " * 8, False),
        ("Save it now", "Save it now", False),
        ("A1 B2 C3", "Die Zelle C3", False),
        ("The cell C3", "A1 B2 C3", False),
    ],
)
def test_pairs_are_of_like_length_and_of_words(english, german, good):
    assert pair_is_good(english, german) == good


def test_a_side_that_is_still_english_is_no_translation():
    sentence = {
        "en": "When losing focus",
        "de": "Beim Verlust des Fokus",
        "fr": "When losing focus",
    }

    assert libreoffice_help.is_good_pair(sentence, "en", "de")
    assert not libreoffice_help.is_good_pair(sentence, "de", "fr")


def test_each_direction_pairs_its_languages(tmp_path):
    text = ("Open &lt;this&gt; file", "Diese <b>Datei</b> öffnen", "Ouvrir ce fichier")
    corpora.write_help_page(tmp_path, "page.html", {"a": text})

    english, german, french = (
        "Open <this> file",
        "Diese Datei öffnen",
        "Ouvrir ce fichier",
    )
    assert all_samples(tmp_path, "mini_ende") == [(english, german)]
    assert all_samples(tmp_path, "mini_deen") == [(german, english)]
    assert all_samples(tmp_path, "mini_enfr") == [(english, french)]
    assert all_samples(tmp_path, "mini_defr") == [(german, french)]


def test_an_input_has_the_target_that_sorts_first(tmp_path):
    texts = {
        "a": ("Open the file", "Öffne die Datei", "Ouvrir le fichier"),
        "b": ("Open the file", "Datei bitte öffnen", "Ouvrir ce fichier"),
    }
    corpora.write_help_page(tmp_path, "page.html", texts)

    assert all_samples(tmp_path, "mini_ende") == [
        ("Open the file", "Datei bitte öffnen")
    ]


# Splits.


@pytest.mark.parametrize(
    ("english", "split"),
    [
        # By sha1sum: 0x58c7aa6f, 0x6e6aa74c, 0xeabc2517 and 0x298c52c0, modulo 100.
        ("The goat sees the hen.", Split.TEST),
        ("The hen likes the lamp.", Split.EVAL),
        ('"THE hen -- likes (the) lamp', Split.EVAL),
        ("The flower likes the cow", Split.EVAL),
        ("The cow sees the goat!", Split.TRAIN),
    ],
)
def test_the_split_is_a_hash_of_the_english_words(english, split):
    assert libreoffice_help.split_of(english) == split


def test_every_pair_is_in_the_split_of_its_english(animals):
    texts = corpora.animal_texts().values()
    english_of = {german: english for english, german, _ in texts}

    for split in Split:
        for german, _ in samples(animals, "mini_defr", split):
            assert libreoffice_help.split_of(english_of[german]) == split


@pytest.mark.parametrize("name", DIRECTIONS)
def test_every_split_has_some_and_together_they_have_all(animals, name):
    sizes = [len(samples(animals, name, split)) for split in Split]

    assert min(sizes) > 0
    assert sum(sizes) == len(corpora.animal_texts())


def test_a_training_pair_never_shows_a_text_of_dev_or_test(tmp_path):
    test = ("The goat sees the hen.", "Die Ziege sieht die Henne.", "La chèvre voit.")
    texts = {
        "test": test,
        "same_german": (
            "The cow sees the goat.",
            "Die Ziege sieht die Henne!",
            "La vache",
        ),
        "other_german": ("The cow sees the goat.", "Die Kuh sieht sie.", "La vache"),
    }
    corpora.write_help_page(tmp_path, "page.html", texts)

    assert samples(tmp_path, "mini_deen", Split.TEST) == [(test[1], test[0])]
    assert samples(tmp_path, "mini_deen", Split.TRAIN) == [
        ("Die Kuh sieht sie.", "The cow sees the goat.")
    ]


def test_a_text_is_kept_from_training_though_another_direction_tests_it(tmp_path):
    texts = {
        # French is too short for a pair, so only English and German are tested.
        "test": ("The goat sees the hen.", "Die Ziege sieht die Henne.", "La chèvre"),
        "train": (
            "The cow sees the goat.",
            "Die Ziege sieht die Henne",
            "La vache voit.",
        ),
    }
    corpora.write_help_page(tmp_path, "page.html", texts)

    assert samples(tmp_path, "mini_defr", Split.TRAIN) == []


# Corpora.


def test_without_a_corpus_the_error_says_how_to_get_one():
    with pytest.raises(FileNotFoundError) as caught:
        next(registry.problem("mini_defr").generate_samples("", "", Split.TRAIN))

    message = str(caught.value)
    assert "none given" in message
    assert "--corpus_path=debian=PATH" in message
    assert "apt-get download libreoffice-help-en-us libreoffice-help-de" in message
    assert 'dpkg-deb -x "$f" root' in message


def test_a_folder_without_a_language_is_named_with_what_it_holds(tmp_path):
    corpora.write_help_page(tmp_path, "page.html", {})
    french = tmp_path / corpora.HELP_FOLDER / "fr"
    french.rename(tmp_path / "elsewhere")

    with pytest.raises(FileNotFoundError) as caught:
        samples(tmp_path, "mini_ende", Split.TRAIN)

    message = str(caught.value)
    assert "needs 'usr/share/libreoffice/help/fr/text'" in message
    assert f"'{tmp_path}' holds elsewhere, usr" in message
    assert "apt-get download" in message
