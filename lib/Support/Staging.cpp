//===- Staging.cpp - where outputs are made -------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "Staging.h"
#include "ane-mlir/Support/AtomicPath.h"
#include "ane-mlir/Support/Diagnostics.h"
#include "ane-mlir/Support/Embedding.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Signals.h"
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <random>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/syscall.h>
#else
#include <dirent.h>
#endif

using namespace mlir::ane;
namespace fs = llvm::sys::fs;

static constexpr llvm::StringLiteral kPrefix = ".ane-mlir-";

//===----------------------------------------------------------------------===//
// Removing trees, also in signal handlers
//===----------------------------------------------------------------------===//

static bool removeEntry(int parent, const char *name, unsigned depth);

/// Removes what the open folder holds; false where something stays.
static bool removeEntries(int folder, unsigned depth) {
  bool all = true;
  auto removeOne = [&](const char *name) {
    if (strcmp(name, ".") && strcmp(name, ".."))
      all &= removeEntry(folder, name, depth);
  };
#ifdef __linux__
  // readdir() takes memory, which a signal handler must not.
  struct Entry {
    uint64_t inode;
    int64_t offset;
    unsigned short length;
    unsigned char type;
    char name[1];
  };
  alignas(Entry) char buffer[2048];
  for (;;) {
    long size = syscall(SYS_getdents64, folder, buffer, sizeof(buffer));
    if (size <= 0)
      return all && size == 0;
    for (long at = 0; at < size;) {
      auto *entry = reinterpret_cast<Entry *>(buffer + at);
      at += entry->length;
      removeOne(entry->name);
    }
  }
#else
  DIR *stream = fdopendir(dup(folder));
  if (!stream)
    return false;
  while (dirent *entry = readdir(stream))
    removeOne(entry->d_name);
  closedir(stream);
  return all;
#endif
}

/// Removes `name` of the open folder `parent`, with what it holds. Links are
/// not followed. What fails once may work again (an interrupted call, a file
/// that comes while its folder is removed), so each is tried three times.
static bool removeEntry(int parent, const char *name, unsigned depth) {
  auto gone = [&](int flags) {
    for (unsigned attempt = 0; attempt < 3; ++attempt)
      if (!unlinkat(parent, name, flags) || errno == ENOENT)
        return true;
    return false;
  };
  struct stat status;
  if (fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW))
    return errno == ENOENT;
  if (!S_ISDIR(status.st_mode))
    return gone(0);
  for (unsigned attempt = 0; attempt < 3; ++attempt) {
    int folder =
        openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0)
      continue;
    if (depth)
      removeEntries(folder, depth - 1);
    close(folder);
    if (gone(AT_REMOVEDIR))
      return true;
  }
  return false;
}

bool mlir::ane::removeTree(const char *path) {
  return removeEntry(AT_FDCWD, path, /*depth=*/16);
}

//===----------------------------------------------------------------------===//
// Signals
//===----------------------------------------------------------------------===//

namespace {
/// A folder to remove when a signal ends the process. Memory that never goes
/// away: the handler may run at any time.
struct Slot {
  enum State { Free, Filling, Used };
  std::atomic<int> state{Free};
  bool onlyEmpty;
  char path[4096], moved[4096];
};

enum Phase { Working, Committing, Dying };
} // namespace

static Slot slots[64];
static std::atomic<int> phase{Working}, pendingSignal{0};
static constexpr int kSignals[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGTERM,
                                   SIGPIPE, SIGXCPU, SIGXFSZ};
static struct sigaction before[std::size(kSignals)];
static std::mutex commitMutex;

/// Other threads may go on writing, so each folder is moved first: then they
/// find no place for new files.
static void removeAll() {
  for (Slot &slot : slots)
    if (slot.state.load() == Slot::Used && !slot.onlyEmpty)
      removeTree(rename(slot.path, slot.moved) ? slot.path : slot.moved);
  for (size_t i = std::size(slots); i--;) // inner ones first
    if (slots[i].state.load() == Slot::Used && slots[i].onlyEmpty)
      rmdir(slots[i].path);
}

static void stopHere() {
  for (;;)
    pause();
}

static void onSignal(int signal) {
  int error = errno, expected = Working;
  if (!phase.compare_exchange_strong(expected, Dying)) {
    if (expected == Dying)
      stopHere();
    pendingSignal.store(signal);
    errno = error;
    return;
  }
  removeAll();
  endProgress();
  // Then as if we had not been there.
  for (size_t i = 0; i < std::size(kSignals); ++i)
    if (kSignals[i] == signal)
      sigaction(signal, &before[i], nullptr);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  raise(signal);
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  _exit(128 + signal);
}

/// A crash (of an assertion, say) leaves nothing behind either.
static void onCrash(void *) {
  int expected = Working;
  if (phase.compare_exchange_strong(expected, Dying))
    removeAll();
}

void mlir::ane::removeStagedFolders() { onCrash(nullptr); }

static void installHandlers() {
  if (areSignalsLeftAlone())
    return;
  static bool once = [] {
    for (size_t i = 0; i < std::size(kSignals); ++i) {
      sigaction(kSignals[i], nullptr, &before[i]);
      // What is ignored (by nohup, say) stays ignored.
      if (!(before[i].sa_flags & SA_SIGINFO) && before[i].sa_handler == SIG_IGN)
        continue;
      struct sigaction action = {};
      action.sa_handler = onSignal;
      action.sa_flags = SA_RESTART;
      sigemptyset(&action.sa_mask);
      for (int signal : kSignals)
        sigaddset(&action.sa_mask, signal);
      sigaction(kSignals[i], &action, nullptr);
    }
    llvm::sys::AddSignalHandler(onCrash, nullptr);
    return true;
  }();
  (void)once;
}

