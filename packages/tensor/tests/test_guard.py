"""Guards: whether Python state is as it was, against a check of each value by itself."""

from types import MappingProxyType

from hypothesis import given
from hypothesis import strategies as st

from stackgrad.tensor._guard import guard_of, holds, same

VALUES = [None, True, 1, 1.0, float("nan"), "a", (1,), [], object()]
KEYS = ["a", "b", "c"]


def by_itself(reads):
    """Whether each value is unchanged."""
    return all(same(function(argument), value) for function, argument, value in reads)


@given(st.data())
def test_a_guard_holds_if_each_value_is_unchanged(data):
    dicts = [
        {key: data.draw(st.sampled_from(VALUES)) for key in data.draw(st.sets(st.sampled_from(KEYS)))} for _ in range(3)
    ]
    owners = [dicts[0], dicts[1], MappingProxyType(dicts[2])]
    reads = []
    for owner, watched in zip(owners, dicts, strict=True):
        get = owner.get
        read = data.draw(st.lists(st.sampled_from(KEYS), unique=True))
        reads += [(get, key, get(key)) for key in read]
        if data.draw(st.booleans()):
            reads.append((len, watched, len(watched)))
    guard = guard_of(reads)
    assert holds(guard)
    for _ in range(data.draw(st.integers(1, 3))):
        changed = data.draw(st.sampled_from(dicts))
        if data.draw(st.booleans()):
            changed.pop(data.draw(st.sampled_from(KEYS)), None)
        else:
            changed[data.draw(st.sampled_from(KEYS))] = data.draw(st.sampled_from(VALUES))
    assert holds(guard) == by_itself(reads)


def test_an_entry_that_appears_in_a_dict_is_noticed():
    attributes = {"weight": 1, "bias": 2}
    reads = [(attributes.get, key, attributes.get(key)) for key in ("weight", "bias", "hook")]
    for known in (reads, [*reads, (len, attributes, 2)]):
        guard = guard_of(known)
        assert holds(guard)
        attributes["hook"] = 3
        assert not holds(guard)
        del attributes["hook"]
        assert holds(guard)
        attributes["hook"] = attributes.pop("bias")
        assert not holds(guard)
        attributes["bias"] = attributes.pop("hook")


def test_an_object_of_equal_value_is_another_one():
    names = {"rate": 1, "size": 2}
    guard = guard_of([(names.get, key, names[key]) for key in names])
    names["rate"] = 1.0
    assert not holds(guard)
    names["rate"] = 1
    assert holds(guard)
