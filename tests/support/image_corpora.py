"""Small corpora of images in the formats of the real ones."""

import io
import json
import pathlib
import pickle
import random
import struct
import tarfile
import zipfile

import numpy as np
from fontTools import fontBuilder
from fontTools.feaLib import builder
from fontTools.ttLib import newTable
from fontTools.ttLib.tables import (
    C_B_D_T_,
    E_B_L_C_,
    BitmapGlyphMetrics,
)
from PIL import Image

from t2t_mm.data import tfrecord

EMOJI_GROUPS = ("Smileys & Emotion", "People & Body", "Animals & Nature")
FIRST_EMOJI = 0x1F600
NUM_EMOJI = 60
ZERO_WIDTH_JOINER = "\u200d"
MAN, LAPTOP = "\U0001f468", "\U0001f4bb"
TECHNOLOGIST = MAN + ZERO_WIDTH_JOINER + LAPTOP
WATCH = "\u231a"  # listed with and without a selector


def make(root):
    """Returns a path for every corpus of images, as --corpus_path gives them."""
    root = pathlib.Path(root)
    write_emoji(root)
    write_cifar10(root / "cifar10")
    write_cifar100(root / "cifar100")
    write_imagenet_tars(root / "imagenet")
    write_class_folders(root / "imagenette" / "train", ("n01440764", "n03888257"), 30)
    write_class_folders(root / "imagenette" / "val", ("n01440764", "n03888257"), 3)
    write_class_folders(root / "image_folder", ("cat", "dog"), 30)
    write_coco_zips(root / "coco")
    write_caption_table(root / "image_caption_folder")
    names = "cifar10 cifar100 imagenet imagenette image_folder coco"
    names += " image_caption_folder"
    return {name: str(root / name) for name in names.split()}


# Images.


