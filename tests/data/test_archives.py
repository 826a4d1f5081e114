import os
import pickle
import tarfile
import zipfile

import image_corpora
import pytest

from t2t_mm.data import archives


def test_files_of_a_tar_of_tars_come_in_its_order(tmp_path):
    inner = image_corpora.tar_of({"b.jpg": b"1", "a.jpg": b"22"})
    path = tmp_path / "outer.tar"
    path.write_bytes(image_corpora.tar_of({"x.tar": inner, "./y/c.jpg": b"333"}))

    found = list(archives.tar_members(str(path)))

    assert found == [("x.tar/b.jpg", b"1"), ("x.tar/a.jpg", b"22"), ("y/c.jpg", b"333")]


def test_folders_in_a_tar_are_passed_over_and_compression_is_seen(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_bytes(b"content")
    with tarfile.open(tmp_path / "a.tgz", "w:gz") as archive:
        archive.add(tmp_path / "folder", "folder")

    found = list(archives.tar_members(str(tmp_path / "a.tgz")))

    assert found == [("folder/file", b"content")]


@pytest.mark.parametrize("kept", [700, 100, 0])
def test_a_tar_that_is_cut_off_is_named(tmp_path, kept):
    path = tmp_path / "a.tar"
    path.write_bytes(image_corpora.tar_of({"a": bytes(600)})[:kept])

    with pytest.raises(ValueError, match=r"a.tar' must be a whole archive"):
        list(archives.tar_members(str(path)))


def make_zip(path, content=b"content" * 50):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("train/a.jpg", content)


def test_a_member_of_a_zip_is_read_where_it_is_wanted(tmp_path):
    make_zip(tmp_path / "train.zip")
    member = archives.ZipMember(str(tmp_path / "train.zip"), "train/a.jpg")

    copy = pickle.loads(pickle.dumps(member))

    assert copy == member
    assert copy.read_bytes() == b"content" * 50
    assert str(copy) == f"{tmp_path}/train.zip/train/a.jpg"


def test_processes_that_are_forked_do_not_share_a_position(tmp_path):
    make_zip(tmp_path / "train.zip")
    member = archives.ZipMember(str(tmp_path / "train.zip"), "train/a.jpg")
    member.read_bytes()

    opened = archives._open_zip(member.archive, os.getpid())

    assert archives._open_zip(member.archive, os.getpid()) is opened
    assert archives._open_zip(member.archive, os.getpid() + 1) is not opened


def test_a_member_that_is_missing_is_named(tmp_path):
    make_zip(tmp_path / "train.zip")

    with pytest.raises(FileNotFoundError, match=r"no 'train/b.jpg' in '.*train.zip'"):
        archives.ZipMember(str(tmp_path / "train.zip"), "train/b.jpg").read_bytes()


def test_a_zip_that_is_damaged_is_named(tmp_path):
    path = tmp_path / "train.zip"
    make_zip(path)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"contentcontent", b"contentCONTENT", 1))

    with pytest.raises(ValueError, match=r"train.zip' must be a whole archive.*CRC"):
        archives.ZipMember(str(path), "train/a.jpg").read_bytes()


def test_a_folder_comes_before_an_archive(tmp_path):
    make_zip(tmp_path / "train.zip")
    args = (str(tmp_path), "train/a.jpg", "train.zip")

    assert archives.file_or_member(*args) == archives.ZipMember(
        str(tmp_path / "train.zip"), "train/a.jpg"
    )

    (tmp_path / "train").mkdir()
    assert archives.file_or_member(*args) == tmp_path / "train" / "a.jpg"


def test_one_archive_of_an_archive_can_be_read_alone(tmp_path):
    path = tmp_path / "outer.tar"
    members = {
        f"{name}.tar": image_corpora.tar_of({f"{name}.jpg": name.encode()})
        for name in ("x", "y")
    }
    path.write_bytes(image_corpora.tar_of({**members, "readme": b""}))

    assert archives.inner_archives(str(path)) == ["x.tar", "y.tar"]
    assert list(archives.tar_members(str(path), "y.tar")) == [("y.tar/y.jpg", b"y")]
