"""Data from files: what is read, and one sentence with file, line and remedy for what is malformed."""

import numpy as np
import pytest

from ntkverify import NtkVerifyError
from ntkverify.data import files
from ntkverify.data.check import heading_of
from ntkverify.data.files import read_data, unit_rows

REGRESSION = {"inputs": ("n", "d"), "targets": ("n",)}
PINN = {
    "interior": ("n_1", "coordinates"),
    "boundary": ("n_2", "coordinates"),
    "source": ("n_1",),
    "values": ("n_2",),
}


def written(folder, text, name="points.csv"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "text",
    [
        "x1,x2,y\n1,2,5\n3,4,6\n",
        "y;x1;x2\n5;1;2\n6;3;4\n",
        "# a comment\n\n1 2 5\n3 4 6 # the last column\n",
        '\ufeff"x1","x2","targets"\n1,2,5\n3,4,6\n',
    ],
)
def test_the_targets_are_the_column_of_that_name_or_the_last(tmp_path, text):
    data = read_data(written(tmp_path, text), REGRESSION)
    np.testing.assert_array_equal(data.blocks["inputs"], [[1, 2], [3, 4]])
    np.testing.assert_array_equal(data.blocks["targets"], [5, 6])


def test_what_each_column_was_taken_for(tmp_path, regression):
    path = written(tmp_path, "id,x1,x2,y\n0,1,2,5\n1,3,4,6\n")
    at = regression.at(path, unit=True, width=16, steps=1, relax=["width"])
    assert "columns: coordinates id, x1, x2; target y" in at.lines()
    assert "(inputs 2x4, targets 2; coordinates id, x1, x2; target y)" in heading_of(at)
    blocks = {
        "interior": written(tmp_path, "t,x,source\n1,2,7\n", "i.csv"),
        "boundary": written(tmp_path, "t,x\n0,1\n"),
    }
    said = "interior coordinates t, x; source source; boundary coordinates t, x"
    assert read_data(blocks, PINN).columns_in_words == said
    many = written(tmp_path, ",".join(f"x{i}" for i in range(20)) + ",y\n" + ",".join("1" * 21) + "\n")
    assert read_data(many, REGRESSION).columns_in_words.startswith("coordinates x0, x1, x2, x3, x4, x5, ..., x19; ")
    assert not read_data(written(tmp_path, "1,2\n"), REGRESSION).columns


def test_targets_in_a_file_of_their_own(tmp_path):
    points, targets = written(tmp_path, "1,2\n3,4\n"), written(tmp_path, "y\n5\n6\n", "targets.csv")
    data = read_data(points, REGRESSION, targets=targets)
    np.testing.assert_array_equal(data.blocks["inputs"], [[1, 2], [3, 4]])
    np.testing.assert_array_equal(data.blocks["targets"], [5, 6])
    assert data.place("targets", 1) == f"{targets}, line 3"


def test_blocks_from_several_files_from_npz_and_from_arrays(tmp_path):
    interior = np.array([[0.1, 0.2], [0.3, 0.4]])
    boundary = np.array([[0.0, 1.0]])
    files_ = {
        "interior": written(tmp_path, "t,x,source\n0.1,0.2,7\n0.3,0.4,8\n", "interior.csv"),
        "boundary": written(tmp_path, "0,1\n", "boundary.csv"),
    }
    np.savez(tmp_path / "points.npz", interior=interior, boundary=boundary, source=[7.0, 8.0])
    given = {"interior": interior, "boundary": boundary, "source": [7, 8]}
    for source in (files_, tmp_path / "points.npz", given):
        data = read_data(source, PINN)
        assert set(data.blocks) == {"interior", "boundary", "source"}
        np.testing.assert_array_equal(data.blocks["interior"], interior)
        np.testing.assert_array_equal(data.blocks["boundary"], boundary)
        np.testing.assert_array_equal(data.blocks["source"], [7, 8])
    pair = read_data((interior, [1, 2]), REGRESSION)
    np.testing.assert_array_equal(pair.blocks["targets"], [1, 2])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "points.csv is empty: it has no line of numbers; add one a sample."),
        ("x1,x2,y\n", "points.csv is empty"),
        ("x1,x2,y\n1,2,3\n4,5\n", "line 3 has 2 columns where the first has 3; correct the line."),
        ("1,2,3\n4,five,6\n", "line 2, column 2: 'five' is not a number; correct or remove the line."),
        ("1,2,3\n4,nan,6\n", "line 2, column 2: nan is not finite; correct or remove the row."),
        ("1,2,inf\n", "line 1: inf is not finite; correct or remove the row."),
        ("a,b,c\n1,2,3\n", "none of the columns 'a', 'b', 'c' is called 'targets'; rename one, or give"),
        ("y\n1\n", "has no column of coordinates beside 'targets'; add one."),
    ],
)
def test_one_sentence_with_file_line_and_remedy(tmp_path, text, said):
    path = written(tmp_path, text)
    with pytest.raises(NtkVerifyError) as refusal:
        read_data(path, REGRESSION)
    assert said in str(refusal.value)
    assert str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("given", "shapes", "said"),
    [
        ("nowhere.csv", REGRESSION, "nowhere.csv can't be read"),
        ("nowhere.npz", REGRESSION, "nowhere.npz can't be read as an NPZ file"),
        ("points.csv", PINN, "give interior=interior.csv,boundary=boundary.csv."),
        ({"inputs": [[1.0]], "target": [1.0]}, REGRESSION, "no block 'target', it takes 'inputs', 'targets'; did you"),
        ({"inputs": [[1.0], [2.0]], "targets": [1.0]}, REGRESSION, "calls both n, so give the same number."),
        ({"interior": [[1.0, 2.0]]}, PINN, "the block 'boundary' is missing; add it."),
        ({"interior": [[1.0, 2.0]], "boundary": [[1.0]]}, PINN, "'boundary' has 1 columns where 'interior' has 2"),
        (
            {"inputs": [1.0], "targets": [1.0]},
            REGRESSION,
            "takes (n, d); give one row a sample, by reshape(-1, 1) where",
        ),
        ({"inputs": [[1.0]], "targets": [[1.0]]}, REGRESSION, "block 'targets' has the shape (1, 1), but the theorem"),
        ({"inputs": [[1.0]], "targets": [[1.0]]}, REGRESSION, "give one number a sample as a flat array, by reshape(-"),
        ({"inputs": [[1j]], "targets": [1.0]}, REGRESSION, "block 'inputs' is complex; give real numbers"),
        ({"inputs": [[1.0], [2.0, 3.0]]}, REGRESSION, "block 'inputs' is not a rectangular array of numbers"),
        ({"inputs": np.empty((0, 2))}, REGRESSION, "block 'inputs' is empty; add at least one sample."),
        (3, REGRESSION, "data are a CSV or NPZ file, or a mapping of 'inputs', 'targets' to arrays, not int."),
    ],
)
def test_what_is_not_data_of_the_theorem(given, shapes, said):
    with pytest.raises(NtkVerifyError) as refusal:
        read_data(given, shapes)
    assert said in str(refusal.value)


