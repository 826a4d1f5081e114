"""Dealing samples to splits by a hash, where a corpus has no splits of its own."""

import hashlib

from t2t_mm.features import Split

DEV_PERCENT = 5
TEST_PERCENT = 5


def by_hash(
    key: str, dev_percent: int = DEV_PERCENT, test_percent: int = TEST_PERCENT
) -> Split:
    """Returns the split of a sample; the same key is always in the same one.

    Args:
      key: what must not be in two splits, such as the inputs.
      dev_percent: how many of 100 keys are dev.
      test_percent: how many of 100 keys are test.
    """
    percent = hash_number(key) % 100
    if percent < test_percent:
        return Split.TEST
    return Split.EVAL if percent < test_percent + dev_percent else Split.TRAIN


def hash_number(key: str) -> int:
    """Returns a number of 32 bits that `key` alone decides."""
    content = key.encode(errors="surrogatepass")  # names of files may have such
    digest = hashlib.sha1(content, usedforsecurity=False)
    return int.from_bytes(digest.digest()[:4], "big")
