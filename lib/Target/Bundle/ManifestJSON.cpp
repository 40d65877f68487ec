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

std::string mlir::ane::toJSON(const fb::ManifestT &m) {
  std::string text;
  llvm::raw_string_ostream os(text);
  llvm::json::OStream j(os, 2);
  auto ints = [&](StringRef key, const std::vector<int64_t> &values) {
    j.attributeArray(key, [&] {
      for (int64_t v : values)
        j.value(v);
    });
  };
  auto ports = [&](StringRef key,
                   const std::vector<std::unique_ptr<fb::PortT>> &list) {
    j.attributeArray(key, [&] {
      for (auto &port : list)
        j.object([&] {
          j.attribute("name", port->name);
          j.attribute("dtype", port->dtype);
          ints("shape", port->shape);
          j.attribute("tensor", int64_t(port->tensor));
        });
    });
  };
  j.object([&] {
    j.attribute("version", int64_t(m.version));
    j.attribute("producer", m.producer);
    j.attribute("target", m.target);
    j.attribute("dialect", m.dialect);
    j.attributeArray("tensors", [&] {
      for (auto &tensor : m.tensors)
        j.object([&] {
          j.attribute("name", tensor->name);
          j.attribute("dtype", tensor->dtype);
          ints("shape", tensor->shape);
          j.attributeArray("surfaces", [&] {
            for (auto &s : tensor->surfaces)
              j.object([&] {
                j.attribute("program", int64_t(s->program));
                j.attribute("symbol", s->symbol);
                j.attribute("role", s->role);
                j.attribute("index", int64_t(s->index));
                ints("view", s->view);
                ints("shape", s->shape);
                j.attribute("row_stride", int64_t(s->row_stride));
                j.attribute("plane_stride", int64_t(s->plane_stride));
                j.attribute("batch_stride", int64_t(s->batch_stride));
                j.attribute("allocation", int64_t(s->allocation));
              });
          });
        });
    });
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
                     {std::pair<StringRef,
                                const std::vector<std::unique_ptr<fb::BindingT>>
                                    *>{"inputs", &procedure->inputs},
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
    j.attributeArray("schedule", [&] {
      for (auto &step : m.schedule)
        j.object([&] {
          j.attribute("program", int64_t(step->program));
          j.attribute("procedure", int64_t(step->procedure));
        });
    });
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
    j.attributeObject("budgets", [&] {
      j.attribute("compiles", int64_t(m.budgets->compiles));
      j.attribute("resident_programs", int64_t(m.budgets->resident_programs));
      j.attribute("weight_files", int64_t(m.budgets->weight_files));
    });
  });
  os << '\n';
  return text;
}
