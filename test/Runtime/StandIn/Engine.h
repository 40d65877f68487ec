/*===- Engine.h - the stand-in's engine: our interpreter
--------------------===*\
 *
 * Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
 *
 * What the classes in StandIn.m ask for, in C.
 *
\*===----------------------------------------------------------------------===*/

#ifndef ANEMLIR_STANDIN_ENGINE_H
#define ANEMLIR_STANDIN_ENGINE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct standin_program standin_program;

/* A parameter of the program, in declared order. */
typedef struct standin_parameter {
  const char *symbol;
  int64_t shape[4];
  uint64_t row_stride, plane_stride, batch_stride;
  /* Bytes that its surface must have. */
  uint64_t required;
} standin_parameter;

/* Compiles FOLDER/model.mil for a target ("h16"), with its rules or without;
 * `is_lifted` says which of them are none, `enforced` (ID,ID) which more are.
 * Null on failure, with the compiler's code and words. */
standin_program *standin_compile(const char *folder, const char *target,
                                 int rules, int (*is_lifted)(const char *),
                                 const char *enforced, long *code,
                                 char *message, size_t size);
void standin_free(standin_program *program);
size_t standin_input_count(const standin_program *program);
size_t standin_output_count(const standin_program *program);
const standin_parameter *standin_input(const standin_program *program,
                                       size_t index);
const standin_parameter *standin_output(const standin_program *program,
                                        size_t index);
/* Runs on bytes of surfaces, in declared order. 0, or -1 with words. */
int standin_run(standin_program *program, const void *const *inputs,
                void *const *outputs, char *message, size_t size);
/* SHA-256 in hexadecimal digits and a NUL: 65 bytes. */
void standin_hash(const void *data, size_t size, char *digits);

#ifdef __cplusplus
}
#endif

#endif /* ANEMLIR_STANDIN_ENGINE_H */
