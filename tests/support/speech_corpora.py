"""Small corpora of sounds in the formats of the real ones."""

import gzip
import io
import pathlib
import tarfile

import numpy as np
import soundfile

from t2t_mm.problems import librispeech, mini_speech

WORDS = ("a cat", "the dog", "one horse", "two sheep", "some geese")
# Prompts of Asterisk, with what must not become a sample.
PROMPTS = """; Core Sounds

{prompts}
beep: [this is a simple beep tone]
silence: (silence)
spy-iax2: IAX
no-such-file: Not there.
digits/1: one
long: Too long for what is said.
"""
WSJ_LISTS = {
    "11-13.1": {
        "wsj0/doc/indices/train/tr_s_wv1.ndx": [
            *(f"11_1_1:wsj0/si_tr_s/011/011c020{n}.wv1" for n in range(1, 6)),
            "11_2_1:wsj0/si_tr_s/401/401c0201.wv1",
        ],
        # Endings are missing in this one.
        "wsj0/doc/indices/test/nvp/si_et_20.ndx": [
            f"11_14_1:wsj0/si_et_20/440/440c040{n}" for n in range(1, 5)
        ],
    },
    "13-34.1": {
        "wsj1/doc/indices/si_tr_s.ndx": [
            f"13_1_1: wsj1/si_tr_s/400/4000101{n}.wv1" for n in range(1, 4)
        ],
        "wsj1/doc/indices/h1_p0.ndx": [
            f"13_16_1:wsj1/si_dt_20/4k0/4k0c030{n}.wv1" for n in range(1, 5)
        ],
    },
}


def make(root):
    """Returns a path for every corpus of sounds, as --corpus_path gives them.

    The packages of Debian go into `root` itself, a `flite` into `root/bin`.
    """
    root = pathlib.Path(root)
    write_prompts(root, [f"{words} {n}" for words in WORDS for n in range(1, 9)])
    write_ding(root, ["I see you.", "You see me.", "Do we see it?"])
    write_flite(root / "bin")
    write_librispeech(root / "librispeech")
    write_wsj(root / "wsj_speech")
    for split, count in (("train", 6), ("dev", 3), ("test", 3)):
        write_table(root / "speech_folder", f"{split}.tsv", count)
    names = ("librispeech", "wsj_speech", "speech_folder")
    return {name: str(root / name) for name in names}


def tone(seconds=0.2, hertz=440, sample_rate=16000):
    """Returns float32 `[samples]`."""
    times = np.arange(round(seconds * sample_rate)) / sample_rate
    return (0.5 * np.sin(2 * np.pi * hertz * times)).astype(np.float32)


def sound_bytes(waveform, sample_rate=16000, **kind):
    """Returns a sound file; `kind` is format and subtype of `soundfile.write`."""
    content = io.BytesIO()
    soundfile.write(content, waveform, sample_rate, **{"format": "WAV", **kind})
    return content.getvalue()


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


# SPHERE.


def sphere_header(**fields):
    """Returns a header of 1,024 bytes; a field that is None is left out."""
    values = {
        "database_id": "WSJ0",
        "channel_count": 1,
        "sample_rate": 16000,
        "sample_n_bytes": 2,
        "sample_byte_format": "01",
        "sample_sig_bits": 16,
        "sample_max": 0.5,
        "sample_coding": "pcm",
        **fields,
    }
    lines = [_sphere_line(*item) for item in values.items() if item[1] is not None]
    text = "\n".join(["NIST_1A", "   1024", *lines, "end_head", ""])
    return text.encode().ljust(1024)


def _sphere_line(name, value):
    if isinstance(value, str):
        return f"{name} -s{len(value)} {value}"
    return f"{name} -{'i' if isinstance(value, int) else 'r'} {value}"


def sphere(samples, **fields):
    """Returns a file of int16 `[samples]`, little-endian."""
    return sphere_header(sample_count=len(samples), **fields) + samples.tobytes()


def pcm(waveform):
    return np.rint(waveform * 32767).astype("<i2")


# Wall Street Journal.


def write_wsj(root, lists=None, rename=str):
    """Writes discs; `rename` changes the names of all files and folders on them."""
    for disc, files in (lists or WSJ_LISTS).items():
        for file, lines in files.items():
            text = ";; a comment\n" + "".join(f"{line}\n" for line in lines)
            write(root / disc / rename(file), text)
            for line in lines:
                write_wsj_utterance(root, line, rename)


