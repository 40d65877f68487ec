//===- ane-probe.cpp - asks a machine what the records say ----------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "Probe.h"
#include <algorithm>
#include <cctype>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <filesystem>
#include <poll.h>
#include <spawn.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace ane::probe;

extern char **environ;

/// What one question may take before its process is ended, and all of those
/// that are not risky together.
static constexpr int kSeconds = 60, kSecondsOfAll = 280;

static constexpr char kHelp[] =
    "Asks a machine what the records about its engine say: each rule, limit "
    "and\n"
    "cost parameter that can be asked, each in a process of its own.\n\n"
    "  ane-probe -o mac.toml          about as many questions as --list shows\n"
    "  ane-probe --merge=mac.toml     what the records would say with the "
    "answers\n\n"
    "  -o FILE          where the answers are written (TOML)\n"
    "  --target=NAME    the records to ask about (default: those of this "
    "chip)\n"
    "  --only=ID,ID     only these\n"
    "  --risky          also what may stall the compiler's service, last\n"
    "  --list           every record, and its question or why it has none\n"
    "  --merge=FILE     prints changes to the records\n"
    "The framework is Apple's, or the library that ANE_RUNTIME_FRAMEWORK "
    "names.\n";

static int usage(const std::string &message) {
  std::fprintf(stderr, "ane-probe: error: %s; see --help\n", message.c_str());
  return 2;
}

/// A string of sysctl, by name: only macOS has it.
static std::string systemValue(const char *name) {
  using Fn = int (*)(const char *, void *, size_t *, void *, size_t);
  auto query = reinterpret_cast<Fn>(dlsym(RTLD_DEFAULT, "sysctlbyname"));
  char text[256] = "";
  size_t size = sizeof text - 1;
  return query && !query(name, text, &size, nullptr, 0) ? text : "";
}

/// "Apple M4 Max" as "m4max".
static std::string shortChip(const std::string &brand) {
  std::string result;
  for (char c : brand)
    if (std::isalnum(static_cast<unsigned char>(c)))
      result += char(std::tolower(c));
  return result.compare(0, 5, "apple") ? result : result.substr(5);
}

namespace {
struct Options {
  std::string output, target, merge, run, folder;
  std::vector<std::string> only;
  bool risky = false, list = false, help = false;
};
} // namespace

static bool readOptions(int argc, char **argv, Options &options,
                        std::string &error) {
  for (int i = 1; i < argc; ++i) {
    std::string word = argv[i];
    auto value = [&](const char *name, std::string &into) {
      std::string prefix = std::string(name) + "=";
      if (word.compare(0, prefix.size(), prefix))
        return false;
      into = word.substr(prefix.size());
      return true;
    };
    std::string only;
    if (word == "-o" && i + 1 < argc)
      options.output = argv[++i];
    else if (word == "--risky")
      options.risky = true;
    else if (word == "--list")
      options.list = true;
    else if (word == "--help")
      options.help = true;
    else if (value("--only", only)) {
      for (size_t at = 0; at <= only.size();) {
        size_t comma = std::min(only.find(',', at), only.size());
        options.only.push_back(only.substr(at, comma - at));
        at = comma + 1;
      }
    } else if (!value("--target", options.target) &&
               !value("--merge", options.merge) &&
               !value("--run", options.run) &&
               !value("--folder", options.folder)) {
      error = "knows no option '" + word + "'";
      return false;
    }
  }
  for (const std::string &id : options.only)
    if (!findProbe(id)) {
      error = "there is no record '" + id + "'";
      return false;
    }
  if (!options.target.empty() && !isTarget(options.target)) {
    std::string of = targetOfChip(options.target);
    if (of.empty()) {
      error = "there is no target '" + options.target + "'";
      return false;
    }
    options.target = of;
  }
  return true;
}

/// The child: one question, one line on standard output.
static int runOne(const Options &options) {
  Answer answer;
  try {
    answer = Asker(options.target, options.folder).ask(*findProbe(options.run));
  } catch (const ane::runtime::Failure &failure) {
    answer = {"unclear", failure.message, {}};
  } catch (...) {
    answer = {"unclear", "the framework raised an exception", {}};
  }
  std::string detail = answer.detail;
  std::replace(detail.begin(), detail.end(), '\n', ' ');
  std::printf("%s\t%s\t%s\n", answer.verdict.c_str(),
              answer.number ? std::to_string(*answer.number).c_str() : "",
              detail.c_str());
  return 0;
}

/// The process that answers a question, and the signal that ended asking.
static volatile sig_atomic_t currentChild = 0, stoppedBy = 0;
static constexpr int kSignals[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};

/// Whoever ends this ends its question; what was made is removed behind it.
static void handleSignals(bool handle) {
  struct sigaction action{};
  action.sa_handler = SIG_DFL;
  if (handle)
    action.sa_handler = [](int number) {
      stoppedBy = number;
      if (currentChild)
        kill(pid_t(currentChild), SIGKILL);
    };
  sigemptyset(&action.sa_mask);
  for (int number : kSignals) {
    struct sigaction now{};
    if (!sigaction(number, nullptr, &now) && now.sa_handler != SIG_IGN)
      sigaction(number, &action, nullptr);
  }
}

/// Reads what a child prints until it ends; ends it after some time.
static std::string readChild(pid_t child, int pipe, int seconds, int &status) {
  std::string text;
  time_t last = time(nullptr) + seconds;
  bool late = false;
  while (true) {
    pollfd ready = {pipe, POLLIN, 0};
    int left = int(last - time(nullptr));
    if (left <= 0 || poll(&ready, 1, left * 1000) == 0) {
      late = true;
      kill(child, SIGKILL);
      break;
    }
    char bytes[4096];
    ssize_t size = read(pipe, bytes, sizeof bytes);
    if (size < 0 && errno == EINTR)
      continue;
    if (size <= 0)
      break;
    text.append(bytes, size_t(size));
  }
  while (waitpid(child, &status, 0) < 0 && errno == EINTR)
    ;
  return late ? "unclear\t\tno answer after " + std::to_string(seconds) +
                    " seconds\n"
              : text;
}

