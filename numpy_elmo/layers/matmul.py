"""Products with weights: fast, with a small rounding error, and with the same bits for a row in any batch.

At each step an LSTM multiplies a few rows, one per sentence, by the same large matrix.  Two things about a BLAS matter.

**Speed.**  A BLAS copies ("packs") a matrix into the order its kernel reads before it computes, and for few rows the
copy takes longer than the arithmetic.  On some processors OpenBLAS has kernels for small matrices, which read them
in place.  On these, `Matrix` stores large weights cut into blocks that are small enough::

    W (K, N)  ->  blocks (parts, N / 64, K / parts, 64)
    x @ W  =  sum over the parts of  x[:, part] @ blocks[part]

and multiplies at most `GROUP_ROWS` rows at a time, so that a block stays in the cache.

**Bits.**  A BLAS picks its kernel by the shape, so the last bits of a row can differ between a batch of 64 rows and the
row alone.  A `Form` fixes the number of rows: at least 4 (AVX-512 kernels) or exactly 8 (AVX2), filled up with zeros.
A BLAS also cuts long sums by itself, in places that depend on the shape, so sums are added up from shorter parts.
`keeps_bits` tests whether that holds on this machine.

A plain ndarray in place of a `Matrix` gives the same product.  It is what the tests compare with.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from numpy_elmo.errors import InputError
from numpy_elmo.layers.arrays import Array, read_only
from numpy_elmo.layers.blas import SMALL_MATRIX_KERNELS, kernel

# Most terms that one product adds up.  A sum of D float32 products rounds after every term, and a sum of partial sums
# rounds less: in one piece, the error of the projection at D = 1024 was larger than TensorFlow's own.
PARTIAL_SUM = 512
BLOCK_COLUMNS = 64
SMALL_KERNEL_ROWS = 256  # of a block: small kernels add term by term, so their sums round more than packed kernels'
GROUP_ROWS = 8

# Smaller weights stay in the cache between two steps (a core's is 1 to 2 MB), where packing costs little.
SMALLEST_BLOCKED = 1 << 20

# Rows of the products that `keeps_bits` compares, and the number of weights that it multiplies at most.
PROBED_ROWS = (1, 2, 3, 4, 5, 7, 8, 12, 13, 24, 64)
PROBED_WEIGHTS = 1 << 21


@dataclass(frozen=True)
class Form:
    """How rows are multiplied by weights."""

    rows: int = 1  # of each product: at least so many,
    exactly: bool = False  # or exactly so many
    # Rows of the blocks that large weights are cut into, and terms of the partial sums of others.
    blocks: int = 0  # 0: nothing is cut, and partial sums have `PARTIAL_SUM` terms

    def groups(self, n: int, most: int) -> tuple[int, int]:
        """Return the number of products for n rows, and the rows of each, of `most` at the most if it is a choice."""
        if self.exactly:
            return -(-n // self.rows), self.rows
        groups = -(-n // most)
        return groups, max(self.rows, -(-n // groups))


class Matrix:
    """Weights, (K, N), and the form of their products ``x @ matrix``."""

    # Tells NumPy to leave ``ndarray @ Matrix`` to `__rmatmul__`.
    __array_ufunc__ = None

    def __init__(self, W: Array, form: Form) -> None:
        self.shape: tuple[int, int] = W.shape
        self.dtype = W.dtype
        self.form = form
        self.is_cut = bool(form.blocks) and can_be_cut(W, form.blocks)
        self._stored = read_only(cut(W, form.blocks)) if self.is_cut else W

    @property
    def W(self) -> Array:  # noqa: N802 -- its name in the equations
        """The weights as given, (K, N)."""
        return self._stored.swapaxes(1, 2).reshape(self.shape) if self.is_cut else self._stored

    def __rmatmul__(self, x: Array) -> Array:
        """Return ``x @ W``, shape (n, N) or (N,), for x of shape (n, K) or (K,)."""
        if x.ndim == 1:
            row: Array = self.__rmatmul__(x[np.newaxis])[0]
            return row
        product: Array = self.multiply(x).reshape(len(x), self.shape[1])
        return product

    def multiply(self, x: Array, out: Array | None = None) -> Array:
        """Return ``x @ W`` in the layout of the kernel: (n, N / 64, 64) if the weights are cut, else (n, N).

        The elements of a row are in order, but with cut weights a row is not contiguous.  `out`, from `scratch`, holds
        the result if it is given.
        """
        n, N = len(x), self.shape[1]
        groups, rows = self.form.groups(n, GROUP_ROWS if self.is_cut else max(n, 1))
        x = _filled(x, groups * rows)
        if not self.is_cut:
            grouped = x if groups == 1 else x.reshape(groups, rows, -1)
            target = None if out is None else out[: groups * rows * N].reshape(*grouped.shape[:-1], N)
            # Parts are as long as blocks.  From some number of rows on, OpenBLAS leaves its small kernels for one that
            # cuts long sums by itself, in other places, and a row of such a sum would get other bits.
            terms = self.form.blocks or PARTIAL_SUM
            return _sum_of_parts(grouped, self._stored, terms, target).reshape(groups * rows, N)[:n]
        parts, columns, terms, width = self._stored.shape
        grouped = x.reshape(groups, rows, parts, 1, terms).transpose(2, 3, 0, 1, 4)  # [parts, 1, groups, rows, terms]
        target = None if out is None else out[: parts * groups * rows * N].reshape(parts, columns, groups, rows, width)
        sums = np.matmul(grouped, self._stored[:, :, np.newaxis], out=target)  # [parts, N / 64, groups, rows, 64]
        product: Array = sums[0]  # [N / 64, groups, rows, 64]
        for part in sums[1:]:
            product += part
        rows_first: Array = product.reshape(columns, groups * rows, width).swapaxes(0, 1)  # [all rows, N / 64, 64]
        return rows_first[:n]

    def scratch(self, n: int) -> Array:
        """Return memory for the results of `multiply` for up to n rows."""
        parts = len(self._stored) if self.is_cut else 1
        return np.empty(parts * (n + max(GROUP_ROWS, self.form.rows)) * self.shape[1], self.dtype)

    def tile(self, x: Array) -> Array:
        """Return a copy of x, shape (n, any), cut and stored as the results of `multiply` are."""
        if not self.is_cut:
            return x.copy()
        tiles = x.reshape(len(x), -1, BLOCK_COLUMNS).swapaxes(0, 1)  # [any / 64, n, 64]
        return np.array(tiles, order="C").swapaxes(0, 1)  # [n, any / 64, 64]


def as_matrix(W: Array | Matrix) -> Matrix:
    """Return weights as a `Matrix`; an ndarray becomes one in plain form."""
    return W if isinstance(W, Matrix) else Matrix(W, Form())


def reshaped(W: Array | Matrix, form: Form) -> Matrix:
    """Return the same weights to be multiplied in another form."""
    return Matrix(W.W if isinstance(W, Matrix) else W, form)


def cut(W: Array, rows: int) -> Array:
    """Return a copy of W, shape (K, N), in blocks of `rows` rows, or all: (parts, N / 64, K / parts, 64)."""
    K, N = W.shape
    blocks = W.reshape(-1, min(rows, K), N // BLOCK_COLUMNS, BLOCK_COLUMNS)  # [parts, K / parts, N / 64, 64]
    return np.ascontiguousarray(blocks.swapaxes(1, 2))


def can_be_cut(W: Array, rows: int) -> bool:
    """Return whether weights are large enough to be cut into blocks of so many rows, and their shape allows it."""
    K, N = W.shape
    return W.dtype == np.float32 and W.nbytes >= SMALLEST_BLOCKED and not (K % min(rows, K) or N % BLOCK_COLUMNS)


def chosen_form(weights: Iterable[Array], wanted: bool | None) -> tuple[Form, bool]:
    """Return the form to multiply by these weights in, and whether a row's bits depend on nothing but the row.

    The default (None) is True where that is nearly free.  Raises `InputError` if it is wanted and no form is known.
    """
    if wanted is not False:
        if form := _first_that_keeps_bits(weights, at_any_price=bool(wanted)):
            return form, True
        if wanted:
            raise InputError(
                f"with this BLAS (kernels: {kernel()}) the bits of a row depend on the rows beside it in every form "
                "that is known here; load with reproducible=False, or use NumPy's own wheels, which bring OpenBLAS"
            )
    return Form(blocks=_small_blocks()), False


def independent_form(weights: Iterable[Array]) -> Form:
    """Return the fastest form in which a row's bits depend on nothing but the row; one row at a time always does."""
    return _first_that_keeps_bits(weights, at_any_price=True) or Form(1, exactly=True)


