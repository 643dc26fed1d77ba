"""The benchmarks run and compare what they say they compare; no time is asserted."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import explorer
from benchmarks.__main__ import main
from benchmarks.client import ROOT, EngineSpec, Worker, busy_core, take_turns
from benchmarks.costs import LENGTHS, TOKENS_A_LENGTH, of_length
from benchmarks.engines import NumpyElmo
from benchmarks.lstm import lstm_work
from benchmarks.made_models import write_model
from benchmarks.record import Record
from benchmarks.report import BEGIN, END, insert, table
from benchmarks.text import SAMPLE, MadeCorpus, describe, read_sentences
from benchmarks.throughput import CORPUS, cases
from benchmarks.worker import NumpyHost
from numpy_elmo import load
from numpy_elmo.network.encoder import Encoder, Ids

OURS = EngineSpec("numpy_elmo", "numpy_elmo")


@pytest.fixture(scope="module")
def results_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The figures of a quick run."""
    path = tmp_path_factory.mktemp("results") / "results.json"
    main(["run", "--quick", str(path)])
    return path


@pytest.fixture
def results(results_file: Path) -> Any:
    return json.loads(results_file.read_text(encoding="utf-8"))


@pytest.mark.slow
def test_a_quick_run_measures_every_part(results: Any) -> None:
    assert {"throughput", "busy", "reproducible", "growth", "limits", "costs", "startup", "install"} < results.keys()
    names = ["batch 1", "batch 8", "batch 64, sorted by length", CORPUS]
    assert list(results["throughput"]["cases"]) == names
    assert results["busy"]["engines"].keys() == {"numpy_elmo", "OPENBLAS_NUM_THREADS=1"}
    assert [row["rows"] for row in results["limits"]["rows"]] == [1, 4]
    assert [run["tokens"] > run["types"] > 0 for run in results["growth"].values()] == [True, True]
    assert results["startup"]["engines"].keys() == {"numpy_elmo"}
    assert results["install"]["numpy_elmo"].keys() == {"numpy-elmo", "numpy", "h5py"}
    assert all(size > 1e6 for size in results["install"]["numpy_elmo"].values())


