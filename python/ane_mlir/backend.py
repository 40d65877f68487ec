"""ONNX's backend interface (onnx.backend.base), over compile() and the interpreter.

    import ane_mlir.backend as backend
    outputs = backend.prepare(model).run([image])          # in the order of the model's inputs and outputs

Options of prepare() are those of compile(); precision is "fp32" unless told otherwise, since the interface asks what a
model means. Inputs that decide shapes (axes, sizes) become constants, as --input-value makes them: a model that needs
them is compiled when it is run.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

import numpy as np
import onnx
import onnx.checker
from numpy.typing import NDArray
from onnx import numpy_helper
from onnx.backend.base import Backend, BackendRep, Device, DeviceType

from ._bundle import Bundle
from ._compile import compile as compile_model
from ._messages import CompileError

__all__ = ["AneBackend", "AneBackendRep", "is_compatible", "prepare", "run_model", "run_node", "supports_device"]

# How compile() says that an input has to be one.
_NEEDED = "known at compile time"


def _compile_bundle(model: onnx.ModelProto, options: Mapping[str, Any]) -> Bundle:
    made = compile_model(model, **options)
    if not isinstance(made, Bundle):
        raise TypeError("the backend interface runs bundles, and the options ask for another artifact")
    return made


class AneBackendRep(BackendRep):
    """A prepared model. `bundle` is what it was compiled to, by the last run() where inputs decide shapes."""

    def __init__(self, model: onnx.ModelProto, options: Mapping[str, Any]) -> None:
        self._model, self._options = model, dict(options)
        self._numerics = str(self._options.pop("numerics", "fp32" if self._options.get("precision", "fp32") == "fp32" else "fp16"))
        self._options.setdefault("precision", "fp32")
        given = {tensor.name for tensor in model.graph.initializer}
        self._inputs = [value for value in model.graph.input if value.name not in given]
        self.bundle: Optional[Bundle] = None
        self._why: Optional[CompileError] = None
        try:
            self.bundle = _compile_bundle(model, self._options)
        except CompileError as error:
            if _NEEDED not in str(error):
                raise
            self._why = error

    def run(self, inputs: Any, **kwargs: Any) -> tuple[NDArray[Any], ...]:
        """Outputs in the model's order. inputs: a sequence in the model's order, or a mapping by name."""
        if isinstance(inputs, Mapping):
            feeds = dict(inputs)
        else:
            values = inputs if isinstance(inputs, (list, tuple)) else [inputs]
            if len(values) > len(self._inputs):
                raise ValueError(f"expects {len(self._inputs)} inputs, but got {len(values)}")
            feeds = {port.name: value for port, value in zip(self._inputs, values)}
        bundle = self.bundle if self._why is None else self._bind(feeds)
        assert bundle is not None
        self.bundle = bundle
        wanted = {port["name"] for port in bundle.manifest["inputs"]}
        return tuple(bundle.run({name: value for name, value in feeds.items() if name in wanted}, self._numerics).values())

    def _bind(self, feeds: Mapping[str, Any]) -> Bundle:
        """Compiles with inputs as constants: all but the first where that suffices, else all, if integer or small."""
        error = self._why
        for everything in (False, True):
            with tempfile.TemporaryDirectory(prefix="ane-mlir-") as folder:
                options = list(self._options.get("options", ()))
                for index, port in enumerate(self._inputs):
                    if port.name not in feeds or (index == 0 and len(self._inputs) > 1 and not everything):
                        continue
                    value = np.asarray(feeds[port.name])
                    if port.type.tensor_type.elem_type in (onnx.TensorProto.INT32, onnx.TensorProto.INT64) or value.size <= 8:
                        file = Path(folder, f"input_{index}.pb")
                        file.write_bytes(numpy_helper.from_array(value, port.name).SerializeToString())
                        options.append(f"--input-value={port.name}={file}")
                try:
                    return _compile_bundle(self._model, {**self._options, "options": options})
                except CompileError as again:
                    error = again
                    if _NEEDED not in str(again):
                        break
        assert error is not None
        raise error


class AneBackend(Backend):
    """What ONNX's test runner and other users of the interface call."""

    @classmethod
    def prepare(cls, model: onnx.ModelProto, device: str = "CPU", **kwargs: Any) -> AneBackendRep:
        """Compiles. Raises CompileError for a model that is refused, ValueError for another device than the CPU: what was
        compiled for the engine runs in the interpreter."""
        if not cls.supports_device(device):
            raise ValueError(f"expects device CPU, but got '{device}'")
        return AneBackendRep(model, kwargs)

    @classmethod
    def run_model(cls, model: onnx.ModelProto, inputs: Any, device: str = "CPU", **kwargs: Any) -> tuple[NDArray[Any], ...]:
        return cls.prepare(model, device, **kwargs).run(inputs)

    @classmethod
    def run_node(cls, node: onnx.NodeProto, inputs: Any, device: str = "CPU", outputs_info: Optional[Sequence[tuple[Any, Any]]] = None, **kwargs: Any) -> tuple[NDArray[Any], ...]:
        """One node on arrays; `opset_version` among the options is that of its operator (default: the newest)."""
        opset = int(kwargs.pop("opset_version", onnx.defs.onnx_opset_version()))
        arrays = [np.asarray(value) for value in inputs]
        names = [name for name in node.input if name]
        ports = [onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(a.dtype), a.shape) for name, a in zip(names, arrays)]
        graph = onnx.helper.make_graph([node], "node", ports, [onnx.helper.make_empty_tensor_value_info(name) for name in node.output if name])
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid(node.domain, opset)], ir_version=8)
        model = onnx.shape_inference.infer_shapes(model)
        return cls.run_model(model, arrays, device, **kwargs)

    @classmethod
    def is_compatible(cls, model: onnx.ModelProto, device: str = "CPU", **kwargs: Any) -> bool:
        """Whether prepare() would take it."""
        try:
            cls.prepare(model, device, check="off", **kwargs)
        except CompileError:
            return False
        return True

    @classmethod
    def supports_device(cls, device: str) -> bool:
        return bool(Device(device).type == DeviceType.CPU)


prepare = AneBackend.prepare
run_model = AneBackend.run_model
run_node = AneBackend.run_node
is_compatible = AneBackend.is_compatible
supports_device = AneBackend.supports_device