def _first_that_keeps_bits(weights: Iterable[Array], *, at_any_price: bool) -> Form | None:
    forms = [Form(4, blocks=_small_blocks())]
    if at_any_price:
        forms.append(Form(8, exactly=True, blocks=_small_blocks() or PARTIAL_SUM))
    different = list({W.shape: W for W in weights}.values())
    return next((form for form in forms if all(keeps_bits(W, form) for W in different)), None)


def _small_blocks() -> int:
    """Return the rows of blocks for the kernels of small matrices, 0 without such kernels."""
    return SMALL_KERNEL_ROWS if kernel() in SMALL_MATRIX_KERNELS else 0


def keeps_bits(W: Array, form: Form) -> bool:
    """Return whether a row times W, (K, N), has the same bits in batches of any size and at any place in them."""
    K = len(W)
    matrix = Matrix(W[:, : max(BLOCK_COLUMNS, PROBED_WEIGHTS // K // BLOCK_COLUMNS * BLOCK_COLUMNS)], form)
    rows = np.random.default_rng(0).standard_normal((max(PROBED_ROWS), K)).astype(W.dtype)
    rows[::2] = rows[0]
    with np.errstate(over="ignore", invalid="ignore"):  # weights may be of any size, and the bits of infinity will do
        alone = (rows[:1] @ matrix).tobytes()
        return all(row.tobytes() == alone for n in PROBED_ROWS for row in (rows[:n] @ matrix)[::2])


def _filled(x: Array, n: int) -> Array:
    """Return x, shape (any, K), with rows of zeros added up to n."""
    if len(x) == n:
        return x
    filled = np.zeros((n, x.shape[1]), x.dtype)
    filled[: len(x)] = x
    return filled


def _sum_of_parts(x: Array, W: Array, terms: int, out: Array | None) -> Array:
    """Return ``x @ W``, added up from parts of at most `terms` terms."""
    product: Array = np.matmul(x[..., :terms], W[:terms], out=out)
    for start in range(terms, len(W), terms):
        part = slice(start, start + terms)
        product += x[..., part] @ W[part]
    return product
