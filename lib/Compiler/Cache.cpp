//===- Cache.cpp - what was converted before ------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Compiler/Cache.h"
#include "ane-mlir/Support/AtomicPath.h"
#include "ane-mlir/Support/Hash.h"
#include "ane-mlir/Support/MappedFile.h"
#include "ane-mlir/Target/Bundle.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Parallel.h"
#include "llvm/Support/Path.h"
#include <dlfcn.h>

using namespace mlir;
using namespace mlir::ane;
namespace fs = llvm::sys::fs;
namespace path = llvm::sys::path;

/// Of an entry: what it holds and what it depends on.
static constexpr llvm::StringLiteral kIndex = "entry.json";

std::vector<std::string>
mlir::ane::spellOptions(ArrayRef<const char *> arguments) {
  std::vector<std::string> kept;
  for (size_t i = 0; i < arguments.size(); ++i) {
    StringRef argument = arguments[i];
    auto [name, value] = argument.split('=');
    bool isFlag = name.consume_front("-");
    name.consume_front("-");
    if (isFlag && name == "quiet")
      continue;
    if (isFlag &&
        llvm::is_contained({"o", "report", "trace", "cache-dir"}, name)) {
      i += !argument.contains('=');
      continue;
    }
    kept.push_back(argument.str());
  }
  return kept;
}

//===----------------------------------------------------------------------===//
// Sums
//===----------------------------------------------------------------------===//

/// A sum of sums of parts, which are read on all cores.
static llvm::Expected<std::string> sumOf(StringRef file) {
  auto buffer = llvm::MemoryBuffer::getFile(file, /*IsText=*/false,
                                            /*RequiresNullTerminator=*/false);
  if (!buffer)
    return llvm::createStringError(buffer.getError(),
                                   "cannot read '" + file + "': " +
                                       buffer.getError().message());
  static constexpr size_t kPart = size_t(8) << 20;
  StringRef data = (*buffer)->getBuffer();
  std::vector<std::string> sums(data.size() / kPart + 1);
  llvm::parallelFor(0, sums.size(), [&](size_t i) {
    Hash hash;
    StringRef part = data.substr(i * kPart, kPart);
    hash.update({part.data(), part.size()});
    sums[i] = hash.finish();
  });
  Hash all;
  for (const std::string &sum : sums)
    all.update({sum.data(), sum.size()});
  return all.finish();
}

static std::string sumOfText(StringRef text) {
  Hash hash;
  hash.update({text.data(), text.size()});
  return hash.finish();
}

/// What is being written, and what was left of it.
static bool isHidden(StringRef file) {
  return path::filename(file).starts_with(".");
}

/// The files of a folder, by their paths below it; of a file itself, "".
static llvm::Expected<std::vector<std::string>> listFiles(StringRef root) {
  if (!fs::is_directory(root))
    return std::vector<std::string>{""};
  std::vector<std::string> files;
  std::error_code error;
  for (fs::recursive_directory_iterator it(root, error), end;
       it != end && !error; it.increment(error))
    if (!fs::is_directory(it->path()))
      files.push_back(
          StringRef(it->path()).drop_front(root.size()).ltrim('/').str());
  if (error)
    return llvm::createStringError(error, "cannot read '" + root +
                                              "': " + error.message());
  llvm::sort(files);
  return files;
}

static std::string join(StringRef folder, StringRef name) {
  SmallString<128> full(folder);
  if (!name.empty())
    path::append(full, name);
  return full.str().str();
}

/// What the compiler is: a version, and the file that this code is in.
static std::string describeCompiler() {
  std::string text = ANEMLIR_VERSION;
  Dl_info info;
  fs::file_status status;
  if (dladdr(reinterpret_cast<void *>(&describeCompiler), &info) &&
      !fs::status(info.dli_fname, status))
    text += " " + std::to_string(status.getSize()) + " " +
            std::to_string(status.getLastModificationTime()
                               .time_since_epoch()
                               .count());
  return text;
}

/// Files that options name, besides the model.
static std::vector<std::string> inputsOf(const CompileOptions &options) {
  std::vector<std::string> inputs{options.input};
  for (auto &[name, file] : options.inputValues)
    inputs.push_back(file);
  for (const std::string &file :
       {options.placementFile, options.classLabelsFile})
    if (!file.empty())
      inputs.push_back(file);
  if (options.calibration && fs::exists(*options.calibration))
    inputs.push_back(*options.calibration);
  return inputs;
}

