//===- Staging.cpp - folders that the engine's service reads --------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "Staging.h"
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <filesystem>
#include <iterator>
#include <mutex>
#include <set>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace ane::runtime;
namespace fs = std::filesystem;

static constexpr char kPrefix[] = "ane-mlir-run-";

[[noreturn]] static void failIO(const std::string &path, const char *what) {
  fail(ANE_IO, path + ": " + what + ": " + std::strerror(errno) +
                   "; name another folder in ane_device_options.staging");
}

static void removeAll(const std::string &path) {
  std::error_code ignored;
  fs::remove_all(path, ignored);
}

//===----------------------------------------------------------------------===//
// Signals. A handler may interrupt anything, so what it reads is a list that
// only grows, of slots whose text is either whole or null.
//===----------------------------------------------------------------------===//

struct SignalList::Slot {
  /// Paths, each with its NUL, and an empty one behind the last.
  std::atomic<char *> paths{nullptr};
  std::atomic<bool> used{true};
  Slot *next = nullptr;
};

static std::atomic<void *> firstSlot{nullptr};
/// Set by a handler before it reads: nothing is freed from then on.
static std::atomic<bool> dying{false};

SignalList::SignalList(const std::vector<std::string> &paths) {
  size_t size = 1;
  for (const std::string &path : paths)
    size += path.size() + 1;
  char *text = static_cast<char *>(std::malloc(size)), *at = text;
  if (!text)
    throw std::bad_alloc();
  for (const std::string &path : paths) {
    std::memcpy(at, path.c_str(), path.size() + 1);
    at += path.size() + 1;
  }
  *at = 0;
  for (slot = static_cast<Slot *>(firstSlot.load()); slot; slot = slot->next)
    if (bool used = false; slot->used.compare_exchange_strong(used, true))
      break;
  if (!slot) {
    slot = new Slot; // never freed: a handler may look at it
    void *head = firstSlot.load();
    do
      slot->next = static_cast<Slot *>(head);
    while (!firstSlot.compare_exchange_weak(head, slot));
  }
  slot->paths = text;
}

SignalList::~SignalList() {
  char *text = slot->paths.exchange(nullptr);
  if (!dying)
    std::free(text);
  slot->used = false;
}

static constexpr int kSignals[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};
/// What handled each before.
static struct sigaction before[std::size(kSignals)];

void SignalList::installHandlers(bool chain) {
  static std::once_flag once;
  std::call_once(once, [chain] {
    struct sigaction action{};
    action.sa_handler = [](int number) {
      dying = true;
      for (auto *slot = static_cast<Slot *>(firstSlot.load()); slot;
           slot = slot->next)
        for (const char *path = slot->paths.load(); path && *path;
             path += std::strlen(path) + 1)
          if (unlink(path))
            rmdir(path);
      // Blocked until this returns.
      for (size_t i = 0; i < std::size(kSignals); ++i)
        if (kSignals[i] == number)
          sigaction(number, &before[i], nullptr);
      std::raise(number);
    };
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < std::size(kSignals); ++i) {
      if (sigaction(kSignals[i], nullptr, &before[i]))
        continue;
      bool own =
          before[i].sa_flags & SA_SIGINFO ||
          (before[i].sa_handler != SIG_DFL && before[i].sa_handler != SIG_IGN);
      bool ignored = !own && before[i].sa_handler == SIG_IGN;
      if (!ignored && (chain || !own))
        sigaction(kSignals[i], &action, nullptr);
    }
  });
}

//===----------------------------------------------------------------------===//
// The device's folder
//===----------------------------------------------------------------------===//

/// Folders of this process, for exit().
static std::mutex liveMutex;
static std::set<std::string> &liveRoots() {
  static std::set<std::string> &roots = *new std::set<std::string>;
  return roots;
}
static void addLive(const std::string &folder) {
  static std::once_flag once;
  std::call_once(once, [] {
    std::atexit([] {
      std::lock_guard<std::mutex> guard(liveMutex);
      for (const std::string &folder : liveRoots())
        removeAll(folder);
    });
  });
  std::lock_guard<std::mutex> guard(liveMutex);
  liveRoots().insert(folder);
}

/// The process that a folder's name tells, or 0.
static pid_t ownerOf(const std::string &name) {
  if (name.compare(0, sizeof kPrefix - 1, kPrefix) != 0)
    return 0;
  return pid_t(std::atol(name.c_str() + sizeof kPrefix - 1));
}

/// Removes folders whose processes are gone. A process that lives holds the
/// lock; one that has not locked its folder yet has its number in the name.
static void removeStale(const std::string &parent) {
  std::error_code error;
  std::vector<fs::path> stale;
  for (fs::directory_iterator it(parent, error), end; !error && it != end;
       it.increment(error)) {
    pid_t owner = ownerOf(it->path().filename().string());
    if (!owner || owner == getpid())
      continue;
    int file = ::open((it->path() / "lock").c_str(), O_RDWR | O_CLOEXEC);
    bool dead = file >= 0 ? !flock(file, LOCK_EX | LOCK_NB)
                          : kill(owner, 0) && errno == ESRCH;
    if (dead && kill(owner, 0) && errno == ESRCH)
      stale.push_back(it->path());
    if (file >= 0)
      close(file);
  }
  for (const fs::path &path : stale)
    removeAll(path.string());
}

