"""From the published HDF5 layout to layers: the only module that knows dataset names and TensorFlow's conventions.

Four conventions of the files are undone here, so that the layers see plain arrays:

=====================  ================================================================================================
In the file            Here
=====================  ================================================================================================
``W_carry, b_carry``   The highway's *transform* gate, in spite of the name: `Highway.W_gate`, `Highway.b_gate`.
gates i, j, f, o       Columns of ``W_0`` and ``B``.  Reordered to i, f, o, j, the three sigmoids side by side.
forget bias            TensorFlow adds 1 to f at run time and does not store it.  Added to ``B`` once.
input over recurrent   ``W_0`` has the rows of the input above those of the recurrence.  Cut into two matrices.
=====================  ================================================================================================

The peers also shift character ids by one, to have a row of zeros in front of ``char_embed``; `numpy_elmo.characters`
says why there is no need for it here.
"""

from __future__ import annotations

from typing import cast

import h5py
import numpy as np
import numpy.typing as npt

from numpy_elmo.bilm import Bilm
from numpy_elmo.characters import N_CHARACTERS
from numpy_elmo.errors import WeightsError
from numpy_elmo.layers.activations import relu
from numpy_elmo.layers.arrays import Array, read_only
from numpy_elmo.layers.char_cnn import CharCNN, Convolution
from numpy_elmo.layers.highway import Highway
from numpy_elmo.layers.lstm import LstmLayer
from numpy_elmo.options import ModelOptions
from numpy_elmo.tokens import TokenEncoder

FORGET_BIAS = 1.0
DIRECTIONS = ("RNN_0", "RNN_1")  # forward, backward


def expected_shapes(options: ModelOptions, file: h5py.Group | None = None) -> dict[str, tuple[int, ...]]:
    """Names and shapes of all datasets that a model with these options has.

    Parameters
    ----------
    options : ModelOptions
        The model's sizes.
    file : h5py.Group, optional
        The open file.  A model of one LSTM layer may store it under either of two names; the file tells which.

    Returns
    -------
    dict of str to tuple of int
    """
    cnn, lstm = options.char_cnn, options.lstm
    E, F, P, D = cnn.embedding_dim, cnn.n_filters, lstm.projection_dim, lstm.dim
    shapes: dict[str, tuple[int, ...]] = {"char_embed": (N_CHARACTERS, E)}
    for i, (width, count) in enumerate(cnn.filters):
        shapes[f"CNN/W_cnn_{i}"] = (1, width, E, count)
        shapes[f"CNN/b_cnn_{i}"] = (count,)
    for k in range(cnn.n_highway):
        for gate in ("carry", "transform"):
            shapes[f"CNN_high_{k}/W_{gate}"] = (F, F)
            shapes[f"CNN_high_{k}/b_{gate}"] = (F,)
    if F != P:
        shapes["CNN_proj/W_proj"] = (F, P)
        shapes["CNN_proj/b_proj"] = (P,)
    for direction in DIRECTIONS:
        for layer in range(lstm.n_layers):
            cell = _cell(direction, layer, options, file)
            shapes[f"{cell}/W_0"] = (2 * P, 4 * D)
            shapes[f"{cell}/B"] = (4 * D,)
            if P != D:
                shapes[f"{cell}/W_P_0"] = (D, P)
    return shapes


def _cell(direction: str, layer: int, options: ModelOptions, file: h5py.Group | None) -> str:
    # TensorFlow wraps the cells of several layers in a MultiRNNCell and leaves a single one bare.
    bare = f"{direction}/RNN/LSTMCell"
    if options.lstm.n_layers == 1 and file is not None and bare in file:
        return bare
    return f"{direction}/RNN/MultiRNNCell/Cell{layer}/LSTMCell"


