"""ELMo's forward pass, from tokens to layers: ``python docs/pico_elmo.py weights/tiny "They sat on the bank ."``.

Shapes: N tokens, C characters per token, E features per character, w width and n number of a convolution's filters,
F filters in all, P features per token and direction, D features of an LSTM cell, L LSTM layers.
"""

import json
import sys
from pathlib import Path

import h5py
import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def clip(x, bound):
    return x if bound is None else np.clip(x, -bound, bound)


def embed(folder, tokens):
    """Return the layers of one sentence: the token vectors twice, then the outputs of the LSTM layers."""
    options = json.loads(Path(folder, "options.json").read_text(encoding="utf-8"))
    [path] = [path for path in Path(folder).glob("*.hdf5") if "softmax" not in path.name]
    with h5py.File(path) as file:
        x = encode(file, options["char_cnn"], ["<S>", *tokens, "</S>"])  # [N + 2, P]
        forward = run_lstms(file["RNN_0/RNN"], options["lstm"], x)  # [L + 1, N + 2, P]
        backward = run_lstms(file["RNN_1/RNN"], options["lstm"], x[::-1])[:, ::-1]  # [L + 1, N + 2, P]
    return np.concatenate([forward, backward], axis=2)[:, 1:-1]  # [L + 1, N, 2 P]


def encode(file, options, tokens):
    """Character CNN, highway layers, projection: the vector of each token before any context."""
    ids = np.array([character_ids(token, options["max_characters_per_token"]) for token in tokens])  # [N, C]
    characters = file["char_embed"][()][ids]  # [N, C, E]
    activation = np.tanh if options.get("activation") == "tanh" else lambda x: np.maximum(x, 0)
    pooled = []
    for i, (width, _) in enumerate(options["filters"]):
        W, b = file[f"CNN/W_cnn_{i}"][0], file[f"CNN/b_cnn_{i}"][()]  # [w, E, n], [n]
        windows = np.lib.stride_tricks.sliding_window_view(characters, width, axis=1)  # [N, C - w + 1, E, w]
        convolved = np.tensordot(windows, W, axes=([3, 2], [0, 1]))  # [N, C - w + 1, n]
        pooled.append(activation(convolved.max(axis=1) + b))  # [N, n]
    x = np.concatenate(pooled, axis=1)  # [N, F]
    for k in range(options.get("n_highway") or 0):
        weights = file[f"CNN_high_{k}"]
        gate = sigmoid(x @ weights["W_carry"][()] + weights["b_carry"])  # [N, F], of the transformed part
        x = gate * np.maximum(x @ weights["W_transform"][()] + weights["b_transform"], 0) + (1 - gate) * x  # [N, F]
    return x @ file["CNN_proj/W_proj"][()] + file["CNN_proj/b_proj"] if "CNN_proj" in file else x  # [N, P]


def character_ids(token, length):
    """UTF-8 bytes between the marks 258 and 259, padded with 260; sentences begin with 256 and end with 257."""
    inside = {"<S>": [256], "</S>": [257]}.get(token) or list(token.encode("utf-8", "ignore")[: length - 2])
    return ([258, *inside, 259] + [260] * length)[:length]


def run_lstms(weights, options, x):
    """One direction's LSTM layers, each over the outputs of the one below."""
    layers = [x]
    for k in range(options["n_layers"]):
        cell = weights[f"MultiRNNCell/Cell{k}/LSTMCell" if "MultiRNNCell" in weights else "LSTMCell"]
        W, b, W_p = cell["W_0"][()], cell["B"][()], cell["W_P_0"][()] if "W_P_0" in cell else None
        h, c, outputs = np.zeros(x.shape[1], "f"), np.zeros(len(b) // 4, "f"), []  # [P], [D]
        for x_t in layers[k]:  # [P]
            i, j, f, o = np.split(np.concatenate([x_t, h]) @ W + b, 4)  # [D] each
            c = clip(sigmoid(f + 1) * c + sigmoid(i) * np.tanh(j), options.get("cell_clip"))  # [D]
            h = sigmoid(o) * np.tanh(c)  # [D]
            h = h if W_p is None else clip(h @ W_p, options.get("proj_clip"))  # [P]
            outputs.append(h)
        skip = k > 0 and options["use_skip_connections"]
        layers.append(np.array(outputs) + (layers[k] if skip else 0))  # [N, P]
    return np.array(layers)  # [L + 1, N, P]


if __name__ == "__main__":
    print(embed(sys.argv[1], sys.argv[2].split()).shape)