StagingRoot::StagingRoot(const std::string &parent, bool handleSignals,
                         bool chainSignals)
    : signals(handleSignals) {
  std::string base = parent;
  while (base.size() > 1 && base.back() == '/')
    base.pop_back();
  removeStale(base);
  std::string pattern =
      base + "/" + kPrefix + std::to_string(getpid()) + "-XXXXXX";
  if (!mkdtemp(pattern.data()))
    failIO(base, "no staging directory can be made");
  folder = pattern;
  addLive(folder);
  std::string file = folder + "/lock";
  lock = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock < 0 || flock(lock, LOCK_EX | LOCK_NB)) {
    int error = errno;
    if (lock >= 0)
      close(lock);
    removeAll(folder);
    errno = error;
    failIO(file, "cannot be locked");
  }
  if (signals) {
    SignalList::installHandlers(chainSignals);
    list = std::make_unique<SignalList>(std::vector<std::string>{file, folder});
  }
}

StagingRoot::~StagingRoot() {
  removeAll(folder);
  list.reset();
  close(lock);
  std::lock_guard<std::mutex> guard(liveMutex);
  liveRoots().erase(folder);
}

//===----------------------------------------------------------------------===//
// A program's folder
//===----------------------------------------------------------------------===//

FolderLock::FolderLock(const std::string &folder) : path(folder + ".lock") {
  // Whoever unlocks removes the file: what was opened before is another then.
  while (true) {
    file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0)
      failIO(path, "cannot be made");
    if (flock(file, LOCK_EX | LOCK_NB)) {
      close(file);
      fail(ANE_BUSY, folder + ": another session or process has staged the "
                              "same program (L77); close it first");
    }
    struct stat mine{}, now{};
    if (!fstat(file, &mine) && !stat(path.c_str(), &now) &&
        mine.st_ino == now.st_ino)
      return;
    close(file);
  }
}

FolderLock::~FolderLock() {
  unlink(path.c_str());
  close(file);
}

/// A name for the same bytes: a hard link, a clone where the file system has
/// them, a copy elsewhere.
static void link(const std::string &source, const std::string &place) {
  if (!::link(source.c_str(), place.c_str()))
    return;
  using Clone = int (*)(const char *, const char *, uint32_t);
  static const auto clone =
      reinterpret_cast<Clone>(dlsym(RTLD_DEFAULT, "clonefile"));
  if (clone && !clone(source.c_str(), place.c_str(), 0))
    return;
  std::error_code error;
  fs::copy_file(source, place, error);
  if (error) {
    errno = error.value();
    failIO(place, "cannot be written");
  }
}

static void write(const std::string &place, const char *bytes, size_t size) {
  int file =
      ::open(place.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0)
    failIO(place, "cannot be made");
  while (size) {
    ssize_t done = ::write(file, bytes, size);
    if (done < 0 && errno == EINTR)
      continue;
    if (done <= 0) {
      int error = errno;
      close(file);
      errno = error;
      failIO(place, "cannot be written");
    }
    bytes += done;
    size -= size_t(done);
  }
  if (close(file))
    failIO(place, "cannot be written");
}

StagedProgram::StagedProgram(const StagingRoot &root, const std::string &folder,
                             const std::vector<StagedFile> &files)
    : folder(folder) {
  bool shared = folder.compare(0, root.path().size(), root.path()) != 0;
  if (shared) {
    lock = std::make_unique<FolderLock>(folder);
    removeAll(folder); // of a process that is gone: its lock was free
  }
  if (root.handlesSignals()) {
    // Files, then folders from the inside out, then what holds all of it.
    std::vector<std::string> paths;
    std::set<std::string, std::greater<std::string>> folders;
    for (const StagedFile &file : files) {
      paths.push_back(folder + "/" + file.place);
      for (size_t at = file.place.rfind('/'); at != std::string::npos && at;
           at = file.place.rfind('/', at - 1))
        folders.insert(folder + "/" + file.place.substr(0, at));
    }
    paths.insert(paths.end(), folders.begin(), folders.end());
    paths.push_back(folder);
    if (shared)
      paths.push_back(folder + ".lock");
    paths.push_back(root.path() + "/lock");
    paths.push_back(root.path());
    list = std::make_unique<SignalList>(paths);
  }
  try {
    fill(files);
  } catch (...) {
    removeAll(folder);
    throw;
  }
}

void StagedProgram::fill(const std::vector<StagedFile> &files) const {
  for (const StagedFile &file : files) {
    std::string place = folder + "/" + file.place;
    std::error_code error;
    fs::create_directories(fs::path(place).parent_path(), error);
    if (error) {
      errno = error.value();
      failIO(place, "its folder cannot be made");
    }
    if (file.source.empty())
      write(place, file.bytes, file.size);
    else
      link(file.source, place);
  }
}

StagedProgram::~StagedProgram() { removeAll(folder); }
