//===- Report.cpp - what was placed where, and why ------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Pipelines/Report.h"
#include "ane-mlir/Analysis/CostModel.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include <cmath>
#include <map>

using namespace mlir;
using namespace mlir::ane;

Report mlir::ane::makeReport(ModuleOp module, llvm::StringRef model) {
  Report report;
  const Target &target = getTarget(module);
  report.model = model.str();
  report.target = target.name.str();
  report.producer = "ane-mlir " ANEMLIR_VERSION;
  for (auto program : module.getOps<ProgramOp>()) {
    Report::Program entry;
    entry.name = program.getSymName().str();
    entry.kind = program.getKind().str();
    entry.prediction = predict(program, target);
    entry.predictedMicros =
        entry.prediction.total() + predictHostMicros(program, target);
    for (Operation &op : program.getBody().front().without_terminator()) {
      auto costed = dyn_cast<CostOpInterface>(op);
      if (!costed || isConstantTree(op.getResult(0)))
        continue;
      ReportRow row;
      row.op = op.getName().getStringRef().str();
      if (auto name = dyn_cast<NameLoc>(op.getLoc()))
        row.node = name.getName().str();
      row.program = entry.name;
      row.placement = entry.kind;
      auto text = [&](StringRef key) {
        auto attr = op.getAttrOfType<StringAttr>(key);
        return attr ? attr.getValue().str() : std::string();
      };
      row.rule = text("ane.rule");
      row.reason = text("ane.reason");
      row.repair = text("ane.repair");
      row.note = text("ane.note");
      llvm::raw_string_ostream(row.type) << op.getResult(0).getType();
      Cost cost = costed.estimateCost(target);
      row.flops = cost.flops;
      row.weightBytes = cost.weightBytes;
      row.activationBytes = cost.activationBytes;
      row.predictedMicros = program.isEngine()
                                ? predict(&op, target).total()
                                : predictHostMicros(&op, target);
      ++entry.ops;
      ++(program.isEngine() ? report.engineOps : report.hostOps);
      report.rows.push_back(std::move(row));
    }
    (program.isEngine() ? report.predictedMicros : report.hostMicros) +=
        entry.predictedMicros;
    report.programs.push_back(std::move(entry));
  }
  for (auto function : module.getOps<func::FuncOp>())
    if (auto predicted =
            function->getAttrOfType<DictionaryAttr>("ane.predicted")) {
      auto number = [&](StringRef key) {
        auto attr = predicted.getAs<FloatAttr>(key);
        return attr ? attr.getValueAsDouble() : 0;
      };
      report.alternatives = {number("placed_us"), number("host_us"),
                             number("cheapest_us"), number("crossover")};
    }
  return report;
}

void Report::writeJSON(llvm::raw_ostream &os) const {
  llvm::json::OStream j(os, 2);
  j.object([&] {
    j.attribute("producer", producer);
    j.attribute("model", model);
    j.attribute("target", target);
    j.attributeObject("summary", [&] {
      j.attribute("engine_ops", int64_t(engineOps));
      j.attribute("host_ops", int64_t(hostOps));
      j.attribute("predicted_engine_us", predictedMicros);
      j.attribute("predicted_host_us", hostMicros);
    });
    if (alternatives)
      j.attributeObject("alternatives", [&] {
        j.attribute("placed_us", alternatives->placedMicros);
        j.attribute("host_only_us", alternatives->hostMicros);
        j.attribute("cheapest_us", alternatives->cheapestMicros);
        // JSON has no infinity: null says that the engine never pays.
        j.attribute("engine_pays_from_times_positions",
                    std::isfinite(alternatives->crossover)
                        ? llvm::json::Value(alternatives->crossover)
                        : llvm::json::Value(nullptr));
      });
    j.attributeArray("programs", [&] {
      for (const Program &program : programs)
        j.object([&] {
          j.attribute("name", program.name);
          j.attribute("kind", program.kind);
          j.attribute("ops", int64_t(program.ops));
          j.attribute("predicted_us", program.predictedMicros);
          j.attributeObject("predicted", [&] {
            const Prediction &p = program.prediction;
            j.attribute("dispatch_us", p.dispatch);
            j.attribute("compute_us", p.compute);
            j.attribute("weights_us", p.weights);
            j.attribute("vector_us", p.vector);
            j.attribute("move_us", p.move);
            j.attribute("surfaces_us", p.surfaces);
          });
        });
    });
    j.attributeArray("ops", [&] {
      for (const ReportRow &row : rows)
        j.object([&] {
          j.attribute("op", row.op);
          j.attribute("node", row.node);
          j.attribute("program", row.program);
          j.attribute("placement", row.placement);
          j.attribute("rule", row.rule);
          j.attribute("reason", row.reason);
          if (!row.repair.empty())
            j.attribute("repair", row.repair);
          if (!row.note.empty())
            j.attribute("note", row.note);
          j.attribute("type", row.type);
          j.attribute("flops", row.flops);
          j.attribute("weight_bytes", row.weightBytes);
          j.attribute("activation_bytes", row.activationBytes);
          j.attribute("predicted_us", row.predictedMicros);
        });
    });
  });
  os << '\n';
}

