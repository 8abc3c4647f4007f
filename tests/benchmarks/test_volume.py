"""The benchmark of a whole head: the implementations give the same CT, and memory is each one's own."""

from dataclasses import replace

import numpy as np
import pytest

from ganlab.benchmarks.volume import benchmark_volume, format_benchmark
from ganlab.phantoms import make_patient

pytestmark = pytest.mark.slow


def test_a_volume_is_translated_by_each_implementation_and_compared():
    t1 = make_patient(9000, ("t1",), spacing=2.0)["t1"]
    affine = t1.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ (0, 0, 70)
    slab = replace(t1, array=np.ascontiguousarray(t1.array[:, :, 70:100]), affine=affine)
    result = benchmark_volume("cpu", 1, slab, ["axial"])
    names = {"ours", "plain"} | ({"ours in float32"} if result["precision"] == "bfloat16" else set())
    assert set(result["results"]) == names
    for name, figures in result["results"].items():
        assert figures["seconds"] > 0 and figures["cpu_seconds"] > 0
        assert figures["peak_memory"] is None or 100 < figures["peak_memory"] < 1500
        assert name == "plain" or (figures["ratio"] > 0 and figures["difference"] < 60)  # linear against cubic at 2 mm
    if None not in (held := [figures["peak_memory"] for figures in result["results"].values()]):
        assert len(set(held)) > 1  # not the parent's
    assert f"ours in {result['precision']}" in format_benchmark(result)
