//===- MappedFile.cpp - read-only files shared by constants ---------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Support/MappedFile.h"
#include "Staging.h"
#include "ane-mlir/Support/Budget.h"
#include "ane-mlir/Support/Diagnostics.h"
#include "ane-mlir/Support/Embedding.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/Path.h"
#include <atomic>
#include <csignal>
#include <cstring>
#include <mutex>
#include <unistd.h>

using namespace mlir;
using namespace mlir::ane;

struct MappedFile::Impl {
  llvm::sys::fs::mapped_file_region region;
  int watched = -1;
};

//===----------------------------------------------------------------------===//
// Files that are cut while they are read
//===----------------------------------------------------------------------===//

namespace {
/// What the handler of SIGBUS knows of a mapping; more than there is room for
/// are not watched.
struct Watched {
  std::atomic<const char *> begin{nullptr};
  std::atomic<size_t> size{0};
  char path[1024];
};
} // namespace

static Watched watched[256];
static std::atomic<unsigned> nextWatched{0};
static struct sigaction beforeBus;

/// Reading behind the end of a file that shrank is an error of the file's
/// owner, not a crash: it is said, and what was begun is removed.
static void onBus(int signal, siginfo_t *info, void *) {
  auto *at = static_cast<const char *>(info->si_addr);
  for (Watched &file : watched) {
    const char *begin = file.begin.load();
    if (!begin || at < begin || at >= begin + file.size.load())
      continue;
    auto say = [](const char *text) {
      (void)!write(STDERR_FILENO, text, strlen(text));
    };
    say("error: '");
    say(file.path);
    say("' was cut or could not be read while it was in use\n");
    removeStagedFolders();
    _exit(1);
  }
  sigaction(signal, &beforeBus, nullptr); // which meets it again at once
}

static int watch(llvm::StringRef path, llvm::ArrayRef<char> bytes) {
  static bool once = [] {
    struct sigaction action = {};
    action.sa_sigaction = onBus;
    action.sa_flags = SA_SIGINFO;
    sigemptyset(&action.sa_mask);
    return sigaction(SIGBUS, &action, &beforeBus) == 0;
  }();
  (void)once;
  for (unsigned tries = 0; tries < std::size(watched); ++tries) {
    unsigned slot = nextWatched++ % std::size(watched);
    size_t expected = 0;
    if (!watched[slot].size.compare_exchange_strong(expected, bytes.size()))
      continue;
    // The handler prints bytes; those that a terminal obeys are no part of it.
    std::string shown = printable(path).substr(0, sizeof(Watched::path) - 1);
    memcpy(watched[slot].path, shown.c_str(), shown.size() + 1);
    watched[slot].begin.store(bytes.data());
    return slot;
  }
  return -1;
}

/// Whether `path` lies in `folder` when links in both are followed; true for
/// what is not there.
static bool staysInside(StringRef folder, StringRef path) {
  SmallString<128> root, real;
  if (llvm::sys::fs::real_path(folder.empty() ? "." : folder, root) ||
      llvm::sys::fs::real_path(path, real))
    return true;
  auto at = llvm::sys::path::begin(real), end = llvm::sys::path::end(real);
  for (StringRef part : llvm::make_range(llvm::sys::path::begin(root),
                                         llvm::sys::path::end(root))) {
    if (at == end || *at != part)
      return false;
    ++at;
  }
  return true;
}

llvm::Error mlir::ane::checkInside(StringRef folder, StringRef relative,
                                   StringRef what, bool followLinks) {
  auto parts = llvm::make_range(llvm::sys::path::begin(relative),
                                llvm::sys::path::end(relative));
  if (relative.empty() || llvm::sys::path::is_absolute(relative) ||
      relative.contains('\0') || relative.contains('\\') ||
      llvm::is_contained(parts, ".."))
    return llvm::createStringError("'" + relative + "' leaves " + what);
  SmallString<128> full(folder);
  llvm::sys::path::append(full, relative);
  if (!followLinks && !staysInside(folder, full))
    return llvm::createStringError("'" + relative + "' is a link that leaves " +
                                   what);
  return llvm::Error::success();
}

