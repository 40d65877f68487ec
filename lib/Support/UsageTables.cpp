//===- UsageTables.cpp - completion and manual pages ----------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Made of the registered options, so that they cannot be behind them.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Support/Diagnostics.h"
#include "ane-mlir/Support/Usage.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/raw_ostream.h"
#include <map>

using namespace llvm;

static StringMap<std::vector<std::string>> &words() {
  static StringMap<std::vector<std::string>> known;
  return known;
}

void mlir::ane::rememberWord(StringRef option, StringRef word) {
  words()[option].push_back(word.str());
}

namespace {
struct Entry {
  std::string name, value, text, category;
  bool takesValue = false;
  std::vector<std::string> words;
};
} // namespace

/// What --help shows, by name.
static std::vector<Entry> collect() {
  std::map<std::string, Entry> sorted;
  for (auto &entry : cl::getRegisteredOptions()) {
    cl::Option &option = *entry.second;
    if (option.getOptionHiddenFlag() != cl::NotHidden || entry.first.empty())
      continue;
    Entry e;
    e.name = entry.first.str();
    e.value = option.ValueStr.str();
    e.text = option.HelpStr.str();
    e.category = option.Categories.empty()
                     ? ""
                     : option.Categories.front()->getName().str();
    e.takesValue = option.getValueExpectedFlag() != cl::ValueDisallowed;
    // A flag may have =true; nobody writes that.
    if (option.getValueExpectedFlag() == cl::ValueOptional && e.value.empty() &&
        !words().count(option.ArgStr))
      e.takesValue = false;
    e.words = words().lookup(option.ArgStr);
    sorted[e.name] = std::move(e);
  }
  std::vector<Entry> result;
  for (auto &[name, entry] : sorted)
    result.push_back(std::move(entry));
  return result;
}

static std::string dashed(const Entry &e) {
  return (e.name.size() == 1 ? "-" : "--") + e.name;
}

static std::string quoted(StringRef text) {
  std::string result = "'";
  for (char c : text)
    result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return result + "'";
}

static void printBash(StringRef tool, ArrayRef<Entry> entries,
                      raw_ostream &os) {
  std::string function = "_" + tool.str();
  std::replace(function.begin(), function.end(), '-', '_');
  os << "# source <(" << tool << " --completion=bash)\n"
     << function << "() {\n"
     << "  local word=${COMP_WORDS[COMP_CWORD]} before= option=\n"
     << "  COMPREPLY=()\n"
     << "  [ $COMP_CWORD -gt 0 ] && before=${COMP_WORDS[COMP_CWORD - 1]}\n"
     << "  # bash takes --option=value for three words.\n"
     << "  if [ \"$word\" = = ]; then word= option=$before\n"
     << "  elif [ \"$before\" = = ]; then option=${COMP_WORDS[COMP_CWORD - "
        "2]}\n"
     << "  else option=$before; fi\n"
     << "  case $option in\n";
  for (const Entry &e : entries)
    if (!e.words.empty())
      os << "  " << dashed(e) << ") COMPREPLY=($(compgen -W "
         << quoted(join(e.words, " ")) << " -- \"$word\")); return ;;\n";
  os << "  esac\n"
     << "  if [ \"${word#-}\" != \"$word\" ]; then\n"
     << "    COMPREPLY=($(compgen -W '";
  for (const Entry &e : entries)
    os << dashed(e) << (e.takesValue && e.name.size() > 1 ? "= " : " ");
  os << "' -- \"$word\"))\n"
     << "    [[ ${COMPREPLY[0]:-} == *= ]] && compopt -o nospace 2>/dev/null\n"
     << "  else\n"
     << "    COMPREPLY=($(compgen -f -- \"$word\"))\n"
     << "  fi\n"
     << "}\n"
     << "complete -o filenames -F " << function << ' ' << tool << '\n';
}

static std::string shortened(StringRef text) {
  return text.split('\n').first.substr(0, 100).str();
}

static void printZsh(StringRef tool, ArrayRef<Entry> entries, raw_ostream &os) {
  os << "#compdef " << tool << "\n# source <(" << tool
     << " --completion=zsh), or a file _" << tool
     << " in $fpath\n_arguments -s";
  for (const Entry &e : entries) {
    std::string text;
    for (char c : shortened(e.text))
      text += c == '[' || c == ']' || c == ':' ? std::string("\\") + c
                                               : std::string(1, c);
    std::string spec = dashed(e);
    if (e.takesValue)
      spec += e.name.size() == 1 ? "" : "=";
    spec += "[" + text + "]";
    if (!e.words.empty())
      spec += ":value:(" + join(e.words, " ") + ")";
    else if (e.takesValue)
      spec += ":value:_files";
    os << " \\\n  " << quoted(spec);
  }
  os << " \\\n  '*:file:_files'\n";
}

