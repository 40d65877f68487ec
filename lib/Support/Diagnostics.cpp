//===- Diagnostics.cpp - how the tools speak ------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Support/Diagnostics.h"
#include "ane-mlir/Support/Embedding.h"
#include "ane-mlir/Support/MappedFile.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Location.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/ConvertUTF.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/Process.h"
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <sys/ioctl.h>
#include <unistd.h>

using namespace mlir;
using namespace mlir::ane;

static double now() {
  return std::chrono::duration<double>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

/// Of a character that a terminal obeys instead of showing it.
static bool isObeyed(uint32_t c) {
  return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x200E || c == 0x200F ||
         (c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069) ||
         c == 0xFEFF;
}

std::string mlir::ane::printable(llvm::StringRef text, bool lines) {
  constexpr size_t kLongest = 400, kShown = 120;
  std::string result;
  llvm::raw_string_ostream os(result);
  size_t word = 0, hidden = 0;
  auto end = [&] {
    if (hidden)
      os << "… (" << hidden << " more)";
    word = hidden = 0;
  };
  // Words are measured first, so that a path of some length stays whole.
  auto lengthOf = [](llvm::StringRef rest) {
    return std::min(rest.find_first_of(" \n\t"), rest.size());
  };
  bool cut = false;
  for (size_t i = 0; i < text.size();) {
    if (word == 0)
      cut = lengthOf(text.drop_front(i)) > kLongest;
    char first = text[i];
    if (first == ' ' || (first == '\n' && lines)) {
      end();
      os << first;
      ++i;
      continue;
    }
    const auto *at = reinterpret_cast<const llvm::UTF8 *>(text.data()) + i;
    const auto *next = at;
    llvm::UTF32 c = 0;
    bool valid =
        llvm::convertUTF8Sequence(
            &next, reinterpret_cast<const llvm::UTF8 *>(text.bytes_end()), &c,
            llvm::strictConversion) == llvm::conversionOK;
    size_t length = valid ? next - at : 1;
    ++word;
    if (cut && word > kShown)
      ++hidden;
    else if (!valid)
      os << "\\x" << llvm::format_hex_no_prefix(uint8_t(first), 2);
    else if (isObeyed(c))
      os << "\\u{" << llvm::format_hex_no_prefix(c, 2) << '}';
    else
      os << text.substr(i, length);
    i += length;
  }
  end();
  return result;
}

std::string mlir::ane::nameOf(Location loc) {
  std::string text;
  llvm::raw_string_ostream os(text);
  if (auto name = dyn_cast<NameLoc>(loc))
    os << '\'' << printable(name.getName()) << '\'';
  else if (auto fused = dyn_cast<FusedLoc>(loc);
           fused && !fused.getLocations().empty())
    os << nameOf(fused.getLocations().front());
  else
    os << loc;
  return text;
}

/// `tensor<1x?x4xf32>` as those who do not read MLIR write it: float[1,?,4].
/// Anything else stays.
std::string mlir::ane::spellTypes(llvm::StringRef text) {
  std::string result;
  while (!text.empty()) {
    size_t at = text.find("tensor<");
    result += text.take_front(at);
    if (at == llvm::StringRef::npos)
      break;
    text = text.drop_front(at);
    llvm::StringRef rest = text.drop_front(strlen("tensor<"));
    std::string dims;
    while (true) {
      size_t length =
          rest.starts_with("?")
              ? 1
              : std::min(rest.find_first_not_of("0123456789"), rest.size());
      if (!length || !rest.drop_front(length).starts_with("x"))
        break;
      dims += (dims.empty() ? "" : ",") + rest.take_front(length).str();
      rest = rest.drop_front(length + 1);
    }
    llvm::StringRef element = rest.take_until([](char c) { return c == '>'; });
    llvm::StringRef name = llvm::StringSwitch<llvm::StringRef>(element)
                               .Case("f16", "float16")
                               .Case("f32", "float")
                               .Case("f64", "double")
                               .Case("bf16", "bfloat16")
                               .Case("i1", "bool")
                               .Cases({"i8", "si8"}, "int8")
                               .Cases({"i16", "si16"}, "int16")
                               .Cases({"i32", "si32"}, "int32")
                               .Cases({"i64", "si64"}, "int64")
                               .Case("ui8", "uint8")
                               .Case("ui16", "uint16")
                               .Case("ui32", "uint32")
                               .Case("ui64", "uint64")
                               .Default("");
    if (name.empty()) {
      result += "tensor<";
      text = text.drop_front(strlen("tensor<"));
      continue;
    }
    result += (name + "[" + dims + "]").str();
    text = rest.drop_front(element.size() + 1);
  }
  return result;
}

bool mlir::ane::showsColors(llvm::raw_ostream &os) {
  // https://no-color.org: set to anything but nothing.
  const char *no = std::getenv("NO_COLOR");
  return (!no || !*no) && os.has_colors();
}

namespace {
/// A severity, in its colour on terminals.
struct Severity {
  DiagnosticSeverity severity;
};

/// Whether the terminal shows a line of progress that nothing has ended.
std::atomic<bool> progressShown = false;

/// Columns of the terminal of standard error, 0 where that is not known.
size_t countColumns() {
  winsize size{};
  return ioctl(2, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

/// A longer line would not be rewritten in place.
llvm::StringRef cut(llvm::StringRef text, size_t columns) {
  for (auto [i, byte] : llvm::enumerate(text)) {
    bool begins = (byte & 0xC0) != 0x80; // of UTF-8
    if (begins && columns-- == 0)
      return text.take_front(i);
  }
  return text;
}

/// Writes a message in one piece, so that those of several processes stay
/// whole, and adds it to `all`; a line of progress makes room.
void say(std::string &all,
         llvm::function_ref<void(llvm::raw_ostream &)> write) {
  llvm::raw_string_ostream kept(all);
  write(kept);
  kept << '\n';
  std::string text;
  llvm::raw_string_ostream os(text);
  os.enable_colors(showsColors(llvm::errs()));
  if (progressShown.exchange(false))
    os << "\r\033[K";
  write(os);
  os << '\n';
  llvm::errs() << text;
}

llvm::raw_ostream &operator<<(llvm::raw_ostream &os, Severity s) {
  using Color = llvm::raw_ostream::Colors;
  auto [text, color] = s.severity == DiagnosticSeverity::Error
                           ? std::pair("error", Color::RED)
                       : s.severity == DiagnosticSeverity::Warning
                           ? std::pair("warning", Color::MAGENTA)
                       : s.severity == DiagnosticSeverity::Note
                           ? std::pair("note", Color::CYAN)
                           : std::pair("remark", Color::BLUE);
  os.changeColor(color, /*Bold=*/true);
  os << text;
  return os.resetColor();
}
} // namespace

ToolDiagnostics::ToolDiagnostics(MLIRContext *context, llvm::StringRef file)
    : context(context), file(file == "-" ? "standard input" : file.str()) {
  // A message names the node; the whole function behind it helps nobody.
  context->printOpOnDiagnostic(false);
  id = context->getDiagEngine().registerHandler([this](Diagnostic &diagnostic) {
    auto print = [&](Location loc, DiagnosticSeverity s, StringRef message) {
      // What is tried several ways fails several times, and is told once.
      if (!told.insert(std::to_string(unsigned(s)) + nameOf(loc) + '\n' +
                       message.str())
               .second)
        return;
      // A text's owner looks for the line.
      if (auto name = dyn_cast<NameLoc>(loc);
          name && isa<FileLineColLoc>(name.getChildLoc()))
        loc = name.getChildLoc();
      if (auto position = dyn_cast<FileLineColLoc>(loc)) {
        say(all, [&](llvm::raw_ostream &os) {
          os << printable(position.getFilename()) << ':' << position.getLine()
             << ':' << position.getColumn() << ": " << Severity{s} << ": "
             << printable(message, true);
        });
        return;
      }
      say(all, [&](llvm::raw_ostream &os) {
        os << printable(this->file) << ": " << Severity{s} << ": ";
        // A message that names its place already need not do it twice.
        if (auto name = dyn_cast<NameLoc>(loc);
            name && name.getName() != this->file &&
            !message.contains(("'" + name.getName().getValue() + "'").str()))
          os << '\'' << printable(name.getName()) << "': ";
        os << printable(spellTypes(message), true);
      });
    };
    print(diagnostic.getLocation(), diagnostic.getSeverity(), diagnostic.str());
    for (Diagnostic &note : diagnostic.getNotes())
      print(note.getLocation(), DiagnosticSeverity::Note, note.str());
    return success();
  });
}

ToolDiagnostics::~ToolDiagnostics() {
  context->getDiagEngine().eraseHandler(id);
}

LogicalResult mlir::ane::commitOutputs(Outputs &outputs, Location loc) {
  if (isCancelled())
    return emitError(loc) << "interrupted";
  if (llvm::Error error = MappedFile::checkUnchanged())
    return emitError(loc) << llvm::toString(std::move(error));
  if (llvm::Error error = outputs.commit())
    return emitError(loc) << llvm::toString(std::move(error));
  if (!outputs.warning().empty())
    emitWarning(loc) << outputs.warning();
  return success();
}

Progress::Progress(bool quiet, Listener listener)
    : quiet(quiet || listener),
      terminal(llvm::sys::Process::StandardErrIsDisplayed()), start(now()),
      listener(std::move(listener)) {}
void mlir::ane::endProgress() {
  constexpr llvm::StringLiteral kText("\r\033[K");
  if (progressShown.exchange(false))
    (void)!::write(2, kText.data(), kText.size());
}

Progress::~Progress() {
  if (progressShown.exchange(false))
    llvm::errs() << '\n';
}

/// Lines of a log come this often, in seconds; the first after half a one.
static constexpr double kFirstLine = 0.5, kNextLine = 2;

void Progress::line(llvm::StringRef text) {
  double seconds = now() - start;
  if (terminal) {
    std::string shown;
    llvm::raw_string_ostream(shown)
        << '[' << llvm::format("%6.2f s", seconds) << "] " << text;
    size_t columns = countColumns();
    llvm::StringRef whole(shown);
    llvm::errs()
        << ("\r\033[K" + (columns ? cut(whole, columns - 1) : whole)).str();
    progressShown = true;
  } else if (seconds - lastLine > (lastLine > 0 ? kNextLine : kFirstLine)) {
    llvm::errs() << '[' << llvm::format("%6.2f s", seconds) << "] " << text
                 << '\n';
    lastLine = seconds;
  }
}

void Progress::phase(llvm::StringRef name) {
  current = name.str();
  phaseStart = now();
  if (listener)
    listener(current, 0, 0, "");
  if (!quiet)
    line(name);
}

void Progress::step(size_t done, size_t total, llvm::StringRef what) {
  if (listener)
    listener(current, done, total, what);
  if (quiet)
    return;
  std::string text;
  llvm::raw_string_ostream os(text);
  os << current << ' ' << done + 1;
  if (total)
    os << '/' << total;
  os << ' ' << printable(what);
  // Rate and what is left; passes are not alike, so that theirs is a guess.
  double seconds = now() - phaseStart;
  if (total > done && done > 1 && seconds > 0.5) {
    double left = seconds * (total - done) / done;
    if (what.empty())
      os << llvm::format("%.0f/s, %.0f s left", done / seconds, left);
    else if (left >= 1)
      os << llvm::format(", about %.0f s left", left);
  }
  line(text);
}
