//===- GuardedMain.cpp - a tool ends with a message -----------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Support/GuardedMain.h"
#include "ane-mlir/Support/Budget.h"
#include "ane-mlir/Support/Diagnostics.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/Support/ErrorHandling.h"
#include "llvm/Support/raw_ostream.h"
#include <csignal>
#include <new>
#include <stdexcept>

using namespace mlir::ane;

int mlir::ane::runGuarded(llvm::StringRef tool, const std::string &subject,
                          llvm::function_ref<int()> body, bool fatal) {
#ifdef SIGXFSZ
  // A file that is not allowed to grow is an error of writing, with its name.
  std::signal(SIGXFSZ, SIG_IGN);
#endif
  // LLVM's own handlers of `new` and of its containers end here as well.
  std::set_new_handler(nullptr);
  llvm::install_bad_alloc_error_handler(
      [](void *, const char *, bool) { throw std::bad_alloc(); });
  if (fatal)
    llvm::install_fatal_error_handler([](void *, const char *reason, bool) {
      throw EvaluationError{reason};
    });
  llvm::scope_exit restore([&] {
    llvm::remove_bad_alloc_error_handler();
    if (fatal)
      llvm::remove_fatal_error_handler();
  });
  std::string about = "the input";
  auto fail = [&](const llvm::Twine &message) {
    if (!subject.empty())
      about = "'" + printable(subject) + "'";
    llvm::errs() << tool << ": error: " << about << message << '\n';
    return 1;
  };
  try {
    return body();
  } catch (const EvaluationError &error) {
    return fail(": " + error.message);
  } catch (const std::bad_alloc &) {
    return fail(" does not fit this machine's memory");
  } catch (const std::length_error &) {
    return fail(" does not fit this machine's memory");
  }
}
