"""Embed sentences in memory: ``python docs/examples/embed_sentences.py [MODEL]``."""

import sys

import numpy as np

import numpy_elmo

elmo = numpy_elmo.load(sys.argv[1] if len(sys.argv) > 1 else "tiny")
texts = ["They sat on the river bank .", "The bank lent them money .", "The boat came to the river bank ."]
sentences = [text.split() for text in texts]

# One array per sentence, (layers, tokens, features).  Layer 0 does not see the context.
for text, vectors in zip(texts, elmo.embed(sentences), strict=True):
    print(vectors.shape, text)

# The vectors of "bank" in the last layer: (3, features).
top = elmo.embed(sentences, layers="top")
bank = np.stack([vectors[tokens.index("bank")] for vectors, tokens in zip(top, sentences, strict=True)])
bank /= np.linalg.norm(bank, axis=1, keepdims=True)
print("cosine of river bank with the lender", round(float(bank[0] @ bank[1]), 2))
print("cosine of river bank with river bank", round(float(bank[0] @ bank[2]), 2))
