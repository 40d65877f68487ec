//===- Description.cpp - what a package says of its functions -------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "Description.h"
#include "ane-mlir/Support/CoreMLFields.h"
#include "ane-mlir/Support/ProtoReader.h"

using namespace mlir;
using namespace mlir::ane;
using namespace mlir::ane::coreml;
using protozero::pbf_reader;

static SmallVector<int64_t> readShape(pbf_reader in, uint32_t tag) {
  SmallVector<int64_t> shape;
  while (in.next())
    if (in.tag() != tag)
      in.skip();
    else if (in.wire_type() == protozero::pbf_wire_type::length_delimited)
      for (int64_t dim : in.get_packed_int64())
        shape.push_back(dim);
    else
      shape.push_back(in.get_int64());
  return shape;
}

/// One of several sizes of an image: [height, width].
static SmallVector<int64_t> readSize(pbf_reader in) {
  int64_t width = 0, height = 0;
  while (in.next())
    if (in.tag() == image::Width)
      width = in.get_int64();
    else if (in.tag() == image::Height)
      height = in.get_int64();
    else
      in.skip();
  return {height, width};
}

static ExtentRange readRange(pbf_reader in) {
  // Absent fields are zeros of protobuf.
  ExtentRange range{0, 0};
  while (in.next())
    if (in.tag() == range::Low)
      range.low = int64_t(std::min<uint64_t>(in.get_uint64(), INT64_MAX));
    else if (in.tag() == range::High)
      range.high = in.get_int64();
    else
      in.skip();
  return range;
}

/// [height, width].
static SmallVector<int64_t> readImage(pbf_reader in, PackageFeature &feature) {
  int64_t width = 0, height = 0;
  while (in.next())
    switch (in.tag()) {
    case image::Width:
      width = in.get_int64();
      break;
    case image::Height:
      height = in.get_int64();
      break;
    case image::ColorSpace:
      feature.colorSpace = in.get_enum();
      break;
    case image::EnumeratedSizes: {
      pbf_reader list = in.get_message();
      while (list.next())
        if (list.tag() == 1)
          feature.enumerated.push_back(readSize(list.get_message()));
        else
          list.skip();
      break;
    }
    case image::SizeRange: {
      ExtentRange height, width;
      pbf_reader sizes = in.get_message();
      while (sizes.next())
        if (sizes.tag() == sizerange::Width)
          width = readRange(sizes.get_message());
        else if (sizes.tag() == sizerange::Height)
          height = readRange(sizes.get_message());
        else
          sizes.skip();
      feature.ranges = {height, width};
      break;
    }
    default:
      in.skip();
    }
  return {height, width};
}

static void readArray(pbf_reader in, PackageFeature &feature) {
  while (in.next())
    switch (in.tag()) {
    case array::Shape:
      if (in.wire_type() == protozero::pbf_wire_type::length_delimited)
        for (int64_t dim : in.get_packed_int64())
          feature.shape.push_back(dim);
      else
        feature.shape.push_back(in.get_int64());
      break;
    case array::DataType:
      switch (in.get_enum()) {
      case kArrayFloat16:
        feature.dtype = DType::Float16;
        break;
      case kArrayFloat32:
        feature.dtype = DType::Float32;
        break;
      case kArrayDouble:
        feature.dtype = DType::Float64;
        break;
      case kArrayInt8:
        feature.dtype = DType::Int8;
        break;
      case kArrayInt32:
        feature.dtype = DType::Int32;
        break;
      }
      break;
    case array::EnumeratedShapes: {
      pbf_reader list = in.get_message();
      while (list.next())
        if (list.tag() == 1)
          feature.enumerated.push_back(readShape(list.get_message(), 1));
        else
          list.skip();
      break;
    }
    case array::IntDefault:
      feature.defaultValue = in.get_int32();
      break;
    case array::FloatDefault:
      feature.defaultValue = in.get_float();
      break;
    case array::DoubleDefault:
      feature.defaultValue = in.get_double();
      break;
    case array::ShapeRange: {
      pbf_reader axes = in.get_message();
      while (axes.next())
        if (axes.tag() == 1)
          feature.ranges.push_back(readRange(axes.get_message()));
        else
          axes.skip();
      break;
    }
    default:
      in.skip();
    }
}

