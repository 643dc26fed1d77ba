"""Corpora on disk: reading sentences, writing their vectors."""
