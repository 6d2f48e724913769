import math
import os
import tempfile
import threading

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nbdeploy.serving.frames import Channel, ChannelClosedError, array_of, describe_array

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@pytest.fixture
def ends():
    here, there = Channel.pair()
    yield here, there
    here.close()
    there.close()


@given(document=VALUES, payload=st.binary(max_size=100))
@example(document=-(2**63) - 1, payload=b"")
@example(document=[2**64], payload=b"")
def test_whatever_is_sent_arrives_as_it_was(document, payload):
    here, there = Channel.pair()
    try:
        here.send(document, payload)
        frame = there.receive(5)
    finally:
        here.close()
        there.close()

    assert frame.document == document
    assert bytes(frame.payload) == payload
    assert frame.files == []


def test_what_is_no_number_of_json_arrives_too(ends):
    here, there = ends
    here.send([math.nan, math.inf, -math.inf, np.float64(0.5), 2**80])

    nothing, *others = there.receive(5).document

    assert math.isnan(nothing)
    assert others == [math.inf, -math.inf, 0.5, 2**80]


def test_more_than_a_socket_holds_arrives_in_parts(ends):
    here, there = ends
    payload = os.urandom(5_000_000)
    sender = threading.Thread(target=here.send, args=("large", payload))
    sender.start()

    frame = there.receive(10)

    sender.join()
    assert bytes(frame.payload) == payload


def test_open_files_travel_along_and_are_not_inherited(ends):
    here, there = ends
    with tempfile.TemporaryFile() as file:
        file.write(b"content")
        file.flush()
        here.send("file", files=[file.fileno()])
        (received,) = there.receive(5).files

    try:
        assert os.pread(received, 100, 0) == b"content"
        assert not os.get_inheritable(received)
    finally:
        os.close(received)


def test_silence_ends_when_the_time_is_over_and_the_channel_still_works(ends):
    here, there = ends
    with pytest.raises(TimeoutError):
        there.receive(0.01)

    here.send("late")

    assert there.receive(5).document == "late"


def test_both_ways_tell_when_nobody_is_there(ends):
    here, there = ends
    there.close()

    with pytest.raises(ChannelClosedError, match="is gone"):
        here.receive(5)
    with pytest.raises(ChannelClosedError, match="is gone"):
        here.send("anybody")


def test_who_waits_hears_when_its_own_end_hangs_up(ends):
    here, _ = ends
    told = []

    def wait():
        with pytest.raises(ChannelClosedError) as caught:
            here.receive(10)
        told.append(caught.value)

    waiter = threading.Thread(target=wait)
    waiter.start()
    here.hang_up()
    waiter.join(5)

    assert len(told) == 1


@pytest.mark.parametrize(
    "array",
    [
        np.array([[1.5, np.nan], [np.inf, -0.0]]),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(12.0).reshape(3, 4)[:, ::2],
        np.array([[1, 2]], dtype="int8"),
        np.array([True, False]),
        np.empty((0, 3)),
    ],
    ids=["nan", "fortran", "strided", "int8", "bool", "empty"],
)
def test_an_array_arrives_as_it_was(array):
    described, payload = describe_array(array)

    again = array_of(described, payload)

    assert again.dtype == array.dtype
    np.testing.assert_array_equal(again, array)


@pytest.mark.parametrize("array", [np.array(["a"]), np.array([object()])], ids=["text", "object"])
def test_only_plain_numbers_go_as_memory(array):
    assert describe_array(array) is None
    with pytest.raises(ValueError, match="expected plain numbers"):
        array_of({"dtype": array.dtype.str, "shape": [1], "order": "C"}, memoryview(b"12345678"))
