//===- ANE.h - the ane dialect --------------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// The dialect with all its ops, for users elsewhere. Files of this project
// include the families that they name: each is compiled again only when one of
// those changes. What the dialect is for: dialects/ANE/README.md.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_DIALECTS_ANE_IR_ANE_H
#define ANEMLIR_DIALECTS_ANE_IR_ANE_H

#include "dialects/ANE/IR/ANEBase.h"
#include "dialects/ANE/IR/Families.h"

#endif // ANEMLIR_DIALECTS_ANE_IR_ANE_H
