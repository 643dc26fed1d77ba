"""Packing puts every token where its step is, in both directions."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from numpy_elmo.network.batching import batches, pack


@given(st.lists(st.integers(1, 12), min_size=1, max_size=9))
def test_packed_steps_read_each_sentence_forwards_and_backwards(lengths: list[int]) -> None:
    packing = pack(lengths)
    starts = [sum(lengths[:k]) for k in range(len(lengths))]
    assert packing.batch_sizes.sum() == sum(lengths)
    assert all(a >= b for a, b in zip(packing.batch_sizes, packing.batch_sizes[1:], strict=False))
    forward: dict[int, list[int]] = {}
    backward: dict[int, list[int]] = {}
    position = 0
    for n in packing.batch_sizes:
        for row in range(n):
            sentence = int(packing.order[row])
            forward.setdefault(sentence, []).append(int(packing.forward[position]))
            backward.setdefault(sentence, []).append(int(packing.backward[position]))
            position += 1
    for k, length in enumerate(lengths):
        tokens = list(range(starts[k], starts[k] + length))
        assert forward[k] == tokens
        assert backward[k] == tokens[::-1]


@given(st.lists(st.integers()), st.integers(1, 5))
def test_batches_keep_every_item_in_order(items: list[int], size: int) -> None:
    cut = list(batches(items, size))
    assert [item for batch in cut for item in batch] == items
    assert all(len(batch) == size for batch in cut[:-1])
