"""Every way in which an ONNX file may say the same thing, against ONNX Runtime or the plain form."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from conftest import reference, relative
from onnx import TensorProto, helper, numpy_helper

import ane_mlir

X = np.random.default_rng(0).standard_normal((2, 3)).astype(np.float32)


def model(nodes, weights=(), inputs=None, outputs=("y",), opset=17, **more) -> onnx.ModelProto:
    inputs = inputs or [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3])]
    graph = helper.make_graph(nodes, "g", inputs, [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs], list(weights), **more)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def run(m: onnx.ModelProto, tmp_path, feeds=None, **options) -> dict[str, np.ndarray]:
    path = tmp_path / "m.onnx"
    path.write_bytes(m.SerializeToString())
    return ane_mlir.compile(path, precision="fp32", **options).run(feeds or {"x": X}, numerics="fp32")


def test_initializer_listed_as_input(tmp_path):
    w = numpy_helper.from_array(np.arange(3, dtype=np.float32), "w")
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3]), helper.make_tensor_value_info("w", TensorProto.FLOAT, [3])]
    result = run(model([helper.make_node("Add", ["x", "w"], ["y"])], [w], inputs), tmp_path)
    assert np.array_equal(result["y"], X + np.arange(3, dtype=np.float32))


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool"])
@pytest.mark.parametrize("raw", [True, False])
def test_tensor_fields(tmp_path, dtype, raw):
    values = np.array([[0, 1, 5], [7, 100, 3]]).astype(dtype)
    if raw:
        tensor = numpy_helper.from_array(values, "w")
    else:
        code = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        flat = values.ravel().tolist()
        tensor = helper.make_tensor("w", code, [2, 3], flat)
        assert not tensor.HasField("raw_data")
    m = model([helper.make_node("Cast", ["w"], ["c"], to=TensorProto.FLOAT), helper.make_node("Add", ["x", "c"], ["y"])], [tensor])
    assert np.allclose(run(m, tmp_path)["y"], X + values.astype(np.float32))


def test_bfloat16_constant(tmp_path):
    tensor = TensorProto(name="w", data_type=TensorProto.BFLOAT16, dims=[3], raw_data=np.array([0x3F80, 0xC000, 0x4049], np.uint16).tobytes())
    m = model([helper.make_node("Cast", ["w"], ["c"], to=TensorProto.FLOAT), helper.make_node("Add", ["x", "c"], ["y"])], [tensor])
    assert np.array_equal(run(m, tmp_path)["y"], X + np.array([1, -2, 3.140625], np.float32))


@pytest.mark.parametrize("linear", [True, False])
def test_sparse_initializer(tmp_path, linear):
    values = numpy_helper.from_array(np.array([5, -2], np.float32), "w")
    indices = numpy_helper.from_array(np.array([1, 5] if linear else [[0, 1], [1, 2]], np.int64), "w_indices")
    sparse = helper.make_sparse_tensor(values, indices, [2, 3])
    dense = np.array([[0, 5, 0], [0, 0, -2]], np.float32)
    m = model([helper.make_node("Mul", ["x", "w"], ["y"])], sparse_initializer=[sparse])
    assert np.array_equal(run(m, tmp_path)["y"], X * dense)
    m = model([helper.make_node("Constant", [], ["w"], sparse_value=sparse), helper.make_node("Mul", ["x", "w"], ["y"])])
    assert np.array_equal(run(m, tmp_path)["y"], X * dense)


@pytest.mark.parametrize("attributes, value", [
    ({"value_float": 1.5}, 1.5), ({"value_floats": [1.0, 2.0, 3.0]}, [1, 2, 3]), ({"value": numpy_helper.from_array(np.array([2.0], np.float32))}, [2])])
def test_constant_forms(tmp_path, attributes, value):
    m = model([helper.make_node("Constant", [], ["c"], **attributes), helper.make_node("Add", ["x", "c"], ["y"])])
    assert np.allclose(run(m, tmp_path)["y"], X + np.array(value, np.float32))


def test_constant_ints(tmp_path):
    m = model([helper.make_node("Constant", [], ["s"], value_ints=[3, 2]), helper.make_node("Reshape", ["x", "s"], ["y"])])
    assert np.array_equal(run(m, tmp_path)["y"], X.reshape(3, 2))


def test_local_functions(tmp_path):
    """Nested calls, attributes passed on and defaulted, an absent optional input."""
    scale = helper.make_function("local", "scale", ["a"], ["b"], [
        helper.make_node("Constant", [], ["s"]), helper.make_node("Mul", ["a", "s"], ["b"])], [helper.make_opsetid("", 17)], ["factor"])
    scale.node[0].attribute.append(onnx.AttributeProto(name="value_float", ref_attr_name="factor", type=onnx.AttributeProto.FLOAT))
    clip = helper.make_function("local", "bound", ["a", "low"], ["b"], [
        helper.make_node("scale", ["a"], ["t"], domain="local"), helper.make_node("Clip", ["t", "low"], ["b"])],
        [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)], [], [helper.make_attribute("factor", 2.0)])
    clip.node[0].attribute.append(onnx.AttributeProto(name="factor", ref_attr_name="factor", type=onnx.AttributeProto.FLOAT))
    zero = numpy_helper.from_array(np.array(0, np.float32), "zero")
    m = model([helper.make_node("bound", ["x", "zero"], ["p"], domain="local"), helper.make_node("bound", ["x", ""], ["q"], domain="local", factor=3.0),
               helper.make_node("Add", ["p", "q"], ["y"])], [zero])
    m.functions.extend([scale, clip])
    m.opset_import.append(helper.make_opsetid("local", 1))
    assert np.allclose(run(m, tmp_path)["y"], np.maximum(2 * X, 0) + 3 * X)


def test_subgraph_reads_outer_value_and_unsorted(tmp_path):
    then = helper.make_graph([helper.make_node("Add", ["x", "w"], ["t"])], "then", [], [helper.make_tensor_value_info("t", TensorProto.FLOAT, None)])
    other = helper.make_graph([helper.make_node("Neg", ["x"], ["e"])], "else", [], [helper.make_tensor_value_info("e", TensorProto.FLOAT, None)])
    nodes = [helper.make_node("If", ["c"], ["y"], then_branch=then, else_branch=other),
             helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(np.array(True))),
             helper.make_node("Constant", [], ["w"], value_float=4.0)]
    assert np.allclose(run(model(nodes), tmp_path)["y"], X + 4)


def test_unused_and_unnamed(tmp_path):
    """No node names, an empty output name, an input and a weight that nobody reads, an unsupported node that is dead."""
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3]), helper.make_tensor_value_info("spare", TensorProto.INT32, [1])]
    nodes = [helper.make_node("Dropout", ["x"], ["d", ""]), helper.make_node("NoSuchOp", ["x"], ["dead"], domain="com.example"), helper.make_node("Relu", ["d"], ["y"])]
    m = model(nodes, [numpy_helper.from_array(X, "unread")], inputs)
    assert np.array_equal(run(m, tmp_path, {"x": X, "spare": np.zeros(1, np.int32)})["y"], np.maximum(X, 0))


def test_unsupported_are_listed_together(tmp_path):
    nodes = [helper.make_node("Foo", ["x"], ["a"], "/first", domain="com.example"), helper.make_node("Bar", ["a"], ["b"], "/second", domain="com.example"),
             helper.make_node("Foo", ["b"], ["y"], "/third", domain="com.example")]
    m = model(nodes)
    m.opset_import.append(helper.make_opsetid("com.example", 3))
    with pytest.raises(ane_mlir.CompileError) as error:
        run(m, tmp_path)
    assert 'com.example.Foo@3 (2 nodes, first "/first")' in str(error.value) and 'com.example.Bar@3 (1 node, first "/second")' in str(error.value)


def test_every_unbound_dimension_is_named(tmp_path):
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3]), helper.make_tensor_value_info("z", TensorProto.FLOAT, ["time", None])]
    m = model([helper.make_node("Relu", ["x"], ["y"])], inputs=inputs)
    with pytest.raises(ane_mlir.CompileError) as error:
        run(m, tmp_path)
    assert "--dim batch=N" in str(error.value) and "--dim time=N" in str(error.value)


def test_two_unnamed_dimensions(tmp_path):
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, None])]
    m = model([helper.make_node("Relu", ["x"], ["y"])], inputs=inputs)
    assert np.array_equal(run(m, tmp_path, input_shapes={"x": [2, 3]})["y"], np.maximum(X, 0))


def test_input_value(tmp_path):
    """A shape that the model leaves to its caller, bound at compile time."""
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3]), helper.make_tensor_value_info("s", TensorProto.INT64, [2])]
    (tmp_path / "s.pb").write_bytes(numpy_helper.from_array(np.array([3, 2]), "s").SerializeToString())
    m = model([helper.make_node("Reshape", ["x", "s"], ["y"])], inputs=inputs)
    assert np.array_equal(run(m, tmp_path, options=[f"--input-value=s={tmp_path}/s.pb"])["y"], X.reshape(3, 2))


def test_cut_at_inner_values(tmp_path):
    m = model([helper.make_node("Relu", ["x"], ["a"]), helper.make_node("Exp", ["a"], ["b"]), helper.make_node("Neg", ["b"], ["y"])])
    result = run(m, tmp_path, options=["--outputs=b,a"])
    assert list(result) == ["b", "a"] and relative(result["b"], np.exp(np.maximum(X, 0))) < 1e-6


def test_int64_beyond_32_bits_is_an_error(tmp_path):
    inputs = [helper.make_tensor_value_info("x", TensorProto.INT64, [2])]
    m = model([helper.make_node("Add", ["x", "w"], ["s"]), helper.make_node("Cast", ["s"], ["y"], to=TensorProto.FLOAT)],
              [numpy_helper.from_array(np.array([2**40, 1]), "w")], inputs)
    with pytest.raises(ane_mlir.CompileError, match="does not fit 32 bits"):
        run(m, tmp_path)
    m = model([helper.make_node("Cast", ["x"], ["y"], to=TensorProto.FLOAT)], inputs=inputs)
    with pytest.raises(ValueError, match="does not fit int32"):
        run(m, tmp_path, {"x": np.array([2**33, 0])})


def test_large_external_like_weights_stay_views(tmp_path):
    """A transposed constant weight is evaluated by the weight writer, and right."""
    w = np.random.default_rng(1).standard_normal((64, 3)).astype(np.float32)
    m = model([helper.make_node("Transpose", ["w"], ["t"], perm=[1, 0]), helper.make_node("MatMul", ["x", "t"], ["y"])], [numpy_helper.from_array(w, "w")])
    path = tmp_path / "m.onnx"
    path.write_bytes(m.SerializeToString())
    assert relative(run(m, tmp_path)["y"], reference(path, {"x": X})[0]) < 1e-6
