//===- faults.c - calls of the file system that fail ----------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Counts the calls that change files below the folder FAULTS_ROOT. At the call
// of number FAULTS_AT it does what FAULTS_DO says: fails with an error number
// ("28"), ends the process as SIGKILL would before ("kill") or after ("killed")
// the call, or sends a signal ("signal 15") and goes on. From FAULTS_AT on
// ("28 always") it makes all of them fail, like a full disk; removing works.
// FAULTS_NO_EXCHANGE makes the file system one that cannot exchange names.
// The number of calls is written to FAULTS_COUNT at the end.
//
//===----------------------------------------------------------------------===//

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static const char *root, *what;
static size_t rootLength;
static long at = -1, count;
static int always, noExchange, killAfter;
// Descriptors of files below the root that are open for writing.
static unsigned char writable[1024];

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void start(void) {
  root = getenv("FAULTS_ROOT");
  rootLength = root ? strlen(root) : 0;
  what = getenv("FAULTS_DO");
  if (getenv("FAULTS_AT"))
    at = atol(getenv("FAULTS_AT"));
  always = what && strstr(what, "always");
  noExchange = getenv("FAULTS_NO_EXCHANGE") != NULL;
}

__attribute__((destructor)) static void finish(void) {
  const char *file = getenv("FAULTS_COUNT");
  if (!file)
    return;
  char text[32];
  int size = snprintf(text, sizeof(text), "%ld\n", count);
  int descriptor = REAL(open)(file, O_WRONLY | O_CREAT | O_TRUNC, 0666);
  if (descriptor >= 0) {
    if (REAL(write)(descriptor, text, size) < 0)
      abort();
    REAL(close)(descriptor);
  }
}

static int isOpenBelow(int descriptor) {
  char link[64], full[PATH_MAX];
  snprintf(link, sizeof(link), "/proc/self/fd/%d", descriptor);
  ssize_t size = readlink(link, full, sizeof(full) - 1);
  if (size < 0 || !rootLength)
    return 0;
  full[size] = 0;
  return !strncmp(full, root, rootLength);
}

static int below(int folder, const char *path) {
  char full[PATH_MAX];
  if (!rootLength || !path)
    return 0;
  if (path[0] == '/')
    return !strncmp(path, root, rootLength);
  if (folder == AT_FDCWD)
    return getcwd(full, sizeof(full)) && !strncmp(full, root, rootLength);
  return isOpenBelow(folder);
}

// True where the call is to fail; errno says how.
static int faulty(int removes) {
  long now = __atomic_fetch_add(&count, 1, __ATOMIC_SEQ_CST);
  if (at < 0 || !what || now < at || (now > at && !always) ||
      (always && removes))
    return 0;
  if (!strcmp(what, "kill"))
    kill(getpid(), SIGKILL);
  if (!strcmp(what, "killed")) {
    killAfter = 1;
    return 0;
  }
  if (!strncmp(what, "signal ", 7)) {
    kill(getpid(), atoi(what + 7));
    return 0;
  }
  errno = atoi(what);
  return errno != 0;
}

static void done(void) {
  int error = errno;
  if (killAfter)
    kill(getpid(), SIGKILL);
  errno = error;
}

#define CHANGE(place, removes, call)                                           \
  do {                                                                         \
    if ((place) && faulty(removes))                                            \
      return -1;                                                               \
    __typeof__(call) result = call;                                            \
    done();                                                                    \
    return result;                                                             \
  } while (0)

static void note(int descriptor, int writes) {
  if (descriptor >= 0 && descriptor < (int)sizeof(writable))
    writable[descriptor] = writes;
}

static int openFile(int folder, const char *path, int flags, mode_t mode) {
  int writes = (flags & O_ACCMODE) != O_RDONLY;
  if (writes && below(folder, path) && faulty(0))
    return -1;
  int descriptor = REAL(openat)(folder, path, flags, mode);
  // Also by another name, /dev/fd/5.
  note(descriptor, writes && isOpenBelow(descriptor));
  done();
  return descriptor;
}

#define MODE()                                                                 \
  mode_t mode = 0;                                                             \
  if (flags & (O_CREAT | O_TMPFILE)) {                                         \
    va_list list;                                                              \
    va_start(list, flags);                                                     \
    mode = va_arg(list, mode_t);                                               \
    va_end(list);                                                              \
  }

