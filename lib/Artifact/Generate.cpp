//===- Generate.cpp - a decoder in a bundle, token by token ---------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Artifact/Generate.h"
#include "ane-mlir/Artifact/Compare.h"
#include "ane-mlir/Artifact/TensorFiles.h"
#include "ane-mlir/Support/TextPlan.h"
#include <cmath>
#include <numeric>
#include <random>

using namespace mlir;
using namespace mlir::ane;

static llvm::Error wrong(const Twine &message) {
  return llvm::createStringError(message);
}

namespace {
/// A function of the bundle as generation uses it; inputs by position.
struct Role {
  size_t function;
  /// Positions that it takes at once; rows of its states.
  int64_t tokens = 0, capacity = -1;
  size_t ids = 0, logits = 0;
  std::optional<size_t> mask;
  /// Position ids, and where in a cache they are written, are the same.
  SmallVector<size_t, 2> positions;
};

class Generator {
public:
  Generator(Executable &executable, const GenerateOptions &options)
      : executable(executable), options(options), random(options.seed) {}
  llvm::Error findRoles();
  llvm::Error findPlan();
  llvm::Expected<Generated> run();

private:
  llvm::Expected<Role> roleOf(size_t function);
  llvm::Error findInputs(Role &role);
  llvm::Error feed(const Role &role, ArrayRef<int64_t> ids);
  int64_t choose();

  Executable &executable;
  const GenerateOptions &options;
  std::mt19937_64 random;
  /// Longest first.
  std::vector<Role> roles;
  /// Of indices of roles.
  TextPlan plan;
  /// Tokens that the states hold.
  int64_t position = 0;
  /// Of the last token.
  std::vector<float> logits;
};
} // namespace

llvm::Error Generator::findInputs(Role &role) {
  std::optional<size_t> ids;
  for (auto [i, port] : llvm::enumerate(executable.inputs())) {
    std::string name = StringRef(port.name).lower();
    if (port.state) {
      if (!port.grows)
        return wrong("state '" + port.name +
                     "' is replaced as a whole, so that it is not known which "
                     "of its rows hold a token; caches are those that get new "
                     "rows behind the others");
      continue;
    }
    if (StringRef(name).contains("mask")) {
      if (role.mask || port.shape.size() != 2)
        return wrong(
            "input '" + port.name + "' [" + shapeText(port.shape) +
            (role.mask ? "] is a second mask, of something else"
                       : "] is a mask of another kind; expects ones for what "
                         "is valid, [1, P + T]"));
      role.mask = i;
    } else if (StringRef(name).contains("position"))
      role.positions.push_back(i);
    else if (!isFloat(port.dtype) && port.shape.size() == 2 && !ids)
      ids = i;
    else
      return wrong("input '" + port.name + "' [" + shapeText(port.shape) +
                   "] is no ids, mask, positions or state; convert with "
                   "--state=auto or --state " +
                   port.name + "=OUTPUT if it is kept between calls");
  }
  if (!ids)
    return wrong("no input takes token ids: integers [1, T]");
  role.ids = *ids;
  role.tokens = executable.inputs()[*ids].shape[1];
  if (executable.inputs()[*ids].shape[0] != 1)
    return wrong("input '" + executable.inputs()[*ids].name +
                 "' is of several texts; convert with --dim batch=1");
  return llvm::Error::success();
}

llvm::Expected<Role> Generator::roleOf(size_t function) {
  Role role;
  role.function = function;
  executable.selectFunction(function);
  if (llvm::Error error = findInputs(role))
    return error;
  if (role.mask)
    role.capacity = executable.inputs()[*role.mask].shape.back() - role.tokens;
  else
    return wrong("the model has no input for a mask, so that empty rows of its "
                 "states would be attended to; export it with attention_mask");
  for (auto [j, port] : llvm::enumerate(executable.outputs()))
    if (!port.state && port.shape.size() >= 2 && isFloat(port.dtype) &&
        (port.shape.size() == 2 || port.shape[1] == role.tokens)) {
      role.logits = j;
      return role;
    }
  return wrong("no output is logits [1, " + Twine(role.tokens) + ", V]");
}

llvm::Error Generator::findRoles() {
  for (size_t f = 0; f < executable.countFunctions(); ++f) {
    llvm::Expected<Role> role = roleOf(f);
    if (!role)
      return role.takeError();
    roles.push_back(*role);
  }
  llvm::stable_sort(
      roles, [](const Role &a, const Role &b) { return a.tokens > b.tokens; });
  if (roles.back().tokens != 1)
    return wrong("no function takes one token; convert with --dim "
                 "sequence=N,1, by the name of the model's dimension");
  for (const Role &role : roles)
    if (role.capacity != roles.back().capacity)
      return wrong("functions have states of different lengths");
  return llvm::Error::success();
}