def read_model(file: h5py.File, options: ModelOptions, dtype: npt.DTypeLike, name: str) -> tuple[TokenEncoder, Bilm]:
    """Read a model's weights.

    Datasets that the options do not ask for are ignored: some files also hold the softmax.

    Parameters
    ----------
    file : h5py.File
        The open weight file.
    options : ModelOptions
        What it should hold.
    dtype : {"float32", "float64"}
        Precision to compute in.
    name : str
        How messages call the file.

    Returns
    -------
    TokenEncoder, Bilm
        The two parts of the model, all arrays read-only.

    Raises
    ------
    WeightsError
        If datasets are missing or misshapen (all of them are listed), unreadable, or hold values that are not finite.
    """
    _check_layout(file, options, name)
    cnn, lstm = options.char_cnn, options.lstm
    P, D = lstm.projection_dim, lstm.dim

    def read(dataset: str) -> Array:
        try:
            values = np.asarray(file[dataset][()])
        except OSError as error:
            raise WeightsError(f"{name}: {dataset} cannot be read ({error}); fetch the file again") from error
        with np.errstate(over="ignore"):  # an overflow of the conversion shows as a value that is not finite
            values = values.astype(dtype)
        if not np.isfinite(values).all():
            n_bad = values.size - np.count_nonzero(np.isfinite(values))
            raise WeightsError(
                f"{name}: {dataset} holds {n_bad} values that are not finite (NaN or infinite); "
                "the file is damaged or its training diverged: fetch it again"
            )
        return read_only(values)

    def read_layer(cell: str) -> LstmLayer:
        W, B = read(f"{cell}/W_0"), read(f"{cell}/B")
        bias = B.copy()
        bias[2 * D : 3 * D] += FORGET_BIAS
        return LstmLayer(
            W_x=_reorder_gates(W[:P]),
            W_h=_reorder_gates(W[P:]),
            b=_reorder_gates(bias),
            W_p=read(f"{cell}/W_P_0") if P != D else None,
            cell_clip=lstm.cell_clip,
            proj_clip=lstm.proj_clip,
        )

    encoder = TokenEncoder(
        char_cnn=CharCNN(
            char_embed=read("char_embed"),
            convolutions=tuple(
                Convolution(W=read(f"CNN/W_cnn_{i}")[0], b=read(f"CNN/b_cnn_{i}")) for i in range(len(cnn.filters))
            ),
            activation=relu if cnn.activation == "relu" else np.tanh,
        ),
        highways=tuple(
            Highway(
                W_gate=read(f"CNN_high_{k}/W_carry"),
                b_gate=read(f"CNN_high_{k}/b_carry"),
                W_hidden=read(f"CNN_high_{k}/W_transform"),
                b_hidden=read(f"CNN_high_{k}/b_transform"),
            )
            for k in range(cnn.n_highway)
        ),
        W_proj=read("CNN_proj/W_proj") if cnn.n_filters != P else None,
        b_proj=read("CNN_proj/b_proj") if cnn.n_filters != P else None,
        max_characters=cnn.max_characters_per_token,
    )
    forward, backward = (
        tuple(read_layer(_cell(direction, layer, options, file)) for layer in range(lstm.n_layers))
        for direction in DIRECTIONS
    )
    return encoder, Bilm(forward, backward, lstm.use_skip_connections)


def _reorder_gates(columns: Array) -> Array:
    i, j, f, o = np.split(columns, 4, axis=-1)
    return read_only(np.concatenate([i, f, o, j], axis=-1))


def _check_layout(file: h5py.File, options: ModelOptions, name: str) -> None:
    problems = []
    shapes = expected_shapes(options, file)
    for dataset, shape in shapes.items():
        item = cast("object", file.get(dataset))
        if item is None:
            problems.append(f"{dataset}: expected {shape}, found no such dataset")
        elif not isinstance(item, h5py.Dataset):
            problems.append(f"{dataset}: expected {shape}, found a group")
        elif item.shape != shape:
            problems.append(f"{dataset}: expected {shape}, found {item.shape}")
        elif item.dtype.kind != "f":
            problems.append(f"{dataset}: expected floating-point values, found {item.dtype}")
    n_highway = sum(f"CNN_high_{k}" in file for k in range(options.char_cnn.n_highway, options.char_cnn.n_highway + 9))
    if n_highway:
        problems.append(
            f"CNN_high_{options.char_cnn.n_highway}: expected no such group, found {n_highway} more highways"
        )
    n_layers = options.lstm.n_layers
    if f"{DIRECTIONS[0]}/RNN/MultiRNNCell/Cell{n_layers}" in file:
        problems.append(f"{DIRECTIONS[0]}/RNN/MultiRNNCell/Cell{n_layers}: expected {n_layers} LSTM layers, found more")
    if problems:
        lines = "".join(f"\n  {problem}" for problem in problems)
        raise WeightsError(f"{name} does not fit its options:{lines}\n{_remedy(file, problems, shapes)}")


def _remedy(file: h5py.File, problems: list[str], shapes: dict[str, tuple[int, ...]]) -> str:
    if len(problems) >= len(shapes):
        if "sentence_to_index" in file or "0" in file:
            return "This file holds vectors that ELMo made, not a model; give the model's weight file."
        if "softmax/W" in file:
            return "This file holds a softmax alone; give the weight file that it belongs to."
    if "embedding" in file and "char_embed" not in file:
        return "This model reads word ids instead of characters; only models with a character CNN can be loaded."
    return "Give the options file that was published with these weights."
