//===- Proto.cpp - ONNX messages as views of the mapped file --------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "Proto.h"

using namespace mlir::ane::proto;
using protozero::pbf_reader;
using protozero::pbf_wire_type;

/// A repeated scalar, packed or not.
template <typename T, typename Packed, typename Single>
static void repeated(pbf_reader &r, std::vector<T> &out, Packed packed,
                     Single single) {
  if (r.wire_type() == pbf_wire_type::length_delimited) {
    auto range = packed();
    out.insert(out.end(), range.begin(), range.end());
  } else {
    out.push_back(single());
  }
}
static void int64s(pbf_reader &r, std::vector<int64_t> &out) {
  repeated(
      r, out, [&] { return r.get_packed_int64(); },
      [&] { return r.get_int64(); });
}

Tensor Tensor::parse(View data) {
  Tensor t;
  pbf_reader r = reader(data);
  while (r.next()) {
    switch (r.tag()) {
    case 1:
      int64s(r, t.dims);
      break;
    case 2:
      t.dataType = r.get_int32();
      break;
    case 4:
      repeated(
          r, t.floats, [&] { return r.get_packed_float(); },
          [&] { return r.get_float(); });
      break;
    case 5:
      repeated(
          r, t.ints, [&] { return r.get_packed_int32(); },
          [&] { return r.get_int32(); });
      break;
    case 6:
      t.strings.push_back(toView(r.get_view()));
      break;
    case 7:
      int64s(r, t.ints);
      break;
    case 8:
      t.name = toView(r.get_view());
      break;
    case 9:
      t.raw = toView(r.get_view());
      t.hasRaw = true;
      break;
    case 10:
      repeated(
          r, t.doubles, [&] { return r.get_packed_double(); },
          [&] { return r.get_double(); });
      break;
    case 11:
      repeated(
          r, t.uints, [&] { return r.get_packed_uint64(); },
          [&] { return r.get_uint64(); });
      break;
    case 13: {
      pbf_reader entry = r.get_message();
      View key, value;
      while (entry.next()) {
        if (entry.tag() == 1)
          key = toView(entry.get_view());
        else if (entry.tag() == 2)
          value = toView(entry.get_view());
        else
          entry.skip();
      }
      if (key == "location")
        t.location = value;
      else if (key == "offset")
        t.offset = value;
      else if (key == "length")
        t.length = value;
      break;
    }
    case 14:
      t.external = r.get_enum() == 1;
      break;
    default:
      r.skip();
    }
  }
  return t;
}

SparseTensor SparseTensor::parse(View data) {
  SparseTensor t;
  pbf_reader r = reader(data);
  while (r.next()) {
    switch (r.tag()) {
    case 1:
      t.values = toView(r.get_view());
      break;
    case 2:
      t.indices = toView(r.get_view());
      break;
    case 3:
      int64s(r, t.dims);
      break;
    default:
      r.skip();
    }
  }
  return t;
}

Attribute Attribute::parse(View data) {
  Attribute a;
  pbf_reader r = reader(data);
  while (r.next()) {
    switch (r.tag()) {
    case 1:
      a.name = toView(r.get_view());
      break;
    case 2:
      a.f = r.get_float();
      break;
    case 3:
      a.i = r.get_int64();
      break;
    case 4:
      a.s = toView(r.get_view());
      break;
    case 5:
      a.tensor = toView(r.get_view());
      break;
    case 6:
      a.graph = toView(r.get_view());
      break;
    case 7:
      repeated(
          r, a.floats, [&] { return r.get_packed_float(); },
          [&] { return r.get_float(); });
      break;
    case 8:
      int64s(r, a.ints);
      break;
    case 9:
      a.strings.push_back(toView(r.get_view()));
      break;
    case 10:
      a.tensors.push_back(toView(r.get_view()));
      break;
    case 11:
      a.graphs.push_back(toView(r.get_view()));
      break;
    case 20:
      a.type = r.get_enum();
      break;
    case 21:
      a.reference = toView(r.get_view());
      break;
    case 22:
      a.sparse = toView(r.get_view());
      break;
    default:
      r.skip();
    }
  }
  // Files of IR version 1 had no type field; the value that is there tells.
  if (a.type == Undefined && a.reference.empty())
    a.type = a.tensor.data()      ? TensorT
             : a.graph.data()     ? Graph
             : a.s.data()         ? String
             : !a.ints.empty()    ? Ints
             : !a.floats.empty()  ? Floats
             : !a.strings.empty() ? Strings
             : a.f != 0           ? Float
                                  : Int;
  return a;
}

