"""Friends of friends: what lies together belongs together."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["groups"]


def groups(points: ArrayLike, radius: float) -> NDArray[np.int64]:
    """Return the friends-of-friends group of each point; groups are numbered by first appearance.

    Parameters
    ----------
    points : array_like, shape (N, D)
        All finite.
    radius : float
        Two points no farther apart than this are friends.

    Returns
    -------
    ndarray of int64, shape (N,)

    Examples
    --------
    >>> groups([[0.0, 0.0], [9.0, 0.0], [0.5, 0.0]], 1.0).tolist()
    [0, 1, 0]
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    points = np.asarray(points, dtype=float)
    count = len(points)
    if not count:
        return np.zeros(0, dtype=np.int64)
    pairs = cKDTree(points).query_pairs(radius, output_type="ndarray")
    graph = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    _, group = connected_components(graph, directed=False)
    _, first, inverse = np.unique(group, return_index=True, return_inverse=True)
    return np.asarray(np.argsort(np.argsort(first))[inverse], dtype=np.int64)
