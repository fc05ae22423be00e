"""Tables of plug-ins."""

import pytest

from realbogus.errors import UnknownNameError
from realbogus.registry import Registry


def test_a_name_gives_the_object_and_an_object_passes_through():
    table = Registry("thing")
    table.register("one")(1)
    assert table.resolve("one") == 1
    assert table.resolve(2) == 2
    assert list(table) == ["one"] and len(table) == 1 and "one" in table


def test_an_unknown_name_lists_the_known():
    table = Registry("thing")
    table.register("b")(1)
    table.register("a")(2)
    with pytest.raises(UnknownNameError, match=r"unknown thing 'c': known are a, b"):
        table.resolve("c")
