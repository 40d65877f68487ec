//===- FaultsTest.cpp - every call fails once, and every way out ----------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "Bundles.h"
#include <csignal>
#include <dlfcn.h>
#include <fcntl.h>
#include <filesystem>
#include <sys/wait.h>
#include <unistd.h>

namespace {
/// What a session came to: wrong answers are what must not be.
struct Outcome {
  bool opened = false;
  int right = 0, wrong = 0, failed = 0;
};
} // namespace

/// Opens, runs three times, closes.
static Outcome runSession(const std::string &bundle, const Folder &staging,
                          float sum) {
  Outcome outcome;
  Opened opened;
  ane_device_options options = onStandIn(staging);
  outcome.opened = opened.open(bundle, options);
  if (!outcome.opened) {
    EXPECT_FALSE(opened.message.empty());
    return outcome;
  }
  for (int i = 0; i < 3; ++i) {
    bool ok;
    std::vector<float> x(80, float(i)), y = runOnce(opened, x, ok);
    if (!ok)
      ++outcome.failed;
    else
      ++(y == std::vector<float>(80, float(i) + sum) ? outcome.right
                                                     : outcome.wrong);
    EXPECT_EQ(opened.message.empty(), ok);
  }
  return outcome;
}

/// What stands where the framework stages by itself.
static std::vector<std::string> sharedFolders() {
  static const ane::runtime::ObjC &objc =
      *new ane::runtime::ObjC(StandIn::library());
  ane::runtime::ObjC::Pool pool(objc);
  static auto temporary = reinterpret_cast<void *(*)()>(
      dlsym(RTLD_DEFAULT, "NSTemporaryDirectory"));
  std::vector<std::string> names;
  for (const auto &entry :
       std::filesystem::directory_iterator(objc.text(temporary())))
    if (entry.path().filename().string().size() > 128) // three sums
      names.push_back(entry.path().filename().string());
  return names;
}

static void expectNothingLeft(const Folder &staging, const std::string &what) {
  EXPECT_TRUE(staging.list().empty()) << what;
  EXPECT_TRUE(sharedFolders().empty()) << what;
  EXPECT_EQ(StandIn::counts().live_surfaces, 0u) << what;
  EXPECT_EQ(StandIn::counts().live_programs, 0u) << what;
}

/// Lets each call of a session fail, or raise, in turn.
static void sweep(const std::string &how, const std::string &more) {
  Folder data, staging;
  makeChain(3).write(data.child("b"));
  std::string base = "compiles=0;stall=0;cache=0" + more;
  StandIn::configure(base);
  Outcome plain = runSession(data.child("b"), staging, 6);
  ASSERT_EQ(plain.right, 3);
  uint64_t calls = StandIn::counts().calls;
  ASSERT_GT(calls, 30u);
  int refused = 0, failedRuns = 0, survived = 0;
  for (uint64_t n = 1; n <= calls; ++n) {
    std::string words = base + ";" + how + "=any:" + std::to_string(n);
    StandIn::configure(words);
    Outcome outcome = runSession(data.child("b"), staging, 6);
    EXPECT_EQ(outcome.wrong, 0) << words;
    refused += !outcome.opened;
    failedRuns += outcome.failed;
    survived += outcome.right == 3;
    EXPECT_LE(outcome.failed, 1) << words; // the next run is right again
    expectNothingLeft(staging, words);
  }
  EXPECT_GT(refused, 10);
  EXPECT_EQ(failedRuns, 9); // each of nine evaluations
  EXPECT_GT(survived, 0);
}

TEST(Faults, EachCallFails) { sweep("fail", ""); }
TEST(Faults, EachCallRaises) { sweep("raise", ""); }
TEST(Faults, EachCallFailsWithoutFoldersOfChoice) { sweep("fail", ";url=0"); }

TEST(Faults, ProgramsThatMakeRoomForEachOther) {
  Folder data, staging;
  makeChain(4).write(data.child("b"));
  std::string base = "compiles=0;stall=0;cache=0;resident=2";
  ane_device_options options = onStandIn(staging);
  options.resident_limit = 2;
  for (uint64_t n = 1; n <= 80; ++n) {
    StandIn::configure(base + ";fail=any:" + std::to_string(n));
    {
      Opened opened;
      if (opened.open(data.child("b"), options))
        for (int i = 0; i < 2; ++i) {
          bool ok;
          std::vector<float> x(80, 1), y = runOnce(opened, x, ok);
          EXPECT_TRUE(!ok || y == std::vector<float>(80, 11)) << n;
        }
    }
    expectNothingLeft(staging, std::to_string(n));
  }
}