Node Node::parse(View data) {
  Node n;
  pbf_reader r = reader(data);
  while (r.next()) {
    switch (r.tag()) {
    case 1:
      n.inputs.push_back(toView(r.get_view()));
      break;
    case 2:
      n.outputs.push_back(toView(r.get_view()));
      break;
    case 3:
      n.name = toView(r.get_view());
      break;
    case 4:
      n.opType = toView(r.get_view());
      break;
    case 5:
      n.attributes.push_back(toView(r.get_view()));
      break;
    case 7:
      n.domain = toView(r.get_view());
      break;
    case 8:
      n.overload = toView(r.get_view());
      break;
    default:
      r.skip();
    }
  }
  if (n.domain == "ai.onnx")
    n.domain = "";
  return n;
}

/// TypeProto into the value info.
static void parseType(pbf_reader r, ValueInfo &v) {
  while (r.next()) {
    switch (r.tag()) {
    case 1: {
      pbf_reader tensor = r.get_message();
      while (tensor.next()) {
        if (tensor.tag() == 1) {
          v.elementType = tensor.get_int32();
        } else if (tensor.tag() == 2) {
          v.hasShape = true;
          pbf_reader shape = tensor.get_message();
          while (shape.next()) {
            if (shape.tag() != 1) {
              shape.skip();
              continue;
            }
            Dimension dim;
            pbf_reader d = shape.get_message();
            while (d.next()) {
              if (d.tag() == 1)
                dim.value = d.get_int64();
              else if (d.tag() == 2)
                dim.symbol = toView(d.get_view());
              else
                d.skip();
            }
            v.dims.push_back(dim);
          }
        } else {
          tensor.skip();
        }
      }
      break;
    }
    case 4:
      v.kind = "seq";
      r.skip();
      break;
    case 5:
      v.kind = "map";
      r.skip();
      break;
    case 8:
      v.kind = "sparse_tensor";
      r.skip();
      break;
    case 9:
      v.kind = "optional";
      r.skip();
      break;
    default:
      r.skip();
    }
  }
}

ValueInfo ValueInfo::parse(View data) {
  ValueInfo v;
  pbf_reader r = reader(data);
  while (r.next()) {
    switch (r.tag()) {
    case 1:
      v.name = toView(r.get_view());
      break;
    case 2:
      parseType(r.get_message(), v);
      break;
    default:
      r.skip();
    }
  }
  return v;
}

Graph Graph::parse(View data) {
  Graph g;
  pbf_reader r = reader(data);
  while (r.next()) {
    switch (r.tag()) {
    case 1:
      g.nodes.push_back(toView(r.get_view()));
      break;
    case 2:
      g.name = toView(r.get_view());
      break;
    case 5:
      g.initializers.push_back(toView(r.get_view()));
      break;
    case 11:
      g.inputs.push_back(toView(r.get_view()));
      break;
    case 12:
      g.outputs.push_back(toView(r.get_view()));
      break;
    case 15:
      g.sparseInitializers.push_back(toView(r.get_view()));
      break;
    default:
      r.skip();
    }
  }
  return g;
}

static OpsetImport parseOpset(pbf_reader r) {
  OpsetImport o;
  while (r.next()) {
    if (r.tag() == 1)
      o.domain = toView(r.get_view());
    else if (r.tag() == 2)
      o.version = r.get_int64();
    else
      r.skip();
  }
  if (o.domain == "ai.onnx")
    o.domain = "";
  return o;
}

Function Function::parse(View data) {
  Function f;
  pbf_reader r = reader(data);
  while (r.next()) {
    switch (r.tag()) {
    case 1:
      f.name = toView(r.get_view());
      break;
    case 4:
      f.inputs.push_back(toView(r.get_view()));
      break;
    case 5:
      f.outputs.push_back(toView(r.get_view()));
      break;
    case 6:
      f.attributes.push_back(toView(r.get_view()));
      break;
    case 7:
      f.nodes.push_back(toView(r.get_view()));
      break;
    case 9:
      f.opsets.push_back(parseOpset(r.get_message()));
      break;
    case 10:
      f.domain = toView(r.get_view());
      break;
    case 11:
      f.attributeDefaults.push_back(toView(r.get_view()));
      break;
    case 13:
      f.overload = toView(r.get_view());
      break;
    default:
      r.skip();
    }
  }
  if (f.domain == "ai.onnx")
    f.domain = "";
  return f;
}

Model Model::parse(View data) {
  Model m;
  pbf_reader r = reader(data);
  while (r.next()) {
    switch (r.tag()) {
    case 1:
      m.irVersion = r.get_int64();
      break;
    case 7:
      m.graph = toView(r.get_view());
      m.hasGraph = true;
      break;
    case 8:
      m.opsets.push_back(parseOpset(r.get_message()));
      break;
    case 25:
      m.functions.push_back(toView(r.get_view()));
      break;
    default:
      r.skip();
    }
  }
  return m;
}
