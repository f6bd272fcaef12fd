"""One exported Viterbi, run by onnxruntime, against the layer's own."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from cases import Case, layer, problem
from torch import Tensor

from pybert_crf.crf import CRF, Constraints
from pybert_crf.crf.onnx import export_viterbi, viterbi_model

INF = torch.inf
DTYPES = [torch.float32, torch.float64]

Session = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def exported(crf: CRF, path: Path) -> Session:
    """The tags and scores that the runtime returns for emissions and a mask."""
    pytest.importorskip("onnx", reason="the package onnx is not installed")
    runtime = pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")
    export_viterbi(crf, path)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def run(emissions: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        given = {"emissions": emissions.detach().contiguous().numpy(), "mask": mask.contiguous().numpy()}
        tags, scores = session.run(None, given)
        return torch.from_numpy(tags), torch.from_numpy(scores)

    return run


def random_mask(batch: int, time: int, seed: int) -> Tensor:
    """Gaps, left padding and, from four rows on, one row with nothing and one with everything."""
    mask = torch.rand(batch, time, generator=torch.Generator().manual_seed(seed)) < 0.6
    if batch >= 4:
        mask[1], mask[2] = False, True
        mask[3] = torch.arange(time) >= time // 2
    return mask


def path_scores(tags: Tensor, case: Case) -> Tensor:
    """The scores of these paths by the reference, in float64; masked tags are never read."""
    exact = case.to(torch.float64)
    return layer(exact, "reference").score(exact.emissions, tags, exact.mask).detach()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("num_tags", [1, 2, 7, 8, 9, 33])
def test_one_file_serves_every_shape(num_tags: int, dtype: torch.dtype, tmp_path: Path) -> None:
    crf = layer(problem(1, 1, num_tags, seed=num_tags).to(dtype), "reference")
    run = exported(crf, tmp_path / "viterbi.onnx")
    for seed, (B, T) in enumerate([(5, 23), (1, 1), (4, 7), (2, 301), (0, 4), (3, 0), (0, 0)]):
        emissions = problem(B, T, num_tags, seed=seed).emissions.to(dtype)
        mask = random_mask(B, T, seed)
        tags, scores = run(emissions, mask)
        expected_tags, expected_scores = crf.viterbi(emissions, mask)
        assert tags.dtype == torch.int64
        assert torch.equal(tags, expected_tags)
        torch.testing.assert_close(scores, expected_scores)


@pytest.mark.parametrize("dtype", DTYPES)
def test_of_equal_paths_the_same_one_wins(dtype: torch.dtype, tmp_path: Path) -> None:
    """Scores of -1, 0 and 1: many paths tie, and no sum is rounded."""
    for seed in range(30):
        case = problem(6, 9, 4, seed=seed)._replace(mask=random_mask(6, 9, seed)).to(dtype)
        case = Case(*(part.clamp(-1, 1).round() if part.is_floating_point() else part for part in case))
        crf = layer(case, "reference")
        tags, scores = exported(crf, tmp_path / "viterbi.onnx")(case.emissions, case.mask)
        expected_tags, expected_scores = crf.viterbi(case.emissions, case.mask)
        assert torch.equal(tags, expected_tags)
        assert torch.equal(scores, expected_scores)


def wide_emissions(case: Case) -> None:
    case.emissions.mul_(1e4)


def wide_transitions(case: Case) -> None:
    case.transitions.mul_(1e3)


def forbidden_entries(case: Case) -> None:
    chance = torch.rand(case.transitions.shape, generator=torch.Generator().manual_seed(5))
    case.transitions[chance < 0.4] = -INF


def forbidden_column(case: Case) -> None:
    case.transitions[:, 1] = -INF


def forbidden_ends(case: Case) -> None:
    case.start[1:] = -INF
    case.end[:-1] = -INF


def forbidden_emissions(case: Case) -> None:
    case.emissions[:, ::3, 0] = -INF


def narrow_way(case: Case) -> None:
    """The only way to the end leads through tags that every emission makes unlikely."""
    case.transitions[:-1, -1] = -INF
    case.transitions[0, -1] = 0.0
    case.end[:-1] = -INF
    case.emissions[:, :, 0] -= 3000


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "spoil",
    [
        wide_emissions,
        wide_transitions,
        forbidden_entries,
        forbidden_column,
        forbidden_ends,
        forbidden_emissions,
        narrow_way,
    ],
)
def test_hostile_scores(spoil: Callable[[Case], None], dtype: torch.dtype, tmp_path: Path) -> None:
    case = problem(6, 40, 7, seed=11)._replace(mask=random_mask(6, 40, 2))
    spoil(case)
    case = case.to(torch.float32).to(dtype)
    tags, scores = exported(layer(case, "reference"), tmp_path / "viterbi.onnx")(case.emissions, case.mask)
    exact = case.to(torch.float64)
    best_tags, best = layer(exact, "reference").viterbi(exact.emissions, exact.mask)
    torch.testing.assert_close(scores.double(), best, rtol=1e-6, atol=1e-5)
    # In float32 another path may win that scores the same but for its rounding.
    torch.testing.assert_close(path_scores(tags, case), best, rtol=1e-6, atol=1e-5)
    assert torch.equal(tags == -1, ~case.mask)
    if dtype == torch.float64:
        assert torch.equal(tags, best_tags)


def test_a_long_row_keeps_its_precision(tmp_path: Path) -> None:
    case = problem(1, 4000, 3, seed=4).to(torch.float32)
    tags, scores = exported(layer(case, "reference"), tmp_path / "viterbi.onnx")(case.emissions, case.mask)
    exact = case.to(torch.float64)
    best = layer(exact, "reference").viterbi(exact.emissions, exact.mask)[1]
    torch.testing.assert_close(scores.double(), best, rtol=1e-6, atol=0)
    torch.testing.assert_close(path_scores(tags, case), best, rtol=1e-6, atol=0)


def test_constraints_are_part_of_the_model(tmp_path: Path) -> None:
    """Tags O, B, I: I is illegal at the start and after O."""
    constraints = Constraints(
        torch.tensor([True, True, False]),
        torch.tensor([[True, True, False], [True, True, True], [True, True, True]]),
        None,
    )
    crf = CRF(3, batch_first=True, constraints=constraints, backend="reference")
    emissions = torch.zeros(2, 4, 3)
    emissions[:, :, 2] = 5.0
    mask = torch.ones(2, 4, dtype=torch.bool)
    tags, scores = exported(crf, tmp_path / "viterbi.onnx")(emissions, mask)
    assert tags.tolist() == [[1, 2, 2, 2]] * 2
    torch.testing.assert_close(scores, crf.viterbi(emissions, mask)[1])


def test_a_row_without_a_legal_path_scores_minus_infinity(tmp_path: Path) -> None:
    case = problem(4, 5, 3).to(torch.float32)
    case.transitions.fill_(-INF)
    mask = torch.tensor([[0, 1, 0, 0, 0], [1, 0, 1, 1, 0], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]]).bool()
    crf = layer(case, "reference")
    tags, scores = exported(crf, tmp_path / "viterbi.onnx")(case.emissions, mask)
    torch.testing.assert_close(scores, crf.viterbi(case.emissions, mask)[1])
    assert scores.isneginf().tolist() == [False, True, False, True]
    assert torch.equal(tags == -1, ~mask)


@pytest.mark.parametrize("bad", [torch.nan, INF])
def test_what_is_masked_is_never_read_and_nan_is_not_hidden(bad: float, tmp_path: Path) -> None:
    case = problem(3, 6, 4, ragged=False).to(torch.float32)
    case.mask[:, [0, 3]] = False
    crf = layer(case, "reference")
    expected_tags, expected_scores = crf.viterbi(case.emissions, case.mask)
    run = exported(crf, tmp_path / "viterbi.onnx")
    case.emissions[:, [0, 3]] = bad
    tags, scores = run(case.emissions, case.mask)
    assert torch.equal(tags, expected_tags)
    torch.testing.assert_close(scores, expected_scores)
    case.emissions[1, 2, 3] = bad
    tags, scores = run(case.emissions, case.mask)
    assert scores.isnan().tolist() == [False, True, False]
    assert (tags[case.mask] >= 0).all()
    assert (tags < 4).all()


@pytest.mark.parametrize(("bad", "named"), [(torch.nan, "NaN"), (INF, r"\+inf")])
def test_unusable_parameters_are_refused(bad: float, named: str, tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="the package onnx is not installed")
    crf = CRF(3)
    with torch.no_grad():
        crf.transitions[1, 2] = bad
    with pytest.raises(ValueError, match=f"the transition parameters hold {named}"):
        export_viterbi(crf, tmp_path / "viterbi.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("dtype", [*DTYPES, torch.bfloat16])
def test_the_file_is_a_valid_model_with_free_batch_and_time(dtype: torch.dtype, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")
    path = tmp_path / "viterbi.onnx"
    export_viterbi(CRF(5).to(dtype), str(path))
    assert list(tmp_path.iterdir()) == [path]
    onnx.checker.check_model(str(path), full_check=True)
    graph = onnx.load(str(path)).graph

    def described(values: object) -> dict[str, tuple[int, list[str | int]]]:
        types = {value.name: value.type.tensor_type for value in values}  # type: ignore[attr-defined]
        return {
            name: (kind.elem_type, [size.dim_param or size.dim_value for size in kind.shape.dim])
            for name, kind in types.items()
        }

    real = onnx.TensorProto.DOUBLE if dtype == torch.float64 else onnx.TensorProto.FLOAT
    emissions, mask = (real, ["batch", "time", 5]), (onnx.TensorProto.BOOL, ["batch", "time"])
    assert described(graph.input) == {"emissions": emissions, "mask": mask}
    tags, scores = (onnx.TensorProto.INT64, ["batch", "time"]), (real, ["batch"])
    assert described(graph.output) == {"tags": tags, "scores": scores}


def test_it_goes_behind_another_model(tmp_path: Path) -> None:
    """As behind an encoder: here one matrix product makes the emissions."""
    onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")
    runtime = pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")
    case = problem(3, 6, 4).to(torch.float32)
    crf = layer(case, "reference")
    weight = torch.randn(5, 4, generator=torch.Generator().manual_seed(1))
    encoder = onnx.parser.parse_model(
        """<ir_version: 8, opset_import: ["": 18]>
        encoder (float[batch, time, 5] hidden) => (float[batch, time, 4] made) {
            made = MatMul(hidden, weight)
        }"""
    )
    encoder.graph.initializer.append(onnx.numpy_helper.from_array(weight.numpy(), "weight"))
    joined = onnx.compose.merge_models(encoder, viterbi_model(crf), io_map=[("made", "emissions")])
    onnx.checker.check_model(joined, full_check=True)
    session = runtime.InferenceSession(joined.SerializeToString(), providers=["CPUExecutionProvider"])
    hidden = torch.randn(3, 6, 5, generator=torch.Generator().manual_seed(2))
    tags, _ = session.run(None, {"hidden": hidden.numpy(), "mask": case.mask.numpy()})
    assert torch.equal(torch.from_numpy(tags), crf.viterbi(hidden @ weight, case.mask)[0])


def test_without_onnx_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "onnx"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"needs the package onnx .*: pip install 'pybert-crf\[onnx\]'"):
        viterbi_model(CRF(3))
