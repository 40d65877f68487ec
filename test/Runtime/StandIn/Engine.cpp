//===- Engine.cpp - the stand-in's engine: our interpreter ----------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "Engine.h"
#include "ane-mlir/Analysis/Placement.h"
#include "ane-mlir/Artifact/LoadedProgram.h"
#include "ane-mlir/Support/Hash.h"
#include "ane-mlir/Target/Surface.h"
#include "dialects/ANE/IR/Arithmetic.h"
#include "dialects/ANE/IR/Cast.h"
#include "dialects/ANE/IR/Comparison.h"
#include "dialects/ANE/IR/Linear.h"
#include "dialects/ANE/IR/Rearrange.h"
#include "dialects/ANE/IR/Shape.h"
#include "dialects/ANE/IR/Unary.h"
#include "dialects/ANE/IR/WeightTrees.h"
#include "dialects/MIL/IR/MIL.h"
#include "mlir/IR/Diagnostics.h"
#include "llvm/Support/Path.h"
#include <mutex>

using namespace mlir;
using namespace mlir::ane;

struct standin_program {
  LoadedProgram loaded;
  std::vector<SurfaceLayout> inputLayouts, outputLayouts;
  std::vector<std::string> symbols;
  std::vector<standin_parameter> inputs, outputs;
};

/// Diagnostics have no thread: one at a time compiles or runs.
static std::mutex &engineMutex() {
  static std::mutex &mutex = *new std::mutex;
  return mutex;
}
static MLIRContext &theContext() {
  static MLIRContext &context = *[] {
    DialectRegistry registry;
    registry.insert<ANEDialect, mil::MILDialect>();
    registerEvaluationModels(registry);
    auto *made = new MLIRContext(registry);
    made->loadDialect<ANEDialect, mil::MILDialect>();
    return made;
  }();
  return context;
}

namespace {
/// Errors, for the caller.
class Words {
public:
  Words(char *text, size_t size)
      : text(text), size(size),
        handler(&theContext(), [this](Diagnostic &diagnostic) {
          if (diagnostic.getSeverity() == DiagnosticSeverity::Error)
            said += (said.empty() ? "" : "; ") + diagnostic.str();
          return success();
        }) {}
  void say(StringRef first) {
    std::string all = (first + (said.empty() ? "" : ": ") + said).str();
    size_t length = std::min(all.size(), size - 1);
    std::copy_n(all.data(), length, text);
    text[length] = 0;
  }
  std::string said;

private:
  char *text;
  size_t size;
  ScopedDiagnosticHandler handler;
};
} // namespace

/// What the boundary must be: 0, or the compiler's code (engine/runtime.md
/// §3.7).
static long checkBoundary(ProgramOp program, std::string &why) {
  auto check = [&](Type type, bool isInput) -> long {
    auto tensor = cast<RankedTensorType>(type);
    if (tensor.getRank() == 1 && isInput)
      return why = "HandleANELayer: input of rank 1 (L43)", 22;
    if (!tensor.hasStaticShape())
      return why = "CompilationFailure: unknown dimension (L46)", 1;
    if (!tensor.getElementType().isF16())
      return why = "CompilationFailure: function input or output that is not "
                   "fp16 (L07, L44); this stand-in knows no other",
             1;
    if (tensor.getRank() != 4)
      return why = "CompilationFailure: function input or output of rank " +
                   std::to_string(tensor.getRank()) +
                   "; this stand-in knows rank 4",
             1;
    return 0;
  };
  for (Type type : program.getArgumentTypes())
    if (long code = check(type, true))
      return code;
  for (Type type : program.getResultTypes())
    if (long code = check(type, false))
      return code;
  return 0;
}

/// Switches rules on that no target has by itself; false where one cannot be.
static bool enforce(ProgramOp program, StringRef rules) {
  auto module = program->getParentOfType<ModuleOp>();
  Builder b(program.getContext());
  SmallVector<NamedAttribute> on;
  SmallVector<StringRef> ids;
  rules.split(ids, ',', -1, /*KeepEmpty=*/false);
  for (StringRef id : ids) {
    if (!module || !canSwitchRule(id))
      return false;
    on.push_back(b.getNamedAttr(id, b.getBoolAttr(true)));
  }
  if (!on.empty())
    module->setAttr("ane.rules", b.getDictionaryAttr(on));
  return true;
}