llvm::Expected<std::shared_ptr<const MappedFile>>
MappedFile::openInside(StringRef folder, StringRef relative, StringRef what,
                       bool followLinks) {
  if (llvm::Error error = checkInside(folder, relative, what, followLinks))
    return error;
  SmallString<128> full(folder);
  llvm::sys::path::append(full, relative);
  return open(full);
}

MappedFile::~MappedFile() {
  if (!impl || impl->watched < 0)
    return;
  watched[impl->watched].begin.store(nullptr);
  watched[impl->watched].size.store(0);
}

//===----------------------------------------------------------------------===//
// Files that are changed while they are read
//===----------------------------------------------------------------------===//

namespace {
struct Opened {
  std::string path;
  llvm::sys::fs::UniqueID id;
  llvm::sys::TimePoint<> modified;
  uint64_t size;
  std::weak_ptr<const MappedFile> mapping;
};
} // namespace

static std::mutex openedMutex;
static std::vector<Opened> &opened() {
  static std::vector<Opened> files;
  return files;
}

static thread_local MappedFile::Recording *recording = nullptr;

static void remember(std::shared_ptr<const MappedFile> file,
                     const llvm::sys::fs::file_status &status) {
  if (recording)
    recording->files.push_back(
        {file->path().str(),
         {status.getUniqueID(), status.getLastModificationTime(),
          status.getSize()}});
  std::lock_guard<std::mutex> one(openedMutex);
  opened().push_back({file->path().str(), status.getUniqueID(),
                      status.getLastModificationTime(), status.getSize(),
                      file});
}

void mlir::ane::forgetClosedFiles() {
  std::lock_guard<std::mutex> one(openedMutex);
  llvm::erase_if(opened(), [](auto &file) { return file.mapping.expired(); });
}

llvm::Error MappedFile::checkUnchanged() {
  std::lock_guard<std::mutex> one(openedMutex);
  for (const Opened &file : opened()) {
    llvm::sys::fs::file_status now;
    // One that was replaced or removed is still mapped as it was.
    if (llvm::sys::fs::status(file.path, now) || now.getUniqueID() != file.id)
      continue;
    if (now.getLastModificationTime() != file.modified ||
        now.getSize() != file.size)
      return llvm::createStringError("'" + file.path +
                                     "' changed while it was read; try again "
                                     "when nothing writes to it");
  }
  return llvm::Error::success();
}

std::optional<MappedFile::Stamp> MappedFile::stampOf(StringRef path) {
  llvm::sys::fs::file_status status;
  if (llvm::sys::fs::status(path, status))
    return std::nullopt;
  return Stamp{status.getUniqueID(), status.getLastModificationTime(),
               status.getSize()};
}

MappedFile::Recording::Recording() : outer(recording) { recording = this; }
MappedFile::Recording::~Recording() { recording = outer; }

//===----------------------------------------------------------------------===//
// Mapping
//===----------------------------------------------------------------------===//

/// Standard input in a file, which mapping needs; the caller removes it.
static llvm::Error copyStandardInput(SmallVectorImpl<char> &path) {
  auto fail = [](const Twine &what, std::error_code error) {
    return llvm::createStringError(
        error, "cannot " + what + " standard input: " + error.message());
  };
  int file;
  if (std::error_code error =
          llvm::sys::fs::createTemporaryFile("ane-mlir", "input", file, path))
    return fail("keep", error);
  llvm::raw_fd_ostream os(file, /*shouldClose=*/true);
  std::vector<char> buffer(1 << 16);
  for (;;) {
    auto size = llvm::sys::fs::readNativeFile(llvm::sys::fs::getStdinHandle(),
                                              {buffer.data(), buffer.size()});
    if (!size) {
      llvm::sys::fs::remove(path);
      return fail("read", llvm::errorToErrorCode(size.takeError()));
    }
    if (*size == 0)
      break;
    os.write(buffer.data(), *size);
  }
  os.close();
  std::error_code error = os.error();
  os.clear_error();
  if (!error)
    return llvm::Error::success();
  llvm::sys::fs::remove(path);
  return fail("keep", error);
}

