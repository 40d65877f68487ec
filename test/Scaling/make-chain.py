"""Prints a function that is a chain of as many ops as the argument says."""

import sys

count = int(sys.argv[1])
kind = "tensor<1x1x1x64xf32>"
print(f"func.func @main(%0: {kind}) -> {kind} {{")
for i in range(count):
    print(f"  %{i + 1} = ane.{'relu' if i % 2 else 'tanh'} %{i} : ({kind}) -> {kind}")
print(f"  return %{count} : {kind}\n}}")
