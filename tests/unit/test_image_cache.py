"""What is kept of a Harbor project: a damaged file is no cache, and is replaced by the next one."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobman.images.cache import Cache

DAMAGED = [b"", b"\0" * 40, b'{"saved_at":1,"images":[{"na', b'{"\xff":1}', b'{"a":' * 100_000]


@pytest.mark.parametrize("content", DAMAGED, ids=["empty", "zeroes", "cut", "no text", "deep"])
def test_a_damaged_cache_is_none(content: bytes, tmp_path: Path) -> None:
    cache = Cache(tmp_path, "https://harbor", "ml", None)
    cache.save([])
    cache.note("torch:2")
    files = list(tmp_path.iterdir())
    assert len(files) == 2
    for file in files:
        file.write_bytes(content)
    assert cache.load(max_age_s=None) is None
    assert not cache.was_seen("torch:2", max_age_s=None)
    cache.save([])
    cache.note("torch:2")
    assert cache.load() == []
    assert cache.was_seen("torch:2", max_age_s=None)
