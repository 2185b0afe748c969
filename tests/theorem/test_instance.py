"""Instances: JSON both ways, and one clear sentence for everything that is wrong with one."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntkverify import Instance, NtkVerifyError
from ntkverify.seeds import AS_DRAWN

GOOD = Instance(
    theorem="t",
    family="r",
    data={"inputs": np.eye(2), "targets": [0.1, -1 / 3]},
    parameters={"delta": 0.1},
    width=8,
    step=0.5,
    steps=3,
    seed=2**100,
)

finite = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(finite, max_size=5), finite, st.integers(0, 2**128))
def test_json_keeps_every_bit(values, step, seed):
    instance = Instance(data={"targets": values}, step=step, seed=seed)
    assert Instance.from_json(instance.to_json()) == instance


def test_arrays_come_back():
    read = Instance.from_json(GOOD.to_json())
    np.testing.assert_array_equal(read.array("inputs"), np.eye(2))
    assert read == GOOD


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_non_finite_data_names_the_place(value):
    inputs = np.eye(3)
    inputs[1, 2] = value
    with pytest.raises(NtkVerifyError, match=r"'inputs' has the non-finite value .* at index \(1, 2\)"):
        Instance(data={"inputs": inputs})


@pytest.mark.parametrize("delta", [0.0, 1.0, -0.1, 2.0, np.nan])
def test_delta_outside_the_unit_interval(delta):
    with pytest.raises(NtkVerifyError, match="delta"):
        Instance(parameters={"delta": delta})


@pytest.mark.parametrize("key", ["theorem", "regime", "data", "parameters", "width", "step", "steps", "seed", "format"])
def test_a_missing_key_is_named(key):
    content = json.loads(GOOD.to_json())
    del content[key]
    with pytest.raises(NtkVerifyError, match=f"lacks the.* '{key}'"):
        Instance.from_json(json.dumps(content))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("width", "8"),
        ("width", 8.5),
        ("width", True),
        ("width", -1),
        ("seed", -1),
        ("data", [1]),
        ("data", {"inputs": [[1], [1, 2]]}),
        ("data", {"inputs": "x"}),
        ("parameters", {"delta": "a"}),
        ("parameters", {"delta": True}),
        ("step", None),
        ("turns", 3),
        ("turns", [[0.1]]),
        ("turns", [[0.1, -1]]),
        ("turns", [["a", 1]]),
        ("turns", [["0.1", 1]]),
        ("turns", [[True, 1]]),
        ("turns", [[0.1, True]]),
        ("turns", [[0.1, 1.5]]),
        ("turns", {}),
        ("turns", ""),
        ("scale", "2"),
        ("scale", 0),
        ("scale", -1.0),
        ("scale", True),
        ("scale", None),
        ("scale", 10**400),
        ("evenness", "1"),
        ("evenness", -0.1),
        ("evenness", 1.1),
        ("evenness", None),
        ("evenness", True),
        ("turns", [[10**400, 1]]),
        ("unknown", 1),
        ("format", 99),
        ("format", "1"),
    ],
)
def test_a_wrong_value_is_one_sentence(key, value):
    content = {**json.loads(GOOD.to_json()), **({"format": 4} if key in AS_DRAWN else {}), key: value}
    with pytest.raises(NtkVerifyError) as caught:
        Instance.from_json(json.dumps(content))
    assert "\n" not in str(caught.value)
    assert key in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[1]", "3", '{"format": 1', "NaN", "\x00"])
def test_text_that_is_no_instance(text):
    with pytest.raises(NtkVerifyError, match="instance"):
        Instance.from_json(text)


@pytest.mark.parametrize("name", ["step", "scale", "evenness", "size"])
def test_no_parameter_hides_a_number_that_is_not_finite(name):
    with pytest.raises(NtkVerifyError, match=f"'{name}' must be a finite number, not inf"):
        Instance(parameters={name: float("inf")})


@pytest.mark.parametrize(
    ("given", "wanted"),
    [({"width": 1e4}, 10000), ({"width": 10.0**3}, 1000), ({"width": np.float64(3)}, 3), ({"width": np.int64(3)}, 3),
     ({"width": 2.0**60}, 2**60), ({"steps": 10.0}, 10), ({"seed": 1.0}, 1), ({"seed": 2**200}, 2**200)],
)  # fmt: skip
def test_a_whole_number_is_taken_however_it_is_written(given, wanted):
    (name,) = given
    assert getattr(Instance(**given), name) == wanted
    assert type(getattr(Instance(**given), name)) is int


@pytest.mark.parametrize(
    ("given", "said"),
    [({"width": "8"}, "width must be a finite number, not '8'"),
     ({"width": 8.5}, "a whole number, at least 0, not 8.5"),
     ({"width": True}, "not True"), ({"width": None}, "not None"), ({"width": float("nan")}, "not nan"),
     ({"width": -3.0}, "at least 0, not -3.0"), ({"steps": "3"}, "steps must be"), ({"step": "0.1"}, "step must be"),
     ({"step": [0.1]}, r"step must be a finite number, not \[0.1\]"),
     ({"parameters": {"C": "1"}}, "parameter 'C' must"),
     ({"parameters": [1]}, "parameters go by name"), ({"data": [1, 2]}, "data go by name")],
)  # fmt: skip
def test_what_is_no_number_is_one_sentence(given, said):
    with pytest.raises(NtkVerifyError, match=said) as caught:
        Instance(theorem="a/b", **given)
    assert str(caught.value).startswith("instance of a/b: ")


def test_scaled_weights_are_read_back_and_older_readers_refuse_them():
    scaled = replace(GOOD, turns=[(0.1, 3)], scale=0.3)
    assert Instance.from_json(scaled.to_json()) == scaled
    assert json.loads(scaled.to_json())["format"] == 3
    assert scaled.with_seed(5) == GOOD.with_seed(5)
    for older in (1, 2):
        text = replace(GOOD, scale=0.3).to_json().replace('"format": 3', f'"format": {older}')
        with pytest.raises(NtkVerifyError, match=f"'scale', which format {older} does not know"):
            Instance.from_json(text)
    for scale in (0.0, -1.0, float("nan"), float("inf"), 10**400):
        with pytest.raises(NtkVerifyError, match="scale"):
            replace(GOOD, scale=scale)


def test_evened_out_weights_are_read_back_and_older_readers_refuse_them():
    even = replace(GOOD, evenness=0.3)
    assert Instance.from_json(even.to_json()) == even
    assert json.loads(even.to_json())["format"] == 4
    assert even.with_seed(5) == GOOD.with_seed(5)
    with pytest.raises(NtkVerifyError, match="'evenness', which format 3 does not know"):
        Instance.from_json(even.to_json().replace('"format": 4', '"format": 3'))
    for evenness in (-0.1, 1.1, float("nan"), float("inf"), 10**400):
        with pytest.raises(NtkVerifyError, match="evenness"):
            replace(GOOD, evenness=evenness)


def test_turned_weights_are_read_back_and_older_readers_refuse_them():
    turned = replace(GOOD, turns=[(0.1, 3), (0.25, 2**99)])
    assert Instance.from_json(turned.to_json()) == turned
    assert json.loads(turned.to_json())["format"] == 2
    assert json.loads(GOOD.to_json())["format"] == 1
    assert turned.with_seed(5) == GOOD.with_seed(5)
    with pytest.raises(NtkVerifyError, match="format 1 does not know"):
        Instance.from_json(turned.to_json().replace('"format": 2', '"format": 1'))
    # a draw turned towards itself is only longer
    for turns in ([(0.1, GOOD.seed)], [(0.1, 3), (0.2, 3)]):
        with pytest.raises(NtkVerifyError, match="different seeds"):
            replace(GOOD, turns=turns)


def test_an_unreadable_file_is_named(tmp_path):
    with pytest.raises(NtkVerifyError, match=r"missing\.json can't be read"):
        Instance.load(tmp_path / "missing.json")
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(NtkVerifyError, match=r"binary\.json can't be read"):
        Instance.load(tmp_path / "binary.json")
    (tmp_path / "good.json").write_text(GOOD.to_json())
    assert Instance.load(tmp_path / "good.json") == GOOD


def test_missing_data_is_named():
    with pytest.raises(NtkVerifyError, match="data 'weights' is missing"):
        GOOD.array("weights")


@pytest.mark.parametrize(
    "value",
    [
        [np.ones(2), np.ones(2)],
        (np.float32(1), 1),
        np.float64(0.5),
        [[np.int64(1), True], (2, 3.5)],
        np.ones((2, 1), np.float32),
        [],
    ],
    ids=str,
)
def test_data_are_plain_numbers_whatever_they_came_in(value):
    """Lists of arrays were taken, and failed where the instance was first drawn afresh."""
    made = Instance(data={"x": value})
    assert made.data == {"x": np.asarray(value, np.float64).tolist()}
    assert Instance.from_json(made.with_seed(3).to_json()) == made.with_seed(3)


def test_data_are_the_instances_own():
    rows = [[0.5, 1.0], [2.0, 3.0]]
    made = Instance(data={"x": rows})
    text = made.with_seed(1).to_json()
    rows[0][0] = 7.0
    assert made.array("x")[0, 0] == 0.5
    assert made.with_seed(1).to_json() == text


def test_draws_of_the_same_data_share_their_text():
    first = Instance(data={"x": np.linspace(0, 1, 5)}, parameters={"delta": 0.1}, width=3, turns=((0.5, 7),), scale=2.0)
    other = first.with_seed(5).belonging_to("t", "f")
    assert other == Instance(theorem="t", family="f", data=first.data, parameters={"delta": 0.1}, width=3, seed=5)
    assert Instance.from_json(other.to_json()) == other
    assert other.to_json() == json.dumps(json.loads(other.to_json()))
    assert (first.seed, first.theorem, first.scale) == (0, "", 2.0)
    assert other.content == first.content != replace(first, width=4).content
    moved = replace(other, data={"x": [1.0]})
    assert json.loads(moved.to_json())["data"] == {"x": [1.0]}
    with pytest.raises(NtkVerifyError, match="seed"):
        first.with_seed(-1)
