"""AllenNLP's ELMo as PyTorch modules, against AllenNLP's numbers and as training code uses them."""

from __future__ import annotations

import copy
import io
import itertools
import json
import pickle
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numpy_elmo.errors import InputError, InputTypeError, WeightsError
from tests.agreement.tensorflow_outputs import FIXTURES

pytestmark = pytest.mark.slow
torch = pytest.importorskip("torch")

from numpy_elmo.interfaces import allennlp  # noqa: E402
from numpy_elmo.interfaces.torch import Elmo, ElmoBiLm, ElmoEmbedder, ScalarMix, batch_to_ids  # noqa: E402

ROOT = Path(__file__).parents[2]
TOLERANCE = 2e-6
FOLDER = FIXTURES / "interfaces_allennlp"
RECORD = json.loads((FOLDER / "record.json").read_text(encoding="utf-8"))
BATCHES = [[sentence.split() for sentence in batch] for batch in RECORD["batches"]]
RUNS = [(name, model) for name, run in RECORD["runs"].items() for model in run["models"]]
BATCH = [["two", "rows"], ["He", "sat", "on", "the", "bank"]]


def files(model: str = "base") -> tuple[Path, Path]:
    return FIXTURES / model / "options.json", FIXTURES / model / "weights.hdf5"


@pytest.fixture(scope="module")
def peer() -> dict[str, Any]:
    with np.load(FOLDER / "allennlp.npz") as arrays:
        return dict(arrays)


def places(batch: list[list[str]]) -> Any:
    rows = [torch.tensor([RECORD["vocabulary"].index(word) for word in sentence]) for sentence in batch]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)


# -- AllenNLP's numbers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("run", "model"), RUNS)
def test_elmo_gives_the_peers_vectors_batch_after_batch(run: str, model: str, peer: dict[str, Any]) -> None:
    settings = RECORD["runs"][run]["settings"]
    scalars = RECORD["scalars"][model] if run == "scalars" or settings.get("do_layer_norm") else None
    elmo = Elmo(*files(model), scalar_mix_parameters=scalars, **settings).eval()
    for k, batch in enumerate(BATCHES):
        words = places(batch) if "vocab_to_cache" in settings else None
        output = elmo(batch_to_ids(batch), words)
        np.testing.assert_array_equal(output["mask"].numpy(), peer[f"{run}/{model}/{k}/mask"])
        for j, found in enumerate(output["elmo_representations"]):
            expected = peer[f"{run}/{model}/{k}/{j}"]
            assert (found.dtype, tuple(found.shape)) == (torch.float32, expected.shape)
            np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-6, atol=TOLERANCE)


@pytest.mark.parametrize(("name", "layer_norm"), [("plain", False), ("layer_norm", True)])
def test_a_scalar_mix_alone_is_the_peers(name: str, layer_norm: bool, peer: dict[str, Any]) -> None:
    mix = ScalarMix(3, do_layer_norm=layer_norm, initial_scalar_parameters=RECORD["scalars"]["base"])
    found = mix([torch.from_numpy(layer) for layer in peer["mix/layers"]], torch.from_numpy(peer["mix/mask"]))
    np.testing.assert_allclose(found.detach().numpy(), peer[f"mix/{name}"], rtol=1e-6, atol=TOLERANCE)


def test_ids_are_a_long_tensor(peer: dict[str, Any]) -> None:
    ids = batch_to_ids(BATCHES[0])
    assert ids.dtype == torch.int64
    np.testing.assert_array_equal(ids.to("cpu").numpy(), peer["ids/0"])


def test_ids_may_have_more_axes_in_front(peer: dict[str, Any]) -> None:
    ids = batch_to_ids([sentence.split() for group in RECORD["nested"] for sentence in group])
    output = Elmo(*files(), 1)(ids.view(2, 2, *ids.shape[1:]))
    assert output["elmo_representations"][0].shape == peer["nested/base/0/0"].shape
    np.testing.assert_array_equal(output["mask"].numpy(), peer["nested/base/0/mask"])


