"""The blocks of data that a problem reads from an instance, refused where they would become another problem."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from ntkverify.arrays import Array
from ntkverify.errors import NtkVerifyError
from ntkverify.theorem.instance import Instance
from ntkverify.theorem.names import nearest


def blocks_of_points(
    instance: Instance, names: Collection[str], *, beside: Mapping[str, str], further: Collection[str] = ()
) -> dict[str, Array]:
    """Points by block, (n_b, coordinates) each.

    Parameters
    ----------
    instance : Instance
        What is read.
    names : collection of str
        Blocks of points, all of them needed.
    beside : mapping of str to str
        Vectors that the problem takes as well, and the block for whose points each has a number; "" for one that the
        problem looks at itself.
    further : collection of str
        Data that something else reads.

    Raises
    ------
    NtkVerifyError
        For data that nobody reads, which would be taken as absent, for points that are no rows of coordinates, and for
        a vector that is not flat or has another length.
    """
    where = f"instance of {instance.theorem or 'a theorem'}"
    known = list(dict.fromkeys([*names, *filter(None, beside.values()), *beside, *further]))
    for name in instance.data:
        if name not in known:
            raise NtkVerifyError(
                f"{where}: nothing reads the data {name!r}; {nearest(name, known)[:-1]}, or say what reads it by "
                f"`further_data = ({name!r},)` in the class of the run."
            )
    points = {name: _rows(instance, name, where) for name in names}
    for name, x in points.items():
        if len(x) == 0 and len(points) > 1:
            raise NtkVerifyError(f"{where}: data {name!r} hold no sample; add at least one.")
    for name, block in beside.items():
        if not block or name not in instance.data:
            continue
        if block not in points:
            raise NtkVerifyError(
                f"{where}: data {name!r} go with the points {block!r}, which are missing; add them under 'data'."
            )
        _refuse_unlike(instance.array(name), name, block, len(points[block]), where)
    return points


def _rows(instance: Instance, name: str, where: str) -> Array:
    x = instance.array(name)
    if x.size == 0:  # how many coordinates an empty list has nobody can tell; the problem says that it needs samples
        return x.reshape(0, x.shape[-1] if x.ndim > 1 else 0)
    if x.ndim != 2:
        remedy = "by reshape(-1, 1) where there is one coordinate" if x.ndim == 1 else "by reshape(-1, coordinates)"
        raise NtkVerifyError(
            f"{where}: data {name!r} have the shape {x.shape}, but points are (samples, coordinates); give one row a "
            f"sample, {remedy}."
        )
    return x


def refuse_other_dimensions(points: Mapping[str, Array], where: str) -> None:
    """Refuse blocks whose points have different numbers of coordinates, or none.

    Raises
    ------
    NtkVerifyError
        With the shapes.
    """
    if len({x.shape[1] for x in points.values()}) > 1 or any(x.size == 0 for x in points.values()):
        shapes = " and ".join(f"{name} of shape {x.shape}" for name, x in points.items())
        raise NtkVerifyError(
            f"{where}: blocks need points with the same number of coordinates, (samples, coordinates), not {shapes}."
        )


def _refuse_unlike(y: Array, name: str, block: str, size: int, where: str) -> None:
    if y.shape == (size,):
        return
    remedy = ", by reshape(-1)" if y.ndim > 1 and y.size == size else ""
    raise NtkVerifyError(
        f"{where}: data {name!r} have the shape {np.shape(y)}, but {block!r} has {size} sample{'s' * (size != 1)}; "
        f"give one number for each as a flat array{remedy}."
    )
