//===- LimitsTest.cpp - many programs, many requests ----------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "Bundles.h"
#include <atomic>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <thread>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ANE_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define ANE_SANITIZED 1
#endif
#endif

//===----------------------------------------------------------------------===//
// Every request for memory of the process is counted, whoever asks
//===----------------------------------------------------------------------===//

#if !defined(ANE_SANITIZED) && defined(__GLIBC__)
static std::atomic<bool> counting{false};
static std::atomic<uint64_t> allocations{0};
extern "C" {
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *malloc(size_t size) {
  if (counting)
    ++allocations;
  return __libc_malloc(size);
}
void *calloc(size_t count, size_t size) {
  if (counting)
    ++allocations;
  return __libc_calloc(count, size);
}
void *realloc(void *memory, size_t size) {
  if (counting)
    ++allocations;
  return __libc_realloc(memory, size);
}
}

TEST(Limits, NothingIsAllocatedAfterTheFirstRequest) {
  Folder folder;
  makeChain(3).write(folder.child("chain"));
  makeState().write(folder.child("state"));
  // The interpreter in place of the engine allocates as it likes.
  StandIn::configure("compiles=0;engine=none");
  for (bool state : {false, true}) {
    Opened opened;
    ane_device_options options = onStandIn(folder);
    ASSERT_TRUE(opened.open(folder.child(state ? "state" : "chain"), options))
        << opened.message;
    size_t count = state ? 128 : 80;
    std::vector<float> x(count, 1), y(count);
    ASSERT_EQ(ane_session_bind_input(opened.session, 0, x.data(), count * 4),
              ANE_OK);
    ASSERT_EQ(ane_session_bind_output(opened.session, 0, y.data(), count * 4),
              ANE_OK);
    if (state) {
      ASSERT_EQ(ane_session_carry(opened.session, 1, 1), ANE_OK);
    }
    ASSERT_EQ(ane_session_run(opened.session), ANE_OK);
    allocations = 0;
    counting = true;
    ane_status status = ANE_OK;
    for (int i = 0; i < 100 && status == ANE_OK; ++i)
      status = ane_session_run(opened.session);
    counting = false;
    EXPECT_EQ(status, ANE_OK);
    EXPECT_EQ(allocations, 0u) << (state ? "with" : "without") << " a state";
  }
  // The counter counts.
  counting = true;
  void *volatile memory = malloc(10);
  counting = false;
  free(memory);
  EXPECT_GE(allocations, 1u);
}
#endif

//===----------------------------------------------------------------------===//
// Residency
//===----------------------------------------------------------------------===//

static size_t openFiles() {
  size_t count = 0;
  for (const auto &entry :
       std::filesystem::directory_iterator("/proc/self/fd")) {
    (void)entry;
    ++count;
  }
  return count;
}
static size_t residentBytes() {
  size_t total = 0, resident = 0;
  if (FILE *file = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(file, "%zu %zu", &total, &resident) != 2)
      resident = 0;
    std::fclose(file);
  }
  return resident * size_t(sysconf(_SC_PAGESIZE));
}

