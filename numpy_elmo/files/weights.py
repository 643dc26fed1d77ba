"""From the published HDF5 layout to layers: the only module that knows dataset names and TensorFlow's conventions.

Three conventions of the files are undone here, so that the layers see plain arrays:

=====================  ================================================================================================
In the file            Here
=====================  ================================================================================================
``W_carry, b_carry``   The highway's *transform* gate, despite the name: `Highway.W_gate`, `Highway.b_gate`.
forget bias            TensorFlow adds 1 to f at run time and does not store it.  Added to ``B`` once.
input over recurrent   ``W_0`` has the rows of the input above those of the recurrence.  Cut into two matrices.
=====================  ================================================================================================

Other implementations also shift character ids by one, for a row of zeros in front of ``char_embed``;
`numpy_elmo.network.characters` explains why that is not needed here.
"""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt

from numpy_elmo.errors import WeightsError
from numpy_elmo.files.arrays import Arrays
from numpy_elmo.files.options import CharCnnOptions, LstmOptions, ModelOptions
from numpy_elmo.layers.activations import relu
from numpy_elmo.layers.arrays import Array, read_only
from numpy_elmo.layers.char_cnn import CharCNN, Convolution
from numpy_elmo.layers.highway import Highway
from numpy_elmo.layers.lstm import LstmLayer
from numpy_elmo.layers.scalar_mix import ScalarMix
from numpy_elmo.network.bilm import Bilm
from numpy_elmo.network.characters import N_CHARACTERS
from numpy_elmo.network.encoder import TokenLayers
from numpy_elmo.network.stack import Stack

FORGET_BIAS = 1.0
DIRECTIONS = ("RNN_0", "RNN_1")  # forward, backward
TOKEN_TABLE = "embedding"  # replaces char_embed and CNN* in models that look tokens up


def expected_shapes(options: ModelOptions, file: Arrays | None = None) -> dict[str, tuple[int, ...]]:
    """Return names and shapes of all datasets of a model; `file` tells which of two names a single layer has."""
    return _encoder_shapes(options) | _bilm_shapes(options.lstm, file)


def _encoder_shapes(options: ModelOptions) -> dict[str, tuple[int, ...]]:
    cnn = options.char_cnn
    E, F, P = cnn.embedding_dim, cnn.n_filters, options.lstm.projection_dim
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
    return shapes


def _bilm_shapes(lstm: LstmOptions, file: Arrays | None) -> dict[str, tuple[int, ...]]:
    P, D = lstm.projection_dim, lstm.dim
    shapes: dict[str, tuple[int, ...]] = {}
    for direction in DIRECTIONS:
        for layer in range(lstm.n_layers):
            cell = _cell(direction, layer, lstm, file)
            shapes[f"{cell}/W_0"] = (2 * P, 4 * D)
            shapes[f"{cell}/B"] = (4 * D,)
            if P != D:
                shapes[f"{cell}/W_P_0"] = (D, P)
    return shapes


def _cell(direction: str, layer: int, lstm: LstmOptions, file: Arrays | None) -> str:
    # TensorFlow wraps the cells of several layers in a MultiRNNCell and leaves a single one bare.
    bare = f"{direction}/RNN/LSTMCell"
    if lstm.n_layers == 1 and file is not None and bare in file:
        return bare
    return f"{direction}/RNN/MultiRNNCell/Cell{layer}/LSTMCell"


def read_model(file: Arrays, options: ModelOptions, dtype: npt.DTypeLike) -> tuple[TokenLayers, Bilm]:
    """Read both parts of a model as read-only arrays; datasets that the options do not need are ignored.

    Raises
    ------
    WeightsError
        If datasets are missing or misshapen (all of them are listed), unreadable, or not finite.
    """
    shapes = expected_shapes(options, file)
    problems = [*_misfits(file, shapes), *_more_highways(file, options.char_cnn), *_more_layers(file, options.lstm)]
    if problems:
        raise _misfit(file.name, problems, _remedy(file, nothing_fits=len(problems) >= len(shapes)))
    return _read_encoder(file, options, dtype), _read_bilm(file, options.lstm, dtype)


def read_bilm(file: Arrays, options: LstmOptions, dtype: npt.DTypeLike) -> Bilm:
    """Read the LSTM layers of a model with any token part; raises as `read_model` does."""
    if problems := [*_misfits(file, _bilm_shapes(options, file)), *_more_layers(file, options)]:
        raise _misfit(file.name, problems, "Give the options file that was published with these weights.")
    return _read_bilm(file, options, dtype)