static PackageFeature readFeature(pbf_reader in) {
  using Kind = PackageFeature::Kind;
  PackageFeature feature;
  while (in.next()) {
    if (in.tag() == feature::Name) {
      feature.name = proto::toView(in.get_view()).str();
      continue;
    }
    if (in.tag() == feature::ShortDescription) {
      feature.description = proto::toView(in.get_view()).str();
      continue;
    }
    if (in.tag() != feature::Type) {
      in.skip();
      continue;
    }
    pbf_reader type = in.get_message();
    while (type.next())
      switch (type.tag()) {
      case featuretype::MultiArray:
        feature.kind = Kind::Array;
        readArray(type.get_message(), feature);
        break;
      case featuretype::State: {
        feature.kind = Kind::State;
        pbf_reader state = type.get_message();
        while (state.next())
          if (state.tag() == 1)
            readArray(state.get_message(), feature);
          else
            state.skip();
        break;
      }
      case featuretype::Image:
        feature.kind = Kind::Image;
        feature.shape = readImage(type.get_message(), feature);
        break;
      case featuretype::Int64:
      case featuretype::Double:
        feature.kind = Kind::Number;
        type.skip();
        break;
      case featuretype::String:
        feature.kind = Kind::String;
        type.skip();
        break;
      case featuretype::Dictionary:
        feature.kind = Kind::Dictionary;
        type.skip();
        break;
      case featuretype::IsOptional:
        feature.optional = type.get_bool();
        break;
      default:
        type.skip();
      }
  }
  return feature;
}

static PackageInfo::Function readFunction(pbf_reader in) {
  PackageInfo::Function function;
  while (in.next())
    switch (in.tag()) {
    case functiondescription::Name:
      function.name = proto::toView(in.get_view()).str();
      break;
    case functiondescription::Input:
      function.inputs.push_back(readFeature(in.get_message()));
      break;
    case functiondescription::Output:
      function.outputs.push_back(readFeature(in.get_message()));
      break;
    case functiondescription::State:
      function.states.push_back(readFeature(in.get_message()));
      break;
    case functiondescription::PredictedFeature:
      function.predictedFeature = proto::toView(in.get_view()).str();
      break;
    case functiondescription::PredictedProbabilities:
      function.predictedProbabilities = proto::toView(in.get_view()).str();
      break;
    default:
      in.skip();
    }
  return function;
}

static void readMetadata(pbf_reader in, PackageInfo &info) {
  while (in.next()) {
    StringRef key = in.tag() == metadata::ShortDescription ? "description"
                    : in.tag() == metadata::Version        ? "version"
                    : in.tag() == metadata::Author         ? "author"
                    : in.tag() == metadata::License        ? "license"
                                                           : "";
    if (!key.empty()) {
      info.metadata.push_back({key.str(), proto::toView(in.get_view()).str()});
    } else if (in.tag() == metadata::UserDefined) {
      pbf_reader pair = in.get_message();
      std::pair<std::string, std::string> found;
      while (pair.next())
        if (pair.tag() == entry::Key)
          found.first = proto::toView(pair.get_view()).str();
        else if (pair.tag() == entry::Value)
          found.second = proto::toView(pair.get_view()).str();
        else
          pair.skip();
      info.metadata.push_back(found);
    } else {
      in.skip();
    }
  }
  llvm::stable_sort(info.metadata,
                    [](auto &a, auto &b) { return a.first < b.first; });
}

void coreml::readDescription(StringRef message, PackageInfo &info) {
  PackageInfo::Function main;
  main.name = "main";
  pbf_reader in(message.data(), message.size());
  while (in.next())
    switch (in.tag()) {
    case description::Input:
      main.inputs.push_back(readFeature(in.get_message()));
      break;
    case description::Output:
      main.outputs.push_back(readFeature(in.get_message()));
      break;
    case description::State:
      main.states.push_back(readFeature(in.get_message()));
      break;
    case description::PredictedFeature:
      main.predictedFeature = proto::toView(in.get_view()).str();
      break;
    case description::PredictedProbabilities:
      main.predictedProbabilities = proto::toView(in.get_view()).str();
      break;
    case description::Functions:
      info.functions.push_back(readFunction(in.get_message()));
      break;
    case description::DefaultFunction:
      info.defaultFunction = proto::toView(in.get_view()).str();
      break;
    case description::Metadata:
      readMetadata(in.get_message(), info);
      break;
    default:
      in.skip();
    }
  info.multiFunction = !info.functions.empty();
  if (!info.multiFunction)
    info.functions.push_back(std::move(main));
  else if (!main.inputs.empty() || !main.outputs.empty())
    info.notes.push_back(
        "the description lists functions and, beside them, features");
  if (info.defaultFunction.empty())
    info.defaultFunction = "main";
}