int open(const char *path, int flags, ...) {
  MODE();
  return openFile(AT_FDCWD, path, flags, mode);
}
int open64(const char *path, int flags, ...) {
  MODE();
  return openFile(AT_FDCWD, path, flags | O_LARGEFILE, mode);
}
int openat(int folder, const char *path, int flags, ...) {
  MODE();
  return openFile(folder, path, flags, mode);
}
int openat64(int folder, const char *path, int flags, ...) {
  MODE();
  return openFile(folder, path, flags | O_LARGEFILE, mode);
}
int creat(const char *path, mode_t mode) {
  return openFile(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, mode);
}

static int isWritable(int descriptor) {
  return descriptor >= 0 && descriptor < (int)sizeof(writable) &&
         writable[descriptor];
}

ssize_t write(int descriptor, const void *data, size_t size) {
  CHANGE(isWritable(descriptor), 0, REAL(write)(descriptor, data, size));
}
ssize_t writev(int descriptor, const struct iovec *parts, int number) {
  CHANGE(isWritable(descriptor), 0, REAL(writev)(descriptor, parts, number));
}
ssize_t pwrite(int descriptor, const void *data, size_t size, off_t offset) {
  CHANGE(isWritable(descriptor), 0,
         REAL(pwrite)(descriptor, data, size, offset));
}
int close(int descriptor) {
  int writes = isWritable(descriptor);
  note(descriptor, 0);
  // The descriptor is gone, also where close() fails.
  int fails = writes && faulty(1), error = errno;
  int result = REAL(close)(descriptor);
  done();
  if (!fails)
    return result;
  errno = error;
  return -1;
}
int fsync(int descriptor) {
  CHANGE(isWritable(descriptor), 0, REAL(fsync)(descriptor));
}
int fdatasync(int descriptor) {
  CHANGE(isWritable(descriptor), 0, REAL(fdatasync)(descriptor));
}
int ftruncate(int descriptor, off_t size) {
  CHANGE(isWritable(descriptor), 0, REAL(ftruncate)(descriptor, size));
}
int fchmod(int descriptor, mode_t mode) {
  CHANGE(isWritable(descriptor), 0, REAL(fchmod)(descriptor, mode));
}
int chmod(const char *path, mode_t mode) {
  CHANGE(below(AT_FDCWD, path), 0, REAL(chmod)(path, mode));
}
int mkdir(const char *path, mode_t mode) {
  CHANGE(below(AT_FDCWD, path), 0, REAL(mkdir)(path, mode));
}
int mkdirat(int folder, const char *path, mode_t mode) {
  CHANGE(below(folder, path), 0, REAL(mkdirat)(folder, path, mode));
}
int rmdir(const char *path) {
  CHANGE(below(AT_FDCWD, path), 1, REAL(rmdir)(path));
}
int unlink(const char *path) {
  CHANGE(below(AT_FDCWD, path), 1, REAL(unlink)(path));
}
int unlinkat(int folder, const char *path, int flags) {
  CHANGE(below(folder, path), 1, REAL(unlinkat)(folder, path, flags));
}
int remove(const char *path) {
  CHANGE(below(AT_FDCWD, path), 1, REAL(remove)(path));
}
int rename(const char *from, const char *to) {
  CHANGE(below(AT_FDCWD, to), 1, REAL(rename)(from, to));
}
int renameat(int a, const char *from, int b, const char *to) {
  CHANGE(below(b, to), 1, REAL(renameat)(a, from, b, to));
}
int renameat2(int a, const char *from, int b, const char *to,
              unsigned int flags) {
  if (noExchange && (flags & RENAME_EXCHANGE)) {
    errno = EINVAL;
    return -1;
  }
  CHANGE(below(b, to), 1, REAL(renameat2)(a, from, b, to, flags));
}
int link(const char *from, const char *to) {
  CHANGE(below(AT_FDCWD, to), 0, REAL(link)(from, to));
}
int symlink(const char *from, const char *to) {
  CHANGE(below(AT_FDCWD, to), 0, REAL(symlink)(from, to));
}
