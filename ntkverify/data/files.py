"""Data from files or arrays as named blocks, every row with its place; what is malformed is one sentence."""

from __future__ import annotations

import difflib
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ntkverify.arrays import Array, real_array
from ntkverify.errors import NtkVerifyError
from ntkverify.execution.machine.memory import free_memory

Shapes = Mapping[str, Sequence[str]]
_FEW = 8  # headings that are listed at most
ROWS = "give one row a sample"  # what mends a ragged block
#: names that a column of targets has in most files
ALIASES = {"targets": ("target", "y"), "target": ("targets", "y")}


@dataclass(frozen=True)
class Data:
    """Named blocks of numbers, and where each row was written.

    Parameters
    ----------
    blocks : dict of str to array
        Points (n_b, coordinates), vectors (n_b,) beside them.
    lines : dict of str to list of str
        Where the rows of a block stand, as a sentence says it; blocks given as arrays have none.
    source : str
        Where all of it comes from.
    columns : dict of str to list of str
        Headings of the columns that a block was read from; none without a heading.
    """

    blocks: dict[str, Array]
    lines: dict[str, list[str]] = field(default_factory=dict)
    source: str = "the data"
    columns: dict[str, list[str]] = field(default_factory=dict)

    @property
    def columns_in_words(self) -> str:
        """What each column was taken for, "coordinates x1, x2; target y"; empty without headings."""
        points = [name for name in self.columns if self.blocks[name].ndim > 1]
        parts = []
        for name, headings in self.columns.items():
            said = "coordinates" if name in points else name if name not in ALIASES else "target"
            of = f"{name} " if name in points and len(points) > 1 else ""
            some = headings if len(headings) <= _FEW else [*headings[: _FEW - 2], "...", headings[-1]]
            parts.append(f"{of}{said} {', '.join(some)}")
        return "; ".join(parts)

    def place(self, block: str, row: int) -> str:
        """Where a row stands."""
        return self._line(block, row) or f"row {row} of {block!r}"

    def place_within(self, block: str, row: int) -> str:
        """Where a row stands, in a sentence that has named the block."""
        return self._line(block, row) or f"row {row}"

    def _line(self, block: str, row: int) -> str:
        known = self.lines.get(block, [])
        return known[row] if row < len(known) else ""


def read_data(given: Any, shapes: Shapes, *, targets: Any = None) -> Data:
    """Blocks of data from whatever was given, checked for what no theorem can take.

    Parameters
    ----------
    given : mapping, pair of arrays, path, or Data
        Arrays or CSV files by block; points and targets; a CSV file of the only block of points; an NPZ file whose keys
        are the blocks.
    shapes : mapping of str to sequence of str
        The blocks that are wanted, and the names of their lengths along each axis.
    targets : str, path or array, optional
        The targets, where they are in a file of their own, or the name of their column.

    Raises
    ------
    NtkVerifyError
        One sentence with the file, the line and the remedy.
    """
    if isinstance(given, Data):
        return given
    found = _from(given, shapes, targets)
    for name, block in found.blocks.items():
        _refuse_malformed(found, name, block, shapes[name])
    _refuse_lengths(found, shapes)
    return found


def _from(given: Any, shapes: Shapes, targets: Any) -> Data:
    points = [name for name, shape in shapes.items() if len(shape) > 1]
    if isinstance(given, str | Path):
        path = Path(given)
        if path.suffix.lower() == ".npz":
            return _npz(path, shapes, targets)
        if len(points) != 1:
            wanted = ",".join(f"{name}={name}.csv" for name in points)
            raise NtkVerifyError(f"{path} holds one block, but the theorem takes {_listed(points)}; give {wanted}.")
        return _csv_blocks({points[0]: path}, shapes, targets)
    if isinstance(given, tuple) and len(given) == 2 and len(points) == 1:
        companions = _companions(points[0], shapes)
        if not companions:
            raise NtkVerifyError(f"the theorem takes {points[0]!r} alone; give an array of points.")
        given = {points[0]: given[0], companions[0]: given[1]}
    if not isinstance(given, Mapping):
        raise NtkVerifyError(
            f"data are a CSV or NPZ file, or a mapping of {_listed(shapes)} to arrays, not {type(given).__name__}."
        )
    for name in given:
        _refuse_unknown(str(name), shapes, "the data")
    files = {name: Path(value) for name, value in given.items() if isinstance(value, str | Path)}
    read = _csv_blocks(files, shapes, targets) if files else Data({}, source="the data")
    arrays = {name: real_array(f"block {name!r} is", value, ROWS) for name, value in given.items() if name not in files}
    if targets is not None and not files:
        arrays["targets"] = real_array("block 'targets' is", targets, ROWS)
    return Data({**read.blocks, **arrays}, read.lines, read.source, read.columns)


