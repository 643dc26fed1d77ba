"""How the recurrent weights are multiplied by: fast, and with a small rounding error.

At every step the LSTM multiplies a few rows, one a sentence, by the same large matrices.  A BLAS is made for large
products: before it computes anything it copies ("packs") the matrices into the order that its kernel reads.  For a few
rows by 512 x 16,384 weights that copy takes longer than the arithmetic.

`Matrix` avoids it where that pays.  It keeps the weights a second time, cut into blocks so small that the BLAS takes
its kernel for small matrices, which reads them where they lie::

    W (K, N)  ->  blocks (K / k, N / 64, k, 64),    x @ W = sum over the K / k parts of  x[:, part] @ blocks[part]

OpenBLAS does so while ``rows * k * 64 <= 10**6``.  24 rows keep under it at k = 512, and fill the kernel's registers,
which hold 6 rows by 64 columns on AVX-512.  More rows are cut into groups that use a block while it is in the cache.

Whether this is faster is a property of the machine.  OpenBLAS has those kernels for AVX-512 and some ARM processors
only, and where the memory is slow beside the processor, plain products win from a few rows on.  So `rows_for_blocks`
measures it when a model is loaded; ``docs/speed.md`` has figures.

A plain ndarray in place of a `Matrix` gives the same product.  It is what the tests compare with.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Literal, TypeAlias, cast, get_args

import numpy as np

from numpy_elmo.errors import InputError
from numpy_elmo.layers.arrays import Array, read_only

Products: TypeAlias = Literal["auto", "plain", "blocked"]
VARIABLE = "NUMPY_ELMO_PRODUCTS"

# Terms that one product adds up.  A sum of D float32 products rounds after every term, and a sum of partial sums rounds
# less: in one piece, the error of the projection at D = 1024 was larger than TensorFlow's own.
PARTIAL_SUM = 512
BLOCK_COLUMNS = 64
GROUP_ROWS = 24

# Numbers of rows at which both ways are timed, and how much faster blocks must be to be worth their memory.
PROBES = (2, 8, 24, 96)
WORTH = 0.9

# Smaller weights stay in the cache between two steps (a core's is 1 to 2 MB), where packing costs little.
SMALLEST_BLOCKED = 1 << 20


def fast(W: Array, block_rows: int) -> Array | Matrix:
    """Return W as what is best multiplied from the left: itself where it is small, else a `Matrix`."""
    return Matrix(W, block_rows) if len(W) > PARTIAL_SUM or (block_rows and _can_be_cut(W)) else W


def plain(W: Array | Matrix) -> Array:
    """Return the weights as they are multiplied plainly."""
    return W.W if isinstance(W, Matrix) else W


class Matrix:
    """A weight matrix that is multiplied from the left, ``x @ matrix``.

    Parameters
    ----------
    W : ndarray, shape (K, N)
        The weights.  They are not copied.
    block_rows : int
        Products of up to so many rows are computed block by block, the others plainly; 0 for none.

    Attributes
    ----------
    W : ndarray, shape (K, N)
        As given.
    """

    # Tells NumPy to leave ``ndarray @ Matrix`` to `__rmatmul__`.
    __array_ufunc__ = None

    def __init__(self, W: Array, block_rows: int) -> None:
        self.W = W
        self._block_rows = block_rows if _can_be_cut(W) else 0
        self._blocks: Array | None = None

    def __reduce__(self) -> tuple[type[Matrix], tuple[Array, int]]:
        return Matrix, (self.W, self._block_rows)  # blocks are cut again where they are needed

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows K and columns N."""
        return self.W.shape

    @property
    def dtype(self) -> np.dtype[np.floating]:
        """Precision of the weights."""
        return self.W.dtype

    def __rmatmul__(self, x: Array) -> Array:
        """Return ``x @ W``, shape (rows, N), for x of shape (rows, K)."""
        # One row is a product of a vector, which is never packed.
        if 1 < len(x) <= self._block_rows:
            return multiply_blocks(x, self._made_blocks())
        return multiply(x, self.W)

    def _made_blocks(self) -> Array:
        # Two threads that come first at once both cut; they get the same blocks, and one copy stays.
        if self._blocks is None:
            self._blocks = read_only(cut(self.W))
        return self._blocks


