"""The names of bilm-tf's ``bilm.model``."""

from numpy_elmo.interfaces.bilm import BidirectionalLanguageModel, dump_bilm_embeddings, dump_token_embeddings

__all__ = ["BidirectionalLanguageModel", "dump_bilm_embeddings", "dump_token_embeddings"]