static llvm::Expected<std::string> keyOf(const CompileOptions &options,
                                         StringRef reader) {
  Hash hash;
  auto add = [&](StringRef text) {
    std::string counted = (Twine(text.size()) + ":" + text).str();
    hash.update({counted.data(), counted.size()});
  };
  add(describeCompiler());
  add(reader);
  // Of files their contents count, and not where they are.
  std::vector<std::string> inputs = inputsOf(options);
  for (StringRef word : options.spelling) {
    for (StringRef input : inputs)
      word.consume_back(input);
    add(word);
  }
  add(path::extension(StringRef(options.output).rtrim('/')));
  add(path::extension(options.report));
  add(options.trace.empty() ? "" : "trace");
  for (const std::string &input : inputs) {
    add(path::filename(StringRef(input).rtrim('/')));
    llvm::Expected<std::vector<std::string>> files = listFiles(input);
    if (!files)
      return files.takeError();
    for (const std::string &file : *files) {
      llvm::Expected<std::string> sum = sumOf(join(input, file));
      if (!sum)
        return sum;
      add(file);
      add(*sum);
    }
  }
  return hash.finish();
}

//===----------------------------------------------------------------------===//
// Entries
//===----------------------------------------------------------------------===//

llvm::Expected<std::optional<ConversionCache>>
ConversionCache::open(const CompileOptions &options, StringRef reader) {
  using Form = CompileOptions::Form;
  bool isWhole =
      (options.form() == Form::Bundle || options.form() == Form::Package) &&
      !options.compileTo && !options.reportOnly &&
      !options.verifyEachNumerics && !isStream(options.input) &&
      !isStream(options.output) && !isStream(options.report) &&
      !isStream(options.trace) &&
      llvm::none_of(options.spelling, [](StringRef word) {
        return word.ltrim('-').starts_with("mlir-");
      });
  if (options.cacheDir.empty() || !isWhole)
    return std::nullopt;
  std::error_code error = fs::create_directories(options.cacheDir);
  if (!error && !fs::is_directory(options.cacheDir))
    error = std::make_error_code(std::errc::not_a_directory);
  if (error)
    return llvm::createStringError(error, "'" + options.cacheDir +
                                              "' cannot be a cache: " +
                                              error.message());
  llvm::Expected<std::string> key = keyOf(options, reader);
  if (!key)
    return key.takeError();
  ConversionCache cache;
  cache.options = &options;
  cache.folder = join(join(options.cacheDir, key->substr(0, 2)), *key);
  return cache;
}

std::vector<std::pair<std::string, std::string>>
ConversionCache::results() const {
  std::vector<std::pair<std::string, std::string>> results{
      {"artifact", StringRef(options->output).rtrim('/').str()}};
  if (!options->report.empty())
    results.push_back({"report", options->report});
  if (!options->trace.empty())
    results.push_back({"trace", options->trace});
  return results;
}

/// A second name for a file, or a copy where there can be none.
static llvm::Error share(StringRef from, const Twine &to) {
  if (std::error_code error =
          fs::create_directories(path::parent_path(to.str())))
    return llvm::createStringError(error, "cannot make '" + to +
                                              "': " + error.message());
  if (!fs::create_hard_link(from, to))
    return llvm::Error::success();
  if (std::error_code error = fs::copy_file(from, to))
    return llvm::createStringError(error, "cannot write '" + to +
                                              "': " + error.message());
  return llvm::Error::success();
}

/// What tells that a file is as it was: size and time of the last change.
static std::optional<std::string> stampOf(StringRef file) {
  fs::file_status status;
  if (fs::status(file, status))
    return std::nullopt;
  return std::to_string(status.getSize()) + " " +
         std::to_string(
             status.getLastModificationTime().time_since_epoch().count());
}

static std::string wholePath(StringRef file) {
  SmallString<128> whole(file.rtrim('/'));
  fs::make_absolute(whole);
  path::remove_dots(whole, /*remove_dot_dot=*/true);
  return whole.str().str();
}
/// The folder that the model is in, with a '/' at its end.
static std::string folderOf(const CompileOptions &options) {
  return path::parent_path(wholePath(options.input)).str() + "/";
}