def _npz(path: Path, shapes: Shapes, targets: Any) -> Data:
    call = f"numpy.savez({path.name!r}, {', '.join(f'{name}=...' for name in shapes)})"
    if path.is_file() and not zipfile.is_zipfile(path):
        said = "a single array, as numpy.save writes it" if _is_npy(path) else "no NPZ file, whatever its name"
        raise NtkVerifyError(f"{path} is {said}; write it with {call}, or give a CSV file.")
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise NtkVerifyError(f"{path} can't be read as an NPZ file ({error}); write it with {call}.") from None
    if isinstance(targets, str) and targets in arrays and "targets" in shapes:
        arrays["targets"] = arrays.pop(targets)
    strange = [name for name in arrays if name not in shapes]
    if strange or not arrays:
        near = [difflib.get_close_matches(name, list(shapes), n=1, cutoff=0.7) for name in strange]
        if not all(near) or not arrays:
            raise NtkVerifyError(
                f"{path} holds {_listed(arrays)}, but the theorem takes {_listed(shapes)}; write it again with {call}."
            )
        _refuse_unknown(strange[0], shapes, str(path))
    blocks = {name: real_array(f"{path}: block {name!r} is", value, ROWS) for name, value in arrays.items()}
    lines = {name: [f"{path}, row {i} of {name!r}" for i in range(len(np.atleast_1d(x)))] for name, x in blocks.items()}
    return Data(blocks, lines, str(path))


def _is_npy(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(6) == b"\x93NUMPY"


def _refuse_unknown(name: str, shapes: Shapes, where: str) -> None:
    if name not in shapes:
        near = difflib.get_close_matches(name, list(shapes), n=1, cutoff=0)
        nearest = f"; did you mean {near[0]!r}?" if near else "."
        raise NtkVerifyError(f"{where}: the theorem has no block {name!r}, it takes {_listed(shapes)}{nearest}")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names)) or "no data"


def _companions(block: str, shapes: Shapes) -> list[str]:
    """The vectors that have a number for each row of a block."""
    return [name for name, shape in shapes.items() if len(shape) == 1 and shape[0] == shapes[block][0]]


# -- tables of numbers ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Table:
    """A file of numbers in columns.

    Parameters
    ----------
    names : list of str
        Headings in lower case; empty without a heading.
    values : array (rows, columns)
    places : list of str
        File and line of each row.
    """

    names: list[str]
    values: Array
    places: list[str]


def _table(path: Path) -> _Table:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        if path.is_file() and _is_npy(path):
            raise NtkVerifyError(
                f"{path} is a single array, as numpy.save writes it; put all blocks into one file with numpy.savez, or "
                "give a CSV file of numbers."
            ) from None
        raise NtkVerifyError(f"{path} can't be read: {error}; give a CSV file of numbers.") from None
    rows: list[list[float]] = []
    places: list[str] = []
    names: list[str] = []
    columns = 0
    for number, line in enumerate(text.splitlines(), start=1):
        line = line.partition("#")[0].strip()
        if not line:
            continue
        cells = _cells(line)
        place = f"{path}, line {number}"
        if not columns:
            columns = len(cells)
            if any(not _is_number(cell) for cell in cells):
                names = [cell.strip("\"' ").lower() for cell in cells]
                continue
        if len(cells) != columns:
            raise NtkVerifyError(f"{place} has {len(cells)} columns where the first has {columns}; correct the line.")
        for column, cell in enumerate(cells, start=1):
            if not _is_number(cell):
                raise NtkVerifyError(f"{place}, column {column}: {cell!r} is not a number; correct or remove the line.")
        rows.append([float(cell) for cell in cells])
        places.append(place)
    if not rows:
        raise NtkVerifyError(f"{path} is empty: it has no line of numbers; add one a sample.")
    return _Table(names, np.array(rows), places)


