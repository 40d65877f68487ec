//===- ManifestJSON.cpp - manifests for people ----------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ManifestJSON.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

using llvm::StringRef;
namespace fb = anemlir::manifest;

static void writeInts(llvm::json::OStream &j, StringRef key,
                      const std::vector<int64_t> &values) {
  j.attributeArray(key, [&] {
    for (int64_t v : values)
      j.value(v);
  });
}

static void writePorts(llvm::json::OStream &j, StringRef key,
                       const std::vector<std::unique_ptr<fb::PortT>> &list) {
  j.attributeArray(key, [&] {
    for (auto &port : list)
      j.object([&] {
        j.attribute("name", port->name);
        j.attribute("dtype", port->dtype);
        writeInts(j, "shape", port->shape);
        j.attribute("tensor", int64_t(port->tensor));
      });
  });
}

static void writeTensors(llvm::json::OStream &j, const fb::ManifestT &m) {
  j.attributeArray("tensors", [&] {
    for (auto &tensor : m.tensors)
      j.object([&] {
        j.attribute("name", tensor->name);
        j.attribute("dtype", tensor->dtype);
        writeInts(j, "shape", tensor->shape);
        j.attributeArray("surfaces", [&] {
          for (auto &s : tensor->surfaces)
            j.object([&] {
              j.attribute("program", int64_t(s->program));
              j.attribute("symbol", s->symbol);
              j.attribute("role", s->role);
              j.attribute("index", int64_t(s->index));
              writeInts(j, "view", s->view);
              writeInts(j, "shape", s->shape);
              if (!s->order.empty())
                writeInts(j, "order", s->order);
              j.attribute("row_stride", int64_t(s->row_stride));
              j.attribute("plane_stride", int64_t(s->plane_stride));
              j.attribute("batch_stride", int64_t(s->batch_stride));
              j.attribute("allocation", int64_t(s->allocation));
            });
        });
      });
  });
}

static void writePrograms(llvm::json::OStream &j, const fb::ManifestT &m) {
  j.attributeArray("programs", [&] {
    for (auto &program : m.programs)
      j.object([&] {
        j.attribute("kind", program->kind);
        j.attribute("text", program->text);
        j.attributeObject("weights", [&] {
          for (auto &w : program->weights)
            j.attributeObject(w->path, [&] {
              j.attribute("file", w->file);
              j.attribute("offset", int64_t(w->offset));
              j.attribute("size", int64_t(w->size));
            });
        });
        j.attributeArray("procedures", [&] {
          for (auto &procedure : program->procedures)
            j.object([&] {
              j.attribute("name", procedure->name);
              for (auto [key, list] :
                   {std::pair<StringRef, const std::vector<
                                             std::unique_ptr<fb::BindingT>> *>{
                        "inputs", &procedure->inputs},
                    {"outputs", &procedure->outputs}})
                j.attributeArray(key, [&, list = list] {
                  for (auto &binding : *list)
                    j.object([&] {
                      j.attribute("symbol", binding->symbol);
                      j.attribute("tensor", int64_t(binding->tensor));
                    });
                });
            });
        });
        j.attribute("predicted_us", program->predicted_us);
      });
  });
}

