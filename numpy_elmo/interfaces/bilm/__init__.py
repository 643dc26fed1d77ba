"""The interface of bilm-tf (the package ``bilm``), with NumPy arrays as inputs and outputs.

In bilm-tf, a session feeds ids to a graph through placeholders::

    from bilm import Batcher, BidirectionalLanguageModel, weight_layers

    batcher = Batcher(vocab_file, 50)
    context_character_ids = tf.placeholder("int32", shape=(None, None, 50))
    bilm = BidirectionalLanguageModel(options_file, weight_file)
    context_embeddings_op = bilm(context_character_ids)
    elmo_context_input = weight_layers("input", context_embeddings_op, l2_coef=0.0)
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        context_ids = batcher.batch_sentences(tokenized_context)
        feed_dict = {context_character_ids: context_ids}
        vectors = sess.run(elmo_context_input["weighted_op"], feed_dict=feed_dict)

With numpy_elmo, a call takes the ids and returns arrays::

    from numpy_elmo.interfaces.bilm import Batcher, BidirectionalLanguageModel, weight_layers

    batcher = Batcher(vocab_file, 50)
    bilm = BidirectionalLanguageModel(options_file, weight_file)
    context_ids = batcher.batch_sentences(tokenized_context)
    vectors = weight_layers("input", bilm(context_ids), l2_coef=0.0)["weighted_op"]

``bilm.data``, ``bilm.model`` and ``bilm.elmo`` are modules here too.  What differs:

* Every call runs the model once, and carries its state.
* In bilm-tf every placeholder has a state.  Here a model has one, and `BidirectionalLanguageModel.another_input`
  returns the same model with a new state.
* ``lm_embeddings`` and ``token_embeddings`` are zero at padding.  In bilm-tf the token layer is not.
* A vocabulary without ``<S>`` or ``</S>``, and an unknown word without ``<UNK>``, raise errors.  In bilm-tf the last
  word of the vocabulary becomes the boundary, and the unknown word becomes padding.
* Padding between tokens raises an error.  In bilm-tf as many tokens are lost at the sentence's end.
* Files are UTF-8 on every platform.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias, TypedDict

import numpy as np
import numpy.typing as npt

from numpy_elmo.corpus import read_sentences
from numpy_elmo.elmo import load
from numpy_elmo.errors import InputError, InputTypeError, WeightsError
from numpy_elmo.files.hdf5 import open_arrays
from numpy_elmo.files.options import decode_lstm_options
from numpy_elmo.files.places import OPTIONS, VOCABULARY, read_file, to_path
from numpy_elmo.files.vocabulary import UNKNOWN, vocabulary_lines
from numpy_elmo.files.weights import TOKEN_TABLE, read_bilm, read_token_table
from numpy_elmo.files.writing import new_hdf5
from numpy_elmo.interfaces.id_batches import (
    CarriedBilm,
    Int64s,
    as_integers,
    check_range,
    pad_ids,
    present_tokens,
    without_boundaries,
)
from numpy_elmo.layers.arrays import Array
from numpy_elmo.layers.scalar_mix import ScalarMix
from numpy_elmo.network.batching import batches
from numpy_elmo.network.characters import (
    BEGIN_SENTENCE,
    BEGIN_WORD,
    END_SENTENCE,
    END_WORD,
    N_CHARACTERS,
    PADDING,
    SENTENCE_END,
    SENTENCE_START,
    character_ids,
)
from numpy_elmo.network.checks import check_count, check_sentences, check_tokens
from numpy_elmo.network.threads import chosen_threads

__all__ = [
    "Batcher",
    "BidirectionalLanguageModel",
    "BilmOps",
    "TokenBatcher",
    "UnicodeCharsVocabulary",
    "Vocabulary",
    "WeightedLayers",
    "dump_bilm_embeddings",
    "dump_token_embeddings",
    "weight_layers",
]

PathLike: TypeAlias = "str | os.PathLike[str]"
Int32s: TypeAlias = npt.NDArray[np.int32]

# Words whose vectors are in memory at once.
_WORDS_AT_A_TIME = 4096


class BilmOps(TypedDict):
    """What `BidirectionalLanguageModel` returns; T is the width of the ids without the two boundaries.

    Attributes
    ----------
    lm_embeddings : ndarray of float32, shape (n, L + 1, T, 2 P)
        Vectors of all layers, without boundaries.
    lengths : ndarray of int32, shape (n,)
        Tokens of each sentence, without boundaries.
    token_embeddings : ndarray of float32, shape (n, T + 2, P)
        Input of the LSTM layers, with boundaries.
    mask : ndarray of bool, shape (n, T)
        True at tokens, False at padding.
    """

    lm_embeddings: Array
    lengths: Int32s
    token_embeddings: Array
    mask: npt.NDArray[np.bool_]


class WeightedLayers(TypedDict):
    """What `weight_layers` returns.

    Attributes
    ----------
    weighted_op : ndarray of float32, shape (n, T, 2 P)
        The mix of the layers.
    regularization_op : float
        ``l2_coef`` times the sum of the squared weights.
    """

    weighted_op: Array
    regularization_op: float


class Vocabulary:
    """Words and their ids, the lines of a vocabulary file from 0.

    Parameters
    ----------
    filename : str or path
        Text in UTF-8, one word per line, with ``<S>`` and ``</S>``.
    validate_file : bool
        Whether ``<UNK>`` is required too.

    Raises
    ------
    ModelNotFoundError
        If there is no such file.
    InputError
        If it cannot be read, or lacks ``<S>``, ``</S>`` or a required ``<UNK>``.
    """

    def __init__(self, filename: PathLike, validate_file: bool = False) -> None:
        self._name = str(filename)
        data = read_file(to_path(filename, "the vocabulary must be a path"), VOCABULARY)
        self._id_to_word = [line.strip() for line in vocabulary_lines(data, self._name)]
        self._word_to_id = {word: line for line, word in enumerate(self._id_to_word)}
        marks = (SENTENCE_START, SENTENCE_END, UNKNOWN) if validate_file else (SENTENCE_START, SENTENCE_END)
        if missing := [mark for mark in marks if mark not in self._word_to_id]:
            raise InputError(f"{self._name} lacks {', '.join(missing)}; add each as a line of its own")

    @property
    def bos(self) -> int:
        """Id of ``<S>``."""
        return self._word_to_id[SENTENCE_START]

    @property
    def eos(self) -> int:
        """Id of ``</S>``."""
        return self._word_to_id[SENTENCE_END]

    @property
    def unk(self) -> int:
        """Id of ``<UNK>``, or -1 without one, as in bilm-tf."""
        return self._word_to_id.get(UNKNOWN, -1)

    @property
    def size(self) -> int:
        """Number of words."""
        return len(self._id_to_word)

    def word_to_id(self, word: str) -> int:
        """Return the id of a word, or of ``<UNK>``; InputError if neither is in the vocabulary."""
        line = self._word_to_id.get(word, self.unk)
        if line < 0:
            raise InputError(
                f"{self._name} has neither {word!r} nor {UNKNOWN}, so this word has no id; add it, or read characters "
                "(Batcher) instead of ids"
            )
        return line

    def id_to_word(self, cur_id: int) -> str:
        """Return the word of an id."""
        return self._id_to_word[cur_id]

    def decode(self, cur_ids: Iterable[int]) -> str:
        """Return the words of ids, joined by spaces."""
        return " ".join(self.id_to_word(cur_id) for cur_id in cur_ids)

    def encode(self, sentence: str | Sequence[str], reverse: bool = False, split: bool = True) -> Int32s:
        """Return the ids of a sentence with its boundaries.

        Parameters
        ----------
        sentence : str, or sequence of str with ``split=False``
            The sentence.
        reverse : bool
            Whether to reverse the words; then ``</S>`` comes first.
        split : bool
            Whether `sentence` is a string to split at white space.

        Returns
        -------
        ndarray of int32, shape (n_words + 2,)

        Raises
        ------
        InputError
            If a word is unknown and there is no ``<UNK>``.
        """
        return np.array([self.word_to_id(word) for word in _bounded(sentence, reverse, split)], dtype=np.int32)


class UnicodeCharsVocabulary(Vocabulary):
    """A vocabulary that also encodes words as characters, in 0..260; `Batcher` adds 1 because its 0 is padding.

    Parameters
    ----------
    filename : str or path
        As for `Vocabulary`.
    max_word_length : int
        Characters per token, its two marks included: 50 in the published models.
    validate_file : bool
        As for `Vocabulary`.

    Raises
    ------
    ModelNotFoundError, InputError
        As for `Vocabulary`; InputError also if a token has no room for its marks.
    """

    bos_char = BEGIN_SENTENCE
    eos_char = END_SENTENCE
    bow_char = BEGIN_WORD
    eow_char = END_WORD
    pad_char = PADDING

    def __init__(self, filename: PathLike, max_word_length: int, validate_file: bool = False) -> None:
        super().__init__(filename, validate_file)
        self.max_word_length = check_count("max_word_length", max_word_length, minimum=3)

    @property
    def bos_chars(self) -> Int32s:
        """Characters of ``<S>``."""
        return self.word_to_char_ids(SENTENCE_START)

    @property
    def eos_chars(self) -> Int32s:
        """Characters of ``</S>``."""
        return self.word_to_char_ids(SENTENCE_END)

    @property
    def word_char_ids(self) -> Int32s:
        """Characters of all words, shape (size, max_word_length)."""
        return self._characters(self._id_to_word)

    def word_to_char_ids(self, word: str) -> Int32s:
        """Return the characters of a word, shape (max_word_length,)."""
        characters: Int32s = self._characters([word])[0]
        return characters

    def encode_chars(self, sentence: str | Sequence[str], reverse: bool = False, split: bool = True) -> Int32s:
        """Return the characters of a sentence with its boundaries.

        Parameters
        ----------
        sentence, reverse, split
            As for `encode`.

        Returns
        -------
        ndarray of int32, shape (n_words + 2, max_word_length)
        """
        return self._characters(_bounded(sentence, reverse, split))

    def _characters(self, words: Sequence[str]) -> Int32s:
        return character_ids(words, self.max_word_length).astype(np.int32)


class Batcher:
    """Turns sentences into character ids.

    Parameters
    ----------
    lm_vocab_file : str or path
        A vocabulary; only its boundaries are needed.
    max_token_length : int
        ``max_characters_per_token`` of the model's options: 50 in the published models.

    Raises
    ------
    ModelNotFoundError, InputError
        As for `UnicodeCharsVocabulary`.
    """

    def __init__(self, lm_vocab_file: PathLike, max_token_length: int) -> None:
        self._lm_vocab = UnicodeCharsVocabulary(lm_vocab_file, max_token_length)

    def batch_sentences(self, sentences: Iterable[Sequence[str]]) -> Int64s:
        """Return the ids of sentences, boundaries added.

        Parameters
        ----------
        sentences : iterable of token lists
            At least one sentence.

        Returns
        -------
        ndarray of int64, shape (n, longest + 2, max_token_length)
            Ids in 1..261, and 0 beyond a sentence's end.

        Raises
        ------
        InputTypeError
            If a sentence is a string instead of a list of tokens, or a token is not a string.
        InputError
            If there is no sentence.
        """
        return pad_ids([self._lm_vocab.encode_chars(tokens, split=False) for tokens in check_sentences(sentences)])


class TokenBatcher:
    """Turns sentences into token ids, for models without character inputs.

    Parameters
    ----------
    lm_vocab_file : str or path
        The vocabulary whose lines are the rows of the model's token vectors.

    Raises
    ------
    ModelNotFoundError, InputError
        As for `Vocabulary`.
    """

    def __init__(self, lm_vocab_file: PathLike) -> None:
        self._lm_vocab = Vocabulary(lm_vocab_file)

    def batch_sentences(self, sentences: Iterable[Sequence[str]]) -> Int64s:
        """Return the ids of sentences, boundaries added.

        Parameters
        ----------
        sentences : iterable of token lists
            At least one sentence.

        Returns
        -------
        ndarray of int64, shape (n, longest + 2)
            Lines of the vocabulary, from 1, and 0 beyond a sentence's end.

        Raises
        ------
        InputTypeError
            If a sentence is a string instead of a list of tokens, or a token is not a string.
        InputError
            If there is no sentence, or a token is unknown and the vocabulary has no ``<UNK>``.
        """
        return pad_ids([self._lm_vocab.encode(tokens, split=False) for tokens in check_sentences(sentences)])


class BidirectionalLanguageModel:
    """The model.  A call takes ids and returns vectors.

    As in bilm-tf, the LSTM state is carried from call to call: sentence k of a call starts from the state that sentence
    k of the last call left, and rows missing from a call keep their state.  `reset_states` starts from zeros again.
    Only one thread may use the state; `another_input` gives a second thread its own.

    Parameters
    ----------
    options_file : str or path
        The model's options.  Without character inputs, only ``"lstm"`` is read.
    weight_file : str or path
        The model's weights.
    use_character_inputs : bool
        Whether ids are character ids (`Batcher`) or token ids (`TokenBatcher`).
    embedding_weight_file : str or path, optional
        File with the dataset ``embedding``, one row per token: written by `dump_token_embeddings`, or the weights of a
        model that was trained on token ids.  By default the weight file; not read with character inputs.
    max_batch_size : int
        Most sentences per call.

    Raises
    ------
    ModelNotFoundError, OptionsError, WeightsError
        As for `numpy_elmo.load`.
    InputError
        If `max_batch_size` is not positive.
    """

    def __init__(
        self,
        options_file: PathLike,
        weight_file: PathLike,
        use_character_inputs: bool = True,
        embedding_weight_file: PathLike | None = None,
        max_batch_size: int = 128,
    ) -> None:
        self._max_batch_size = check_count("max_batch_size", max_batch_size)
        self._encode: Callable[[npt.NDArray[np.intp]], Array]
        self._max_characters: int | None = None
        if use_character_inputs:
            elmo = load(weight_file, options=options_file)
            self._encode, bilm = elmo.encoder.encode_ids, elmo.bilm
            self._n_ids, self._max_characters = N_CHARACTERS, elmo.encoder.max_characters
        else:
            data = read_file(to_path(options_file, "the options file must be a path"), OPTIONS)
            lstm = decode_lstm_options(data, str(options_file))
            with open_arrays(to_path(weight_file, "weight_file must be a path"), str(weight_file)) as file:
                bilm = read_bilm(file, lstm, "float32").prepared(chosen_threads(None), None)
            table_file = weight_file if embedding_weight_file is None else embedding_weight_file
            with open_arrays(to_path(table_file, "embedding_weight_file must be a path"), str(table_file)) as file:
                if embedding_weight_file is None and TOKEN_TABLE not in file:
                    raise WeightsError(
                        f"{weight_file} holds no token vectors; give embedding_weight_file, the file that "
                        "dump_token_embeddings writes"
                    )
                table = read_token_table(file, lstm, "float32")
            self._encode, self._n_ids = table.__getitem__, len(table)
        self._bilm = CarriedBilm(bilm)

    def reset_states(self) -> None:
        """Start from zeros again, as ``sess.run(tf.global_variables_initializer())`` did."""
        self._bilm.reset()

    def another_input(self) -> BidirectionalLanguageModel:
        """Return a model with the same weights and a state of its own, which starts from zeros.

        It replaces bilm-tf's second placeholder::

            question_bilm = bilm.another_input()
            context_embeddings, question_embeddings = bilm(context_ids), question_bilm(question_ids)
        """
        other = copy.copy(self)
        other._bilm = self._bilm.fresh()
        return other

    def __call__(self, ids: npt.ArrayLike) -> BilmOps:
        """Return the vectors of sentences, and carry the state.

        Parameters
        ----------
        ids : array of int, shape (n, T + 2, max_characters) or, without character inputs, (n, T + 2)
            The ids from `Batcher` or `TokenBatcher`: boundaries included, 0 at padding.

        Returns
        -------
        BilmOps
            A dict with ``lm_embeddings``, ``lengths``, ``token_embeddings`` and ``mask``.

        Raises
        ------
        InputTypeError
            If the ids are not integers.
        InputError
            If the ids have another shape, one is out of range, a sentence has fewer than two tokens or padding between
            them, there are too many sentences, or another thread has used the state.
        """
        checked, present = self._check(ids)
        tokens = self._encode(checked[present] - 1)  # [N, P], sentence after sentence
        token_embeddings = np.zeros((*present.shape, tokens.shape[1]), tokens.dtype)
        token_embeddings[present] = tokens
        mask = present[:, 2:]
        layers = without_boundaries(self._bilm(tokens, present), mask)  # [L + 1, n, T, 2 P]
        return {
            "lm_embeddings": np.moveaxis(layers, 0, 1),
            "lengths": mask.sum(axis=1, dtype=np.int32),
            "token_embeddings": token_embeddings,
            "mask": mask,
        }

    def _check(self, ids: npt.ArrayLike) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
        """Return the ids and the mask of their tokens, (n, T + 2)."""
        array = as_integers(ids, "batch_sentences")
        of_characters = self._max_characters is not None
        expected = f"(n, T + 2, {self._max_characters})" if of_characters else "(n, T + 2)"
        if array.ndim != 2 + of_characters or (of_characters and array.shape[2] != self._max_characters):
            raise InputError(
                f"ids must have the shape {expected}, not {array.shape}; this model takes what "
                f"{'Batcher' if of_characters else 'TokenBatcher'} makes"
            )
        if not 1 <= len(array) <= self._max_batch_size:
            raise InputError(
                f"a call takes 1 to {self._max_batch_size} sentences, not {len(array)}; cut the batch, or raise "
                "max_batch_size"
            )
        check_range(array, self._n_ids)
        present = present_tokens(array, of_characters=of_characters)
        if array.shape[1] < 2 or not present[:, 1].all():
            raise InputError("a sentence has fewer than two tokens; include the boundaries <S> and </S> in the ids")
        return array, present


def weight_layers(
    name: str,
    bilm_ops: Mapping[str, Array] | BilmOps,
    l2_coef: float | None = None,
    use_top_only: bool = False,
    do_layer_norm: bool = False,
    *,
    weights: Sequence[float] | None = None,
    gamma: float = 1.0,
) -> WeightedLayers:
    """Mix a model's layers.

    In bilm-tf the weights are variables, zero at first.  Here, pass trained values::

        mix = {"weights": [0.2, -0.1, 0.4], "gamma": 1.3}
        vectors = weight_layers("input", bilm(context_ids), **mix)["weighted_op"]

    Parameters
    ----------
    name : str
        Accepted for bilm-tf compatibility; no effect.
    bilm_ops : dict
        What `BidirectionalLanguageModel` returned.
    l2_coef : float, optional
        Factor of the regularisation term; none by default.
    use_top_only : bool
        Whether to take the top layer alone, scaled by `gamma`.
    do_layer_norm : bool
        Whether to normalise every layer to mean 0 and variance 1 over all tokens of the batch.  Then a sentence's
        vectors depend on the rest of the batch.
    weights : sequence of float, optional
        The L + 1 numbers before the softmax; ``<name>_ELMo_W`` of a checkpoint.
    gamma : float
        ``<name>_ELMo_gamma`` of a checkpoint.

    Returns
    -------
    WeightedLayers
        A dict with ``weighted_op`` and ``regularization_op``.  With layer norm, padding is not zero.

    Raises
    ------
    InputError
        If the number of weights differs from the number of layers, or one is not finite.
    """
    layers = np.moveaxis(bilm_ops["lm_embeddings"], 1, 0)  # [L + 1, n, T, 2 P]
    if use_top_only:
        return {"weighted_op": ScalarMix([0.0], gamma)(layers[-1:]), "regularization_op": 0.0}
    mix = ScalarMix([0.0] * len(layers) if weights is None else weights, gamma, layer_norm=do_layer_norm)
    return {
        "weighted_op": mix(layers, bilm_ops["mask"].astype(bool)),
        "regularization_op": (l2_coef or 0.0) * float(mix.weights @ mix.weights),
    }


def dump_token_embeddings(
    vocab_file: PathLike, options_file: PathLike, weight_file: PathLike, outfile: PathLike
) -> None:
    """Write the token vectors of a vocabulary, for `BidirectionalLanguageModel` with token ids.

    Parameters
    ----------
    vocab_file : str or path
        The vocabulary, with ``<S>`` and ``</S>``.
    options_file, weight_file : str or path
        A model that reads characters.
    outfile : str or path
        HDF5 file to write: dataset ``embedding``, (words, P) float32, one row per line of the vocabulary.

    Raises
    ------
    ModelNotFoundError, OptionsError, WeightsError, InputError
        As for `Vocabulary` and `numpy_elmo.load`.
    OutputError
        If the file cannot be written.
    """
    vocabulary = Vocabulary(vocab_file)
    elmo = load(weight_file, options=options_file)
    with new_hdf5(outfile, inputs=(vocab_file, options_file, weight_file)) as file:
        table = file.create_dataset(TOKEN_TABLE, (vocabulary.size, elmo.vector_size // 2), dtype="float32")
        for lines in batches(range(vocabulary.size), _WORDS_AT_A_TIME):
            table[lines[0] : lines[-1] + 1] = elmo.encoder([vocabulary.id_to_word(line) for line in lines])


def dump_bilm_embeddings(
    vocab_file: PathLike, dataset_file: PathLike, options_file: PathLike, weight_file: PathLike, outfile: PathLike
) -> None:
    """Write the vectors of all layers of a text.

    Parameters
    ----------
    vocab_file : str or path
        A vocabulary; only its boundaries are needed.
    dataset_file : str or path
        Text with one sentence per line and tokens separated by white space.
    options_file, weight_file : str or path
        The model.
    outfile : str or path
        HDF5 file to write: line k, from 0, becomes the dataset ``"k"``, (L + 1, tokens, 2 P) float32; a blank line has
        no tokens.  Sentences run one by one, each from the state that the last one left.

    Raises
    ------
    ModelNotFoundError, OptionsError, WeightsError, InputError
        As for `Vocabulary` and `numpy_elmo.load`; InputError also if the text cannot be read.
    OutputError
        If the file cannot be written.
    """
    Vocabulary(vocab_file)
    elmo = load(weight_file, options=options_file)
    with new_hdf5(outfile, inputs=(vocab_file, dataset_file, options_file, weight_file)) as file:
        for line, tokens in enumerate(read_sentences(dataset_file)):
            [vectors] = elmo.embed([tokens], state="carry", batch_size=1)
            file.create_dataset(str(line), data=vectors, dtype="float32")


def _bounded(sentence: str | Sequence[str], reverse: bool, split: bool) -> list[str]:
    if split and not isinstance(sentence, str):
        raise InputTypeError("with split=True the sentence is a string; give split=False for a list of tokens")
    if isinstance(sentence, str) and not split:
        raise InputTypeError("with split=False the sentence is a list of tokens; give split=True for a string")
    words = sentence.split() if isinstance(sentence, str) else check_tokens(sentence, "sentence")
    return [SENTENCE_END, *words, SENTENCE_START] if reverse else [SENTENCE_START, *words, SENTENCE_END]
