//===- Cache.cpp - what was converted before ------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Compiler/Cache.h"
#include "ane-mlir/Support/Hash.h"
#include "ane-mlir/Target/Bundle.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Parallel.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/StringSaver.h"
#include <dlfcn.h>

using namespace mlir;
using namespace mlir::ane;
namespace fs = llvm::sys::fs;
namespace path = llvm::sys::path;

/// Of an entry: what it holds and what it depends on.
static constexpr llvm::StringLiteral kIndex = "entry.json";

//===----------------------------------------------------------------------===//
// Options
//===----------------------------------------------------------------------===//

std::vector<std::string>
mlir::ane::spellOptions(ArrayRef<const char *> arguments) {
  SmallVector<const char *> words(arguments);
  llvm::BumpPtrAllocator memory;
  llvm::StringSaver saver(memory);
  llvm::cl::ExpandResponseFiles(saver, llvm::cl::TokenizeGNUCommandLine, words);
  auto &known = llvm::cl::getRegisteredOptions();
  std::vector<std::string> kept;
  for (size_t i = 0; i < words.size(); ++i) {
    StringRef word = words[i];
    if (word == "--")
      break;
    if (!word.starts_with("-") || word == "-")
      continue; // the model
    auto [name, value] = word.ltrim('-').split('=');
    std::string whole = word.ltrim('-').str();
    const llvm::cl::Option *option = known.lookup(name);
    if (option && !word.contains('=') && i + 1 < words.size() &&
        option->getValueExpectedFlag() == llvm::cl::ValueRequired) {
      value = words[++i];
      whole += ("=" + value).str();
    }
    // Where results go; files whose contents count.
    if (llvm::is_contained({"o", "report", "trace", "cache-dir", "quiet"},
                           name))
      continue;
    if ((llvm::is_contained({"calibration", "class-labels"}, name) &&
         fs::exists(value)) ||
        (name == "placement" && value.ends_with(".json")))
      whole = name.str();
    if (name == "input-value")
      whole = (name + "=" + value.split('=').first).str();
    kept.push_back(whole);
  }
  return kept;
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
  for (std::string &input : inputs)
    input = StringRef(input).rtrim('/').str();
  return inputs;
}

//===----------------------------------------------------------------------===//
// Sums
//===----------------------------------------------------------------------===//

static std::string sumOfText(StringRef text) {
  Hash hash;
  hash.update({text.data(), text.size()});
  return hash.finish();
}

/// A sum of sums of parts, which are read on all cores.
static llvm::Expected<std::string> sumOf(StringRef file) {
  auto buffer = llvm::MemoryBuffer::getFile(file, /*IsText=*/false,
                                            /*RequiresNullTerminator=*/false);
  if (!buffer)
    return llvm::createStringError(buffer.getError(),
                                   "cannot read '" + file +
                                       "': " + buffer.getError().message());
  static constexpr size_t kPart = size_t(8) << 20;
  StringRef data = (*buffer)->getBuffer();
  std::vector<std::string> sums(data.size() / kPart + 1);
  llvm::parallelFor(0, sums.size(), [&](size_t i) {
    sums[i] = sumOfText(data.substr(i * kPart, kPart));
  });
  Hash all;
  for (const std::string &sum : sums)
    all.update({sum.data(), sum.size()});
  return all.finish();
}

/// The files of a folder, by their paths below it; of a file itself, "".
/// Nothing where there is anything but files and folders.
static std::optional<std::vector<std::string>> listFiles(StringRef root) {
  if (fs::is_regular_file(root))
    return std::vector<std::string>{""};
  std::vector<std::string> files;
  std::error_code error;
  for (fs::recursive_directory_iterator it(root, error, false), end;
       it != end && !error; it.increment(error)) {
    if (it->type() == fs::file_type::directory_file)
      continue;
    if (it->type() != fs::file_type::regular_file)
      return std::nullopt;
    files.push_back(
        StringRef(it->path()).drop_front(root.size()).ltrim('/').str());
  }
  if (error)
    return std::nullopt;
  llvm::sort(files);
  return files;
}