TEST(Limits, ThousandRequestsOverTwoHundredPrograms) {
  Folder folder;
  StandIn::configure("compiles=0");
  constexpr int kPrograms = 200;
  ane_device_options options = onStandIn(folder);
  ane_device *device = nullptr;
  ASSERT_EQ(ane_device_open(&options, &device), ANE_OK);
  ane_device_counts before = {}, after = {};
  before.size = after.size = sizeof before;
  ASSERT_EQ(ane_device_get_counts(device, &before), ANE_OK);
  std::vector<std::unique_ptr<Opened>> sessions;
  for (int i = 0; i < kPrograms; ++i) {
    std::string path = folder.child("b" + std::to_string(i));
    makeAdd(i).write(path);
    sessions.push_back(std::make_unique<Opened>());
    Opened &opened = *sessions.back();
    ASSERT_EQ(ane_bundle_open(path.c_str(), &opened.bundle), ANE_OK);
    ASSERT_EQ(
        ane_session_create(opened.bundle, device, nullptr, &opened.session),
        ANE_OK)
        << i << ": " << ane_last_error();
  }
  size_t files = 0, bytes = 0;
  uint64_t pick = 1;
  std::vector<float> x(80, 1);
  for (int request = 0; request < 1000; ++request) {
    pick = pick * 6364136223846793005u + 1442695040888963407u;
    int i = int((pick >> 33) % kPrograms);
    bool ok;
    EXPECT_EQ(runOnce(*sessions[size_t(i)], x, ok),
              std::vector<float>(80, float(1 + i)))
        << sessions[size_t(i)]->message;
    if (request == 299)
      files = openFiles(), bytes = residentBytes();
  }
  EXPECT_EQ(openFiles(), files);
#ifndef ANE_SANITIZED
  EXPECT_LT(residentBytes(), bytes + (4 << 20));
#endif
  ASSERT_EQ(ane_device_get_counts(device, &after), ANE_OK);
  EXPECT_EQ(after.resident, 127u);
  EXPECT_LE(StandIn::counts().most_programs, 127u);
  EXPECT_GT(after.evicted, before.evicted + 100);
  sessions.clear();
  ane_device_close(device);
  EXPECT_EQ(StandIn::counts().live_programs, 0u);
  EXPECT_EQ(StandIn::counts().live_surfaces, 0u);
}

//===----------------------------------------------------------------------===//
// Requests in flight
//===----------------------------------------------------------------------===//

namespace {
struct Request {
  std::vector<float> x, y;
  const void *inputs[1];
  void *outputs[1];
  std::atomic<int> done{0};
  ane_status status = ANE_RUN_FAILED;
  std::string message;
  static void finish(void *user, ane_status status, const char *message) {
    auto &request = *static_cast<Request *>(user);
    request.status = status;
    request.message = message;
    ++request.done;
  }
};
} // namespace

static void submitMany(const std::string &words, unsigned inFlight, int count,
                       int expectedFailures) {
  Folder folder;
  StandIn::configure("compiles=0;" + words);
  makeChain(3).write(folder.child("b"));
  ane_session_options with = {sizeof with, nullptr, inFlight, nullptr};
  ane_device_options options = onStandIn(folder);
  Opened opened;
  ASSERT_TRUE(opened.open(folder.child("b"), options, &with)) << opened.message;
  std::vector<std::unique_ptr<Request>> requests;
  for (int i = 0; i < count; ++i) {
    requests.push_back(std::make_unique<Request>());
    Request &request = *requests.back();
    request.x.assign(80, float(i % 500));
    request.y.assign(80, -1);
    request.inputs[0] = request.x.data();
    request.outputs[0] = request.y.data();
  }
  // From two threads at once.
  auto submit = [&](int first) {
    for (int i = first; i < count; i += 2)
      EXPECT_EQ(ane_session_submit(opened.session, requests[size_t(i)]->inputs,
                                   requests[size_t(i)]->outputs,
                                   Request::finish, requests[size_t(i)].get()),
                ANE_OK);
  };
  std::thread other(submit, 1);
  submit(0);
  other.join();
  ASSERT_EQ(ane_session_wait(opened.session), ANE_OK);
  int failures = 0;
  for (int i = 0; i < count; ++i) {
    Request &request = *requests[size_t(i)];
    EXPECT_EQ(request.done, 1);
    if (request.status != ANE_OK) {
      ++failures;
      EXPECT_FALSE(request.message.empty());
      continue;
    }
    EXPECT_EQ(request.y, std::vector<float>(80, float(i % 500 + 6))) << i;
  }
  EXPECT_EQ(failures, expectedFailures);
  // Idle again: run() works.
  bool ok;
  StandIn::configure("compiles=0");
  EXPECT_EQ(runOnce(opened, std::vector<float>(80, 1), ok),
            std::vector<float>(80, 7));
  opened.close();
  EXPECT_EQ(StandIn::counts().live_surfaces, 0u);
}

TEST(Queue, RequestsInFlight) { submitMany("", 8, 200, 0); }
TEST(Queue, RequestsThatFail) { submitMany("fail=evaluate:30", 8, 100, 1); }
TEST(Queue, ShallowQueues) {
  // Evaluations beyond the depth wait inside of the framework.
  submitMany("depth=2;delay=evaluate:200", 6, 60, 0);
}

