"""Corpora on disk: reading sentences, writing their vectors, reading vectors back."""

from numpy_elmo.corpus.conllu import read_conllu
from numpy_elmo.corpus.embeddings import EmbeddingFile, load_embeddings
from numpy_elmo.corpus.inputs import read_sentences
from numpy_elmo.corpus.tokenize import tokenize, tokenize_with_offsets
from numpy_elmo.corpus.word_vectors import WordVectors, read_word2vec, token_vectors, type_vectors, write_word2vec
from numpy_elmo.corpus.write import VectorFile, write_npz

__all__ = [
    "EmbeddingFile",
    "VectorFile",
    "WordVectors",
    "load_embeddings",
    "read_conllu",
    "read_sentences",
    "read_word2vec",
    "token_vectors",
    "tokenize",
    "tokenize_with_offsets",
    "type_vectors",
    "write_npz",
    "write_word2vec",
]