static void writeTraining(llvm::json::OStream &j, const fb::TrainingT &t) {
  j.attributeObject("training", [&] {
    j.attribute("loss", t.loss);
    j.attribute("loss_output", int64_t(t.loss_output));
    j.attribute("targets", int64_t(t.targets));
    j.attribute("loss_scale", int64_t(t.loss_scale));
    j.attribute("classes", t.classes);
    j.attributeArray("parameters", [&] {
      for (auto &p : t.parameters)
        j.object([&] {
          j.attribute("name", p->name);
          j.attributeArray("shape", [&] {
            for (int64_t dim : p->shape)
              j.value(dim);
          });
          j.attribute("input", int64_t(p->input));
          j.attribute("gradient", int64_t(p->gradient));
          j.attributeArray("copies", [&] {
            for (auto &copy : p->copies)
              j.object([&] {
                if (copy->program < 0)
                  j.attribute("input", int64_t(copy->input));
                j.attribute("transposed", copy->transposed);
                j.attribute("groups", int64_t(copy->groups));
                if (copy->program < 0)
                  return;
                j.attribute("program", int64_t(copy->program));
                j.attribute("offset", int64_t(copy->offset));
                j.attributeArray("shape", [&] {
                  for (int64_t dim : copy->shape)
                    j.value(dim);
                });
              });
          });
          if (p->base.empty())
            return;
          j.attribute("base", p->base);
          j.attribute("scale", p->scale);
          j.attribute("left", p->left);
        });
    });
    j.attribute("file", t.file);
    j.attribute("model", t.model);
    const fb::OptimizerT &o = *t.optimizer;
    j.attributeObject("optimizer", [&] {
      j.attribute("kind", o.kind);
      j.attribute("learning_rate", o.learning_rate);
      j.attribute("momentum", o.momentum);
      j.attribute("beta1", o.beta1);
      j.attribute("beta2", o.beta2);
      j.attribute("epsilon", o.epsilon);
      j.attribute("weight_decay", o.weight_decay);
      j.attribute("clip_norm", o.clip_norm);
      j.attribute("loss_scale", o.loss_scale);
      j.attribute("dynamic_loss_scale", o.dynamic_loss_scale);
      j.attribute("growth_interval", int64_t(o.growth_interval));
      j.attribute("accumulate", int64_t(o.accumulate));
    });
  });
}

std::string mlir::ane::toJSON(const fb::ManifestT &m) {
  std::string text;
  llvm::raw_string_ostream os(text);
  llvm::json::OStream j(os, 2);
  auto ports = [&](StringRef key, const auto &list) {
    writePorts(j, key, list);
  };
  auto schedule = [&](const std::vector<std::unique_ptr<fb::StepT>> &list) {
    j.attributeArray("schedule", [&] {
      for (auto &step : list)
        j.object([&] {
          j.attribute("program", int64_t(step->program));
          j.attribute("procedure", int64_t(step->procedure));
        });
    });
  };
  auto function = [&](const fb::FunctionT &f) {
    j.attribute("name", f.name);
    j.attributeObject("dims", [&] {
      for (auto &dim : f.dims)
        j.attribute(dim->name, dim->value);
    });
    ports("inputs", f.inputs);
    ports("outputs", f.outputs);
    schedule(f.schedule);
    j.attributeArray("states", [&] {
      for (auto &state : f.states)
        j.object([&] {
          j.attribute("input", int64_t(state->input));
          j.attribute("output", int64_t(state->output));
          j.attribute("axis", int64_t(state->axis));
        });
    });
  };
  j.object([&] {
    j.attribute("version", int64_t(m.version));
    j.attribute("producer", m.producer);
    j.attribute("target", m.target);
    j.attribute("dialect", m.dialect);
    writeTensors(j, m);
    writePrograms(j, m);
    schedule(m.schedule);
    ports("inputs", m.inputs);
    ports("outputs", m.outputs);
    j.attributeArray("provenance", [&] {
      for (auto &origin : m.provenance)
        j.object([&] {
          j.attribute("program", int64_t(origin->program));
          j.attribute("op", origin->op);
          j.attribute("node", origin->node);
        });
    });
    if (m.training)
      writeTraining(j, *m.training);
    j.attributeObject("budgets", [&] {
      j.attribute("compiles", int64_t(m.budgets->compiles));
      j.attribute("resident_programs", int64_t(m.budgets->resident_programs));
      j.attribute("weight_files", int64_t(m.budgets->weight_files));
    });
    if (!m.functions.empty())
      j.attributeArray("functions", [&] {
        for (auto &f : m.functions)
          j.object([&] { function(*f); });
      });
    if (!m.plan.empty())
      j.attributeArray("plan", [&] {
        for (auto &step : m.plan)
          j.object([&] {
            j.attribute("from", int64_t(step->from));
            j.attribute("function", int64_t(step->function));
          });
      });
  });
  os << '\n';
  return text;
}
