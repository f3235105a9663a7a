"""A local Ray cluster of three nodes, of which one is killed: nothing is lost, the tables are those of a plain run."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from tests.integration.tiny_suite import reference, rows, states, suite, tables, world

__all__ = ["reference", "suite", "world"]  # fixtures
pytestmark = [pytest.mark.assets, pytest.mark.slow]
utilities = pytest.importorskip("ray.cluster_utils", reason="Ray is not installed: pip install -e .[ray]")


@pytest.mark.timeout(600)
def test_a_node_that_dies_loses_nothing(reference, suite, tmp_path):
    cluster = utilities.Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
        out = tmp_path / "out"
        command = [sys.executable, "-m", "benchmarks", "run", suite, "--executor", "ray", "--workers", "3",
                   "--engine", f"address={cluster.address}", "--out", str(out)]  # fmt: skip
        process = subprocess.Popen(command)
        while process.poll() is None and not any(out.glob("work/claims/*/*")):
            time.sleep(0.2)
        assert process.poll() is None, "a node can only be killed while the run is going"
        cluster.remove_node(nodes[1], allow_graceful=False)
        assert process.wait() == 0
    finally:
        cluster.shutdown()
    assert states(out) == states(reference) and rows(out) == rows(reference)
    assert tables(out) == tables(reference)
