"""ELMo's forward pass: ``python docs/pico_elmo.py weights/tiny "They sat down ."``.

Shapes: N tokens, C characters per token, E numbers per character, n filters of a width,
F filters in all, P numbers per token and direction, D numbers in a cell, L LSTM layers.
"""

import json
import sys
from pathlib import Path

import h5py
import numpy as np


def embed(folder, tokens):
    """Return one sentence's layers: the token vectors twice, then the LSTM layers."""
    options = json.loads(Path(folder, "options.json").read_text(encoding="utf-8"))
    [path] = [p for p in Path(folder).glob("*.hdf5") if "softmax" not in p.name]
    with h5py.File(path) as file:
        x = encode(file, options["char_cnn"], ["<S>", *tokens, "</S>"])  # [N + 2, P]
        forward = stack(file["RNN_0/RNN"], options["lstm"], x)  # [L + 1, N + 2, P]
        backward = stack(file["RNN_1/RNN"], options["lstm"], x[::-1])[:, ::-1]
    return np.concatenate([forward, backward], axis=2)[:, 1:-1]  # [L + 1, N, 2 P]


def encode(file, options, tokens):
    """Return the vector of each token before any context."""
    length = options["max_characters_per_token"]
    ids = np.array([character_ids(token, length) for token in tokens])  # [N, C]
    characters = file["char_embed"][()].astype("f")[ids]  # [N, C, E]
    activation = np.tanh if options.get("activation") == "tanh" else relu
    widths = range(len(options["filters"]))
    W, b = ([file[f"CNN/{name}_cnn_{i}"][()] for i in widths] for name in "Wb")
    found = [convolve(characters, W[i][0], b[i]) for i in widths]  # [N, n] each
    x = activation(np.concatenate(found, axis=1))  # [N, F]
    for k in range(options.get("n_highway") or 0):
        names = "W_carry", "b_carry", "W_transform", "b_transform"
        x = highway(x, *(file[f"CNN_high_{k}/{name}"][()] for name in names))  # [N, F]
    if "CNN_proj" in file:
        x = x @ file["CNN_proj/W_proj"][()] + file["CNN_proj/b_proj"]
    return x  # [N, P]


def character_ids(token, length):
    """UTF-8 bytes between the marks 258 and 259, padded with 260."""
    sentence_marks = {"<S>": [256], "</S>": [257]}
    inside = sentence_marks.get(token) or list(token.encode("utf-8", "ignore"))
    ids = [258, *inside[: length - 2], 259]
    return ids + [260] * (length - len(ids))


def convolve(characters, W, b):
    """Run filters of one width over the tokens; keep the largest value of each."""
    width = len(W)  # W: [width, E, n], b: [n]
    places = range(characters.shape[1] - width + 1)
    found = [np.tensordot(characters[:, q : q + width], W, axes=2) for q in places]
    return np.max(found, axis=0) + b  # [N, n]


def highway(x, W_gate, b_gate, W_hidden, b_hidden):
    """Mix the features with new ones made of them; a gate says how much."""
    gate = sigmoid(x @ W_gate + b_gate)  # [N, F], the share of the new ones
    return gate * relu(x @ W_hidden + b_hidden) + (1 - gate) * x  # [N, F]


def stack(weights, options, x):
    """Run the LSTM layers of one direction, each on top of the one before."""
    layers = [x]
    for k in range(options["n_layers"]):
        many = "MultiRNNCell" in weights
        cell = weights[f"MultiRNNCell/Cell{k}/LSTMCell" if many else "LSTMCell"]
        W_p = cell["W_P_0"][()].astype("f") if "W_P_0" in cell else None
        y = lstm(layers[k], cell["W_0"][()].astype("f"), cell["B"][()], W_p, options)
        layers.append(y + layers[k] if k and options["use_skip_connections"] else y)
    return np.array(layers)  # [L + 1, N, P]


def lstm(x, W, b, W_p, options):
    """Read token after token; remember in c, say h."""
    h, c = np.zeros(x.shape[1], "f"), np.zeros(len(b) // 4, "f")  # [P], [D]
    c_max, h_max = (options.get(name) or np.inf for name in ("cell_clip", "proj_clip"))
    outputs = []
    for x_t in x:  # [P]
        i, j, f, o = np.split(np.concatenate([x_t, h]) @ W + b, 4)  # [D] each
        c = sigmoid(f + 1) * c + sigmoid(i) * np.tanh(j)  # [D]
        c = np.clip(c, -c_max, c_max)
        m = sigmoid(o) * np.tanh(c)  # [D]
        h = m if W_p is None else np.clip(m @ W_p, -h_max, h_max)  # [P]
        outputs.append(h)
    return np.array(outputs)  # [N, P]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def relu(x):
    return np.maximum(x, 0)


if __name__ == "__main__":
    print(embed(sys.argv[1], sys.argv[2].split()).shape)
