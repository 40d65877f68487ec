//===- CoreMLFields.h - field numbers of Core ML's messages
//---------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// mil/package.md §3. Only what we write and read.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_SUPPORT_COREMLFIELDS_H
#define ANEMLIR_SUPPORT_COREMLFIELDS_H

#include "ane-mlir/Support/DType.h"

namespace mlir::ane::coreml {

/// In the description of an input or output: between the name that it has in
/// the model, where a package could not keep it, and what is said of it.
inline constexpr llvm::StringLiteral kBehindName = " \u2014 ";

namespace model {
enum : uint32_t {
  Version = 1,
  Description = 2,
  Pipeline = 202,
  NeuralNetworkRegressor = 303,
  NeuralNetworkClassifier = 403,
  NeuralNetwork = 500,
  MLProgram = 502
};
}
namespace description {
enum : uint32_t {
  Input = 1,
  Output = 10,
  PredictedFeature = 11,
  PredictedProbabilities = 12,
  State = 13,
  Functions = 20,
  DefaultFunction = 21,
  Metadata = 100
};
}
namespace functiondescription {
enum : uint32_t {
  Name = 1,
  Input = 2,
  Output = 3,
  PredictedFeature = 4,
  PredictedProbabilities = 5,
  State = 6
};
}
namespace metadata {
enum : uint32_t {
  ShortDescription = 1,
  Version = 2,
  Author = 3,
  License = 4,
  UserDefined = 100
};
}
namespace entry { // of a map
enum : uint32_t { Key = 1, Value = 2 };
}
namespace feature {
enum : uint32_t { Name = 1, ShortDescription = 2, Type = 3 };
}
namespace featuretype {
enum : uint32_t {
  Int64 = 1,
  Double = 2,
  String = 3,
  Image = 4,
  MultiArray = 5,
  Dictionary = 6,
  State = 8,
  IsOptional = 1000
};
}
namespace array {
enum : uint32_t {
  Shape = 1,
  DataType = 2,
  EnumeratedShapes = 21,
  ShapeRange = 31,
  IntDefault = 41,
  FloatDefault = 51,
  DoubleDefault = 61
};
}
namespace image {
enum : uint32_t {
  Width = 1,
  Height = 2,
  ColorSpace = 3,
  EnumeratedSizes = 21,
  SizeRange = 31
};
}
namespace sizerange { // of an image
enum : uint32_t { Width = 1, Height = 2 };
}
namespace range { // of one extent
enum : uint32_t { Low = 1, High = 2 };
}
namespace program {
enum : uint32_t { Version = 1, Functions = 2, Attributes = 4 };
}
namespace function {
enum : uint32_t { Inputs = 1, Opset = 2, Blocks = 3, Attributes = 4 };
}
namespace block {
enum : uint32_t { Inputs = 1, Outputs = 2, Operations = 3, Attributes = 4 };
}
namespace operation {
enum : uint32_t {
  Type = 1,
  Inputs = 2,
  Outputs = 3,
  Blocks = 4,
  Attributes = 5
};
}
namespace argument {
enum : uint32_t { Arguments = 1 };
}
namespace binding {
enum : uint32_t { Name = 1, Value = 2 };
}
namespace named {
enum : uint32_t { Name = 1, Type = 2 };
}
namespace valuetype {
enum : uint32_t { Tensor = 1, List = 2, Tuple = 3, Dictionary = 4, State = 5 };
}
namespace tensortype {
enum : uint32_t { DataType = 1, Rank = 2, Dimensions = 3 };
}
namespace dimension {
enum : uint32_t { Constant = 1, Unknown = 2 };
}
namespace value {
enum : uint32_t { Type = 2, Immediate = 3, Blob = 5 };
}
namespace immediate {
enum : uint32_t { Tensor = 1, Tuple = 2, List = 3, Dictionary = 4 };
}
namespace tensorvalue {
enum : uint32_t {
  Floats = 1,
  Ints = 2,
  Bools = 3,
  Strings = 4,
  LongInts = 5,
  Doubles = 6,
  Bytes = 7
};
}
namespace blob {
enum : uint32_t { FileName = 1, Offset = 2 };
}

/// MIL's DataType; strings are 2.
struct DataTypeCode {
  DType dtype;
  uint32_t code;
};
inline constexpr uint32_t kString = 2;
inline constexpr DataTypeCode kDataTypes[] = {
    {DType::Bool, 1},     {DType::Float16, 10},  {DType::Float32, 11},
    {DType::Float64, 12}, {DType::BFloat16, 13}, {DType::Int8, 21},
    {DType::Int16, 22},   {DType::Int32, 23},    {DType::Int64, 24},
    {DType::Int4, 25},    {DType::UInt8, 31},    {DType::UInt16, 32},
    {DType::UInt32, 33},  {DType::UInt64, 34},   {DType::UInt4, 35},
    {DType::UInt2, 36},   {DType::UInt1, 37},    {DType::UInt6, 38},
    {DType::UInt3, 39}};

/// Arrays at the boundary of a model.
inline constexpr uint32_t kArrayFloat16 = 65552, kArrayFloat32 = 65568,
                          kArrayDouble = 65600, kArrayInt8 = 131080,
                          kArrayInt32 = 131104;
/// Colour spaces of images.
inline constexpr uint32_t kGrayscale = 10, kRGB = 20, kBGR = 30,
                          kGrayscaleFloat16 = 40;

} // namespace mlir::ane::coreml

#endif // ANEMLIR_SUPPORT_COREMLFIELDS_H
