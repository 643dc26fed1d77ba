"""Ask the language model for the next words: ``python docs/examples/next_words.py "They like to hang"``."""

import sys

from numpy_elmo import LanguageModel

model = LanguageModel.load("tiny")
tokens = sys.argv[1].split()
for guess in model.next_words(tokens, k=5):
    print(f"{guess.log_prob:7.2f}  {guess.word}")
