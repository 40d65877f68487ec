//===- AtomicPath.cpp - outputs appear whole or not at all ----------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Support/AtomicPath.h"
#include "Staging.h"
#include "ane-mlir/Support/Diagnostics.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace mlir::ane;
namespace fs = llvm::sys::fs;
namespace path = llvm::sys::path;

static llvm::Error errorOf(std::error_code error, llvm::StringRef what,
                           llvm::StringRef path) {
  return llvm::createStringError(error, "cannot " + what + " '" + path +
                                            "': " + error.message());
}

static std::error_code systemError() {
  return std::error_code(errno, std::generic_category());
}

//===----------------------------------------------------------------------===//
// What is at a path
//===----------------------------------------------------------------------===//

namespace {
/// Where an output goes.
struct Destination {
  enum Kind { Nothing, File, Folder, Stream } kind = Nothing;
  /// With links followed. Of streams, unless `descriptor` is one.
  std::string place;
  int descriptor = -1;
};
} // namespace

/// The open file that a name means: `-`, /dev/stdout, /dev/fd/5; -1 for others.
static int descriptorOf(llvm::StringRef name) {
  if (name == "-" || name == "/dev/stdout")
    return 1;
  if (name == "/dev/stderr")
    return 2;
  int number;
  for (llvm::StringRef folder : {"/dev/fd/", "/proc/self/fd/"})
    if (llvm::StringRef rest = name; rest.consume_front(folder) &&
                                     !rest.getAsInteger(10, number) &&
                                     number >= 0)
      return number;
  return -1;
}

/// Follows links by hand, since what they lead to may not be there yet.
static llvm::Expected<Destination> resolve(llvm::StringRef given) {
  Destination result;
  llvm::SmallString<128> name(given.size() > 1 ? given.rtrim('/') : given);
  for (unsigned links = 0;; ++links) {
    if ((result.descriptor = descriptorOf(name)) >= 0) {
      result.kind = Destination::Stream;
      return result;
    }
    struct stat status;
    if (lstat(name.c_str(), &status)) {
      if (errno != ENOENT)
        return errorOf(systemError(), "write", given);
      break;
    }
    if (S_ISLNK(status.st_mode)) {
      char target[4096];
      ssize_t size = readlink(name.c_str(), target, sizeof(target));
      if (size < 0 || links == 40)
        return llvm::createStringError("cannot write '" + given +
                                       "': its symbolic links do not end");
      llvm::SmallString<128> next;
      if (!path::is_absolute(llvm::StringRef(target, size)))
        next = path::parent_path(name);
      path::append(next, llvm::StringRef(target, size));
      name = next;
      continue;
    }
    result.kind = S_ISREG(status.st_mode)   ? Destination::File
                  : S_ISDIR(status.st_mode) ? Destination::Folder
                                            : Destination::Stream;
    // `> file` made standard output a file, which a new one would not be.
    struct stat open;
    if (result.kind == Destination::File)
      for (int descriptor : {1, 2})
        if (!fstat(descriptor, &open) && open.st_dev == status.st_dev &&
            open.st_ino == status.st_ino) {
          result.kind = Destination::Stream;
          result.descriptor = descriptor;
        }
    break;
  }
  result.place = name.str().str();
  return result;
}

/// The destination, or nothing where an error will be told later.
static Destination peek(llvm::StringRef path) {
  auto destination = resolve(path);
  if (destination)
    return *destination;
  llvm::consumeError(destination.takeError());
  return {};
}

bool mlir::ane::isStandardOutput(llvm::StringRef path) {
  return peek(path).descriptor == 1;
}

bool mlir::ane::isStream(llvm::StringRef path) {
  return peek(path).kind == Destination::Stream;
}

/// Writes to a device, a pipe or an open file.
static llvm::Error writeThrough(const Destination &to, llvm::StringRef given,
                                llvm::StringRef contents) {
  int descriptor = to.descriptor;
  endProgress();
  if (descriptor == 1)
    llvm::outs().flush(); // in the order of what the tool says
  if (descriptor < 0) {
    descriptor = open(to.place.c_str(), O_WRONLY | O_CLOEXEC);
    if (descriptor < 0)
      return errorOf(systemError(), "write", given);
  }
  llvm::raw_fd_ostream os(descriptor, /*shouldClose=*/to.descriptor < 0);
  os << contents;
  os.flush();
  std::error_code error = os.error();
  os.clear_error();
  return error ? errorOf(error, "write", given) : llvm::Error::success();
}