def write_wsj_utterance(root, line, rename=str):
    """Writes the sound of a line of an index list, and adds to its .dot file."""
    disc, _, file = line.partition(":")
    first, _, rest = disc.partition("_")
    folder = root / f"{first}-{rest.replace('_', '.')}"
    file = pathlib.PurePosixPath(file.strip()).with_suffix(".wv1")
    write(folder / rename(str(file)), sphere(pcm(tone())))
    session = file.name[:6]
    dot_file = folder / rename(f"{file.parent}/{session}00.dot")
    known = dot_file.read_text() if dot_file.exists() else ""
    write(dot_file, f"{known}The Number is {file.stem} .PERIOD ({file.stem})\n")


# LibriSpeech.


def write_librispeech(root):
    """Writes the training parts as folders and the others as archives."""
    for number, part in enumerate(librispeech.ARCHIVES):
        files = librispeech_files(part, speaker=100 + number, count=4)
        if part.startswith("train"):
            for name, content in files.items():
                write(root / name, content)
        else:
            write_tar(root / f"{part}.tar.gz", files)


def librispeech_files(part, speaker, count):
    """Returns contents by name of one chapter; its texts come last."""
    keys = [f"{speaker}-7-{number:04}" for number in range(count)]
    folder = f"LibriSpeech/{part}/{speaker}/7"
    sound = sound_bytes(tone(), format="FLAC")
    files = {f"{folder}/{key}.flac": sound for key in keys}
    text = "".join(f"{key} {key.replace('-', ' TO ')} IT'S\n" for key in keys)
    return {**files, f"{folder}/{speaker}-7.trans.txt": text.encode()}


def write_tar(path, files):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


# A user's own.


def write_table(root, name, count):
    """Writes a table as Common Voice has it, and its sounds."""
    split = name.split(".")[0]
    rows = ["client_id\tpath\tsentence\tup_votes"]
    for number in range(count):
        file = f"{split}_{number}.ogg"
        sound = sound_bytes(tone(hertz=300 + number), format="OGG")
        write(root / "clips" / file, sound)
        rows.append(f"abc\t{file}\tSentence {number} of {split}.\t2")
    write(root / name, "\n".join(rows) + "\n")


# Debian packages.


def write_prompts(root, texts):
    """Writes prompts of Asterisk: a sound of 8 kHz for each text, and some to skip."""
    sounds = pathlib.Path(root, mini_speech.PROMPT_SOUNDS)
    names = ["activated", *(f"prompt-{n}" for n in range(1, len(texts)))]
    for name in (*names, "beep", "silence", "spy-iax2"):
        write(sounds / f"{name}.wav", sound_bytes(tone(0.3, sample_rate=8000), 8000))
    write(sounds / "long.wav", sound_bytes(tone(13, sample_rate=8000), 8000))
    write(sounds / "digits/1.wav", sound_bytes(tone(3, sample_rate=8000), 8000))
    lines = "\n".join(map(": ".join, zip(names, texts, strict=True)))
    path = pathlib.Path(root, mini_speech.PROMPT_TEXTS)
    write(path, gzip.compress(PROMPTS.format(prompts=lines).encode()))


def write_ding(root, sentences):
    """Writes a dictionary that has some English sentences, and other entries."""
    lines = [
        "# Version :: devel",
        "Aal {m} (auf der Speisekarte) | Aal blau :: Eel (on a menu) | Eel au bleu",
        *(f"Satz {n}. [ugs.] :: {text}" for n, text in enumerate(sentences)),
    ]
    write(pathlib.Path(root, mini_speech.DICTIONARY), "\n".join(lines) + "\n")


def write_flite(
    folder, script='eval out=\\${$#}; cp "$(dirname "$0")/said.wav" "$out"'
):
    """Writes a `flite` that says the same whatever it is told."""
    write(folder / "said.wav", sound_bytes(tone(0.4)))
    write_program(folder / "flite", script)


def write_program(path, script):
    write(path, f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def put_on_path(monkeypatch, folder):
    """Makes the programs of a folder the first that are found."""
    monkeypatch.setenv("PATH", str(folder), prepend=":")