/// The index of an entry whose files are all as they were left, and whose
/// dependencies are as they were read; `sums` of files that were read already.
static std::optional<llvm::json::Object>
readIndex(StringRef folder, StringRef beside,
          llvm::StringMap<std::string> &sums) {
  auto text = llvm::MemoryBuffer::getFile(join(folder, kIndex));
  if (!text)
    return std::nullopt;
  llvm::Expected<llvm::json::Value> parsed =
      llvm::json::parse((*text)->getBuffer());
  if (!parsed) {
    llvm::consumeError(parsed.takeError());
    return std::nullopt;
  }
  llvm::json::Object *index = parsed->getAsObject();
  llvm::json::Object *files = index ? index->getObject("files") : nullptr;
  llvm::json::Object *reads = index ? index->getObject("reads") : nullptr;
  if (!files || !reads || !index->getObject("texts"))
    return std::nullopt;
  for (auto &[file, stamp] : *files)
    if (stampOf(join(folder, file)) != stamp.getAsString().value_or(""))
      return std::nullopt;
  for (auto &[file, sum] : *reads) {
    auto [known, isNew] = sums.try_emplace(file);
    if (isNew) {
      llvm::Expected<std::string> now = sumOf(join(beside, file));
      if (now)
        known->second = *now;
      else
        llvm::consumeError(now.takeError());
    }
    if (known->second.empty() || known->second != sum.getAsString())
      return std::nullopt;
  }
  return std::move(*index);
}

llvm::Expected<std::optional<ConversionCache::Texts>>
ConversionCache::take() const {
  std::optional<llvm::json::Object> index;
  std::string place;
  llvm::StringMap<std::string> sums;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; it != end && !error;
       it.increment(error)) {
    place = it->path();
    if (isHidden(place))
      continue;
    index = readIndex(place, folderOf(*options), sums);
    if (index)
      break;
  }
  if (!index)
    return std::nullopt;
  removeLeftovers(folder);
  Outputs outputs;
  for (auto &[name, wanted] : results()) {
    std::string kept = join(place, name);
    bool isFolder = fs::is_directory(kept);
    llvm::Expected<std::string> made =
        isFolder ? outputs.addFolder(wanted, checkReplaceable)
                 : outputs.addFile(wanted);
    if (!made)
      return made.takeError();
    llvm::Expected<std::vector<std::string>> files = listFiles(kept);
    if (!files)
      return files.takeError();
    for (const std::string &file : *files)
      if (llvm::Error error = share(join(kept, file), join(*made, file)))
        return std::move(error);
  }
  if (llvm::Error error = outputs.commit())
    return std::move(error);
  Texts texts;
  for (auto &[name, text] : *index->getObject("texts"))
    texts[name.str()] = text.getAsString().value_or("").str();
  return texts;
}

llvm::Error ConversionCache::put(const Texts &texts) const {
  llvm::json::Object files, reads;
  std::vector<std::string> known = inputsOf(*options);
  for (auto &[name, result] : results())
    known.push_back(result);
  for (std::string &root : known)
    root = wholePath(root);
  std::string beside = folderOf(*options);
  for (const std::string &opened : MappedFile::listOpened()) {
    std::string file = wholePath(opened);
    if (!fs::exists(file) ||
        llvm::any_of(known, [&](StringRef root) {
          return file == root || StringRef(file).starts_with((root + "/").str());
        }))
      continue;
    // The model may be somewhere else next time, and has others beside it.
    StringRef relative = file;
    if (!relative.consume_front(beside))
      return llvm::Error::success();
    llvm::Expected<std::string> sum = sumOf(file);
    if (!sum)
      return sum.takeError();
    reads[relative.str()] = *sum;
  }
  // Models of one graph differ in what lies beside them.
  std::string read;
  llvm::raw_string_ostream(read)
      << llvm::json::Value(llvm::json::Object(reads));
  std::string place = join(folder, sumOfText(read));
  Outputs outputs;
  if (llvm::Error error = outputs.makeParents(folder))
    return error;
  // Entries are nobody's but ours.
  llvm::Expected<std::string> made = outputs.addFolder(
      place, [](StringRef) { return llvm::Error::success(); });
  if (!made)
    return made.takeError();
  for (auto &[name, result] : results()) {
    llvm::Expected<std::vector<std::string>> found = listFiles(result);
    if (!found)
      return found.takeError();
    for (const std::string &file : *found) {
      std::string kept = join(name, file);
      if (llvm::Error error = share(join(result, file), join(*made, kept)))
        return error;
      files[kept] = stampOf(join(*made, kept)).value_or("");
    }
  }
  llvm::json::Object kept;
  for (auto &[name, text] : texts)
    kept[name] = llvm::json::fixUTF8(text);
  std::string index;
  llvm::raw_string_ostream(index)
      << llvm::json::Value(llvm::json::Object{{"files", std::move(files)},
                                              {"reads", std::move(reads)},
                                              {"texts", std::move(kept)}});
  if (llvm::Error error =
          writeStagedText(join(*made, kIndex), join(place, kIndex), index))
    return error;
  return outputs.commit();
}