/// One call after which each name has what the other had.
static std::error_code exchangeNames(const std::string &a,
                                     const std::string &b) {
#if defined(__linux__) && defined(RENAME_EXCHANGE)
  if (!renameat2(AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE))
    return {};
#elif defined(__APPLE__)
  if (!renamex_np(a.c_str(), b.c_str(), RENAME_SWAP))
    return {};
#else
  errno = ENOSYS;
#endif
  return systemError();
}

/// Whether the file system (or a sandbox) does not know the call.
static bool cannotExchange(std::error_code error) {
  return llvm::is_contained({EINVAL, ENOSYS, ENOTSUP, EOPNOTSUPP, EPERM, EXDEV},
                            error.value());
}

/// Gives every file below `from` a second name below `to`, or a copy.
static std::error_code linkTree(const std::string &from,
                                const std::string &to) {
  if (mkdir(to.c_str(), 0777))
    return systemError();
  std::error_code error;
  for (fs::directory_iterator it(from, error, false), end; it != end && !error;
       it.increment(error)) {
    std::string target = (to + "/" + path::filename(it->path())).str();
    if (it->type() == fs::file_type::directory_file)
      error = linkTree(it->path(), target);
    else if (link(it->path().c_str(), target.c_str()))
      error = fs::copy_file(it->path(), target);
    if (error)
      return error;
  }
  return error;
}

/// Moves a folder. In a container's overlay, one of its image cannot be
/// renamed: then it gets a second name before the first is removed, so that at
/// any time there is one of them with everything in it.
static std::error_code moveFolder(const std::string &from,
                                  const std::string &to) {
  if (!rename(from.c_str(), to.c_str()))
    return {};
  if (errno != EXDEV)
    return systemError();
  std::string copy = to + ".copy";
  std::error_code error = linkTree(from, copy);
  if (!error && rename(copy.c_str(), to.c_str()))
    error = systemError();
  if (error || removeTree(from.c_str()))
    return error;
  error = systemError();
  removeTree(from.c_str());
  return rename(to.c_str(), from.c_str()) ? systemError() : error;
}

//===----------------------------------------------------------------------===//
// Outputs
//===----------------------------------------------------------------------===//

struct Outputs::Item {
  enum State {
    /// In the staging folder.
    Made,
    /// In place, where nothing was.
    Placed,
    /// In place; the old one is where this was made.
    Exchanged,
    /// In place; the old one was moved aside.
    Moved,
    /// Its files are in a folder that came meanwhile.
    Joined
  };
  std::string given;
  Destination destination;
  bool isFolder = false;
  FolderCheck mayReplace;
  std::string contents; // of a stream
  std::shared_ptr<Staging> staging;
  std::string made, aside;
  State state = Made;
};

Outputs::Outputs() = default;
Outputs::~Outputs() {
  removeStagings();
  removeParents();
}

Outputs::Item *Outputs::find(llvm::StringRef path) const {
  for (auto &item : items)
    if (item->given == path)
      return item.get();
  return nullptr;
}

/// The folder that holds a path; "." and "/" are their own.
static std::string parentOf(llvm::StringRef place) {
  llvm::StringRef parent = path::parent_path(place);
  return parent.empty() ? "." : parent.str();
}

/// Two names of one place, or a place inside of the other.
static bool isWithin(llvm::StringRef inner, llvm::StringRef outer) {
  llvm::SmallString<128> a(inner), b(outer);
  for (llvm::SmallString<128> *name : {&a, &b}) {
    // The last part may not exist yet.
    llvm::SmallString<128> parent;
    if (!fs::real_path(parentOf(*name), parent)) {
      path::append(parent, path::filename(*name));
      *name = parent;
    }
  }
  return a == b || (llvm::StringRef(a).starts_with(b) && a[b.size()] == '/');
}

