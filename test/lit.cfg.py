"""Configuration of the lit suite; lit.site.cfg.py says where things are."""

import os

import lit.formats

config.name = "ane-mlir"
config.test_format = lit.formats.ShTest(True)
config.suffixes = [".mlir", ".mil", ".test", ".td"]
config.test_source_root = os.path.join(config.project_source, "test")
config.test_exec_root = os.path.join(config.project_binary, "test")
config.excludes = ["E2E", "Unit", "lit.cfg.py"]
config.environment["PATH"] = os.pathsep.join([os.path.join(config.project_binary, "bin"), config.llvm_tools, config.environment.get("PATH", "")])
config.environment["FILECHECK_OPTS"] = "--enable-var-scope"
config.substitutions.append(("%python", config.python))
config.substitutions.append(("%digits", os.path.join(config.project_source, "test", "E2E", "digits", "digits.onnx")))
config.substitutions.append(("%source", config.project_source))
config.substitutions.append(("%mlir_include", config.mlir_include))