TEST(Queue, SessionsOfADeviceShareItsDepth) {
  Folder folder;
  StandIn::configure("compiles=0;delay=evaluate:3000");
  makeAdd(1).write(folder.child("b"));
  ane_device_options options = onStandIn(folder);
  options.queue_depth = 2;
  ane_session_options with = {sizeof with, nullptr, 2, nullptr};
  Opened first;
  ASSERT_TRUE(first.open(folder.child("b"), options, &with)) << first.message;
  ane_session *second = nullptr;
  ASSERT_EQ(ane_session_create(first.bundle, first.device, &with, &second),
            ANE_OK);
  std::vector<std::unique_ptr<Request>> requests;
  for (int i = 0; i < 16; ++i) {
    requests.push_back(std::make_unique<Request>());
    Request &request = *requests.back();
    request.x.assign(80, float(i));
    request.y.assign(80, -1);
    request.inputs[0] = request.x.data();
    request.outputs[0] = request.y.data();
    ASSERT_EQ(ane_session_submit(i % 2 ? second : first.session, request.inputs,
                                 request.outputs, Request::finish, &request),
              ANE_OK);
  }
  ASSERT_EQ(ane_session_wait(first.session), ANE_OK);
  ASSERT_EQ(ane_session_wait(second), ANE_OK);
  ane_session_close(second);
  for (int i = 0; i < 16; ++i) {
    EXPECT_EQ(requests[size_t(i)]->status, ANE_OK);
    EXPECT_EQ(requests[size_t(i)]->y, std::vector<float>(80, float(i + 1)));
  }
  EXPECT_EQ(StandIn::counts().most_in_flight, 2u);
}

namespace {
/// Submits itself again from its callback until it has ended `left` times.
struct Chain {
  ane_session *session;
  std::vector<float> x = std::vector<float>(80, 1),
                     y = std::vector<float>(80, -1);
  const void *inputs[1] = {x.data()};
  void *outputs[1] = {y.data()};
  std::atomic<int> left, right{0}, busy{0}, waited{0};
  /// Requests that a callback submits; the one behind the room is refused.
  int atOnce = 1;
  Chain(ane_session *session, int left) : session(session), left(left) {}

  static void finish(void *user, ane_status status, const char *) {
    auto &self = *static_cast<Chain *>(user);
    self.right += status == ANE_OK && self.y == std::vector<float>(80, 4);
    self.waited += ane_session_wait(self.session) == ANE_BUSY;
    if (--self.left > 0)
      for (int i = 0; i < self.atOnce; ++i)
        if (ane_session_submit(self.session, self.inputs, self.outputs, finish,
                               &self))
          ++self.busy;
  }
};
} // namespace

TEST(Queue, CallbacksSubmitTheNext) {
  for (int inFlight : {1, 2, 5}) {
    Folder folder;
    StandIn::configure("compiles=0");
    makeChain(2).write(folder.child("b"));
    ane_session_options with = {sizeof with, nullptr, uint32_t(inFlight),
                                nullptr};
    Opened opened;
    ASSERT_TRUE(opened.open(folder.child("b"), onStandIn(folder), &with))
        << opened.message;
    std::vector<std::unique_ptr<Chain>> chains;
    // More than are worked on at once: the thread here waits for room.
    for (int i = 0; i < 3 * inFlight; ++i) {
      chains.push_back(std::make_unique<Chain>(opened.session, 40));
      ASSERT_EQ(ane_session_submit(opened.session, chains.back()->inputs,
                                   chains.back()->outputs, Chain::finish,
                                   chains.back().get()),
                ANE_OK);
    }
    ASSERT_EQ(ane_session_wait(opened.session), ANE_OK);
    for (auto &chain : chains) {
      EXPECT_EQ(chain->right, 40) << inFlight;
      EXPECT_EQ(chain->busy, 0) << inFlight;
      EXPECT_EQ(chain->waited, 40) << inFlight;
    }
    // One that asks for more than its place is told so.
    Chain greedy(opened.session, 2);
    greedy.outputs[0] = nullptr; // of all at once
    greedy.atOnce = 1000;
    ASSERT_EQ(ane_session_submit(opened.session, greedy.inputs, greedy.outputs,
                                 Chain::finish, &greedy),
              ANE_OK);
    ASSERT_EQ(ane_session_wait(opened.session), ANE_OK);
    EXPECT_GE(greedy.busy, 1) << inFlight;
    EXPECT_LT(greedy.busy, 1000) << inFlight;
  }
}

