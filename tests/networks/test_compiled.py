"""torch.compile takes the networks as one graph, with and without autocast, and computes the same."""

import subprocess
import sys

# In a process of its own: the tests' type checks around every function are not for the compiler.
PROBE = """
import torch
from diorama.networks.unish import UniSH, UniSHConfig

torch.manual_seed(0)
network = UniSH(UniSHConfig.tiny()).eval()
parts = torch.rand(1, 2, 3, 28, 42), torch.rand(1, 2, 3, 256, 256), torch.rand(1, 2, 3)
compiled = torch.compile(network, backend="eager", fullgraph=True)
for low in (False, True):
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=low):
        expected, found = network(*parts), compiled(*parts)
    assert all(torch.equal(found[name], value) for name, value in expected.items())
"""


def test_one_graph_without_breaks():
    result = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-2000:]