llvm::Error Generator::findPlan() {
  std::vector<int64_t> tokens;
  for (const Role &role : roles)
    tokens.push_back(role.tokens);
  if (!options.plan.empty()) {
    auto read = parseTextPlan(options.plan, tokens);
    if (!read)
      return wrong("--plan " + llvm::toString(read.takeError()));
    plan = std::move(*read);
    return llvm::Error::success();
  }
  for (PlanStep step : executable.plan()) {
    auto role = llvm::find_if(roles, [&](const Role &each) {
      return each.function == step.function;
    });
    plan.push_back({step.from, size_t(role - roles.begin())});
  }
  if (plan.empty())
    for (size_t i = roles.size(); i-- > 0;)
      if (plan.empty() || plan.back().from < roles[i].tokens)
        plan.push_back({roles[i].tokens, i});
  if (!isTextPlan(plan, tokens))
    return wrong("the bundle's plan does not fit its functions; --plan gives "
                 "another");
  return llvm::Error::success();
}

llvm::Error Generator::feed(const Role &role, ArrayRef<int64_t> ids) {
  executable.selectFunction(role.function);
  ArrayRef<Port> ports = executable.inputs();
  std::vector<Tensor> arguments(ports.size());
  auto give = [&](size_t input, auto value) -> llvm::Error {
    const Port &port = ports[input];
    Tensor tensor(DType::Int64, port.shape);
    int64_t extent = port.shape.back();
    for (int64_t i = 0; i < tensor.size(); ++i)
      tensor.mutableInts()[i] = value(i % extent);
    auto carried = convertTensor(tensor, port.carrier, port.name);
    if (!carried)
      return carried.takeError();
    arguments[input] = *carried;
    return llvm::Error::success();
  };
  if (llvm::Error error = give(role.ids, [&](int64_t i) { return ids[i]; }))
    return error;
  // Rows of states that hold a token, and the function's own behind them.
  if (llvm::Error error = give(*role.mask, [&](int64_t i) -> int64_t {
        return i < position || i >= role.capacity;
      }))
    return error;
  for (size_t input : role.positions)
    if (llvm::Error error =
            give(input, [&](int64_t i) { return position + i; }))
      return error;
  SmallVector<Tensor> results;
  if (failed(executable.run(arguments, results, options.numerics)))
    return wrong("the call failed at position " + Twine(position));
  position += role.tokens;
  const Tensor &found = results[role.logits];
  int64_t vocabulary = found.shape().back();
  ArrayRef<float> last = found.floats().take_back(vocabulary);
  logits.assign(last.begin(), last.end());
  return llvm::Error::success();
}

int64_t Generator::choose() {
  if (options.temperature <= 0)
    return std::max_element(logits.begin(), logits.end()) - logits.begin();
  std::vector<int64_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  size_t count =
      options.top ? std::min<size_t>(options.top, order.size()) : order.size();
  std::partial_sort(order.begin(), order.begin() + count, order.end(),
                    [&](int64_t a, int64_t b) {
                      return logits[a] > logits[b] ||
                             (logits[a] == logits[b] && a < b);
                    });
  std::vector<double> sums;
  for (size_t i = 0; i < count; ++i)
    sums.push_back(
        (sums.empty() ? 0 : sums.back()) +
        std::exp((logits[order[i]] - logits[order[0]]) / options.temperature));
  // Not a distribution of the library, which differs from one to the next.
  double drawn = double(random() >> 11) * 0x1p-53 * sums.back();
  size_t at = std::upper_bound(sums.begin(), sums.end(), drawn) - sums.begin();
  return order[std::min(at, count - 1)];
}

llvm::Expected<Generated> Generator::run() {
  Generated made;
  made.hasPositions = !roles.back().positions.empty();
  auto call = [&](const Role &role, ArrayRef<int64_t> ids, bool prompt) {
    llvm::Error error = feed(role, ids);
    (prompt ? made.promptCalls : made.tokenCalls)++;
    (prompt ? made.promptMicros : made.tokenMicros) +=
        executable.predictMicros();
    return error;
  };
  ArrayRef<int64_t> rest(options.prompt);
  while (!rest.empty()) {
    const Role &role = roles[chooseFunction(plan, int64_t(rest.size()))];
    if (llvm::Error error = call(role, rest.take_front(role.tokens), true))
      return error;
    rest = rest.drop_front(role.tokens);
  }
  for (unsigned i = 0; i < options.tokens; ++i) {
    int64_t next = choose();
    made.tokens.push_back(next);
    if (options.token)
      options.token(next);
    if (next == options.end || i + 1 == options.tokens)
      break;
    if (llvm::Error error = call(roles.back(), next, false))
      return error;
  }
  return made;
}

llvm::Expected<Generated> mlir::ane::generate(Executable &executable,
                                              const GenerateOptions &options) {
  if (options.prompt.empty())
    return wrong("expects a prompt of one token at least");
  Generator generator(executable, options);
  executable.resetStates();
  if (llvm::Error error = generator.findRoles())
    return error;
  if (llvm::Error error = generator.findPlan())
    return error;
  return generator.run();
}