TEST(Queue, ClosingWaits) {
  Folder folder;
  StandIn::configure("compiles=0;delay=evaluate:2000");
  makeChain(2).write(folder.child("b"));
  ane_session_options with = {sizeof with, nullptr, 4, nullptr};
  ane_device_options options = onStandIn(folder);
  Opened opened;
  ASSERT_TRUE(opened.open(folder.child("b"), options, &with)) << opened.message;
  std::vector<std::unique_ptr<Request>> requests;
  for (int i = 0; i < 6; ++i) {
    requests.push_back(std::make_unique<Request>());
    Request &request = *requests.back();
    request.x.assign(80, 1);
    request.y.assign(80, -1);
    request.inputs[0] = request.x.data();
    request.outputs[0] = request.y.data();
    ASSERT_EQ(ane_session_submit(opened.session, request.inputs,
                                 request.outputs, Request::finish, &request),
              ANE_OK);
  }
  EXPECT_EQ(ane_session_run(opened.session), ANE_BUSY);
  opened.close();
  for (auto &request : requests)
    EXPECT_EQ(request->done, 1);
}

TEST(Queue, SessionsInManyThreadsShareTheResidencyLimit) {
  Folder folder;
  // Long enough for others to want the room meanwhile.
  StandIn::configure("compiles=0;resident=3;delay=evaluate:300");
  ane_device_options options = onStandIn(folder);
  options.resident_limit = 3;
  ane_device *device = nullptr;
  ASSERT_EQ(ane_device_open(&options, &device), ANE_OK);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      std::string path = folder.child("b" + std::to_string(t));
      makeChain(2).write(path);
      Opened opened;
      ASSERT_EQ(ane_bundle_open(path.c_str(), &opened.bundle), ANE_OK);
      ASSERT_EQ(
          ane_session_create(opened.bundle, device, nullptr, &opened.session),
          ANE_OK)
          << ane_last_error();
      for (int i = 0; i < 20; ++i) {
        bool ok;
        EXPECT_EQ(runOnce(opened, std::vector<float>(80, float(i)), ok),
                  std::vector<float>(80, float(i + 3)))
            << opened.message;
      }
    });
  for (std::thread &thread : threads)
    thread.join();
  ane_device_close(device);
  EXPECT_LE(StandIn::counts().live_programs, 0u);
}

//===----------------------------------------------------------------------===//
// What a request costs beside the engine's time; printed, not judged
//===----------------------------------------------------------------------===//

TEST(Overhead, PerRequest) {
  using Clock = std::chrono::steady_clock;
  Folder folder;
  StandIn::configure("compiles=0;engine=none");
  for (bool bound : {true, false}) {
    makeAdd(1).write(folder.child("b"));
    Opened opened;
    ane_device_options options = onStandIn(folder);
    ASSERT_TRUE(opened.open(folder.child("b"), options));
    std::vector<float> x(80, 1), y(80);
    if (bound) {
      ASSERT_EQ(ane_session_bind_input(opened.session, 0, x.data(), 320),
                ANE_OK);
      ASSERT_EQ(ane_session_bind_output(opened.session, 0, y.data(), 320),
                ANE_OK);
    }
    for (int i = 0; i < 1000; ++i)
      ASSERT_EQ(ane_session_run(opened.session), ANE_OK);
    auto start = Clock::now();
    constexpr int kRuns = 20000;
    for (int i = 0; i < kRuns; ++i)
      ane_session_run(opened.session);
    std::printf("overhead of a request, %s: %.2f us\n",
                bound ? "320 bytes in and out" : "in surfaces",
                std::chrono::duration<double, std::micro>(Clock::now() - start)
                        .count() /
                    kRuns);
  }
}