static std::string join(StringRef folder, StringRef name) {
  SmallString<128> full(folder);
  if (!name.empty())
    path::append(full, name);
  return full.str().str();
}

/// What the compiler is: a version, and the file that this code is in. Nothing
/// where that is not known.
static std::optional<std::string> describeCompiler() {
  auto *here = reinterpret_cast<void *>(&describeCompiler);
  Dl_info info;
  if (!dladdr(here, &info))
    return std::nullopt;
  std::string file = path::is_absolute(info.dli_fname)
                         ? info.dli_fname
                         : fs::getMainExecutable(info.dli_fname, here);
  std::optional<MappedFile::Stamp> stamp = MappedFile::stampOf(file);
  if (!stamp)
    return std::nullopt;
  return ANEMLIR_VERSION " " + std::to_string(stamp->size) + " " +
         std::to_string(stamp->modified.time_since_epoch().count());
}

/// Whether one is the other or is inside of it, links followed.
static bool overlap(StringRef a, StringRef b) {
  auto resolve = [](StringRef given) {
    SmallString<128> real, rest;
    std::string whole = given.rtrim('/').str();
    // What is not there yet is below what is.
    StringRef head = whole;
    while (fs::real_path(head.empty() ? "." : head, real)) {
      rest = rest.empty() ? path::filename(head).str()
                          : join(path::filename(head), rest);
      head = path::parent_path(head);
    }
    return join(real, rest) + "/";
  };
  std::string first = resolve(a), second = resolve(b);
  return StringRef(first).starts_with(second) ||
         StringRef(second).starts_with(first);
}

//===----------------------------------------------------------------------===//
// Keys
//===----------------------------------------------------------------------===//

llvm::Error ConversionCache::makeKey(StringRef reader, std::string &whyNot) {
  std::optional<std::string> compiler = describeCompiler();
  if (!compiler) {
    whyNot = "the compiler's own file cannot be found";
    return llvm::Error::success();
  }
  std::string text;
  auto add = [&](StringRef word) {
    text += (Twine(word.size()) + ":" + word).str();
  };
  add(*compiler);
  add(reader);
  for (const std::string &word : options.spelling)
    add(word);
  add(path::extension(StringRef(options.output).rtrim('/')));
  add(path::extension(options.report));
  add(options.trace.empty() ? "" : "trace");
  for (const std::string &input : inputsOf(options)) {
    add(path::filename(input));
    std::optional<std::vector<std::string>> files = listFiles(input);
    if (!files) {
      whyNot = "'" + input + "' holds links, or what is no file";
      return llvm::Error::success();
    }
    for (const std::string &file : *files) {
      std::string whole = join(input, file);
      std::optional<Stamp> before = MappedFile::stampOf(whole);
      llvm::Expected<std::string> sum = sumOf(whole);
      if (!sum)
        return sum.takeError();
      if (!before || before != MappedFile::stampOf(whole)) {
        whyNot = "'" + whole + "' changes";
        return llvm::Error::success();
      }
      keyed[whole] = *before;
      add(file);
      add(*sum);
    }
  }
  std::string key = sumOfText(text);
  folder = join(join(options.cacheDir, StringRef(key).take_front(2)), key);
  return llvm::Error::success();
}

llvm::Expected<std::unique_ptr<ConversionCache>>
ConversionCache::open(const CompileOptions &options, StringRef reader,
                      std::string &whyNot) {
  if (options.cacheDir.empty())
    return nullptr;
  if (llvm::any_of(
          std::initializer_list<StringRef>{options.input, options.output,
                                           options.report, options.trace},
          isStream))
    whyNot = "a pipe or standard input or output is written or read";
  else if (llvm::any_of(options.spelling, [](StringRef word) {
             return word.starts_with("mlir-");
           }))
    whyNot = "MLIR's own options print";
  if (!whyNot.empty() || !fs::exists(options.input)) // which is said later
    return nullptr;
  for (const std::string &result :
       {options.output, options.report, options.trace})
    if (!result.empty() && overlap(options.cacheDir, result))
      return llvm::createStringError("'" + options.cacheDir +
                                     "' cannot be a cache: '" + result +
                                     "' is inside of it, or it of that");
  if (llvm::Error error = makeFolders(options.cacheDir, options.cacheDir))
    return std::move(error);
  if (!fs::is_directory(options.cacheDir))
    return llvm::createStringError("'" + options.cacheDir +
                                   "' cannot be a cache: it is no folder");
  std::unique_ptr<ConversionCache> cache(new ConversionCache(options));
  if (llvm::Error error = cache->makeKey(reader, whyNot))
    return std::move(error);
  return whyNot.empty() ? std::move(cache) : nullptr;
}