static Answer askInChild(const std::string &self, const Options &options,
                         const std::string &id, const std::string &folder,
                         int seconds) {
  int pipes[2];
  if (pipe(pipes))
    return {"unclear", std::strerror(errno), {}};
  std::string words[] = {self, "--run=" + id, "--target=" + options.target,
                         "--folder=" + folder};
  char *arguments[5] = {};
  for (int i = 0; i < 4; ++i)
    arguments[i] = words[i].data();
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, pipes[1], 1);
  posix_spawn_file_actions_addclose(&actions, pipes[0]);
  posix_spawn_file_actions_addclose(&actions, pipes[1]);
  pid_t child = 0;
  int error =
      posix_spawnp(&child, self.c_str(), &actions, nullptr, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  close(pipes[1]);
  int status = 0;
  currentChild = error ? 0 : int(child);
  if (stoppedBy && !error)
    kill(child, SIGKILL);
  std::string text = error ? "" : readChild(child, pipes[0], seconds, status);
  currentChild = 0;
  close(pipes[0]);
  if (error)
    return {"unclear", std::strerror(error), {}};
  size_t first = text.find('\t'), second = text.find('\t', first + 1);
  if (first == std::string::npos || second == std::string::npos)
    return {"unclear",
            WIFSIGNALED(status) ? "the process ended by signal " +
                                      std::to_string(WTERMSIG(status))
                                : "the process gave no answer",
            {}};
  std::string number = text.substr(first + 1, second - first - 1),
              detail = text.substr(second + 1);
  while (!detail.empty() && detail.back() == '\n')
    detail.pop_back();
  Answer answer{text.substr(0, first), detail, {}};
  if (!number.empty())
    answer.number = std::strtod(number.c_str(), nullptr);
  return answer;
}

static int listProbes() {
  for (const ProbeRecord *record : allProbes())
    std::printf("%-22s %-9s %s\n", record->id,
                record->risky ? "risky" : record->kind,
                record->isAsked() ? record->text : record->why);
  return 0;
}

/// What is asked, what may do harm last.
static std::vector<const ProbeRecord *> choose(const Options &options) {
  std::vector<const ProbeRecord *> chosen;
  for (bool risky : {false, true})
    for (const ProbeRecord *record : allProbes())
      if (record->isAsked() && record->risky == risky &&
          (options.only.empty()
               ? !risky || options.risky
               : std::count(options.only.begin(), options.only.end(),
                            record->id) > 0))
        chosen.push_back(record);
  return chosen;
}

static int probe(const std::string &self, Options options) {
  Report report;
  report.chip = systemValue("machdep.cpu.brand_string");
  utsname names = {};
  uname(&names);
  std::string product = systemValue("kern.osproductversion");
  report.system =
      product.empty()
          ? std::string(names.sysname) + " " + names.release
          : "macOS " + product + " (" + systemValue("kern.osversion") + ")";
  if (report.chip.empty())
    report.chip = std::string("stand-in on ") + names.machine;
  if (options.target.empty())
    options.target = targetOfChip(shortChip(report.chip));
  if (options.target.empty())
    return usage("'" + report.chip +
                 "' is no chip of the records; name them with --target");
  report.target = options.target;
  std::string folder =
      (std::filesystem::temp_directory_path() / "ane-probe-XXXXXX").string();
  if (!mkdtemp(folder.data())) {
    std::fprintf(stderr, "ane-probe: error: %s: %s\n", folder.c_str(),
                 std::strerror(errno));
    return 1;
  }
  bool none = false;
  handleSignals(true);
  time_t last = time(nullptr) + kSecondsOfAll;
  for (const ProbeRecord *record : choose(options)) {
    // Questions that hang must not make hours of it.
    int left = record->risky ? kSeconds : int(last - time(nullptr));
    Answer answer = {"unclear",
                     "not asked: the others took " +
                         std::to_string(kSecondsOfAll) +
                         " seconds; --only=" + record->id + " asks it alone",
                     {}};
    if (left > 0)
      answer = askInChild(self, options, record->id, folder,
                          std::min(kSeconds, left));
    if (stoppedBy)
      break;
    none =
        answer.detail.find("no Neural Engine framework") != std::string::npos;
    if (none)
      break;
    std::printf("%-20s %-9s %s\n", record->id, answer.verdict.c_str(),
                (record->text + std::string(": ") + answer.detail)
                    .substr(0, 160)
                    .c_str());
    std::fflush(stdout);
    report.results.push_back({record->id, answer});
  }
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
  handleSignals(false);
  if (stoppedBy)
    raise(stoppedBy);
  if (none)
    std::fprintf(stderr, "ane-probe: error: there is no Neural Engine "
                         "framework on this system\n");
  else if (!options.output.empty() && !writeReport(report, options.output))
    std::fprintf(stderr, "ane-probe: error: %s: %s\n", options.output.c_str(),
                 std::strerror(errno));
  else
    return 0;
  return 1;
}

int main(int argc, char **argv) {
  Options options;
  std::string error;
  if (!readOptions(argc, argv, options, error))
    return usage(error);
  if (options.help)
    return std::fputs(kHelp, stdout), 0;
  if (options.list)
    return listProbes();
  if (!options.run.empty())
    return findProbe(options.run) ? runOne(options) : usage("no such record");
  if (!options.merge.empty())
    return !mergeReport(options.merge);
  return probe(argv[0], options);
}