def test_the_embedder_gives_tensors_and_arrays_as_the_peer(peer: dict[str, Any]) -> None:
    embedder = ElmoEmbedder(*files(), cuda_device=-1)
    activations, mask = embedder.batch_to_embeddings(BATCHES[0])
    expected = peer["embedder/base/0/activations"]
    np.testing.assert_allclose(activations.numpy(), expected, rtol=1e-6, atol=TOLERANCE)
    assert mask.dtype == torch.bool
    embedder.reset_states()
    assert isinstance(embedder.embed_sentence(["two"]), np.ndarray)
    assert isinstance(embedder.elmo_bilm, torch.nn.Module)
    assert embedder.cuda_device == -1


# -- a module of PyTorch ---------------------------------------------------------------------------------------------


def test_parameters_and_state_dict_hold_the_mixes_under_allennlps_names() -> None:
    elmo = Elmo(*files(), 2)
    names = [
        f"scalar_mix_{k}.{name}" for k in (0, 1) for name in ("gamma", *(f"scalar_parameters.{i}" for i in range(3)))
    ]
    assert sorted(elmo.state_dict()) == sorted(name for name, _ in elmo.named_parameters()) == sorted(names)
    assert all(parameter.shape == (1,) and parameter.requires_grad for parameter in elmo.parameters())
    fixed = Elmo(*files(), 1, scalar_mix_parameters=[0.1, 0.2, 0.3])
    assert not any(parameter.requires_grad for parameter in fixed.parameters())
    assert fixed.get_output_dim() == 16


def test_gradients_reach_the_mixes_and_what_follows_and_a_step_changes_the_output() -> None:
    elmo, linear = Elmo(*files(), 1, dropout=0), torch.nn.Linear(16, 3)
    optimizer = torch.optim.SGD([*elmo.parameters(), *linear.parameters()], lr=0.5)
    ids = batch_to_ids(BATCH)
    elmo._elmo_lstm._elmo_lstm.stateful = False
    losses = []
    for _ in range(3):
        output = elmo(ids)
        loss = linear(output["elmo_representations"][0])[output["mask"]].square().mean()
        optimizer.zero_grad()
        loss.backward()
        assert all(parameter.grad is not None for parameter in [*elmo.parameters(), *linear.parameters()])
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] > losses[1] > losses[2]
    assert elmo.scalar_mix_0.gamma.item() != 1


