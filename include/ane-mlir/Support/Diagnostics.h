//===- Diagnostics.h - how the tools speak --------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_SUPPORT_DIAGNOSTICS_H
#define ANEMLIR_SUPPORT_DIAGNOSTICS_H

#include "ane-mlir/Support/AtomicPath.h"
#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/raw_ostream.h"
#include <functional>

namespace mlir::ane {

/// Prints `FILE: error: loc("node"): message` to standard error while alive;
/// file positions print as FILE:LINE:COL.
/// A user's text (a message, a name) as a terminal may show it: control
/// characters, marks that turn the direction of writing, and what is no UTF-8
/// are written as \\u{…} or \\x…; line breaks stay only where `lines`. A word
/// of more than 400 bytes is cut.
std::string printable(llvm::StringRef text, bool lines = false);

/// A message with tensor types as ONNX users know them: float[1,3,224,224].
std::string spellTypes(llvm::StringRef text);

/// A node's or value's name in quotes, or line and column of a text.
std::string nameOf(Location loc);

/// Whether text on `os` is coloured: a terminal, and no NO_COLOR.
bool showsColors(llvm::raw_ostream &os);

class ToolDiagnostics {
public:
  ToolDiagnostics(MLIRContext *context, llvm::StringRef file);
  ~ToolDiagnostics();
  /// All that was said, without colours.
  const std::string &transcript() const { return all; }

private:
  llvm::StringSet<> told;
  std::string all;
  MLIRContext *context;
  std::string file;
  DiagnosticEngine::HandlerID id;
};

/// Puts the outputs in place; errors and warnings are diagnostics at `loc`.
LogicalResult commitOutputs(Outputs &outputs, Location loc);

/// How far long work is, on standard error: one line rewritten in place on a
/// terminal, else a line after half a second and then every two; nothing when
/// quiet.
class Progress {
public:
  /// Called instead of printing: a phase, and how far it is (0 of 0 at its
  /// begin), and with what.
  using Listener = std::function<void(llvm::StringRef phase, size_t done,
                                      size_t total, llvm::StringRef what)>;
  explicit Progress(bool quiet, Listener listener = {});
  ~Progress();
  void phase(llvm::StringRef name);
  /// Number `done` (from 0) of `total` begins; 0 where that is not known.
  void step(size_t done, size_t total, llvm::StringRef what);

private:
  void line(llvm::StringRef text);
  bool quiet, terminal;
  double start, phaseStart = 0, lastLine = 0;
  std::string current;
  Listener listener;
};

/// Takes a line of progress away from the terminal: something else is written
/// there. Signal handlers may call it.
void endProgress();

} // namespace mlir::ane

#endif // ANEMLIR_SUPPORT_DIAGNOSTICS_H