static void printFish(StringRef tool, ArrayRef<Entry> entries,
                      raw_ostream &os) {
  os << "# " << tool << " --completion=fish | source\n";
  for (const Entry &e : entries) {
    os << "complete -c " << tool << (e.name.size() == 1 ? " -s " : " -l ")
       << e.name << " -d " << quoted(shortened(e.text));
    if (!e.words.empty())
      os << " -x -a " << quoted(join(e.words, " "));
    else if (e.takesValue)
      os << " -r";
    os << '\n';
  }
}

static std::string troff(StringRef text) {
  std::string result;
  bool first = true;
  for (char c : text) {
    if (first && (c == '.' || c == '\''))
      result += "\\&";
    first = c == '\n';
    if (c == '\\')
      result += "\\e";
    else if (c == '-')
      result += "\\-";
    else
      result += c;
  }
  return result;
}

static void printMan(StringRef tool, StringRef overview,
                     ArrayRef<Entry> entries, raw_ostream &os) {
  auto [summary, more] = overview.split("\n\n");
  os << ".TH " << tool.upper() << " 1 \"\" \"ane-mlir " ANEMLIR_VERSION
     << "\"\n.SH NAME\n"
     << tool << " \\- " << troff(summary.rtrim(". \n")) << "\n.SH SYNOPSIS\n.B "
     << troff(tool) << "\n[options]\n.I file ...\n.SH DESCRIPTION\n"
     << troff(summary) << "\n.PP\n.nf\n"
     << troff(more.rtrim()) << "\n.fi\n.SH OPTIONS\n";
  std::map<std::string, std::vector<const Entry *>> groups;
  for (const Entry &e : entries)
    groups[e.category].push_back(&e);
  for (auto &[category, list] : groups) {
    os << ".SS " << troff(category) << '\n';
    for (const Entry *e : list) {
      os << ".TP\n\\fB" << troff(dashed(*e)) << "\\fR";
      std::string value = e->words.empty() ? e->value : join(e->words, "|");
      if (!value.empty())
        os << (e->name.size() == 1 ? " " : "=") << "\\fI" << troff(value)
           << "\\fR";
      os << '\n' << troff(e->text) << '\n';
    }
  }
}

/// LLVM takes every unknown option that begins with h for -h, and all is well.
static std::string findUnknown(StringRef argument) {
  StringRef name = argument;
  if (!name.consume_front("-"))
    return "";
  name.consume_front("-");
  name = name.split('=').first;
  auto &known = cl::getRegisteredOptions();
  if (!name.starts_with("h") || name == "h" || known.contains(name))
    return "";
  SmallVector<StringRef> names;
  for (auto &entry : known)
    names.push_back(entry.first);
  std::string nearest = mlir::ane::suggest(name, names);
  return ("there is no option '" + argument.split('=').first + "'").str() +
         (StringRef(nearest).contains("did you mean") ? nearest : "");
}

std::optional<int> mlir::ane::printUsageTables(int argc, char **argv,
                                               StringRef tool,
                                               StringRef overview) {
  for (int i = 1; i < argc; ++i) {
    StringRef argument = argv[i];
    if (argument == "--man") {
      printMan(tool, overview, collect(), outs());
      return 0;
    }
    if (std::string unknown = findUnknown(argument); !unknown.empty()) {
      errs() << tool << ": error: " << unknown << "; see --help\n";
      return 2;
    }
    if (argument == "--")
      break;
    if (!argument.consume_front("--completion"))
      continue;
    using Print = void (*)(StringRef, ArrayRef<Entry>, raw_ostream &);
    StringRef shells[] = {"bash", "zsh", "fish"};
    Print prints[] = {printBash, printZsh, printFish};
    StringRef shell = argument.consume_front("=") ? argument : "";
    for (auto [name, print] : zip(shells, prints))
      if (name == shell) {
        print(tool, collect(), outs());
        return 0;
      }
    errs() << tool << ": " << refuseWord("completion", shell, shells) << '\n';
    return 2;
  }
  return std::nullopt;
}

std::optional<int>
mlir::ane::startTool(int argc, char **argv, StringRef tool, StringRef overview,
                     ArrayRef<const cl::OptionCategory *> categories) {
  cl::HideUnrelatedOptions(categories);
  if (std::optional<int> done = printUsageTables(argc, argv, tool, overview))
    return *done;
  cl::SetVersionPrinter([](raw_ostream &os) {
    os << "ane-mlir " ANEMLIR_VERSION "\n  LLVM " LLVM_VERSION_STRING "\n";
  });
  auto misuse = [&](StringRef mistake) {
    errs() << tool << ": error: " << printable(mistake, true)
           << "; see --help\n";
    return 2;
  };
  if (!cl::ParseCommandLineOptions(argc, argv, overview, &errs())) {
    std::string mistake = takeUsageMistake();
    return mistake.empty() ? 2 : misuse(mistake);
  }
  if (std::string twice = findContradiction(argc, argv); !twice.empty())
    return misuse(twice);
  return std::nullopt;
}
