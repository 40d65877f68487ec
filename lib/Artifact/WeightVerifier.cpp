//===- WeightVerifier.cpp - weight files against the sums in their names --===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "WeightVerifier.h"
#include "ane-mlir/Support/Hash.h"

using namespace mlir;
using namespace mlir::ane;

WeightOpener WeightVerifier::watch(WeightOpener opener, StringRef program) {
  if (!enabled)
    return opener;
  return [this, opener = std::move(opener),
          program = program.str()](StringRef wanted)
             -> llvm::Expected<std::shared_ptr<const MappedFile>> {
    auto file = opener(wanted);
    if (file)
      add(*file, program);
    return file;
  };
}

void WeightVerifier::add(std::shared_ptr<const MappedFile> file,
                         StringRef program) {
  StringRef path = file->path();
  if (!isHashName(path))
    return;
  std::lock_guard<std::mutex> guard(mutex);
  auto [it, isNew] = files.try_emplace(path.str());
  if (!isNew)
    return;
  it->second.first = program.str();
  if (!threads)
    threads = std::make_unique<llvm::StdThreadPool>();
  threads->async([it = it, file = std::move(file)] {
    if (llvm::Error error = checkHashName(it->first, file->data()))
      it->second.second = llvm::toString(std::move(error));
  });
}

llvm::Error WeightVerifier::finish() {
  if (threads)
    threads->wait();
  std::string text;
  for (auto &[path, entry] : files)
    if (!entry.second.empty())
      text += (text.empty() ? "weight file " : "; weight file ") +
              entry.second + ", of program '" + entry.first + "'";
  files.clear();
  if (text.empty())
    return llvm::Error::success();
  return llvm::createStringError(text + "; --no-verify runs it all the same");
}