// -1 where there is no room: then only a later run removes the folder.
int mlir::ane::rememberFolder(const std::string &path, bool onlyEmpty) {
  installHandlers();
  if (path.size() + 2 > sizeof(Slot::path))
    return -1;
  for (Slot &slot : slots) {
    int expected = Slot::Free;
    if (!slot.state.compare_exchange_strong(expected, Slot::Filling))
      continue;
    slot.onlyEmpty = onlyEmpty;
    strcpy(slot.path, path.c_str());
    strcpy(slot.moved, (path + "x").c_str());
    slot.state.store(Slot::Used);
    return &slot - slots;
  }
  return -1;
}

void mlir::ane::forgetFolder(int slot) {
  if (slot >= 0)
    slots[slot].state.store(Slot::Free);
}

SignalDelay::SignalDelay() : one(commitMutex) {
  int expected = Working;
  if (!phase.compare_exchange_strong(expected, Committing))
    stopHere(); // the handler, in another thread, ends the process
}

SignalDelay::~SignalDelay() {
  phase.store(Working);
  if (int signal = pendingSignal.exchange(0))
    raise(signal);
}

//===----------------------------------------------------------------------===//
// Staging
//===----------------------------------------------------------------------===//

/// Opens and locks the folder; -1 where another process holds it or it is gone.
static int lockFolder(const char *path, int how, bool &unsupported) {
  int file = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  unsupported = false;
  if (file < 0)
    return -1;
  int result;
  do
    result = flock(file, how);
  while (result && errno == EINTR);
  unsupported = result && errno != EWOULDBLOCK;
  struct stat opened, named;
  // Who waited for the lock of a folder that was removed meanwhile has nothing.
  if ((!result || (unsupported && how == LOCK_EX)) && !fstat(file, &opened) &&
      !lstat(path, &named) && opened.st_dev == named.st_dev &&
      opened.st_ino == named.st_ino)
    return file;
  close(file);
  return -1;
}

/// An old output that a dead process moved aside goes back where the new one
/// did not get into its place.
static void restoreOld(const std::string &folder, llvm::StringRef parent) {
  std::error_code error;
  for (fs::directory_iterator it(folder + "/old", error, false), end;
       it != end && !error; it.increment(error)) {
    llvm::StringRef name = llvm::sys::path::filename(it->path());
    llvm::SmallString<128> place(parent);
    llvm::sys::path::append(place, name);
    if (!fs::exists(folder + "/new/" + name))
      continue;
    if (fs::is_directory(it->path()))
      removeTree(place.c_str()); // what is left of it
    rename(it->path().c_str(), place.c_str());
  }
}

/// Removes what dead processes of this user left in `parent`.
void mlir::ane::removeLeftovers(llvm::StringRef parent) {
  std::error_code error;
  std::vector<std::string> found;
  for (fs::directory_iterator it(parent, error, false), end;
       it != end && !error; it.increment(error))
    if (llvm::sys::path::filename(it->path()).starts_with(kPrefix))
      found.push_back(it->path());
  for (const std::string &path : found) {
    struct stat status;
    if (lstat(path.c_str(), &status) || !S_ISDIR(status.st_mode) ||
        status.st_uid != geteuid())
      continue;
    bool unsupported;
    int lock = lockFolder(path.c_str(), LOCK_EX | LOCK_NB, unsupported);
    if (lock < 0)
      continue;
    restoreOld(path, parent);
    removeTree(path.c_str());
    close(lock);
  }
}

llvm::Expected<std::unique_ptr<Staging>>
Staging::create(llvm::StringRef parent) {
  removeLeftovers(parent);
  std::random_device random;
  int error = EEXIST;
  for (unsigned attempt = 0; attempt < 100; ++attempt) {
    std::unique_ptr<Staging> staging(new Staging());
    llvm::SmallString<128> path(parent);
    llvm::sys::path::append(
        path, kPrefix + llvm::utohexstr((uint64_t(random()) << 32) | random(),
                                        /*LowerCase=*/true, 16));
    std::string name = path.str().str();
    // Known to the signal handler before it is there.
    int slot = rememberFolder(name, /*onlyEmpty=*/false);
    if (mkdir(name.c_str(), 0700)) {
      error = errno;
      forgetFolder(slot);
      if (error == EEXIST)
        continue;
      break;
    }
    staging->folder = name;
    staging->slot = slot;
    bool unsupported;
    staging->lock = lockFolder(name.c_str(), LOCK_EX, unsupported);
    if (staging->lock < 0)
      continue; // another process removed it before it was locked
    if (!mkdir((name + "/new").c_str(), 0700))
      return staging;
    error = errno;
    break;
  }
  return llvm::errorCodeToError(
      std::error_code(error, std::generic_category()));
}

Staging::~Staging() { remove(); }

std::string Staging::made(llvm::StringRef name) const {
  return (folder + "/new/" + name).str();
}

llvm::Expected<std::string> Staging::old(llvm::StringRef name) {
  if (mkdir((folder + "/old").c_str(), 0700) && errno != EEXIST)
    return llvm::errorCodeToError(
        std::error_code(errno, std::generic_category()));
  return (folder + "/old/" + name).str();
}

void Staging::keep() {
  forgetFolder(slot);
  slot = -1;
  folder.clear();
  if (lock >= 0)
    close(lock);
  lock = -1;
}

bool Staging::remove() {
  if (folder.empty())
    return true;
  bool removed = removeTree(folder.c_str());
  keep();
  return removed;
}