//===----------------------------------------------------------------------===//
// Ways out of a process
//===----------------------------------------------------------------------===//

/// Runs `body` in a child of its own with handlers of signals on; its status.
template <typename Body>
static int inChild(const Folder &staging, const std::string &bundle, Body body,
                   uint32_t flags = 0) {
  fflush(nullptr);
  pid_t child = fork();
  if (!child) {
    int null = open("/dev/null", O_WRONLY);
    dup2(null, 2);
    Opened *opened = new Opened; // never closed
    ane_device_options options = onStandIn(staging);
    options.flags = flags;
    if (!opened->open(bundle, options))
      _exit(99);
    bool ok;
    std::vector<float> x(80, 1);
    if (runOnce(*opened, x, ok) != std::vector<float>(80, 4) || !ok)
      _exit(98);
    body();
    _exit(97);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return status;
}

TEST(Faults, ExitAndSignalsRemoveWhatWasStaged) {
  Folder data, staging;
  makeChain(2).write(data.child("b"));
  StandIn::configure("compiles=0");
  int status = inChild(staging, data.child("b"), [] { exit(3); });
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 3) << status;
  EXPECT_TRUE(staging.list().empty());
  for (int number : {SIGTERM, SIGINT, SIGHUP, SIGQUIT}) {
    std::signal(number, SIG_DFL); // nohup and background jobs ignore some
    status = inChild(staging, data.child("b"), [number] { raise(number); });
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == number) << status;
    EXPECT_TRUE(staging.list().empty()) << number;
    // A process that has a handler: left alone, or, where asked for, called
    // when the directories are gone.
    std::signal(number, [](int) { _exit(5); });
    status = inChild(staging, data.child("b"), [number] { raise(number); });
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 5) << status;
    EXPECT_EQ(staging.list().size(), 1u) << number;
    status = inChild(
        staging, data.child("b"), [number] { raise(number); },
        ANE_CHAIN_SIGNALS);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 5) << status;
    // What the one before left is removed as well.
    EXPECT_TRUE(staging.list().empty()) << number;
    std::signal(number, SIG_DFL);
  }
}

TEST(Faults, TheNextRemovesWhatAKilledProcessLeft) {
  Folder data, staging;
  makeChain(2).write(data.child("b"));
  for (const char *call : {"compile:2", "load:1", "evaluate:3", "surface:2"}) {
    StandIn::configure(std::string("compiles=0;cache=0;die=") + call);
    int status = inChild(staging, data.child("b"), [] { raise(SIGKILL); });
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << call;
    EXPECT_EQ(staging.list().size(), 1u) << call;
    StandIn::configure("compiles=0");
    Outcome outcome = runSession(data.child("b"), staging, 3);
    EXPECT_EQ(outcome.right, 3) << call;
    expectNothingLeft(staging, call);
  }
}

TEST(Faults, LivingProcessesKeepTheirFolders) {
  Folder data, staging;
  makeChain(2).write(data.child("b"));
  StandIn::configure("compiles=0");
  int pipes[2], back[2];
  ASSERT_FALSE(pipe(pipes) || pipe(back));
  pid_t child = fork();
  if (!child) {
    Opened opened;
    ane_device_options options = onStandIn(staging);
    bool good = opened.open(data.child("b"), options);
    char byte = char(good);
    if (write(pipes[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1)
      _exit(1);
    bool ok;
    std::vector<float> x(80, 1);
    good &= runOnce(opened, x, ok) == std::vector<float>(80, 4);
    opened.close();
    _exit(good ? 0 : 2);
  }
  char byte = 0;
  ASSERT_EQ(read(pipes[0], &byte, 1), 1);
  EXPECT_EQ(byte, 1);
  EXPECT_EQ(runSession(data.child("b"), staging, 3).right, 3);
  EXPECT_EQ(staging.list().size(), 1u); // the child's
  ASSERT_EQ(write(back[1], &byte, 1), 1);
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(staging.list().empty());
}

TEST(Faults, OneProgramIsStagedOnceWhereFoldersAreShared) {
  Folder data, staging;
  StandIn::configure("compiles=0;url=0");
  makeAdd(31).write(data.child("b"));
  Opened first, second;
  ASSERT_TRUE(first.open(data.child("b"), onStandIn(staging))) << first.message;
  EXPECT_FALSE(second.open(data.child("b"), onStandIn(staging)));
  EXPECT_EQ(second.status, ANE_BUSY);
  EXPECT_NE(second.message.find("L77"), std::string::npos);
  second.close();
  first.close();
  ASSERT_TRUE(second.open(data.child("b"), onStandIn(staging)));
}
