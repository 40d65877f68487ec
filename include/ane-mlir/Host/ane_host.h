/*===- ane_host.h - host steps by the interpreter
--------------------------===*\
 *
 * Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
 *
 * Functions for ane_session_options.host: programs of a bundle that the engine
 * does not take, run by the reference interpreter. libane-host is one shared
 * library with MLIR inside; a program without host steps needs only
 * libane-runtime.
 *
\*===----------------------------------------------------------------------===*/

#ifndef ANEMLIR_HOST_ANE_HOST_H
#define ANEMLIR_HOST_ANE_HOST_H

#include "ane-mlir/Runtime/ane_runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The functions; they live as long as the process. `numerics` is what engine
 * programs round to on a device of kind "host": "fp32", "fp16" or "engine", or
 * null for "engine". Null for another word.
 *
 * Products of floats go through a library with cblas_sgemm where there is one:
 * Accelerate on a Mac, the file that ANE_HOST_BLAS names elsewhere (or "none").
 * Its sums are in another order than the interpreter's own. */
const ane_host_functions *ane_host_interpreter(const char *numerics);

#ifdef __cplusplus
}
#endif

#endif /* ANEMLIR_HOST_ANE_HOST_H */