/// Read once, however often it is opened: a model is read for each of its
/// shapes, and for each target of a check.
static llvm::Expected<std::shared_ptr<const MappedFile>> openStandardInput() {
  static std::mutex one;
  static std::shared_ptr<const MappedFile> kept;
  std::lock_guard<std::mutex> lock(one);
  if (kept)
    return kept;
  SmallString<128> path;
  if (llvm::Error error = copyStandardInput(path))
    return error;
  auto file = MappedFile::open(path);
  llvm::sys::fs::remove(path); // it stays mapped
  if (file)
    kept = *file;
  return file;
}

/// What a clone without the contents holds in place of a large file.
static bool isPointer(llvm::ArrayRef<char> bytes) {
  return bytes.size() < 1024 &&
         llvm::StringRef(bytes.data(), bytes.size())
             .starts_with("version https://git-lfs.github.com/spec/");
}

llvm::Expected<std::shared_ptr<const MappedFile>>
MappedFile::open(llvm::StringRef path) {
  if (path == "-")
    return openStandardInput();
  auto fail = [&](std::error_code error) {
    if (error == std::errc::no_such_file_or_directory)
      return llvm::createStringError(error, "'" + path + "' is not found");
    return llvm::createStringError(error, "cannot open '" + path +
                                              "': " + error.message());
  };
  llvm::sys::fs::file_status status;
  if (std::error_code error = llvm::sys::fs::status(path, status))
    return fail(error);
  if (status.type() != llvm::sys::fs::file_type::regular_file)
    return llvm::createStringError("cannot open '" + path +
                                   "': not a regular file");
  llvm::Expected<llvm::sys::fs::file_t> file =
      llvm::sys::fs::openNativeFileForRead(path);
  if (!file)
    return llvm::createStringError("cannot open '" + path +
                                   "': " + llvm::toString(file.takeError()));
  std::shared_ptr<MappedFile> result(new MappedFile());
  result->name = path.str();
  std::error_code error;
  if (status.getSize()) {
    result->impl = std::make_unique<Impl>();
    result->impl->region = llvm::sys::fs::mapped_file_region(
        *file, llvm::sys::fs::mapped_file_region::readonly, status.getSize(), 0,
        error);
    if (!error)
      result->bytes = {result->impl->region.const_data(), status.getSize()};
    if (!error)
      result->impl->watched = watch(path, result->bytes);
  }
  llvm::sys::fs::file_status mapped;
  if (!llvm::sys::fs::status(*file, mapped))
    remember(result, mapped);
  llvm::sys::fs::closeFile(*file);
  if (error)
    return fail(error);
  if (isPointer(result->bytes))
    return llvm::createStringError(
        "'" + path +
        "' is a Git LFS pointer instead of the file; run git lfs pull");
  MemoryBudget::addFile(status.getSize());
  return std::shared_ptr<const MappedFile>(result);
}

/// Keys must be printable identifiers; anything else becomes '_'.
static std::string sanitizeKey(StringRef key) {
  std::string result = key.empty() ? "tensor" : key.str();
  for (char &c : result)
    if (!llvm::isAlnum(c) && c != '.' && c != '-')
      c = '_';
  if (llvm::isDigit(result[0]))
    result.insert(result.begin(), '_');
  return result;
}

static DenseResourceElementsAttr
makeConstant(RankedTensorType type, StringRef key, AsmResourceBlob blob) {
  return DenseResourceElementsAttr::get(type, sanitizeKey(key),
                                        std::move(blob));
}

DenseResourceElementsAttr
mlir::ane::makeResourceConstant(RankedTensorType type, StringRef key,
                                llvm::ArrayRef<char> data,
                                std::shared_ptr<const void> owner) {
  // The true alignment of the view: a mapped tensor starts anywhere.
  size_t alignment = 1;
  while (alignment < 64 &&
         reinterpret_cast<uintptr_t>(data.data()) % (2 * alignment) == 0)
    alignment *= 2;
  return makeConstant(
      type, key,
      AsmResourceBlob(
          data, alignment,
          [owner](void *, size_t, size_t) mutable { owner.reset(); },
          /*dataIsMutable=*/false));
}

DenseResourceElementsAttr
mlir::ane::makeResourceConstant(RankedTensorType type, StringRef key,
                                std::vector<char> data) {
  auto owner = std::make_shared<std::vector<char>>(std::move(data));
  llvm::ArrayRef<char> view(*owner);
  return makeResourceConstant(type, key, view, owner);
}