std::vector<std::pair<std::string, std::string>>
ConversionCache::results() const {
  std::vector<std::pair<std::string, std::string>> results{
      {"artifact", StringRef(options.output).rtrim('/').str()}};
  if (!options.report.empty())
    results.push_back({"report", options.report});
  if (!options.trace.empty())
    results.push_back({"trace", options.trace});
  return results;
}

//===----------------------------------------------------------------------===//
// Entries
//===----------------------------------------------------------------------===//

/// A file of an entry. Weights are second names where there can be some with
/// the mode that a new file would have; what people edit is a copy.
static llvm::Error shareFile(StringRef from, const std::string &to) {
  auto fail = [&](std::error_code error) {
    return llvm::createStringError(error, "cannot write '" + to +
                                              "': " + error.message());
  };
  if (llvm::Error error = makeFolders(path::parent_path(to), to))
    return error;
  int file;
  if (std::error_code error = fs::openFileForWrite(to, file))
    return fail(error);
  fs::file_t native = fs::convertFDToNativeFile(file);
  fs::file_status fresh, kept;
  bool alike = from.ends_with(".bin") && !fs::status(file, fresh) &&
               !fs::status(from, kept) &&
               fresh.permissions() == kept.permissions();
  fs::closeFile(native);
  if (alike && !fs::remove(to) && !fs::create_hard_link(from, to))
    return llvm::Error::success();
  if (std::error_code error = fs::copy_file(from, to))
    return fail(error);
  return llvm::Error::success();
}

/// What tells that a file of an entry is as it was left.
static std::string describeStamp(StringRef file) {
  std::optional<MappedFile::Stamp> stamp = MappedFile::stampOf(file);
  return stamp ? std::to_string(stamp->size) + " " +
                     std::to_string(stamp->modified.time_since_epoch().count())
               : "";
}