/// Every enabled rule that an operation breaks.
static std::string findBrokenRules(ProgramOp program, const Target &target,
                                   int (*isLifted)(const char *)) {
  std::string broken;
  Block &body = program.getBody().front();
  llvm::DenseSet<Operation *> trees = findWeightTrees(body);
  WeightTrees weights; // limits ask
  for (Operation &op : body.without_terminator()) {
    auto legality = dyn_cast<LegalityOpInterface>(op);
    if (trees.contains(&op) || !legality)
      continue;
    ViolationList violations;
    findEnabledViolations(legality, target, violations);
    // What compiles and computes something else is done below.
    for (Violation &violation : violations)
      if (!isLifted(violation.rule.c_str()) && violation.rule != "L15" &&
          violation.rule != "L25")
        broken += (broken.empty() ? "'" : "; '") +
                  op.getName().getStringRef().str() + "' " + violation.reason +
                  " (" + violation.rule + ")";
  }
  return broken;
}

/// What a reader of the text sees at once: functions without the epsilon that
/// they need (L02).
static std::string findMissingEpsilon(mil::ProgramOp program) {
  std::string missing;
  program.walk([&](mil::OpOp op) {
    StringRef type = op.getType();
    if ((type == "rsqrt" || type == "log" || type == "inverse") &&
        !mil::getArgument(op, "epsilon"))
      missing = op.getType().str() + " without epsilon (L02)";
  });
  return missing;
}

/// A program of reshapes alone (L13).
static bool onlyReshapes(ProgramOp program) {
  Block &body = program.getBody().front();
  return llvm::all_of(body.without_terminator(), [](Operation &op) {
    return isa<ConstantOp, ReshapeOp, SqueezeOp, ExpandDimsOp, Flatten2dOp>(op);
  });
}

/// Rewrites a program to one that computes what machines were seen to compute
/// wrongly.
static void misbehave(ProgramOp program, int (*isLifted)(const char *)) {
  OpBuilder b(program.getContext());
  auto number = [&](Location loc, double value) -> Value {
    auto type = RankedTensorType::get({}, b.getF16Type());
    return ConstantOp::create(
        b, loc, type,
        DenseElementsAttr::get(type, b.getF16FloatAttr(value).getValue()));
  };
  // Its readers get one that is not finite wherever it is not 0.
  auto spoil = [&](Value v) {
    b.setInsertionPointAfterValue(v);
    Value factor = number(v.getLoc(), INFINITY),
          wrong = MulOp::create(b, v.getLoc(), v.getType(), v, factor);
    v.replaceAllUsesExcept(wrong, wrong.getDefiningOp());
  };
  Block &body = program.getBody().front();
  for (Operation &op : llvm::make_early_inc_range(body.without_terminator())) {
    if (auto attention = dyn_cast<ScaledDotProductAttentionOp>(op);
        attention && attention.getAttnMask() && !isLifted("L15"))
      attention.getAttnMaskMutable().clear();
    if (auto transpose = dyn_cast<TransposeOp>(op);
        transpose && isa<BlockArgument>(transpose.getX()) && !isLifted("L20"))
      spoil(transpose.getResult());
    if (auto softplus = dyn_cast<SoftplusOp>(op);
        softplus && !isLifted("L25")) {
      Location loc = op.getLoc();
      b.setInsertionPointAfter(&op);
      Value y = softplus.getResult();
      auto flags =
          RankedTensorType::get(softplus.getType().getShape(), b.getI1Type());
      Value large = GreaterOp::create(b, loc, flags, softplus.getX(),
                                      number(loc, 10.4)),
            wrong = SelectOp::create(b, loc, y.getType(), large,
                                     number(loc, INFINITY), y);
      y.replaceAllUsesExcept(wrong, wrong.getDefiningOp());
    }
  }
  // An output that nothing computes, or that is read as well (L23).
  Operation *end = body.getTerminator();
  for (OpOperand &operand : end->getOpOperands()) {
    Value v = operand.get();
    bool bad = v.getDefiningOp<IdentityOp>() || !v.hasOneUse();
    if (!bad || isLifted("L23"))
      continue;
    b.setInsertionPoint(end);
    operand.set(MulOp::create(b, v.getLoc(), v.getType(), v,
                              number(v.getLoc(), INFINITY)));
  }
}