def _cells(line: str) -> list[str]:
    for delimiter in (",", ";", "\t"):
        if delimiter in line:
            return [cell.strip() for cell in line.split(delimiter)]
    return line.split()


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _csv_blocks(files: Mapping[str, Path], shapes: Shapes, targets: Any) -> Data:
    """A file a block; columns that are called like a vector beside it are that vector."""
    blocks: dict[str, Array] = {}
    lines: dict[str, list[str]] = {}
    headings: dict[str, list[str]] = {}
    for name, path in files.items():
        table = _table(path)
        if len(shapes[name]) == 1:
            blocks[name], lines[name] = _single(table, path), table.places
            continue
        beside = [c for c in _companions(name, shapes) if c not in files]
        named: dict[str, int | None] = {}
        if beside and isinstance(targets, str) and not Path(targets).exists():
            named = {beside[0]: _named_column(table, targets, path)}
        elif targets is not None and beside:
            blocks[beside[0]], lines[beside[0]] = _targets(targets)
            beside = beside[1:]
        taken = {c: _column(table, c) for c in beside} | named
        if not table.names and not named and "targets" in beside:
            taken["targets"] = table.values.shape[1] - 1  # without a heading the last column
        vectors = {c: i for c, i in taken.items() if i is not None}
        if "targets" in taken and "targets" not in vectors:
            raise NtkVerifyError(
                f"{path}, line 1: none of the columns {_listed(table.names)} is called 'targets'; rename one, or give "
                "the targets in a file of their own with --targets."
            )
        kept = [i for i in range(table.values.shape[1]) if i not in vectors.values()]
        if not kept:
            raise NtkVerifyError(f"{path} has no column of coordinates beside {_listed(vectors)}; add one.")
        blocks[name], lines[name] = table.values[:, kept], table.places
        for companion, column in vectors.items():
            blocks[companion], lines[companion] = table.values[:, column], table.places
        if table.names:
            headings[name] = [table.names[i] for i in kept]
            headings |= {companion: [table.names[column]] for companion, column in vectors.items()}
    return Data(blocks, lines, ", ".join(str(path) for path in files.values()), headings)


def _column(table: _Table, name: str) -> int | None:
    for word in (name, *ALIASES.get(name, ())):
        if word in table.names:
            return table.names.index(word)
    return None


def _named_column(table: _Table, name: str, path: Path) -> int:
    if name.lower() not in table.names:
        columns = _listed(table.names) if table.names else "no heading"
        raise NtkVerifyError(
            f"{name!r} is no file, and no column of {path}, which has {columns}; name the file or the column of the "
            "targets."
        )
    return table.names.index(name.lower())


def _single(table: _Table, path: Path) -> Array:
    if table.values.shape[1] != 1:
        raise NtkVerifyError(f"{path} has {table.values.shape[1]} columns; a file of targets has one.")
    return np.asarray(table.values[:, 0])


def _targets(given: Any) -> tuple[Array, list[str]]:
    if isinstance(given, str | Path):
        table = _table(Path(given))
        return _single(table, Path(given)), table.places
    return real_array("block 'targets' is", given, ROWS), []


# -- what no theorem can take -----------------------------------------------------------------------------------------


def _refuse_malformed(data: Data, name: str, block: Array, shape: Sequence[str]) -> None:
    if block.ndim != len(shape):
        remedy = {
            (1, 2): ", by reshape(-1, 1) where there is one coordinate",
            (2, 1): " as a flat array, by reshape(-1)",
        }
        raise NtkVerifyError(
            f"{data.source}: block {name!r} has the shape {block.shape}, but the theorem takes ({', '.join(shape)}); "
            f"give one {'row' if len(shape) > 1 else 'number'} a sample{remedy.get((block.ndim, len(shape)), '')}."
        )
    if block.size == 0:
        raise NtkVerifyError(f"{data.source}: block {name!r} is empty; add at least one sample.")
    for row, *column in np.argwhere(~np.isfinite(block)):
        value = block[row, column[0]] if column else block[row]
        where = f", column {column[0] + 1}" if column else ""
        raise NtkVerifyError(f"{data.place(name, int(row))}{where}: {value} is not finite; correct or remove the row.")
    needed = 4 * 8 * len(block) ** 2
    if len(shape) > 1 and needed > (free := free_memory()):
        raise NtkVerifyError(
            f"{data.source}: block {name!r} has {len(block)} samples, whose Gram matrices take "
            f"{needed / 2**30:.3g} GiB where {free / 2**30:.3g} are free; give fewer samples."
        )


def _refuse_lengths(data: Data, shapes: Shapes) -> None:
    """Lengths that the theorem calls by one name are equal."""
    known: dict[str, tuple[int, str]] = {}
    for name, block in data.blocks.items():
        for place, (length, axis) in enumerate(zip(block.shape, shapes[name], strict=True)):
            first, where = known.setdefault(axis, (length, name))
            if first != length:
                what = "columns" if place else "rows"
                raise NtkVerifyError(
                    f"{data.source}: {name!r} has {length} {what} where {where!r} has {first}; the theorem calls both "
                    f"{axis}, so give the same number."
                )
    missing = [name for name, shape in shapes.items() if name not in data.blocks and len(shape) > 1]
    if missing:
        raise NtkVerifyError(f"{data.source}: the block {missing[0]!r} is missing; add it.")


def unit_rows(points: Array, *, bias: bool = True) -> Array:
    """Points as inputs of length 1: (x, 1)/||(x, 1)||, by which no two become parallel; without `bias` x/||x||."""
    extended = np.column_stack([points, np.ones(len(points))]) if bias else points
    scaled: Array = extended / np.linalg.norm(extended, axis=1, keepdims=True)
    return scaled
