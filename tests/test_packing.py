"""Packed facts and arrays are unpacked unchanged."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from ganlab.packing import ALIGNMENT, DTYPES, pack, unpack

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
facts_of_any_kind = st.dictionaries(st.text().filter(lambda name: name != "arrays"), json_values, max_size=4)
array_of_any_kind = st.sampled_from(DTYPES).flatmap(
    lambda dtype: arrays_of.arrays(dtype, arrays_of.array_shapes(min_dims=0, min_side=0, max_side=5))
)


@given(facts_of_any_kind, st.dictionaries(st.text(), array_of_any_kind, max_size=3))
def test_unpacks_what_was_packed(facts, arrays):
    unpacked_facts, unpacked = unpack(pack(facts, arrays))
    assert unpacked_facts == facts
    assert list(unpacked) == list(arrays)
    for name, array in arrays.items():
        assert unpacked[name].dtype == array.dtype
        np.testing.assert_array_equal(unpacked[name], array)


@pytest.mark.parametrize("words", ["", "a", "ab", "abc", "ä€"])
def test_every_array_is_aligned_for_a_typed_array(words):
    packed = pack({"words": words}, {"a": np.arange(3, dtype=np.uint8), "b": np.arange(2.0)})
    start = 4 + int.from_bytes(packed[:4], "little")
    assert start % ALIGNMENT == 0
    assert np.frombuffer(packed, "<f8", 2, start + 8).tolist() == [0, 1]


def test_arrays_in_other_orders_and_bytes_are_packed_as_a_browser_reads_them():
    backwards = np.arange(6, dtype=">i2").reshape(2, 3).T
    _, arrays = unpack(pack({}, {"x": backwards, "file": b"GIF89a"}))
    assert arrays["x"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert arrays["file"].tobytes() == b"GIF89a"


@pytest.mark.parametrize("dtype", ["int64", "complex64", "bool", "<U3", "object"])
def test_refuses_arrays_that_a_browser_cannot_read(dtype):
    with pytest.raises(TypeError, match='Array "x" is'):
        pack({}, {"x": np.zeros(2, dtype)})


def test_refuses_numbers_that_json_does_not_have():
    with pytest.raises(ValueError, match="JSON"):
        pack({"loss": float("nan")})
