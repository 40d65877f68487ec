//===- Call.cpp - one call of the compiler, its messages collected --------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "Call.h"
#include "ane-mlir/Compiler/InitAll.h"
#include "ane-mlir/Support/Budget.h"
#include "ane-mlir/Support/Diagnostics.h"
#include "dialects/ANE/IR/Explain.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/ErrorHandling.h"
#include <new>
#include <stdexcept>

using namespace mlir;
using namespace mlir::ane;
using namespace anemlir::bridge;

/// The first word of `text` that is the identifier of a rule or limit.
static std::string findRule(StringRef text) {
  while (!text.empty()) {
    text = text.drop_until([](char c) { return c == 'L' || c == 'S'; });
    StringRef word = text.take_while(llvm::isAlnum);
    if (word.size() > 1 && word.size() < 5 &&
        llvm::all_of(word.drop_front(), llvm::isDigit) &&
        (lookupRule(word) || getDefaultTarget().findLimit(word)))
      return word.str();
    text = text.drop_front(std::max<size_t>(word.size(), !text.empty()));
  }
  return "";
}

/// Messages end with what to do, behind a semicolon.
static std::string findRemedy(StringRef text, StringRef rule) {
  if (StringRef known = remedyOf(rule); !known.empty())
    return known.str();
  size_t at = text.rfind("; ");
  return at == StringRef::npos ? "" : text.drop_front(at + 2).str();
}

Message anemlir::bridge::errorMessage(const std::string &text) {
  std::string rule = findRule(text);
  return {"error", "", rule, printable(text, true), findRemedy(text, rule)};
}

static StringRef severityName(DiagnosticSeverity severity) {
  switch (severity) {
  case DiagnosticSeverity::Error:
    return "error";
  case DiagnosticSeverity::Warning:
    return "warning";
  case DiagnosticSeverity::Remark:
    return "remark";
  case DiagnosticSeverity::Note:
    return "note";
  }
  llvm_unreachable("all are listed");
}

static std::string placeOf(Location loc, StringRef subject) {
  if (auto name = dyn_cast<NameLoc>(loc))
    return name.getName() == subject ? "" : printable(name.getName());
  if (auto fused = dyn_cast<FusedLoc>(loc);
      fused && !fused.getLocations().empty())
    return placeOf(fused.getLocations().front(), subject);
  if (auto position = dyn_cast<FileLineColLoc>(loc))
    return printable(position.getFilename()) + ":" +
           std::to_string(position.getLine()) + ":" +
           std::to_string(position.getColumn());
  return "";
}

std::vector<Message> anemlir::bridge::toMessages(Diagnostic &diagnostic,
                                                 StringRef subject) {
  std::vector<Message> messages;
  auto add = [&](Diagnostic &d) {
    std::string text = printable(spellTypes(d.str()), true);
    std::string rule = findRule(text);
    messages.push_back({severityName(d.getSeverity()).str(),
                        placeOf(d.getLocation(), subject), rule, text,
                        findRemedy(text, rule)});
  };
  add(diagnostic);
  for (Diagnostic &note : diagnostic.getNotes())
    add(note);
  return messages;
}

std::unique_ptr<MLIRContext> anemlir::bridge::makeContext() {
  DialectRegistry registry;
  registerAllDialects(registry);
  auto context = std::make_unique<MLIRContext>(registry);
  context->loadDialect<ANEDialect, func::FuncDialect>();
  context->printOpOnDiagnostic(false);
  return context;
}

namespace {
struct Reported : llvm::ErrorInfo<Reported> {
  static char ID;
  void log(llvm::raw_ostream &os) const override { os << "reported"; }
  std::error_code convertToErrorCode() const override {
    return llvm::inconvertibleErrorCode();
  }
};
char Reported::ID;
} // namespace

llvm::Error anemlir::bridge::reported() { return llvm::make_error<Reported>(); }

void anemlir::bridge::call(MLIRContext &context, StringRef subject,
                           const Cancel &cancel, Status &status,
                           llvm::function_ref<llvm::Error()> body) {
  static const std::atomic<bool> never{false};
  CancelScope scope(cancel ? *cancel : never);
  std::mutex mutex; // passes speak from several threads
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
    std::lock_guard<std::mutex> one(mutex);
    for (Message &message : toMessages(diagnostic, subject))
      status.messages.push_back(std::move(message));
    return success();
  });
  beginWork();
  auto fail = [&](const std::string &text) {
    status.messages.push_back(errorMessage(text));
  };
  try {
    llvm::Error error = body();
    status.ok = !error;
    if (error.isA<Reported>())
      llvm::consumeError(std::move(error));
    else if (error)
      fail(llvm::toString(std::move(error)));
  } catch (const EvaluationError &error) {
    fail(error.message);
  } catch (const std::bad_alloc &) {
    fail("does not fit this machine's memory");
  } catch (const std::length_error &) {
    fail("does not fit this machine's memory");
  }
  bool told = llvm::any_of(status.messages,
                           [](auto &m) { return m.severity == "error"; });
  if (!status.ok && !told)
    fail(isCancelled() ? "interrupted" : "failed without a message");
}