/// The folder that the model is in, with a '/' at its end.
static std::string folderOf(const CompileOptions &options) {
  StringRef folder = path::parent_path(StringRef(options.input).rtrim('/'));
  return folder.empty() ? "" : (folder + "/").str();
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
  auto leaves = [](StringRef folder, StringRef file) {
    return llvm::errorToBool(checkInside(folder, file, "the cache"));
  };
  for (auto &[file, stamp] : *files)
    if (leaves(folder, file) ||
        describeStamp(join(folder, file)) != stamp.getAsString())
      return std::nullopt;
  for (auto &[file, sum] : *reads) {
    if (leaves(beside, file))
      return std::nullopt;
    auto [known, isNew] = sums.try_emplace(file);
    if (isNew) {
      llvm::Expected<std::string> now = sumOf((beside + StringRef(file)).str());
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

llvm::Expected<std::optional<ConversionCache::Texts>> ConversionCache::take() {
  std::optional<llvm::json::Object> index;
  std::string entry;
  llvm::StringMap<std::string> sums;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; it != end && !error;
       it.increment(error)) {
    entry = it->path();
    if (path::filename(entry).starts_with("."))
      continue; // being written, or what was left of it
    index = readIndex(entry, folderOf(options), sums);
    if (index)
      break;
  }
  if (!index)
    return std::nullopt;
  removeLeftovers(folder);
  Outputs results;
  std::map<std::string, std::string> places;
  for (auto &[name, wanted] : this->results()) {
    llvm::Expected<std::string> place =
        fs::is_directory(join(entry, name))
            ? results.addFolder(wanted, checkReplaceable)
            : results.addFile(wanted);
    if (!place)
      return place.takeError();
    places[name] = *place;
  }
  for (auto &[file, stamp] : *index->getObject("files")) {
    auto [name, rest] = StringRef(file).split('/');
    auto place = places.find(name.str());
    if (place == places.end())
      return std::nullopt;
    if (llvm::Error error =
            shareFile(join(entry, file), join(place->second, rest)))
      return std::move(error);
  }
  if (llvm::Error error = results.commit())
    return std::move(error);
  Texts texts;
  for (auto &[name, text] : *index->getObject("texts"))
    texts[name.str()] = text.getAsString().value_or("").str();
  return texts;
}

/// Files beside the model that were read, with their sums.
llvm::Error
ConversionCache::findReads(std::map<std::string, std::string> &reads) const {
  std::string beside = folderOf(options);
  for (auto &[file, stamp] : keyed)
    if (MappedFile::stampOf(file) != stamp)
      return llvm::createStringError("'" + file + "' changed meanwhile");
  for (auto &[file, stamp] : opened.files) {
    auto known = keyed.find(file);
    bool isResult = StringRef(file).contains("/.ane-mlir-") ||
                    llvm::any_of(results(), [&, &file = file](auto &result) {
                      return StringRef(file).starts_with(result.second + "/");
                    });
    if (known != keyed.end() ? known->second == stamp : isResult)
      continue; // of the key, checked, or replaced
    StringRef relative = file;
    if (known != keyed.end() || MappedFile::stampOf(file) != stamp)
      return llvm::createStringError("'" + file + "' changed meanwhile");
    // The model may be somewhere else next time, and has others beside it.
    if (!relative.consume_front(beside) || path::is_absolute(relative))
      return llvm::createStringError("'" + file +
                                     "' is not beside the model that reads it");
    llvm::Expected<std::string> sum = sumOf(file);
    if (!sum)
      return sum.takeError();
    if (MappedFile::stampOf(file) != stamp)
      return llvm::createStringError("'" + file + "' changed meanwhile");
    reads[relative.str()] = *sum;
  }
  return llvm::Error::success();
}

llvm::Error ConversionCache::share(const Outputs &results) {
  std::map<std::string, std::string> found;
  if (llvm::Error error = findReads(found))
    return error;
  llvm::json::Object reads;
  for (auto &[file, sum] : found)
    reads[file] = sum;
  // Models of one graph differ in what lies beside them.
  std::string text;
  llvm::raw_string_ostream(text)
      << llvm::json::Value(llvm::json::Object(reads));
  place = join(folder, sumOfText(text));
  if (llvm::Error error = outputs.makeParents(folder))
    return error;
  // Entries are nobody's but ours.
  llvm::Expected<std::string> staged = outputs.addFolder(
      place, [](StringRef) { return llvm::Error::success(); });
  if (!staged)
    return staged.takeError();
  llvm::json::Object files;
  for (auto &[name, result] : this->results()) {
    std::string from = results.whereIs(result);
    std::optional<std::vector<std::string>> list = listFiles(from);
    if (!list)
      return llvm::createStringError("'" + result + "' cannot be listed");
    for (const std::string &file : *list) {
      std::string kept = join(name, file);
      if (llvm::Error error = shareFile(join(from, file), join(*staged, kept)))
        return error;
      files[kept] = describeStamp(join(*staged, kept));
    }
  }
  llvm::raw_string_ostream(made) << llvm::json::Value(llvm::json::Object{
      {"files", std::move(files)}, {"reads", std::move(reads)}});
  return llvm::Error::success();
}

void ConversionCache::stage(const Outputs &results) {
  llvm::consumeError(std::move(failure));
  failure = share(results);
}

llvm::Error ConversionCache::put(const Texts &texts) {
  if (failure)
    return std::move(failure);
  llvm::Expected<llvm::json::Value> index = llvm::json::parse(made);
  if (!index)
    return index.takeError();
  llvm::json::Object kept;
  for (auto &[name, text] : texts)
    kept[name] = llvm::json::fixUTF8(text);
  (*index->getAsObject())["texts"] = std::move(kept);
  std::string text;
  llvm::raw_string_ostream(text) << *index;
  if (llvm::Error error = writeStagedText(join(outputs.whereIs(place), kIndex),
                                          join(place, kIndex), text))
    return error;
  return outputs.commit();
}
