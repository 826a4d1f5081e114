import hashlib

from t2t_mm.data import splits
from t2t_mm.features import Split


def test_a_key_has_one_split():
    # SHA-1 of "" begins with da39a3ee, which is 6 modulo 100.
    assert int(hashlib.sha1(b"").hexdigest()[:8], 16) % 100 == 6

    assert splits.by_hash("", dev_percent=0, test_percent=6) == Split.TRAIN
    assert splits.by_hash("", dev_percent=0, test_percent=7) == Split.TEST
    assert splits.by_hash("", dev_percent=7, test_percent=0) == Split.EVAL


def test_splits_have_their_share():
    dealt = [splits.by_hash(f"key {number}") for number in range(2000)]

    assert 70 <= dealt.count(Split.EVAL) <= 130
    assert 70 <= dealt.count(Split.TEST) <= 130


def test_half_of_a_surrogate_pair_has_a_split_too():
    assert splits.by_hash("\ud800") in Split
