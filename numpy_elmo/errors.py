"""The errors that numpy_elmo raises for bad input.

Every message names the thing that is wrong and the remedy.  Each class also derives from the built-in exception that a
caller would expect, so ``except ValueError`` works as well as ``except ElmoError``::

    Exception
      ElmoError
        OptionsError (ValueError)
        WeightsError (ValueError)
        ModelNotFoundError (FileNotFoundError)
        InputError (ValueError)
        InputTypeError (TypeError)
        VectorsNotFoundError (KeyError, IndexError)
        OutputError (OSError)
          PartsFailedError
        DownloadError (OSError)
        MissingExtraError (ImportError)
    UserWarning
      InputWarning
"""

from __future__ import annotations


class ElmoError(Exception):
    """Base of every error that numpy_elmo raises on purpose."""


class OptionsError(ElmoError, ValueError):
    """The options file is not one that describes an ELMo model."""


class WeightsError(ElmoError, ValueError):
    """The weight file cannot be read, does not fit its options, or holds values that are not finite."""


class ModelNotFoundError(ElmoError, FileNotFoundError):
    """The model, or a file of it, is not where it was looked for."""


class InputError(ElmoError, ValueError):
    """Text, tokens or an argument have the right type and a value that cannot be used."""


class InputWarning(UserWarning):
    """Text was read as it is, and is probably not what the models expect."""


class VectorsNotFoundError(ElmoError, KeyError, IndexError):
    """There are no vectors of this sentence or word, or none at this place."""

    def __str__(self) -> str:
        return Exception.__str__(self)  # KeyError would show the quoted text


class InputTypeError(ElmoError, TypeError):
    """An argument has the wrong type, such as a string where a list of tokens belongs."""


class OutputError(ElmoError, OSError):
    """An output file cannot be written."""


class PartsFailedError(OutputError):
    """Some parts of a run on a cluster failed; the others are finished.

    Attributes
    ----------
    failed : dict of str to str
        What failed, by name, and why.
    """

    def __init__(self, failed: dict[str, str], n_parts: int) -> None:
        lines = "".join(f"\n  {name}: {reason}" for name, reason in failed.items())
        super().__init__(f"{len(failed)} of {n_parts} failed:{lines}\nThe others are finished; run again for these.")
        self.failed = failed
        self._n_parts = n_parts

    def __reduce__(self) -> tuple[type[PartsFailedError], tuple[dict[str, str], int]]:
        return type(self), (self.failed, self._n_parts)


class DownloadError(ElmoError, OSError):
    """A model could not be fetched, or what came was not the file that was asked for."""


class MissingExtraError(ElmoError, ImportError):
    """A feature needs an optional dependency that is not installed."""