llvm::Error Outputs::makeItem(llvm::StringRef given, bool isFolder,
                              FolderCheck mayReplace) {
  if (isFolder)
    drop(given);
  auto item = std::make_unique<Item>();
  item->given = given.str();
  item->isFolder = isFolder;
  item->mayReplace = std::move(mayReplace);
  auto destination = resolve(given);
  if (!destination)
    return destination.takeError();
  item->destination = std::move(*destination);
  const std::string &place = item->destination.place;
  switch (item->destination.kind) {
  case Destination::Stream:
    if (isFolder)
      return llvm::createStringError("cannot write '" + given +
                                     "': a folder is written, and it is a "
                                     "device or pipe");
    items.push_back(std::move(item));
    return llvm::Error::success();
  case Destination::Folder:
    if (!isFolder)
      return llvm::createStringError("cannot write '" + given +
                                     "': it is a folder");
    if (item->mayReplace)
      if (llvm::Error error = item->mayReplace(place))
        return error;
    break;
  case Destination::File:
    if (isFolder)
      return llvm::createStringError(
          "'" + given +
          "' exists and is a file, not a folder of ours; remove it first");
    break;
  case Destination::Nothing:
    break;
  }
  for (auto &other : items)
    if (other->destination.kind != Destination::Stream) {
      bool within = isWithin(place, other->destination.place);
      if (!within && !isWithin(other->destination.place, place))
        continue;
      return llvm::createStringError(
          "cannot write both '" + other->given + "' and '" + given +
          "': they are in one place; name different ones");
    }
  std::string parent = parentOf(place);
  for (auto &[folder, staging] : stagings)
    if (folder == parent)
      item->staging = staging;
  if (!item->staging) {
    auto staging = Staging::create(parent);
    if (!staging)
      return errorOf(llvm::errorToErrorCode(staging.takeError()), "write",
                     given);
    item->staging = std::move(*staging);
    stagings.push_back({parent, item->staging});
  }
  item->made = item->staging->made(path::filename(place));
  items.push_back(std::move(item));
  return llvm::Error::success();
}

llvm::Expected<std::string> Outputs::addFolder(llvm::StringRef given,
                                               FolderCheck mayReplace) {
  if (llvm::Error error = makeItem(given, true, std::move(mayReplace)))
    return error;
  if (llvm::Error error = makeFolders(items.back()->made, given)) {
    items.pop_back();
    return error;
  }
  return items.back()->made;
}

llvm::Expected<std::string> Outputs::addFile(llvm::StringRef given) {
  if (llvm::Error error = makeItem(given, false, {}))
    return error;
  if (items.back()->destination.kind != Destination::Stream)
    return items.back()->made;
  items.pop_back();
  return llvm::createStringError("cannot write '" + given +
                                 "': it is a device or pipe");
}

llvm::Error Outputs::addText(llvm::StringRef given, llvm::StringRef contents) {
  if (llvm::Error error = makeItem(given, false, {}))
    return error;
  Item &item = *items.back();
  if (item.destination.kind == Destination::Stream) {
    item.contents = contents.str();
    return llvm::Error::success();
  }
  llvm::Error error = writeStagedText(item.made, given, contents);
  if (error)
    drop(given);
  return error;
}

llvm::Error Outputs::makeParents(llvm::StringRef given) {
  llvm::SmallString<128> prefix;
  for (auto it = path::begin(given), end = path::end(given); it != end; ++it) {
    path::append(prefix, *it);
    if (fs::is_directory(prefix))
      continue;
    int slot = rememberFolder(prefix.str().str(), /*onlyEmpty=*/true);
    if (mkdir(prefix.c_str(), 0777)) {
      std::error_code error = systemError();
      forgetFolder(slot);
      if (error.value() == EEXIST && fs::is_directory(prefix))
        continue; // another process was faster
      return errorOf(error, "create", given);
    }
    parents.push_back({prefix.str().str(), slot});
  }
  return llvm::Error::success();
}

/// Those that are empty, so after removeStagings().
void Outputs::removeParents() {
  for (auto &[folder, slot] : llvm::reverse(parents)) {
    rmdir(folder.c_str());
    forgetFolder(slot);
  }
  parents.clear();
}

