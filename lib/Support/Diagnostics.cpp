//===- Diagnostics.cpp - how the tools speak ------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Support/Diagnostics.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Location.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/ConvertUTF.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/Process.h"
#include <chrono>

using namespace mlir;
using namespace mlir::ane;

static double now() {
  return std::chrono::duration<double>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

/// Of a character that a terminal obeys instead of showing it.
static bool isObeyed(uint32_t c) {
  return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x200E || c == 0x200F ||
         (c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069) ||
         c == 0xFEFF;
}

std::string mlir::ane::printable(llvm::StringRef text, bool lines) {
  constexpr size_t kLongest = 400, kShown = 120;
  std::string result;
  llvm::raw_string_ostream os(result);
  size_t word = 0, hidden = 0;
  auto end = [&] {
    if (hidden)
      os << "… (" << hidden << " more)";
    word = hidden = 0;
  };
  // Words are measured first, so that a path of some length stays whole.
  auto lengthOf = [](llvm::StringRef rest) {
    return std::min(rest.find_first_of(" \n\t"), rest.size());
  };
  bool cut = false;
  for (size_t i = 0; i < text.size();) {
    if (word == 0)
      cut = lengthOf(text.drop_front(i)) > kLongest;
    char first = text[i];
    if (first == ' ' || (first == '\n' && lines)) {
      end();
      os << first;
      ++i;
      continue;
    }
    const auto *at = reinterpret_cast<const llvm::UTF8 *>(text.data()) + i;
    const auto *next = at;
    llvm::UTF32 c = 0;
    bool valid =
        llvm::convertUTF8Sequence(
            &next, reinterpret_cast<const llvm::UTF8 *>(text.bytes_end()), &c,
            llvm::strictConversion) == llvm::conversionOK;
    size_t length = valid ? next - at : 1;
    ++word;
    if (cut && word > kShown)
      ++hidden;
    else if (!valid)
      os << "\\x" << llvm::format_hex_no_prefix(uint8_t(first), 2);
    else if (isObeyed(c))
      os << "\\u{" << llvm::format_hex_no_prefix(c, 2) << '}';
    else
      os << text.substr(i, length);
    i += length;
  }
  end();
  return result;
}

ToolDiagnostics::ToolDiagnostics(MLIRContext *context, llvm::StringRef file)
    : context(context), file(file.str()) {
  // A message names the node; the whole function behind it helps nobody.
  context->printOpOnDiagnostic(false);
  id = context->getDiagEngine().registerHandler([this](Diagnostic &diagnostic) {
    auto severity = [](DiagnosticSeverity s) {
      return s == DiagnosticSeverity::Error     ? "error"
             : s == DiagnosticSeverity::Warning ? "warning"
             : s == DiagnosticSeverity::Note    ? "note"
                                                : "remark";
    };
    auto print = [&](Location loc, DiagnosticSeverity s, StringRef message) {
      if (auto position = dyn_cast<FileLineColLoc>(loc)) {
        llvm::errs() << printable(position.getFilename()) << ':'
                     << position.getLine() << ':' << position.getColumn()
                     << ": " << severity(s) << ": "
                     << printable(message, true) << '\n';
        return;
      }
      llvm::errs() << printable(this->file) << ": " << severity(s) << ": ";
      if (auto name = dyn_cast<NameLoc>(loc);
          name && name.getName() != this->file)
        llvm::errs() << "loc(\"" << printable(name.getName()) << "\"): ";
      llvm::errs() << printable(message, true) << '\n';
    };
    print(diagnostic.getLocation(), diagnostic.getSeverity(), diagnostic.str());
    for (Diagnostic &note : diagnostic.getNotes())
      print(note.getLocation(), DiagnosticSeverity::Note, note.str());
    return success();
  });
}

ToolDiagnostics::~ToolDiagnostics() {
  context->getDiagEngine().eraseHandler(id);
}

Progress::Progress(bool quiet)
    : quiet(quiet), terminal(llvm::sys::Process::StandardErrIsDisplayed()),
      start(now()) {}
Progress::~Progress() {
  if (open)
    llvm::errs() << '\n';
}

void Progress::phase(llvm::StringRef name) {
  current = name.str();
  if (quiet)
    return;
  if (terminal) {
    llvm::errs() << "\r\033[K[" << llvm::format("%6.2f s", now() - start)
                 << "] " << name;
    open = true;
  } else if (now() - start > 1) { // short runs stay silent in logs
    llvm::errs() << '[' << llvm::format("%6.2f s", now() - start) << "] "
                 << name << '\n';
  }
}

void Progress::step(size_t done, size_t total, llvm::StringRef what) {
  if (!quiet && terminal) {
    llvm::errs() << "\r\033[K[" << llvm::format("%6.2f s", now() - start)
                 << "] " << current << ' ' << done + 1 << '/' << total << ' '
                 << what;
    open = true;
  }
}