class TestNpz:
    """What an archive lacks is said with the call that writes it."""

    @pytest.mark.parametrize(
        ("make", "said"),
        [
            (
                lambda path: np.savez(path, x=np.eye(2), y=[1.0, 2.0]),
                "xy.npz holds 'x', 'y', but the theorem takes 'inputs', 'targets'; write it again with "
                "numpy.savez('xy.npz', inputs=..., targets=...).",
            ),
            (lambda path: np.savez(path, np.eye(2), [1.0, 2.0]), "xy.npz holds 'arr_0', 'arr_1', but the theorem"),
            (
                lambda path: np.savez(path, inputs=np.eye(2), target=[1.0, 2.0]),
                "the theorem has no block 'target', it takes 'inputs', 'targets'; did you mean 'targets'?",
            ),
            (lambda path: path.write_text("1,2,3\n"), "xy.npz is no NPZ file, whatever its name; write it with numpy"),
            (lambda path: path.write_bytes(b""), "xy.npz is no NPZ file, whatever its name; write it with numpy"),
            (
                lambda path: (np.save(path.with_suffix(".npy"), np.eye(2)), path.with_suffix(".npy").rename(path)),
                "xy.npz is a single array, as numpy.save writes it; write it with numpy.savez('xy.npz', inputs=...",
            ),
            (
                lambda path: path.write_bytes(b"PK\x03\x04" + b"\0" * 40 + b"PK\x05\x06" + b"\0" * 18),
                "xy.npz holds no data, but the theorem takes 'inputs', 'targets'; write it again",
            ),
        ],
    )
    def test_of_other_names_or_no_archive(self, tmp_path, make, said):
        make(tmp_path / "xy.npz")
        with pytest.raises(NtkVerifyError) as refusal:
            read_data(tmp_path / "xy.npz", REGRESSION)
        assert said in str(refusal.value)
        assert "\n" not in str(refusal.value)

    def test_a_single_array_in_place_of_a_table(self, tmp_path):
        np.save(tmp_path / "x.npy", np.eye(2))
        with pytest.raises(
            NtkVerifyError, match=r"x\.npy is a single array, as numpy.save writes it; put all blocks in"
        ):
            read_data(tmp_path / "x.npy", REGRESSION)


def test_too_many_samples_are_refused_with_the_figures(monkeypatch):
    monkeypatch.setattr(files, "free_memory", lambda: 4 * 8 * 9**2)
    read_data((np.zeros((9, 1)), np.zeros(9)), REGRESSION)
    with pytest.raises(NtkVerifyError, match=r"has 10 samples, whose Gram matrices take .* GiB where .* are free"):
        read_data((np.zeros((10, 1)), np.zeros(10)), REGRESSION)


def test_appending_a_one_keeps_points_of_one_direction_apart():
    points = np.array([[1.0, 0.0], [2.0, 0.0], [-1.0, 0.0]])
    for bias, rank in ((True, 2), (False, 1)):
        rows = unit_rows(points, bias=bias)
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=4e-16)
        assert np.linalg.matrix_rank(rows) == rank