def multiply(x: Array, W: Array) -> Array:
    """Return ``x @ W``, added up from parts of at most `PARTIAL_SUM` terms."""
    product: Array = x[:, :PARTIAL_SUM] @ W[:PARTIAL_SUM]  # [rows, N]
    for k in range(PARTIAL_SUM, len(W), PARTIAL_SUM):
        product += x[:, k : k + PARTIAL_SUM] @ W[k : k + PARTIAL_SUM]
    return product


def cut(W: Array) -> Array:
    """Return a copy of W, shape (K, N), in blocks, shape (K / k, N / 64, k, 64)."""
    K, N = W.shape
    k = min(PARTIAL_SUM, K)
    blocks = W.reshape(K // k, k, N // BLOCK_COLUMNS, BLOCK_COLUMNS).swapaxes(1, 2)  # [K / k, N / 64, k, 64]
    return np.ascontiguousarray(blocks)


def multiply_blocks(x: Array, blocks: Array) -> Array:
    """Return ``x @ W`` for W as `cut` returns it."""
    parts, columns, k, width = blocks.shape
    groups = -(-len(x) // GROUP_ROWS)
    rows = -(-len(x) // groups)  # in each group: groups are of one size, filled up with zeros
    filled = np.zeros((groups * rows, parts * k), x.dtype)
    filled[: len(x)] = x
    grouped = filled.reshape(groups, rows, parts, k).transpose(2, 0, 1, 3)[:, np.newaxis]  # [parts, 1, groups, rows, k]
    sums = np.matmul(grouped, blocks[:, :, np.newaxis])  # [parts, columns, groups, rows, 64]
    product: Array = sums[0] if parts == 1 else sums.sum(axis=0)  # [columns, groups, rows, 64]
    return product.transpose(1, 2, 0, 3).reshape(groups * rows, columns * width)[: len(x)]


def rows_for_blocks(first: Array, second: Array, products: Products) -> int:
    """Decide up to how many rows blocks are the faster way on this machine.

    Both ways are timed from two threads at once, as the two directions of a model run.  It takes tens of milliseconds.

    Parameters
    ----------
    first, second : ndarray, shape (K, N)
        Weights that will be multiplied at the same time.
    products : {"auto", "plain", "blocked"}
        Measure, or the answer: never, or always.

    Returns
    -------
    int
        The number of rows, 0 if blocks never pay.
    """
    if products == "plain" or not _can_be_cut(first):
        return 0
    if products == "blocked":
        return sys.maxsize
    best = 0
    with ThreadPoolExecutor(2) as threads:
        # Half of the columns is far more than a cache holds, and asks for half the time and memory.
        halves = [W[:, : W.shape[1] // 2 // BLOCK_COLUMNS * BLOCK_COLUMNS] for W in (first, second)]
        pairs = list(zip(halves, threads.map(cut, halves), strict=True))

        def seconds(product: Callable[[Array, tuple[Array, Array]], Array], rows: int) -> float:
            x = np.ones((rows, len(first)), first.dtype)
            start = time.perf_counter()
            list(threads.map(lambda pair: product(x, pair), pairs))
            return time.perf_counter() - start

        for rows in PROBES:
            plain = min(seconds(lambda x, pair: multiply(x, pair[0]), rows) for _ in range(2))
            blocked = min(seconds(lambda x, pair: multiply_blocks(x, pair[1]), rows) for _ in range(2))
            if blocked > WORTH * plain:
                return best
            best = rows
    return sys.maxsize


def chosen_products(products: Products | None) -> Products:
    """Return the way that an option names, or else the environment variable, or else ``"auto"``.

    Raises
    ------
    InputError
        If it is none of the ways.
    """
    name = products or os.environ.get(VARIABLE) or "auto"
    if name not in get_args(Products):
        where = "products" if products else VARIABLE
        raise InputError(f"{where} must be one of {', '.join(map(repr, get_args(Products)))}, not {name!r}")
    return cast("Products", name)


def _can_be_cut(W: Array) -> bool:
    K, N = W.shape
    return W.dtype == np.float32 and W.nbytes >= SMALLEST_BLOCKED and not (K % min(PARTIAL_SUM, K) or N % BLOCK_COLUMNS)
