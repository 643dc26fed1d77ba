"""What the fuzzer runs: everything that reads files or objects of unknown origin.

The first byte of an input says what it is an input of.  Of text, options and vocabularies the rest is the file.  Weight
files and zips are whole ones with changes: five bytes each, three for the place, one for what, one for the new byte.
"""

from __future__ import annotations

import io
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import safetensors.numpy

from numpy_elmo import LanguageModel, load
from numpy_elmo.corpus import read_sentences
from numpy_elmo.errors import ElmoError
from numpy_elmo.files.options import decode_options
from numpy_elmo.files.vocabulary import decode_vocabulary
from numpy_elmo.network.characters import character_ids
from tests.agreement.tensorflow_outputs import FIXTURES

MODEL, LANGUAGE_MODEL = FIXTURES / "one_layer", FIXTURES / "language_model"
CHECKPOINT = FIXTURES / "checkpoints" / "training"
ALLENNLP = FIXTURES / "allennlp_files"


def _file(data: bytes, name: str) -> Path:
    path = _scratch() / name
    path.write_bytes(data)
    return path


@cache
def _scratch_folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory()


def _scratch() -> Path:
    return Path(_scratch_folder().name)


@cache
def _whole_zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("weights.hdf5", "options.json", "vocab.txt", "softmax_weights.hdf5"):
            archive.writestr("model.hdf5" if name == "weights.hdf5" else name, _fixture(name))
    return buffer.getvalue()


@cache
def _whole_tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in ("weights.hdf5", "options.json"):
            archive.add(MODEL / name, name)
    return buffer.getvalue()


@cache
def _whole_safetensors() -> bytes:
    arrays = {}
    with h5py.File(MODEL / "weights.hdf5") as file:
        file.visititems(lambda name, item: arrays.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    return bytes(safetensors.numpy.save(arrays))


def _fixture(name: str) -> bytes:
    return (LANGUAGE_MODEL / name).read_bytes()


def changed(whole: bytes, changes: bytes) -> bytes:
    """Return a file with some changes: one byte set or flipped, the end cut off, or a page cut out."""
    result = bytearray(whole)
    for k in range(0, len(changes) - 4, 5):
        place = int.from_bytes(changes[k : k + 3], "big") % max(1, len(result))
        kind, value = changes[k + 3] % 8, changes[k + 4]
        if not result:
            break
        if kind == 0:
            del result[place:]
        elif kind == 1:
            del result[place : place + 4096]
        elif kind < 5:
            result[place] = value
        else:
            result[place] ^= value
    return bytes(result)


def fuzz_text(data: bytes) -> Any:
    """Read a text and make character ids of it."""
    return [character_ids(tokens, 50) for tokens in read_sentences(str(_file(data, "text.txt"))) if tokens]


def fuzz_options(data: bytes) -> Any:
    """Read an options file."""
    return decode_options(data, "options.json")


def fuzz_vocabulary(data: bytes) -> Any:
    """Read a vocabulary."""
    return decode_vocabulary(data, "vocab.txt")


def fuzz_weights(data: bytes) -> Any:
    """Load a model from a changed weight file."""
    weights = _file(changed((MODEL / "weights.hdf5").read_bytes(), data), "weights.hdf5")
    return load(weights, options=MODEL / "options.json")


def fuzz_softmax(data: bytes) -> Any:
    """Load a language model with a changed softmax."""
    softmax = _file(changed(_fixture("softmax_weights.hdf5"), data), "softmax.hdf5")
    return LanguageModel.load(LANGUAGE_MODEL, softmax=softmax, vocabulary=LANGUAGE_MODEL / "vocab.txt")


def fuzz_zip(data: bytes) -> Any:
    """Load a language model from a changed zip."""
    return LanguageModel.load(_file(changed(_whole_zip(), data), "model.zip"))


def fuzz_checkpoint(data: bytes) -> Any:
    """Load a model from a changed index of a TensorFlow checkpoint."""
    whole = (CHECKPOINT / "model.ckpt-7.index").read_bytes()
    _file((CHECKPOINT / "model.ckpt-7.data-00000-of-00001").read_bytes(), "c.data-00000-of-00001")
    _file(changed(whole, data), "c.index")
    return load(_scratch() / "c", options=CHECKPOINT / "options.json")


def fuzz_torch_stream(data: bytes) -> Any:
    """Load a model from a changed PyTorch file of the older form."""
    return load(_file(changed((ALLENNLP / "stream" / "weights.th").read_bytes(), data), "stream.th"))


def fuzz_torch_zip(data: bytes) -> Any:
    """Load a model from a changed PyTorch file of the newer form."""
    return load(_file(changed((ALLENNLP / "zip" / "weights.th").read_bytes(), data), "zip.th"))


def fuzz_pickle(data: bytes) -> Any:
    """Load a model from a PyTorch file with a changed pickle, whose checksum is right."""
    with zipfile.ZipFile(ALLENNLP / "zip" / "weights.th") as whole:
        contents = {name: whole.read(name) for name in whole.namelist()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, changed(content, data) if name.endswith("data.pkl") else content)
    return load(_file(buffer.getvalue(), "pickle.th"))


def fuzz_tar(data: bytes) -> Any:
    """Load a model from a changed tar archive."""
    return load(_file(changed(_whole_tar(), data), "model.tar"))


def fuzz_safetensors(data: bytes) -> Any:
    """Load a model from a changed safetensors file."""
    path = _file(changed(_whole_safetensors(), data), "model.safetensors")
    return load(path, options=MODEL / "options.json")


def fuzz_tokens(data: bytes) -> Any:
    """Embed tokens of any characters, lone surrogates too."""
    text = data.decode("utf-16-le", "surrogatepass") if len(data) % 2 == 0 else data.decode("latin-1")
    return _model().embed([sentence.split(" ") for sentence in text.split("\n")])


@cache
def _model() -> Any:
    return load(MODEL)


TARGETS: list[tuple[Callable[[bytes], Any], bytes]] = [
    (fuzz_text, "a b\r\nnaïve 東京\u2028c\n".encode()),
    (fuzz_options, (MODEL / "options.json").read_bytes()),
    (fuzz_vocabulary, b"<S>\n</S>\n<UNK>\nthe\n"),
    (fuzz_weights, b""),
    (fuzz_softmax, b""),
    (fuzz_zip, b""),
    (fuzz_checkpoint, b""),
    (fuzz_torch_stream, b""),
    (fuzz_torch_zip, b""),
    (fuzz_pickle, b""),
    (fuzz_tar, b""),
    (fuzz_safetensors, b""),
    (fuzz_tokens, "a b\nc".encode("utf-16-le")),
]


def run_one(data: bytes) -> None:
    """Run one input: the first byte says of what."""
    if not data:
        return
    target, _ = TARGETS[data[0] % len(TARGETS)]
    try:
        target(data[1:])
    except ElmoError as error:
        str(error).encode("utf-8")
    except UnicodeDecodeError:
        if target is not fuzz_tokens:  # there, the bytes were no text to begin with
            raise
