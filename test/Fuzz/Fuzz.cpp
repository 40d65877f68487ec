//===- Fuzz.cpp - what the fuzz targets share -----------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "Fuzz.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace mlir::ane;
using namespace mlir::ane::fuzz;

static DialectRegistry &registry() {
  static DialectRegistry *all = [] {
    auto *made = new DialectRegistry;
    registerAllDialects(*made);
    return made;
  }();
  return *all;
}

Listener::Listener() : context(registry(), MLIRContext::Threading::DISABLED) {
  context.loadDialect<ANEDialect, func::FuncDialect>();
  context.getDiagEngine().registerHandler([this](Diagnostic &diagnostic) {
    if (diagnostic.getSeverity() != DiagnosticSeverity::Error)
      return success();
    ++errors;
    if (isa<UnknownLoc>(diagnostic.getLocation()))
      placeless.push_back(diagnostic.str());
    return success();
  });
}

void Listener::expectError() {
  if (!errors)
    finding("refused without a word");
  // A file's name in quotes is a place, too.
  for (StringRef message : placeless)
    if (!message.contains('\''))
      finding("an error without a place: " + message);
}

void fuzz::finding(const Twine &what) {
  llvm::errs() << "finding: " << what << '\n';
  std::abort();
}

StringRef fuzz::scratch() {
  // Outlives what runs at exit.
  static const std::string &path = *[] {
    SmallString<128> made("/dev/shm");
    if (!llvm::sys::fs::is_directory(made))
      llvm::sys::path::system_temp_directory(/*ErasedOnReboot=*/true, made);
    llvm::sys::path::append(made, "ane-fuzz-%%%%%%%%");
    SmallString<128> unique;
    llvm::sys::fs::createUniquePath(made, unique, /*MakeAbsolute=*/false);
    if (llvm::sys::fs::create_directory(unique))
      finding("cannot create " + unique);
    std::atexit([] { llvm::sys::fs::remove_directories(scratch()); });
    return new std::string(unique.str());
  }();
  return path;
}

static void write(StringRef path, StringRef content) {
  std::error_code error;
  llvm::raw_fd_ostream os(path, error);
  os << content;
  os.close();
  if (error || os.has_error())
    finding("cannot write " + path);
}

std::string fuzz::writeInput(StringRef name, const uint8_t *data, size_t size) {
  SmallString<128> path(scratch());
  llvm::sys::path::append(path, name);
  write(path, StringRef(reinterpret_cast<const char *>(data), size));
  return path.str().str();
}

Folder::Folder() {
  const char *base = std::getenv("ANEMLIR_FUZZ_BASE");
  if (!base)
    finding("ANEMLIR_FUZZ_BASE names no artifact to start from");
  SmallString<128> copy(scratch());
  // What it is, its name's end says.
  llvm::sys::path::append(copy, "model" + llvm::sys::path::extension(base));
  root = copy.str().str();
  std::vector<std::string> paths;
  std::error_code error;
  for (llvm::sys::fs::recursive_directory_iterator it(base, error), end;
       it != end && !error; it.increment(error))
    if (llvm::sys::fs::is_regular_file(it->path()))
      paths.push_back(it->path());
  llvm::sort(paths);
  for (StringRef from : paths) {
    auto buffer = llvm::MemoryBuffer::getFile(from);
    std::string to = root + from.substr(strlen(base)).str();
    if (!buffer ||
        llvm::sys::fs::create_directories(llvm::sys::path::parent_path(to)))
      finding("cannot copy " + from);
    files.push_back({to, (*buffer)->getBuffer().str()});
    write(to, files.back().content);
  }
  if (files.empty())
    finding("nothing in " + Twine(base));
}

void Folder::replace(const uint8_t *data, size_t size) {
  if (replaced)
    write(replaced->path, replaced->content);
  replaced = &files[data[0] % files.size()];
  write(replaced->path,
        StringRef(reinterpret_cast<const char *>(data + 1), size - 1));
}

void fuzz::loadAndRun(StringRef path) {
  Listener context;
  FailureOr<std::unique_ptr<Executable>> executable =
      loadArtifact(path, &context);
  if (failed(executable))
    return context.expectError();
  std::vector<Tensor> arguments;
  double elements = 0;
  for (const Port &port : (*executable)->inputs()) {
    double count = 1;
    for (int64_t extent : port.shape)
      count *= extent;
    elements += count;
  }
  if (elements > 1e5)
    return;
  for (const Port &port : (*executable)->inputs())
    arguments.emplace_back(port.carrier, port.shape);
  SmallVector<Tensor> results;
  if (failed((*executable)->run(arguments, results, Numerics::Float16)))
    context.expectError();
}

/// LLVM is not instrumented, and what it poisons we may read; what a context
/// holds it frees at the end.
extern "C" const char *__asan_default_options() {
  return "allow_user_poisoning=0:detect_leaks=0:allocator_may_return_null=1";
}
