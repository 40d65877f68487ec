//===- Text.cpp - lines of a record as MIL text ---------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "Probe.h"
#include <cmath>
#include <cstring>
#include <sstream>

using namespace ane::probe;

/// Replaces $N, and $64-N+1 for what a window leaves of 64.
static std::string substitute(std::string text, int64_t n) {
  for (auto &[name, value] :
       {std::pair<std::string, int64_t>{"$64-N+1", 65 - n}, {"$N", n}})
    for (size_t at; (at = text.find(name)) != std::string::npos;)
      text.replace(at, name.size(), std::to_string(value));
  return text;
}

/// "fp32:1,64" or "1,64".
static Program::Parameter parseType(const std::string &text) {
  Program::Parameter result{"", "fp16", {}};
  size_t colon = text.find(':');
  if (colon != std::string::npos)
    result.dtype = text.substr(0, colon);
  std::stringstream dims(colon == std::string::npos ? text
                                                    : text.substr(colon + 1));
  for (std::string dim; std::getline(dims, dim, ',');)
    result.shape.push_back(std::strtoll(dim.c_str(), nullptr, 10));
  return result;
}
static std::string typeText(const Program::Parameter &type) {
  std::string dims;
  for (int64_t dim : type.shape)
    dims += (dims.empty() ? "" : ", ") + std::to_string(dim);
  return "tensor<" + type.dtype + ", [" + dims + "]>";
}

static std::vector<std::string> split(const std::string &text, char at) {
  std::vector<std::string> parts;
  std::stringstream stream(text);
  for (std::string part; std::getline(stream, part, at);)
    parts.push_back(part);
  return parts;
}

/// Values as trained layers have them: a double exponential around 0, as wide
/// as the inputs are many. On one machine uniform random weights ran three
/// times faster than such ones.
static std::string makeWeights(int64_t count, int64_t fanIn, bool ones) {
  std::string blob(128, '\0');
  auto put = [&](size_t at, uint64_t value, size_t size) {
    std::memcpy(blob.data() + at, &value, size);
  };
  // engine/weights.md §2.1: header, one descriptor, payload.
  put(0, 1, 4), put(4, 2, 4), put(64, 0xdeadbeef, 4), put(68, 1, 4);
  put(72, uint64_t(count) * 2, 8), put(80, 128, 8);
  blob.resize(128 + size_t(count) * 2);
  uint32_t state = 1;
  double scale = 1 / std::sqrt(2.0 * double(fanIn));
  for (int64_t i = 0; i < count; ++i) {
    state = state * 1664525 + 1013904223;
    double unit = (double(state >> 8) + 0.5) / double(1 << 24) - 0.5;
    double value =
        (unit < 0 ? 1 : -1) * std::log(1 - 2 * std::abs(unit)) * scale;
    uint16_t half = ane::runtime::floatToHalf(ones ? 1 : float(value));
    std::memcpy(blob.data() + 128 + i * 2, &half, 2);
  }
  return blob;
}

namespace {
/// One record's text while it grows.
class Builder {
public:
  Builder(int64_t n) : n(n) {}
  void input(const char *type) {
    Program::Parameter parameter = parseType(substitute(type, n));
    char symbol[8];
    std::snprintf(symbol, sizeof symbol, "a%03u",
                  unsigned(program.inputs.size()));
    parameter.symbol = symbol;
    program.inputs.push_back(parameter);
  }
  void line(const std::string &line);
  Program finish(unsigned salt);

private:
  void constant(const std::string &type, const std::string &name,
                const std::string &value) {
    body += "        " + type + " " + name + " = const()[name = string(\"" +
            name + "\"), val = " + type + "(" +
            (type == "string" ? "\"" + value + "\"" : value) + ")];\n";
  }
  void weight(const std::string &name, const std::string &shape, bool ones);
  void operation(const std::string &names, const std::string &types,
                 const std::string &call);
  int64_t n;
  Program program;
  std::string body;
};
} // namespace

void Builder::weight(const std::string &name, const std::string &shape,
                     bool ones) {
  Program::Parameter type = parseType(shape);
  int64_t count = 1;
  for (int64_t dim : type.shape)
    count *= dim;
  program.weights.push_back(
      makeWeights(count, count / std::max<int64_t>(type.shape[0], 1), ones));
  std::string text = typeText(type);
  body += "        " + text + " " + name + " = const()[name = string(\"" +
          name + "\"), val = " + text +
          "(BLOBFILE(path = string(\"@model_path/weights/" +
          std::to_string(program.weights.size() - 1) +
          ".bin\"), offset = uint64(64)))];\n";
}

/// "v,i" and "1,64/int32:1,64" where there are two results.
void Builder::operation(const std::string &names, const std::string &types,
                        const std::string &call) {
  std::vector<std::string> each = split(names, ','), shapes = split(types, '/');
  std::string left;
  for (size_t i = 0; i < each.size(); ++i) {
    Program::Parameter type = parseType(shapes[i]);
    type.symbol = each[i];
    left += (i ? ", " : "") + typeText(type) + " " + each[i];
    if (each[i][0] == 'z')
      program.outputs.push_back(type);
  }
  body += "        " + left + " = " + call + "[name = string(\"" + each[0] +
          "\")];\n";
}

void Builder::line(const std::string &text) {
  std::istringstream stream(substitute(text, n));
  std::string word, first, second, rest;
  stream >> word;
  if (word == "const") {
    // A type may hold blanks: tensor<int32, [4]>.
    stream >> first;
    while (first.find('<') != std::string::npos &&
           first.find('>') == std::string::npos && stream >> rest)
      first += " " + rest;
    stream >> second >> std::ws;
    std::getline(stream, rest);
    return constant(first, second, rest);
  }
  stream >> first >> second >> std::ws;
  std::getline(stream, rest);
  if (word == "op")
    operation(first, second, rest);
  else
    weight(first, second, word == "ones");
}

Program Builder::finish(unsigned salt) {
  std::string parameters, results;
  for (const Program::Parameter &input : program.inputs)
    parameters +=
        (parameters.empty() ? "" : ", ") + typeText(input) + " " + input.symbol;
  for (const Program::Parameter &output : program.outputs)
    results += (results.empty() ? "" : ", ") + output.symbol;
  // A constant that nothing uses: identical text would be shared (L76).
  program.text =
      "program(1.3)\n[buildInfo = dict<string, "
      "string>({{\"coremlc-component-MIL\", \"3510.2.1\"}, "
      "{\"coremlc-version\", \"3505.4.1\"}, "
      "{\"coremltools-component-milinternal\", \"\"}, "
      "{\"coremltools-version\", \"9.0\"}})]\n{\n    func main<ios18>(" +
      parameters +
      ") {\n        int32 salt = const()[name = "
      "string(\"salt\"), val = int32(" +
      std::to_string(salt) + ")];\n" + body + "    } -> (" + results +
      ");\n}\n";
  return std::move(program);
}

Program ane::probe::makeProgram(const ProbeRecord &record, int64_t n,
                                unsigned salt) {
  Builder builder(n);
  for (const char *const *input = record.inputs; *input; ++input)
    builder.input(*input);
  for (const char *const *line = record.body; *line; ++line)
    builder.line(*line);
  return builder.finish(salt);
}