def photograph(number, size=(40, 30), mode="RGB"):
    """Returns an image of one colour with a black corner at the top left."""
    image = Image.new("RGB", size, colour_of(number))
    image.paste((0, 0, 0), (0, 0, size[0] // 4, size[1] // 4))
    return image.convert(mode)


def colour_of(number):
    return (40 * number % 256, 200 - number % 100, 30 + number % 200)


def as_file(image, kind="JPEG", **options):
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def write_class_folders(folder, classes, count):
    for number in range(count):
        content = as_file(photograph(number))
        name = classes[number % len(classes)]
        write(folder / name / f"{name}_{number}.JPEG", content)


# ImageNet.


def tar_of(members):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name, value in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(value)
            archive.addfile(entry, io.BytesIO(value))
    return content.getvalue()


def imagenet_train_images():
    """Returns files by class: some are CMYK, grey, or PNG by the name of JPEG."""
    return {
        "n01440764": {
            "n01440764_18.JPEG": as_file(photograph(0)),
            "n01440764_36.JPEG": as_file(photograph(1, mode="CMYK")),
        },
        "n02105855": {  # one PNG of the real train files is called so
            "n02105855_2933.JPEG": as_file(photograph(2), "PNG"),
            "n02105855_9.JPEG": as_file(photograph(3, mode="L")),
        },
    }


def imagenet_validation_images():
    return {
        f"ILSVRC2012_val_{number:08d}.JPEG": as_file(photograph(number))
        for number in range(1, 6)
    }


def write_imagenet_tars(folder):
    inner = {f"{k}.tar": tar_of(v) for k, v in imagenet_train_images().items()}
    write(folder / "ILSVRC2012_img_train.tar", tar_of(inner))
    write(folder / "ILSVRC2012_img_val.tar", tar_of(imagenet_validation_images()))


def write_imagenet_records(folder):
    for name, labels in (
        ("train-00000-of-00002", (1, 1000)),
        ("train-00001-of-00002", (2,)),
        ("validation-00000-of-00001", (3,)),
    ):
        records = [
            tfrecord.encode_example(
                {
                    "image/encoded": [as_file(photograph(label))],
                    "image/format": [b"JPEG"],
                    "image/height": [30],
                    "image/width": [40],
                    "image/class/label": [label],
                    "image/class/synset": [b"n01440764"],
                    "image/class/text": [b"tench, Tinca tinca"],
                    "image/object/bbox/xmin": [0.5],
                }
            )
            for label in labels
        ]
        write(folder / name, b"".join(map(tfrecord.frame, records)))


# CIFAR.


class Python2Pickler(pickle._Pickler):
    """Writes text and bytes as Python 2 wrote its one kind of strings."""

    dispatch = dict(pickle._Pickler.dispatch)

    def save_string(self, value):
        content = value.encode("latin1") if isinstance(value, str) else value
        self.write(b"T" + struct.pack("<i", len(content)) + content)
        self.memoize(value)

    dispatch[str] = dispatch[bytes] = save_string


def python2_pickle(value):
    content = io.BytesIO()
    Python2Pickler(content, protocol=2).dump(value)
    return content.getvalue().replace(b"numpy._core.", b"numpy.core.")


def cifar_rows(numbers):
    """Returns images `[count, 3072]`: all red first, then all green and blue.

    Red is the column, green the row, blue the number.
    """
    red = np.tile(np.arange(32), (len(numbers), 32, 1))
    green = red.transpose(0, 2, 1)
    blue = np.broadcast_to(np.asarray(numbers)[:, None, None] % 256, red.shape)
    return np.stack([red, green, blue], 1).astype(np.uint8).reshape(len(numbers), -1)


def write_cifar10(folder, per_batch=1006):
    """Writes cifar-10-python.tar.gz, labels are numbers modulo 10."""
    members = {}
    for batch in range(6):
        name = f"data_batch_{batch + 1}" if batch < 5 else "test_batch"
        count = per_batch if batch < 5 else 20
        numbers = per_batch * batch + np.arange(count)
        content = {
            "batch_label": f"training batch {batch + 1} of 5",
            "labels": [int(number % 10) for number in numbers],
            "data": cifar_rows(numbers),
            "filenames": [f"{number}.png" for number in numbers],
        }
        members[f"cifar-10-batches-py/{name}"] = python2_pickle(content)
    folder.mkdir(parents=True)
    with tarfile.open(
        folder / "cifar-10-python.tar.gz", "w:gz", compresslevel=1
    ) as archive:
        for name, value in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(value)
            archive.addfile(entry, io.BytesIO(value))


def write_cifar100(folder, train=5030, test=20):
    """Writes the binary version, unpacked; labels are numbers modulo 100."""
    for name, count in (("train.bin", train), ("test.bin", test)):
        numbers = np.arange(count)
        labels = np.stack([numbers % 20, numbers % 100], 1).astype(np.uint8)
        rows = np.concatenate([labels, cifar_rows(numbers)], 1)
        write(folder / "cifar-100-binary" / name, rows.tobytes())


# Captions.


def coco_images(part, count):
    return {
        f"COCO_{part}_{number:012d}.jpg": as_file(
            photograph(number, mode="L" if number == 9 else "RGB")
        )
        for number in range(9, 9 + count)
    }


def coco_annotations(files):
    """Returns JSON whose images and captions are in no order."""
    numbers = {name: int(name[-16:-4]) for name in files}
    images = [
        {"license": 3, "file_name": name, "height": 30, "width": 40, "id": number}
        for name, number in numbers.items()
    ]
    annotations = [
        {
            "image_id": number,
            "id": 100 * number + place,
            "caption": f"A {thing} \nof colour {number}. ",
        }
        for number in numbers.values()
        for place, thing in enumerate(("square", "picture", "wall", "field", "flag"))
    ]
    random.Random(0).shuffle(images)
    random.Random(1).shuffle(annotations)
    content = {"info": {}, "licenses": [], "images": images, "annotations": annotations}
    return json.dumps(content).encode()


def coco_files():
    """Returns all files by name, and the archive that each is in."""
    files = {}
    for part, count in (("train2014", 30), ("val2014", 3)):
        images = coco_images(part, count)
        for name, content in images.items():
            files[f"{part}/{name}"] = (f"{part}.zip", content)
        annotations = coco_annotations(images)
        name = f"annotations/captions_{part}.json"
        files[name] = ("annotations_trainval2014.zip", annotations)
    return files


def write_coco_zips(folder):
    folder.mkdir(parents=True)
    for name, (archive, content) in coco_files().items():
        with zipfile.ZipFile(folder / archive, "a") as file:
            file.writestr(name, content)


def write_coco_folders(folder):
    for name, (_, content) in coco_files().items():
        write(folder / name, content)


def write_caption_table(folder, count=30):
    lines = []
    for number in range(count):
        write(folder / "images" / f"{number}.png", as_file(photograph(number), "PNG"))
        lines.append(f"images/{number}.png\tA picture called {number}.\n")
    write(folder / "captions.tsv", "".join(lines).encode())


# Emoji.


def emoji_names():
    """Returns names by characters."""
    names = {chr(FIRST_EMOJI + n): f"face number {n}" for n in range(NUM_EMOJI)}
    return {**names, MAN: "man", TECHNOLOGIST: "man technologist", WATCH: "watch"}


def write_emoji(root):
    """Writes the font, the names and the list of groups as the packages have them."""
    names = emoji_names()
    usr = pathlib.Path(root, "usr/share")
    font = usr / "fonts/truetype/noto/NotoColorEmoji.ttf"
    pictures = {key: emoji_picture(place) for place, key in enumerate(names)}
    font.parent.mkdir(parents=True)
    write_emoji_font(font, pictures)
    derived = {TECHNOLOGIST}
    plain = {key: name for key, name in names.items() if key not in derived}
    write_names(usr / "unicode/cldr/common/annotations/en.xml", plain)
    write_names(
        usr / "unicode/cldr/common/annotationsDerived/en.xml",
        {key: names[key] for key in derived},
    )
    write(usr / "unicode/emoji/emoji-test.txt", emoji_list(names).encode())


def emoji_picture(number):
    """Returns a palette PNG, as in the font: a colour on transparent ground."""
    image = Image.new("RGBA", (136, 128))
    image.paste((*colour_of(number), 255), (34, 32, 102, 96))
    return as_file(image.quantize(16), "PNG")


def write_names(path, names):
    entries = "".join(
        f'\t\t<annotation cp="{key}">word | other word</annotation>\n'
        f'\t\t<annotation cp="{key}" type="tts">{name}</annotation>\n'
        for key, name in names.items()
    )
    content = (
        '<?xml version="1.0" encoding="UTF-8" ?>\n'
        '<!DOCTYPE ldml SYSTEM "../../common/dtd/ldml.dtd">\n'
        '<ldml>\n\t<identity>\n\t\t<language type="en"/>\n\t</identity>\n'
        f"\t<annotations>\n{entries}\t</annotations>\n</ldml>\n"
    )
    write(path, content.encode())


def emoji_list(names):
    """Returns a file like emoji-test.txt; the first and last emoji have no name."""
    lines = ["# emoji-test.txt", "# Version: 15.0", ""]
    keys = ["\U0001fae8", *names, "\U0001f6dc"]
    for place, group in enumerate(EMOJI_GROUPS):
        lines += [f"# group: {group}", "", f"# subgroup: some-{place}"]
        for key in keys[place :: len(EMOJI_GROUPS)]:
            codes = " ".join(f"{ord(char):04X}" for char in key)
            if key == WATCH:
                lines.append(f"{codes} FE0F ; fully-qualified # {key} E0.6 name")
                lines.append(f"{codes} ; unqualified # {key} E0.6 name")
            else:
                lines.append(f"{codes} ; fully-qualified # {key} E1.0 name")
    return "\n".join([*lines, "#EOF", ""])


def write_emoji_font(path, pictures):
    """Writes a font with a bitmap for each of `pictures`, by character or sequence."""
    singles = sorted({char for key in pictures for char in key})
    glyph_of = {char: f"u{ord(char):04X}" for char in singles}
    glyph_of |= {
        key: "_".join(glyph_of[char] for char in key) for key in pictures if key[1:]
    }
    font = fontBuilder.FontBuilder(1024, isTTF=True)
    font.setupGlyphOrder([".notdef", *glyph_of.values()])
    font.setupCharacterMap({ord(char): glyph_of[char] for char in singles})
    font.setupHorizontalMetrics({name: (1275, 0) for name in font.font.glyphOrder})
    font.setupHorizontalHeader()
    font.setupPost()
    rules = "".join(
        f"sub {' '.join(glyph_of[char] for char in key)} by {glyph_of[key]};"
        for key in pictures
        if key[1:]
    )
    builder.addOpenTypeFeaturesFromString(
        font.font, f"feature ccmp {{ {rules} }} ccmp;"
    )
    _add_bitmaps(font.font, {glyph_of[key]: value for key, value in pictures.items()})
    font.save(path)


def _add_bitmaps(font, pictures):
    metrics = {"height": 128, "width": 136, "BearingX": 0, "BearingY": 101}
    data = newTable("CBDT")
    data.version, data.strikeData = 3.0, [{}]
    for name, picture in pictures.items():
        glyph = C_B_D_T_.cbdt_bitmap_format_17(b"", font)
        glyph.metrics = BitmapGlyphMetrics.SmallGlyphMetrics()
        vars(glyph.metrics).update(metrics, Advance=136)
        glyph.imageData = picture
        data.strikeData[0][name] = glyph
    index = E_B_L_C_.eblc_index_sub_table_1(b"", font)
    index.indexFormat, index.imageFormat = 1, 17
    index.names = sorted(pictures, key=font.getGlyphID)
    index.firstGlyphIndex = font.getGlyphID(index.names[0])
    index.lastGlyphIndex = font.getGlyphID(index.names[-1])
    strike = E_B_L_C_.Strike()
    strike.indexSubTables = [index]
    sizes = strike.bitmapSizeTable
    sizes.hori, sizes.vert = E_B_L_C_.SbitLineMetrics(), E_B_L_C_.SbitLineMetrics()
    for line in (sizes.hori, sizes.vert):
        for field in E_B_L_C_.sbitLineMetricsFormat.split("\n"):
            if ":" in field and field.split(":")[0].strip().isidentifier():
                setattr(line, field.split(":")[0].strip(), 0)
    vars(sizes).update(colorRef=0, ppemX=109, ppemY=109, bitDepth=32, flags=1)
    table = newTable("CBLC")
    table.version, table.strikes = 3.0, [strike]
    font["CBDT"], font["CBLC"] = data, table