@pytest.mark.slow
def test_a_run_that_was_cut_off_continues(results_file: Path, results: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    del results["throughput"]["cases"][CORPUS]
    results_file.write_text(json.dumps(results), encoding="utf-8")
    main(["run", "--quick", str(results_file), "--only", "throughput", "growth"])
    completed = json.loads(results_file.read_text(encoding="utf-8"))
    assert completed["throughput"]["cases"].pop(CORPUS)["tokens"] > 0
    assert completed == results, "what was measured before is as it was"
    monkeypatch.setitem(results["circumstances"], "cpus", 1000)
    with pytest.raises(SystemExit, match="another machine"):
        Record(results_file, results["circumstances"])


def test_the_benchmark_sets_no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[dict[str, str]] = []
    monkeypatch.setattr("subprocess.Popen", lambda *_, env, **__: started.append(env))
    Worker(OURS)._log.close()
    assert started == [{**os.environ, "PYTHONPATH": str(ROOT)}]


@pytest.mark.slow
def test_every_engine_is_timed_once_a_round_and_compared_pair_by_pair(results: Any) -> None:
    for case in results["reproducible"]["cases"].values():
        ours, theirs = case["seconds"]["reproducible=False"], case["seconds"]["reproducible=True"]
        assert len(ours) == len(theirs) == results["throughput"]["rounds"] == 2
        ratios = sorted(b / a for a, b in zip(ours, theirs, strict=True))
        found = case["times_faster"]["reproducible=True"]
        assert [found["min"], found["max"]] == pytest.approx(ratios)
        assert case["tokens_per_second"]["reproducible=True"] == pytest.approx(case["tokens"] / np.median(theirs))


@pytest.mark.slow
def test_the_vectors_agree_and_are_compared_in_the_same_run(results: Any) -> None:
    for case in results["reproducible"]["cases"].values():
        differences = case["max_abs_difference"]["reproducible=True"]
        assert differences.keys() == {"carried", "reset"}
        assert max(differences.values()) < 2e-6


def test_a_busy_core_is_free_again_afterwards() -> None:
    with busy_core() as load:
        assert load.poll() is None
    assert load.poll() is not None


def test_a_made_corpus_has_ever_new_words() -> None:
    small, large = MadeCorpus(100), MadeCorpus(10_000)
    sentences = list(small)
    assert sentences == list(MadeCorpus(100))
    assert len(sentences) == 100
    assert sum(map(len, sentences)) == small.n_tokens
    assert len({token for sentence in sentences for token in sentence}) == small.seen.sum()
    for _ in large:
        pass
    assert large.seen.sum() > 10_000


def test_other_weights_are_seen_in_the_vectors(tmp_path: Path) -> None:
    """The comparison must be able to fail: another model's vectors are far away."""
    batches = [[["a", "few", "words"], ["."]]]
    arrays = []
    with Worker(OURS) as worker:
        for seed in (1, 2):
            folder = write_model(tmp_path / str(seed), "minute", seed=seed)
            worker.start(folder, 2)
            worker.ask("save", batches=batches, path=str(tmp_path / "vectors.npy"), carry=False)
            arrays.append(np.load(tmp_path / "vectors.npy"))
    assert np.abs(arrays[0] - arrays[1]).max() > 0.1
    expected = np.concatenate(load(tmp_path / "2").embed(batches[0]), axis=1)
    np.testing.assert_allclose(arrays[1], expected, rtol=0, atol=2e-6)


def test_every_timing_starts_with_an_empty_token_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[int] = []
    encode = Encoder.encode

    def spy(self: Encoder, ids: Ids) -> Any:
        encoded.append(len(ids))
        return encode(self, ids)

    monkeypatch.setattr(Encoder, "encode", spy)
    engine = NumpyElmo()
    engine.import_library()
    engine.load(str(write_model(tmp_path / "model", "minute")), 1)
    host = NumpyHost(engine)
    for _ in range(2):
        encoded.clear()
        host.run([[["new", "words"]]])
        assert sum(encoded) >= 2
        encoded.clear()
        host.run_corpus([["new", "words"], ["more", "words"]])
        assert sum(encoded) >= 3


def test_a_worker_that_fails_says_what_it_said(tmp_path: Path) -> None:
    with (
        Worker(OURS) as worker,
        pytest.raises(RuntimeError, match=r"(?s)numpy_elmo ended at 'start'.*ModelNotFound"),
    ):
        worker.start(tmp_path / "nothing", 1)


def test_engines_take_turns_within_a_round() -> None:
    order: list[str] = []

    def work(name: str) -> float:
        order.append(name)
        return float(len(order))

    figures = take_turns({"a": lambda: work("a"), "b": lambda: work("b")}, 2)
    assert order == ["a", "b", "a", "b"]
    assert figures == {"a": [1, 3], "b": [2, 4]}


def test_the_lstm_work_of_the_published_size_is_151_million_operations_a_position() -> None:
    options = {"lstm": {"projection_dim": 512, "dim": 4096, "n_layers": 2}}
    flops, weight_bytes = lstm_work(options, n_rows=3, n_steps=7)
    assert flops == 2 * 3 * 7 * 4 * (2 * 512 * 16384 + 4096 * 512)
    assert flops / 21 == pytest.approx(151e6, rel=1e-2)
    assert weight_bytes == 4 * 4 * (7 * (512 * 16384 + 4096 * 512) + 512 * 16384)


def test_the_sample_is_text_of_the_kind_that_it_stands_for() -> None:
    sentences = read_sentences(SAMPLE)
    text = describe(sentences)
    assert text["sentences"] == len({tuple(sentence) for sentence in sentences}) == 256
    assert 12 < text["mean_tokens"] < 14
    assert 0.3 < text["distinct_tokens"] < 0.5


def test_all_cases_hold_the_sentences_that_they_say() -> None:
    sentences = read_sentences(SAMPLE)
    one, large, by_length, corpus = cases(sentences, [1, 256], n_few=64)
    assert one.batches == [[sentence] for sentence in sentences[:64]]
    assert large.batches == [sentences]
    lengths = [len(sentence) for batch in by_length.batches for sentence in batch]
    assert lengths == sorted(map(len, sentences))
    assert corpus.sentences == sentences


@pytest.mark.slow
def test_tables_hold_the_figures(results_file: Path, results: Any, capsys: pytest.CaptureFixture[str]) -> None:
    main(["report", str(results_file)])
    text = capsys.readouterr().out
    rows = [line for line in text.splitlines() if line.startswith("| batch 8 |")]
    case = results["throughput"]["cases"]["batch 8"]
    assert rows[0] == f"| batch 8 | 8 | {case['tokens_per_second']['numpy_elmo']:,.0f} |"
    ratio = results["reproducible"]["cases"]["batch 8"]["times_faster"]["reproducible=True"]
    assert rows[-1].startswith(f"| batch 8 | {ratio['median']:.2f} (")
    headings = ("Throughput", "Beside", "The same bits", "Growth", "LSTM layers", "Cost", "Start", "Peak", "Installed")
    found = [line for line in re.findall("### .*", text) if "AVX2" not in line]  # a table of AVX-512 machines only
    assert all(line.startswith(f"### {h}") for h, line in zip(headings, found, strict=True))


@pytest.mark.slow
def test_tables_go_between_the_marks_of_a_page(tmp_path: Path, results_file: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    for _ in range(2):  # the second time replaces the first
        main(["report", str(results_file), "--into", str(page)])
        text = page.read_text(encoding="utf-8")
        assert text.startswith(f"before\n{BEGIN}\n")
        assert text.endswith(f"{END}\nafter\n")
        assert text.count("### Throughput\n") == 1
        assert "old" not in text
    with pytest.raises(SystemExit, match="needs the two lines"):
        insert("no marks", "text")


def test_a_table_is_markdown() -> None:
    assert table(["", "n"], [["a", "1"]]) == "|  | n |\n| --- | ---: |\n| a | 1 |"


@pytest.mark.slow
def test_plots_are_drawn_for_light_and_dark_pages(tmp_path: Path, results_file: Path) -> None:
    main(["plot", str(results_file), str(tmp_path)])
    names = {path.name for path in tmp_path.iterdir()}
    plots = ("throughput", "lstm", "growth", "sentence_length", "batch_size")
    assert names == {f"{p}-{t}.{s}" for p in plots for t in ("light", "dark") for s in ("svg", "png")}
    assert (tmp_path / "lstm-light.png").read_bytes() != (tmp_path / "lstm-dark.png").read_bytes()


@pytest.mark.slow
def test_the_explorer_is_asked_what_its_page_asks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["explorer", "--repeats", "20", "--json", str(tmp_path / "times.json")])
    report = json.loads((tmp_path / "times.json").read_text(encoding="utf-8"))
    assert f"median {report['median_ms']:.0f} ms" in capsys.readouterr().out
    asked = explorer.sentences(40)
    assert len({text for text, _ in asked}) == 40
    assert {len(text.split()) for text, _ in asked} == {report["tokens"]} == {15}
    assert len({text.split()[at] for text, at in asked}) == 20


def test_sentences_of_every_length_are_the_same_text() -> None:
    sentences = read_sentences(SAMPLE)
    for length in LENGTHS:
        case = of_length(sentences, length)
        assert {len(sentence) for sentence in case.sentences} == {length}
        assert {len(batch) for batch in case.batches} == {32}
        tokens = [token for sentence in case.sentences for token in sentence]
        assert tokens == [token for sentence in sentences for token in sentence][: len(tokens)]
        assert len(tokens) == TOKENS_A_LENGTH
