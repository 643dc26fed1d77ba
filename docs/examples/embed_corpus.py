"""Embed a text file that need not fit in memory, and read it back: ``python docs/examples/embed_corpus.py IN OUT``.

IN has one tokenised sentence per line.  OUT is an HDF5 file in the layout of ``allennlp elmo``.
"""

import sys
from itertools import tee

import numpy_elmo
from numpy_elmo.corpus import VectorFile, load_embeddings, read_sentences

text, output = sys.argv[1:]
elmo = numpy_elmo.load("tiny")
report = numpy_elmo.CorpusReport()

sentences, again = tee(read_sentences(text))  # one to embed and one to write beside the vectors; read ahead by a window
with VectorFile(output) as file:
    for tokens, vectors in zip(again, elmo.embed_corpus(sentences, layers="average", report=report), strict=True):
        file.write(tokens, vectors)
print(report.n_sentences, "sentences,", report.n_tokens, "tokens")

with load_embeddings(output) as embeddings:
    print("the first sentence:", embeddings[0].shape)