static void describe(standin_program &program) {
  ProgramOp op = program.loaded.program;
  auto add = [&](Type type, StringAttr name,
                 std::vector<SurfaceLayout> &layouts,
                 std::vector<standin_parameter> &parameters) {
    ArrayRef<int64_t> shape = cast<RankedTensorType>(type).getShape();
    SurfaceLayout layout = SurfaceLayout::compute(shape, shape);
    program.symbols.push_back(name ? name.getValue().str() : "");
    standin_parameter parameter = {
        nullptr,
        {},
        layout.rowStride,
        layout.planeStride,
        layout.batchStride,
        std::max<uint64_t>(shape[0] * layout.batchStride, 16384)};
    llvm::copy(shape, parameter.shape);
    layouts.push_back(std::move(layout));
    parameters.push_back(parameter);
  };
  for (unsigned i = 0; i < op.getArgumentTypes().size(); ++i)
    add(op.getArgumentTypes()[i],
        op.getArgAttrOfType<StringAttr>(i, "ane.name"), program.inputLayouts,
        program.inputs);
  for (unsigned i = 0; i < op.getResultTypes().size(); ++i)
    add(op.getResultTypes()[i],
        op.getResultAttrOfType<StringAttr>(i, "ane.name"),
        program.outputLayouts, program.outputs);
  size_t next = 0;
  for (auto *parameters : {&program.inputs, &program.outputs})
    for (standin_parameter &parameter : *parameters)
      parameter.symbol = program.symbols[next++].c_str();
}

standin_program *standin_compile(const char *folder, const char *targetName,
                                 int rules, int (*isLifted)(const char *),
                                 const char *enforced, long *code,
                                 char *message, size_t size) {
  std::lock_guard<std::mutex> guard(engineMutex());
  Words words(message, size);
  auto refuse = [&](StringRef kind, long number = 1) {
    *code = number;
    words.say(kind);
    return nullptr;
  };
  const Target *target = lookupTarget(targetName);
  if (!target)
    return refuse("the stand-in knows no target of this name");
  SmallString<128> text(folder);
  llvm::sys::path::append(text, "model.mil");
  FailureOr<MILSource> source = MILSource::open(text, &theContext());
  if (failed(source))
    return refuse("InvalidMILProgram");
  std::string missing = findMissingEpsilon(source->program);
  if (rules && !missing.empty() && !isLifted("L02"))
    return refuse("CompilationFailure: ANECCompile() FAILED: " + missing);
  FailureOr<LoadedProgram> loaded = LoadedProgram::raise(std::move(*source));
  if (failed(loaded))
    return refuse("InvalidMILProgram");
  std::string why;
  if (long number = checkBoundary(loaded->program, why))
    return refuse(why, number);
  if (!enforce(loaded->program, enforced))
    return refuse("the stand-in cannot enforce one of the rules " +
                  std::string(enforced));
  std::string broken = rules
                           ? findBrokenRules(loaded->program, *target, isLifted)
                           : std::string();
  if (!broken.empty())
    return refuse("CompilationFailure: ANECCompile() FAILED: " + broken);
  if (rules && !isLifted("L13") && onlyReshapes(loaded->program))
    return refuse("CompilationFailure: ANECCompile() FAILED: a program of "
                  "nothing but reshapes (L13)");
  if (rules)
    misbehave(loaded->program, isLifted);
  auto program = std::make_unique<standin_program>();
  program->loaded = std::move(*loaded);
  program->loaded.engine = &target->numerics;
  describe(*program);
  return program.release();
}

void standin_free(standin_program *program) {
  std::lock_guard<std::mutex> guard(engineMutex());
  delete program;
}
size_t standin_input_count(const standin_program *program) {
  return program->inputs.size();
}
size_t standin_output_count(const standin_program *program) {
  return program->outputs.size();
}
const standin_parameter *standin_input(const standin_program *program,
                                       size_t index) {
  return &program->inputs[index];
}
const standin_parameter *standin_output(const standin_program *program,
                                        size_t index) {
  return &program->outputs[index];
}

int standin_run(standin_program *program, const void *const *inputs,
                void *const *outputs, char *message, size_t size) {
  std::lock_guard<std::mutex> guard(engineMutex());
  Words words(message, size);
  SmallVector<Tensor> arguments, results;
  try {
    for (size_t i = 0; i < program->inputs.size(); ++i)
      arguments.push_back(program->inputLayouts[i].readAll(
          {static_cast<const char *>(inputs[i]), program->inputs[i].required}));
    if (failed(program->loaded.run(arguments, results, Numerics::Engine)))
      return words.say("Program Inference error"), -1;
    for (size_t i = 0; i < program->outputs.size(); ++i) {
      std::vector<char> bytes = program->outputLayouts[i].writeAll(results[i]);
      std::copy_n(bytes.data(), program->outputs[i].required,
                  static_cast<char *>(outputs[i]));
    }
  } catch (const EvaluationError &error) {
    return words.say(error.message), -1;
  }
  return 0;
}

void standin_hash(const void *data, size_t size, char *digits) {
  Hash hash;
  hash.update({static_cast<const char *>(data), size});
  std::string sum = hash.finish();
  std::copy_n(sum.c_str(), 65, digits);
}