@pytest.mark.parametrize("layer_norm", [False, True])
def test_gradients_are_those_of_the_numpy_mix(layer_norm: bool) -> None:
    from numpy_elmo import ScalarMix as NumpyMix  # noqa: PLC0415

    rng = np.random.default_rng(0)
    layers, upstream = rng.normal(size=(3, 2, 4, 5)), rng.normal(size=(2, 4, 5))
    mix = ScalarMix(3, layer_norm, [0.2, -0.1, 0.4]).double()
    mix([torch.from_numpy(layer) for layer in layers]).backward(torch.from_numpy(upstream))
    weights, gamma = NumpyMix([0.2, -0.1, 0.4], layer_norm=layer_norm).gradient(layers, upstream)
    # The scalars are float32 at first.
    np.testing.assert_allclose([p.grad.item() for p in mix.scalar_parameters], weights, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(mix.gamma.grad.item(), gamma, rtol=1e-5, atol=1e-6)


def test_dropout_is_for_training_only() -> None:
    elmo, ids = Elmo(*files(), 1, dropout=0.5), batch_to_ids(BATCH * 20)
    elmo._elmo_lstm._elmo_lstm.stateful = False
    elmo.eval()
    [expected] = elmo(ids)["elmo_representations"]
    torch.testing.assert_close(elmo(ids)["elmo_representations"][0], expected, rtol=0, atol=0)
    elmo.train()
    output = elmo(ids)
    [found], true = output["elmo_representations"], output["mask"]
    kept = found[true] != 0
    assert 0.4 < kept.float().mean() < 0.6
    torch.testing.assert_close(found[true][kept], 2 * expected[true][kept])
    assert not found[~true].any()


def test_precision_and_device_are_those_of_the_mixes() -> None:
    elmo = Elmo(*files(), 1).eval().to("cpu").double()
    output = elmo(batch_to_ids(BATCH))
    assert output["elmo_representations"][0].dtype == torch.float64
    meta = Elmo(*files(), 1).to("meta")
    assert meta(batch_to_ids(BATCH))["elmo_representations"][0].device.type == "meta"


def test_requires_grad_is_refused_with_the_reason() -> None:
    for make in (lambda: Elmo(*files(), 1, requires_grad=True), lambda: ElmoBiLm(*files(), requires_grad=True)):
        with pytest.raises(InputError, match=r"runs in NumPy, without gradients.*requires_grad=False"):
            make()


def test_copies_and_pickles_give_the_same() -> None:
    elmo = Elmo(*files(), 1).eval()
    elmo(batch_to_ids(BATCH))  # a state that copies carry on
    file = io.BytesIO()
    torch.save(elmo, file)
    file.seek(0)
    copies = [copy.deepcopy(elmo), pickle.loads(pickle.dumps(elmo)), torch.load(file, weights_only=False)]
    [expected] = elmo(batch_to_ids(BATCH))["elmo_representations"]
    for other in copies:
        torch.testing.assert_close(other(batch_to_ids(BATCH))["elmo_representations"][0], expected, rtol=0, atol=0)


def test_a_module_can_be_shared() -> None:
    bilm = ElmoBiLm(*files())
    found, expected = Elmo(None, None, 1, module=bilm).eval(), Elmo(*files(), 1).eval()
    ids = batch_to_ids(BATCH)
    torch.testing.assert_close(found(ids)["elmo_representations"], expected(ids)["elmo_representations"])
    bilm.reset_states()
    output = bilm(ids)
    assert len(output["activations"]) == bilm.num_layers == 3
    assert output["activations"][0].shape == (2, 7, 16)
    assert bilm.get_output_dim() == 16
    with pytest.raises(InputTypeError, match="must be paths, not None"):
        Elmo(None, None, 1)


# -- checkpoints -----------------------------------------------------------------------------------------------------


def allennlps_state_dict(change: float = 0.0) -> dict[str, Any]:
    """Return a checkpoint with AllenNLP's names, the biLM's weights among them."""
    characters = ElmoBiLm(*files())._token_embedder._encoder.layers.char_cnn.char_embed
    table = torch.from_numpy(np.concatenate([np.zeros_like(characters[:1]), characters + np.float32(change)]))
    mix = {f"scalar_mix_0.scalar_parameters.{k}": torch.tensor([value]) for k, value in enumerate((0.5, -0.5, 1.0))}
    bilm = (
        "_elmo_lstm._token_embedder._char_embedding_weights",
        "_elmo_lstm._elmo_lstm.forward_layer_0.input_linearity.weight",
    )
    return {**mix, "scalar_mix_0.gamma": torch.tensor([2.0]), bilm[0]: table, bilm[1]: torch.ones(1)}


def test_allennlps_checkpoints_load() -> None:
    elmo = Elmo(*files(), 1)
    elmo.load_state_dict(allennlps_state_dict())
    assert [p.item() for p in elmo.scalar_mix_0.scalar_parameters] == [0.5, -0.5, 1.0]
    assert elmo.scalar_mix_0.gamma.item() == 2.0
    tagger = torch.nn.ModuleDict({"elmo": Elmo(*files(), 1)})
    tagger.load_state_dict({f"elmo.{name}": value for name, value in allennlps_state_dict().items()})
    other = Elmo(*files(), 1)
    other.load_state_dict(elmo.state_dict())
    assert other.scalar_mix_0.gamma.item() == 2.0
    with pytest.raises(RuntimeError, match="Unexpected"):
        elmo.load_state_dict({**allennlps_state_dict(), "scalar_mix_1.gamma": torch.ones(1)})


def test_a_checkpoint_of_another_bilm_is_refused() -> None:
    with pytest.raises(WeightsError, match="not the biLM of the weight file"):
        Elmo(*files(), 1).load_state_dict(allennlps_state_dict(change=0.01))


# -- errors ----------------------------------------------------------------------------------------------------------


def test_what_does_not_fit_is_named() -> None:
    mix, layers = ScalarMix(3), [torch.ones(2, 4, 5)] * 3
    with pytest.raises(InputError, match="3 weights"):
        mix(layers[:2])
    with pytest.raises(InputError, match=r"the mask must have the shape \(2, 4\), not \(2, 3\)"):
        mix(layers, torch.ones(2, 3))
    with pytest.raises(InputError, match="mixture_size must be"):
        ScalarMix(0)
    with pytest.raises(InputError, match="a mix of 3 layers needs 3 scalars"):
        ScalarMix(3, initial_scalar_parameters=[1.0])
    with pytest.raises(InputError, match="finite"):
        ScalarMix(1, initial_scalar_parameters=[float("nan")])
    with pytest.raises(InputError, match="dropout"):
        Elmo(*files(), 1, dropout=2)
    with pytest.raises(InputTypeError, match="must be integers"):
        Elmo(*files(), 1)(batch_to_ids(BATCH).float())
    with pytest.raises(InputTypeError, match="sentence 0 is a string"):
        batch_to_ids(["two rows"])


def test_without_torch_the_remedy_is_named() -> None:
    code = "import sys; sys.modules['torch'] = None; import numpy_elmo.interfaces.torch"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "MissingExtraError" in result.stderr
    assert "pip install 'numpy_elmo[torch]'" in result.stderr


def test_the_numpy_interface_needs_no_torch() -> None:
    code = "import sys; sys.modules['torch'] = None; import numpy_elmo.interfaces.allennlp"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert not isinstance(allennlp.ElmoEmbedder(*files()).elmo_bilm, torch.nn.Module)


# -- a tagger --------------------------------------------------------------------------------------------------------

TAGS = ["DET", "NOUN", "AUX", "VERB", "DET", "NOUN", "PUNCT"]
NOUNS, VERBS = ["dog", "saw", "walk", "play"], ["saw", "walk", "play", "like"]  # three words are both


def write_treebank(path: Path, sentences: list[tuple[str, ...]]) -> None:
    lines = []
    for words in sentences:
        lines += [
            f"{k}\t{word}\t_\t{tag}" + "\t_" * 6 for k, (word, tag) in enumerate(zip(words, TAGS, strict=True), 1)
        ]
        lines.append("")
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")


def test_a_tagger_of_conllu_learns_what_spelling_does_not_tell(tmp_path: Path) -> None:
    frames = list(itertools.product(["the", "every"], NOUNS, ["can"], VERBS, ["the", "a"], NOUNS, ["."]))
    order = np.random.default_rng(0).permutation(len(frames))
    train, dev = ([frames[k] for k in part] for part in (order[:120], order[120:]))
    write_treebank(tmp_path / "train.conllu", train)
    write_treebank(tmp_path / "dev.conllu", dev)
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for words in train:
        for word, tag in zip(words, TAGS, strict=True):
            counts[word][tag] += 1
    by_spelling = np.mean(
        [counts[word].most_common(1)[0][0] == tag for words in dev for word, tag in zip(words, TAGS, strict=True)]
    )
    script = ROOT / "docs" / "examples" / "conllu_tagger.py"
    command = [sys.executable, str(script), *(str(tmp_path / name) for name in ("train.conllu", "dev.conllu"))]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert by_spelling < 0.93
    assert float(result.stdout.partition("%")[0]) >= 98, result.stdout
