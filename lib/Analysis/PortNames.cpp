//===- PortNames.cpp - what a user calls inputs and outputs ---------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Analysis/PortNames.h"
#include "dialects/ANE/IR/Marks.h"

using namespace mlir;

std::vector<std::string> mlir::ane::getPortNames(func::FuncOp main) {
  std::vector<std::string> names;
  auto add = [&](StringAttr name, StringRef kind, unsigned i) {
    names.push_back(name ? name.getValue().str() : (kind + Twine(i)).str());
  };
  for (unsigned i = 0; i < main.getNumArguments(); ++i)
    add(main.getArgAttrOfType<StringAttr>(i, marks::kName), "input", i);
  for (unsigned i = 0; i < main.getNumResults(); ++i)
    add(main.getResultAttrOfType<StringAttr>(i, marks::kName), "output", i);
  return names;
}