def read_mixes(file: Arrays, n_layers: int, *, layer_norm: bool = False) -> dict[str, ScalarMix]:
    """Read the trained mixes of the layers, by name; the published files have none.

    google/elmo has one, ``aggregation``; a model of AllenNLP has ``scalar_mix_0``, ``scalar_mix_1``, and so on.
    """
    numbered = map("scalar_mix_{}".format, itertools.count())
    mixes = {}
    for name in filter(file.__contains__, ["aggregation", *itertools.takewhile(file.__contains__, numbered)]):
        shapes: dict[str, tuple[int, ...]] = {f"{name}/weights": (n_layers + 1,), f"{name}/scaling": ()}
        if problems := _misfits(file, shapes):
            raise _misfit(file.name, problems, "Its mix does not fit its layers: fetch the file again.")
        weights, scaling = (file.read(path, "float64") for path in shapes)
        mixes[name] = ScalarMix(weights, scaling.item(), layer_norm=layer_norm)
    return mixes


def read_token_table(file: Arrays, options: LstmOptions, dtype: npt.DTypeLike) -> Array:
    """Read the token vectors of a model that reads token ids: the dataset ``embedding``, (V, P)."""
    n_tokens = 1 if file.problem(TOKEN_TABLE) else max([1, *file.shape(TOKEN_TABLE)[:1]])
    if problems := _misfits(file, {TOKEN_TABLE: (n_tokens, options.projection_dim)}):
        remedy = "Give the file that dump_token_embeddings wrote for this model, or the weights of a token-input model."
        raise _misfit(file.name, problems, remedy)
    return file.read(TOKEN_TABLE, dtype)


def _read_encoder(file: Arrays, options: ModelOptions, dtype: npt.DTypeLike) -> TokenLayers:
    cnn = options.char_cnn
    projected = cnn.n_filters != options.lstm.projection_dim

    def read(dataset: str) -> Array:
        return file.read(dataset, dtype)

    return TokenLayers(
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
        W_proj=read("CNN_proj/W_proj") if projected else None,
        b_proj=read("CNN_proj/b_proj") if projected else None,
    )


def _read_bilm(file: Arrays, lstm: LstmOptions, dtype: npt.DTypeLike) -> Bilm:
    P, D = lstm.projection_dim, lstm.dim

    def read_layer(cell: str) -> LstmLayer:
        W, B = file.read(f"{cell}/W_0", dtype), file.read(f"{cell}/B", "float64")
        bias = B.copy()
        # In float64, so that AllenNLP's files, which store the sum, give the same bias.
        bias[2 * D : 3 * D] += FORGET_BIAS
        return LstmLayer(
            W_x=W[:P],
            W_h=W[P:],
            b=read_only(bias.astype(dtype)),
            W_p=file.read(f"{cell}/W_P_0", dtype) if P != D else None,
            cell_clip=lstm.cell_clip,
            proj_clip=lstm.proj_clip,
        )

    def read_stack(direction: str) -> Stack:
        cells = [_cell(direction, layer, lstm, file) for layer in range(lstm.n_layers)]
        return Stack(tuple(read_layer(cell) for cell in cells), lstm.use_skip_connections)

    forward, backward = map(read_stack, DIRECTIONS)
    return Bilm(forward, backward)


def _misfits(file: Arrays, shapes: dict[str, tuple[int, ...]]) -> list[str]:
    problems = []
    for dataset, shape in shapes.items():
        if problem := file.problem(dataset):
            problems.append(f"{dataset}: expected {shape}, found {problem}")
        elif (found := file.shape(dataset)) != shape:
            problems.append(f"{dataset}: expected {shape}, found {found}")
        elif (stored := file.dtype(dataset)).kind != "f":
            problems.append(f"{dataset}: expected floating-point values, found {stored}")
    too_large = None if problems else file.size_problem(shapes.values())
    return [too_large] if too_large else problems


def _more_highways(file: Arrays, cnn: CharCnnOptions) -> list[str]:
    n_more = sum(f"CNN_high_{k}" in file for k in range(cnn.n_highway, cnn.n_highway + 9))
    return [f"CNN_high_{cnn.n_highway}: expected no such group, found {n_more} more highways"] if n_more else []


def _more_layers(file: Arrays, lstm: LstmOptions) -> list[str]:
    cell = f"{DIRECTIONS[0]}/RNN/MultiRNNCell/Cell{lstm.n_layers}"
    return [f"{cell}: expected {lstm.n_layers} LSTM layers, found more"] if cell in file else []


def _misfit(name: str, problems: list[str], remedy: str) -> WeightsError:
    lines = "".join(f"\n  {problem}" for problem in problems)
    return WeightsError(f"{name} does not fit its options:{lines}\n{remedy}")


def _remedy(file: Arrays, *, nothing_fits: bool) -> str:
    if nothing_fits:
        if "sentence_to_index" in file or "0" in file:
            return "This file holds vectors that ELMo made, not a model; give the model's weight file."
        if "softmax/W" in file:
            return "This file holds a softmax alone; give the weight file that it belongs to."
    if TOKEN_TABLE in file and "char_embed" not in file:
        return (
            "This model reads word ids instead of characters; load it with "
            "numpy_elmo.interfaces.bilm.BidirectionalLanguageModel(..., use_character_inputs=False)."
        )
    return "Give the options file that was published with these weights."
