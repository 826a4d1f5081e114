"""Second pass of generation: chunks of records -> shuffled shards and their index.

The order of the data is the order of the records' random keys. A shard holds a range
of keys, and so does each of the pieces in which it is written: memory holds one piece
and the rows of one shard, however large the corpus.
"""

import math
import os
from collections.abc import Iterable, Iterator, Sequence

import google_crc32c
import numpy as np

from t2t_mm.data import chunks, records, tfrecord
from t2t_mm.data import manifest as manifests
from t2t_mm.features import Split

NUM_KEYS = 2**64
PIECE_BYTES = 64 << 20


def key_ranges(low: int, high: int, count: int) -> list[tuple[int, int]]:
    """Cuts the keys from `low` up to `high` into ranges of equal size."""
    bounds = [low + (high - low) * number // count for number in range(count + 1)]
    return list(zip(bounds[:-1], bounds[1:], strict=True))


def shard_of(keys: np.ndarray, num_shards: int) -> np.ndarray:
    """Returns the shard of each key."""
    starts = [low for low, _ in key_ranges(0, NUM_KEYS, num_shards)]
    return np.searchsorted(np.array(starts, np.uint64), keys, side="right") - 1


def write_shard(
    chunk_paths: Sequence[str],
    split: Split,
    *,
    shard: int,
    num_shards: int,
    path: str,
) -> manifests.File:
    """Writes one shard, and beside it the rows of its index.

    Args:
      chunk_paths: all chunks of the problem.
      split: which of their records.
      shard: number of the shard.
      num_shards: of the split.
      path: where to write; the rows go to `index_part_path(path)`.
    """
    low, high = key_ranges(0, NUM_KEYS, num_shards)[shard]
    files = [chunks.ChunkFile(chunk, split, low, high) for chunk in chunk_paths]
    size = sum(_num_bytes(file.rows(low, high)) for file in files)
    num_pieces = max(1, math.ceil(size / PIECE_BYTES))
    return write_records(
        (_read_piece(files, piece) for piece in key_ranges(low, high, num_pieces)),
        shard=shard,
        path=path,
    )


def _num_bytes(rows: np.ndarray) -> int:
    return int(rows["size"].sum(dtype=np.int64))


def _read_piece(
    files: Iterable[chunks.ChunkFile], keys: tuple[int, int]
) -> tuple[np.ndarray, list[bytes]]:
    """Returns the rows and framed records of a range of keys, sorted by them."""
    found: list[np.ndarray] = []
    framed: list[bytes] = []
    for file in files:
        rows = file.rows(*keys)
        if len(rows):
            found.append(rows)
            framed.extend(_cut(file.read(rows), rows["size"]))
    if not found:
        return np.zeros(0, chunks.ROW_DTYPE), []
    together = np.concatenate(found)
    order = np.argsort(together["key"], kind="stable")
    return together[order], [framed[row] for row in order]


def _cut(content: bytes, sizes: np.ndarray) -> Iterator[bytes]:
    ends = np.cumsum(sizes, dtype=np.int64).tolist()
    start = 0
    for end in ends:
        yield content[start:end]
        start = end


def write_records(
    pieces: Iterable[tuple[np.ndarray, list[bytes]]], *, shard: int, path: str
) -> manifests.File:
    """Writes framed records as a shard, and beside it the rows of its index.

    Args:
      pieces: rows of `chunks.ROW_DTYPE` and framed records, in their order.
      shard: number of the shard.
      path: where to write.
    """
    crc32c, offset, parts = 0, 0, [np.zeros(0, records.INDEX_DTYPE)]
    with open(path, "wb") as file:
        for rows, framed in pieces:
            content = b"".join(framed)
            file.write(content)
            crc32c = google_crc32c.extend(crc32c, content)
            parts.append(_index_rows(rows, shard, offset))
            offset += len(content)
    index = np.concatenate(parts)
    np.save(index_part_path(path), index)
    name = os.path.basename(path)
    return manifests.File(file=name, bytes=offset, crc32c=crc32c, count=len(index))


def _index_rows(rows: np.ndarray, shard: int, offset: int) -> np.ndarray:
    index = np.zeros(len(rows), records.INDEX_DTYPE)
    index["shard"] = shard
    sizes = rows["size"].astype(np.int64)
    index["offset"] = offset + np.cumsum(sizes) - sizes
    index["size"] = sizes - tfrecord.framed_bytes(0)
    index["inputs_length"] = rows["inputs_length"]
    index["targets_length"] = rows["targets_length"]
    return index


def index_part_path(shard_path: str) -> str:
    """Returns where the index of one shard is until those of all are joined."""
    return shard_path + ".index.npy"


def join_index(shards: Sequence[manifests.File], path: str) -> manifests.File:
    """Joins the indices of the shards of a split, which lie beside `path`."""
    total = sum(shard.count for shard in shards)
    index = np.lib.format.open_memmap(path, "w+", records.INDEX_DTYPE, (total,))
    start = 0
    for shard in shards:
        part_path = index_part_path(os.path.join(os.path.dirname(path), shard.file))
        index[start : start + shard.count] = np.load(part_path)
        start += shard.count
        os.remove(part_path)
    index.flush()
    del index
    return manifests.File(
        file=os.path.basename(path),
        bytes=os.path.getsize(path),
        crc32c=manifests.file_crc32c(path),
        count=total,
    )
