"""Tests MIL text of one's own without a Mac: pytest python/examples/test_my_mil.py"""

import ane_mlir
import numpy as np
import pytest

MIL = """program(1.3)
{
    func main<ios18>(tensor<fp16, [1, 4, 1, WIDTH]> x) {
        tensor<fp16, [1, 4, 1, WIDTH]> y = relu(x = x)[name = string("y")];
    } -> (y);
}
"""


def test_it_computes_what_it_should() -> None:
    x = np.random.default_rng(0).standard_normal((1, 4, 1, 64)).astype(np.float16)
    outputs = ane_mlir.simulate(MIL.replace("WIDTH", "64"), inputs={"x": x}, target="m4", strict=True)
    np.testing.assert_array_equal(outputs["y"], np.maximum(x, 0))


def test_what_the_engine_refuses_names_its_rule() -> None:
    x = np.zeros((1, 4, 1, 30), np.float16)
    with pytest.raises(ane_mlir.CompileError) as refused:
        ane_mlir.simulate(MIL.replace("WIDTH", "30"), inputs={"x": x}, target="m4", strict=True)
    assert refused.value.diagnostics[0].rule == "L40"  # ane_mlir.explain("L40") tells more