void Outputs::renameFile(llvm::StringRef given, llvm::StringRef name) {
  Item *item = find(given);
  assert(item && "renames an output that was not added");
  for (std::string *place : {&item->given, &item->destination.place}) {
    llvm::SmallString<128> next(path::parent_path(*place));
    path::append(next, name);
    *place = next.str().str();
  }
  struct stat status;
  item->destination.kind = lstat(item->destination.place.c_str(), &status)
                               ? Destination::Nothing
                               : Destination::File;
}

void Outputs::drop(llvm::StringRef given) {
  llvm::erase_if(items, [&](const std::unique_ptr<Item> &item) {
    if (item->given != given)
      return false;
    if (item->isFolder)
      fs::remove_directories(item->made);
    else if (!item->made.empty())
      fs::remove(item->made);
    return true;
  });
}

std::string Outputs::whereIs(llvm::StringRef given) const {
  Item *item = find(given);
  return item && item->state == Item::Made && !item->made.empty() ? item->made
                                                                  : given.str();
}

void Outputs::makeLast(llvm::StringRef given) {
  std::stable_partition(items.begin(), items.end(),
                        [&](auto &item) { return item->given != given; });
}

/// Moves the files of a shared folder into the one that another process made
/// meanwhile.
llvm::Error Outputs::join(Item &item) {
  std::error_code error;
  for (fs::directory_iterator it(item.made, error, false), end;
       it != end && !error; it.increment(error)) {
    llvm::SmallString<128> place(item.destination.place);
    path::append(place, path::filename(it->path()));
    if (rename(it->path().c_str(), place.c_str()))
      return errorOf(systemError(), "write", place);
  }
  item.state = Item::Joined;
  return error ? errorOf(error, "write", item.given) : llvm::Error::success();
}

/// Puts one output in place.
llvm::Error Outputs::place(Item &item) {
  const std::string &place = item.destination.place;
  // What is there may have changed since; the exchange needs to know.
  struct stat status;
  if (lstat(place.c_str(), &status)) {
    if (errno != ENOENT || rename(item.made.c_str(), place.c_str()))
      return errorOf(systemError(), "write", item.given);
    item.state = Item::Placed;
    return llvm::Error::success();
  }
  if (S_ISDIR(status.st_mode) != item.isFolder)
    return llvm::createStringError("cannot write '" + item.given +
                                   "': what is there has changed");
  if (item.isFolder && !item.mayReplace)
    return join(item);
  if (item.isFolder)
    if (llvm::Error error = item.mayReplace(place))
      return error;
  std::error_code error = exchangeNames(item.made, place);
  if (!error) {
    item.state = Item::Exchanged;
    return llvm::Error::success();
  }
  if (!cannotExchange(error))
    return errorOf(error, "write", item.given);
  auto aside = item.staging->old(path::filename(place));
  if (!aside)
    return errorOf(llvm::errorToErrorCode(aside.takeError()), "write",
                   item.given);
  item.aside = *aside;
  // A second name of the old file keeps it; a folder has to go first.
  bool moved = item.isFolder || link(place.c_str(), item.aside.c_str());
  if (moved && (error = moveFolder(place, item.aside)))
    return errorOf(error, "write", item.given);
  if (rename(item.made.c_str(), place.c_str())) {
    error = systemError();
    if (moved && rename(item.aside.c_str(), place.c_str())) {
      std::string kept = item.aside;
      item.staging->keep();
      return llvm::createStringError("cannot write '" + item.given +
                                     "': " + error.message() +
                                     "; the old one is '" + kept + "'");
    }
    return errorOf(error, "write", item.given);
  }
  item.state = Item::Moved;
  return llvm::Error::success();
}

/// Undoes place(); what to add to the message where that fails too.
std::string Outputs::putBack(Item &item) {
  const std::string &place = item.destination.place;
  auto attempt = [&](auto action) {
    // It worked in the other direction a moment ago.
    for (unsigned i = 0; i < 3; ++i)
      if (action())
        return true;
    return false;
  };
  bool done = true;
  if (item.state == Item::Placed)
    done = attempt([&] { return !rename(place.c_str(), item.made.c_str()); });
  else if (item.state == Item::Exchanged)
    done = attempt([&] { return !exchangeNames(item.made, place); });
  else if (item.state == Item::Moved)
    done = (!item.isFolder || attempt([&] {
             return !rename(place.c_str(), item.made.c_str());
           })) &&
           attempt([&] { return !rename(item.aside.c_str(), place.c_str()); });
  if (done) {
    item.state = Item::Made;
    return "";
  }
  return "; '" + item.given +
         "' could not be put back: " + systemError().message();
}