static std::string escape(StringRef text) {
  std::string out;
  for (char c : text)
    if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '&')
      out += "&amp;";
    else if (c == '"')
      out += "&quot;";
    else
      out += c;
  return out;
}

void Report::writeHTML(llvm::raw_ostream &os) const {
  os << "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>"
     << escape(model) << " - placement report</title>\n"
     << "<style>body{font:14px "
        "system-ui,sans-serif;margin:2em}table{border-collapse:collapse}td,th{"
        "padding:.2em .6em;border-bottom:1px solid #ddd;"
        "text-align:left}td.n{text-align:right}tr.host{background:#fff3e0}</"
        "style>\n"
     << "<h1>" << escape(model) << "</h1><p>Target " << target << ". "
     << engineOps << " ops on the engine, " << hostOps
     << " on the host. Predicted engine time "
     << llvm::format("%.1f", predictedMicros)
     << " us (cost model, not measured).</p>\n"
     << "<h2>Programs</h2><table><tr><th>program<th>kind<th>ops<th>predicted "
        "us</tr>\n";
  for (const Program &program : programs)
    os << "<tr class=" << program.kind << "><td>" << program.name << "<td>"
       << program.kind << "<td class=n>" << program.ops << "<td class=n>"
       << llvm::format("%.1f", program.predictedMicros) << "</tr>\n";
  os << "</table>\n<h2>Ops</"
        "h2><table><tr><th>node<th>op<th>type<th>placement<th>rule<th>reason<"
        "th>flops<th>predicted us</tr>\n";
  for (const ReportRow &row : rows)
    os << "<tr class=" << row.placement << "><td>" << escape(row.node) << "<td>"
       << row.op << "<td>" << escape(row.type) << "<td>" << row.placement
       << "<td>" << row.rule << "<td>" << escape(row.reason) << "<td class=n>"
       << llvm::format("%.0f", row.flops) << "<td class=n>"
       << llvm::format("%.2f", row.predictedMicros) << "</tr>\n";
  os << "</table></html>\n";
}

void Report::writeText(llvm::raw_ostream &os) const {
  os << "target " << target << ": " << engineOps << " ops on the engine, "
     << hostOps << " on the host; predicted engine time "
     << llvm::format("%.1f", predictedMicros) << " us\n";
  for (const Program &program : programs)
    os << "  " << llvm::left_justify(program.name, 14)
       << llvm::left_justify(program.kind, 6)
       << llvm::right_justify(std::to_string(program.ops), 5) << " ops"
       << llvm::format("  %10.1f us\n", program.predictedMicros);
  if (alternatives) {
    const Alternatives &a = *alternatives;
    os << "predicted: " << llvm::format("%.1f us as placed, ", a.placedMicros)
       << llvm::format("%.1f us all on the host, ", a.hostMicros)
       << llvm::format("%.1f us as the cheapest split (--placement=cost)\n",
                       a.cheapestMicros);
    os << "  the engine is "
       << (a.crossover == 0             ? std::string("always faster")
           : std::isinf(a.crossover)    ? std::string("never faster")
                                        : llvm::formatv(
                                           "faster from {0:f2} times the "
                                           "positions of this model on",
                                           a.crossover)
                                           .str())
       << " (coarse model of the host)\n";
  }
  // Host ops by reason.
  std::map<std::pair<std::string, std::string>,
           std::pair<unsigned, std::string>>
      reasons;
  for (const ReportRow &row : rows)
    if (row.placement == "host") {
      auto &entry = reasons[{row.rule, row.op + ": " + row.reason}];
      if (entry.first++ == 0)
        entry.second = row.node;
    }
  if (!reasons.empty())
    os << "on the host:\n";
  for (auto &[key, entry] : reasons)
    os << "  " << llvm::left_justify(key.first, 6) << key.second << " ("
       << entry.first << ", first \"" << entry.second << "\")\n";
}