void Outputs::removeStagings() {
  for (auto &item : items)
    item->staging.reset();
  for (auto &[folder, staging] : stagings) {
    std::string path = staging->path();
    if (!staging->remove())
      note = "cannot remove '" + path + "', which is of no use any more";
  }
  stagings.clear();
}

llvm::Error Outputs::commit() {
  // A pipe may wait for its reader for ever, and can be interrupted there.
  for (auto &item : items)
    if (item->destination.kind == Destination::Stream)
      if (llvm::Error error =
              writeThrough(item->destination, item->given, item->contents))
        return error;
  SignalDelay delay;
  for (size_t done = 0; done < items.size(); ++done) {
    if (items[done]->destination.kind == Destination::Stream)
      continue;
    llvm::Error error = place(*items[done]);
    if (!error)
      continue;
    std::string more;
    while (done--)
      more += putBack(*items[done]);
    removeStagings();
    removeParents();
    return llvm::createStringError(llvm::toString(std::move(error)) + more);
  }
  removeStagings();
  removeParents(); // of which nothing was put in
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// Files and folders
//===----------------------------------------------------------------------===//

llvm::Error mlir::ane::writeFileAtomically(llvm::StringRef path,
                                           llvm::StringRef contents) {
  Outputs outputs;
  if (llvm::Error error = outputs.addText(path, contents))
    return error;
  return outputs.commit();
}

llvm::LogicalResult mlir::ane::writeStagedFile(
    llvm::StringRef path, llvm::StringRef shown,
    llvm::function_ref<llvm::LogicalResult(llvm::raw_ostream &)> print,
    llvm::function_ref<void(llvm::Error)> report) {
  std::error_code error;
  llvm::raw_fd_ostream os(path, error);
  bool printed = !error && succeeded(print(os));
  bool opened = !error;
  if (opened) {
    os.close();
    error = os.error();
    os.clear_error(); // or its end would be the program's
  }
  if (error && (printed || !opened))
    report(errorOf(error, "write", shown));
  return llvm::success(printed && !error);
}

llvm::Error mlir::ane::writeStagedText(llvm::StringRef path,
                                       llvm::StringRef shown,
                                       llvm::StringRef contents) {
  llvm::Error result = llvm::Error::success();
  (void)writeStagedFile(
      path, shown,
      [&](llvm::raw_ostream &os) {
        os << contents;
        return llvm::success();
      },
      [&](llvm::Error error) {
        result = llvm::joinErrors(std::move(result), std::move(error));
      });
  return result;
}

llvm::Error mlir::ane::makeFolders(llvm::StringRef path,
                                   llvm::StringRef shown) {
  std::error_code error =
      fs::create_directories(path, /*IgnoreExisting=*/true, fs::perms::all_all);
  return error ? errorOf(error, "create", shown) : llvm::Error::success();
}

llvm::Error mlir::ane::checkAllOurs(
    llvm::StringRef folder, llvm::StringRef what,
    llvm::function_ref<bool(llvm::StringRef relative)> isOurs) {
  std::error_code error;
  std::string foreign;
  for (fs::recursive_directory_iterator it(folder, error, false), end;
       it != end && !error; it.increment(error)) {
    llvm::StringRef relative =
        llvm::StringRef(it->path()).drop_front(folder.size()).ltrim('/');
    if (it->type() == fs::file_type::directory_file ||
        path::filename(relative) == ".DS_Store")
      continue;
    // The first in order of names, so that the message is always the same.
    if ((it->type() != fs::file_type::regular_file || !isOurs(relative)) &&
        (foreign.empty() || relative < foreign))
      foreign = relative.str();
  }
  if (error)
    return errorOf(error, "read", folder);
  if (foreign.empty())
    return llvm::Error::success();
  return llvm::createStringError("'" + folder + "' exists and holds '" +
                                 foreign + "', which is no part of " + what +
                                 "; remove it first");
}
