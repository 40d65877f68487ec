/*===- ane_runtime.h - running bundles through the in-memory runtime ------===*\
 *
 * Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
 *
 * A C interface (C99) to bundles (.anepkg): what is in one, sessions on a
 * device, requests. The library behind it needs neither LLVM nor MLIR, and no
 * SDK: the engine's classes are found by name when a device is opened. What it
 * does with them is the contract of dialects/ANE/engine/runtime.md, section 3.
 *
 *   ane_bundle *bundle;  ane_device *device;  ane_session *session;
 *   if (ane_bundle_open("model.anepkg", &bundle) || ...)
 *     fprintf(stderr, "%s\n", ane_last_error());
 *
 * Handles: a session keeps its bundle and device alive, so the order in which
 * the three are closed does not matter. Every function may be called from any
 * thread; one session is driven by one thread at a time, except that
 * ane_session_submit() and its callbacks may be anywhere. Strings that are
 * given out live as long as their handle. Structures begin with their size, so
 * that they can grow.
 *
\*===----------------------------------------------------------------------===*/

#ifndef ANEMLIR_RUNTIME_ANE_RUNTIME_H
#define ANEMLIR_RUNTIME_ANE_RUNTIME_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ANE_RUNTIME_VERSION 1

/* What went wrong, in classes that a caller can act on. */
typedef enum ane_status {
  ANE_OK = 0,
  ANE_INVALID_ARGUMENT = 1, /* the call: a null handle, a wrong size */
  ANE_BAD_BUNDLE = 2,       /* the files: truncated, contradictory, missing */
  ANE_NO_DEVICE = 3,        /* the framework is not here, or lacks a class */
  ANE_COMPILE_FAILED = 4,   /* the engine's compiler refused a program */
  ANE_LOAD_FAILED = 5,      /* a compiled program was not loaded */
  ANE_RUN_FAILED = 6,       /* a step failed; its outputs are undefined */
  ANE_BUDGET = 7,           /* a limit of the process would be exceeded */
  ANE_IO = 8,               /* the staging directory */
  ANE_OUT_OF_MEMORY = 9,
  ANE_NO_HOST = 10, /* a host step and no functions that run it */
  ANE_BUSY = 11     /* requests are in flight */
} ane_status;

/* "ANE_BUDGET". */
const char *ane_status_name(ane_status status);
/* What the last failure on this thread was: program, step and what to do about
 * it, in one line. Empty before the first. */
const char *ane_last_error(void);

typedef enum ane_dtype {
  ANE_FP16,
  ANE_FP32,
  ANE_FP64,
  ANE_BF16,
  ANE_BOOL, /* a byte, 0 or 1 */
  ANE_INT8,
  ANE_INT16,
  ANE_INT32,
  ANE_INT64,
  ANE_UINT8,
  ANE_UINT16,
  ANE_UINT32,
  ANE_UINT64
} ane_dtype;
/* "fp16", as in the manifest; bytes of one element. */
const char *ane_dtype_name(ane_dtype dtype);
size_t ane_dtype_size(ane_dtype dtype);

/*===- Bundles ------------------------------------------------------------===*/

typedef struct ane_bundle ane_bundle;

/* An input or output of the model, as the user knows it. */
typedef struct ane_port {
  const char *name;
  ane_dtype dtype;
  size_t rank;
  /* -1 where only a run tells (outputs of host steps alone). */
  const int64_t *shape;
  /* Of a packed, row-major array; 0 where an extent is -1. */
  size_t bytes;
} ane_port;

/* Reads manifest.fb of the folder and checks all of it; texts and weights are
 * mapped when a session needs them. */
ane_status ane_bundle_open(const char *path, ane_bundle **bundle);
void ane_bundle_close(ane_bundle *bundle);
/* Name of the target that it was made for: "h16". */
const char *ane_bundle_target(const ane_bundle *bundle);
size_t ane_bundle_input_count(const ane_bundle *bundle);
size_t ane_bundle_output_count(const ane_bundle *bundle);
ane_status ane_bundle_input(const ane_bundle *bundle, size_t index,
                            ane_port *port);
ane_status ane_bundle_output(const ane_bundle *bundle, size_t index,
                             ane_port *port);
/* Inputs and outputs above are those of the first function. A bundle has
 * several for several lengths (onnx-to-ane --dim NAME=N,M). */
typedef struct ane_function {
  size_t size; /* sizeof(ane_function) */
  const char *name;
  /* Dimensions that it was made for. */
  size_t dim_count;
  const char *const *dim_names;
  const int64_t *dim_values;
  size_t input_count, output_count, state_count;
} ane_function;
/* What a function keeps between calls; functions that name an input alike share
 * it. Zeros at first. */
typedef struct ane_state {
  size_t size; /* sizeof(ane_state) */
  size_t input, output;
  /* -1: the output is the next input. Else the output has new rows along this
   * axis of the input, which are written behind those that are there. */
  int64_t axis;
} ane_state;
size_t ane_bundle_function_count(const ane_bundle *bundle);
ane_status ane_bundle_get_function(const ane_bundle *bundle, size_t index,
                                   ane_function *function);
ane_status ane_bundle_function_input(const ane_bundle *bundle, size_t function,
                                     size_t index, ane_port *port);
ane_status ane_bundle_function_output(const ane_bundle *bundle, size_t function,
                                      size_t index, ane_port *port);
ane_status ane_bundle_function_state(const ane_bundle *bundle, size_t function,
                                     size_t index, ane_state *state);
/* By name. */
ane_status ane_bundle_find_function(const ane_bundle *bundle, const char *name,
                                    size_t *index);
/* The shortest that takes `length` of a dimension; null is the first in which
 * functions differ. */
ane_status ane_bundle_find_bucket(const ane_bundle *bundle, const char *dim,
                                  int64_t length, size_t *index);
/* The one that takes the next tokens of a text of which `left` are left: by
 * predicted times, the quickest way through functions that share states. */
ane_status ane_bundle_find_planned(const ane_bundle *bundle, int64_t left,
                                   size_t *index);
/* The plan itself: from so many tokens left on, that function; ascending. None
 * where functions do not keep states or do not differ in one length. */
size_t ane_bundle_plan_step_count(const ane_bundle *bundle);
ane_status ane_bundle_get_plan_step(const ane_bundle *bundle, size_t step,
                                    int64_t *from, size_t *function);
/* Whether a step of any function needs ane_session_options.host. */
int ane_bundle_has_host_steps(const ane_bundle *bundle);

/*===- Devices ------------------------------------------------------------===*/

typedef struct ane_device ane_device;

enum {
  /* Lock a surface around every access of the CPU. A lock costs 20 to 50 us;
   * evaluation is synchronous, so it is not needed where no one else maps the
   * surface (engine/runtime.md 3.6). */
  ANE_LOCK_SURFACES = 1,
  /* Do not remove staging directories on SIGHUP, SIGINT, SIGQUIT and SIGTERM.
   * Without it, handlers are installed where the process has none of its own.
   */
  ANE_NO_SIGNALS = 2,
  /* Fill what pads inputs with NaN instead of zeros: no result may depend on
   * it. */
  ANE_POISON_PADDING = 4,
  /* Install them also where the process has handlers, which are called after
   * the directories are gone: for those that end the process. */
  ANE_CHAIN_SIGNALS = 8
};

/* All zeros (but for the size) is what most want. */
typedef struct ane_device_options {
  size_t size; /* sizeof(ane_device_options) */
  /* "engine" (also when null): the engine, by its private framework. "host":
   * engine programs run by ane_session_options.host, on any system. */
  const char *kind;
  /* A library with the classes of the framework, or null for the variable
   * ANE_RUNTIME_FRAMEWORK, or Apple's. */
  const char *framework;
  /* Where staging directories are made; null for the temporary directory. */
  const char *staging;
  /* 1 to 4: which engine of an Ultra (its two are 1 and 2); 0 leaves it to the
   * system. */
  uint32_t instance;
  /* Compilations and resident programs of the process, requests in flight: 0
   * for what the records say (100, 127, 127), below 0 for no limit. */
  int32_t compile_budget, resident_limit, queue_depth;
  /* Before the next compilation when one failed; 0 for the record's 15,000,
   * below 0 for none. In milliseconds. */
  int32_t failed_compile_pause_ms;
  uint32_t flags;
} ane_device_options;

/* `options` may be null. Fails with ANE_NO_DEVICE and a sentence where the
 * framework is not. */
ane_status ane_device_open(const ane_device_options *options,
                           ane_device **device);
void ane_device_close(ane_device *device);

typedef struct ane_device_counts {
  size_t size; /* sizeof(ane_device_counts) */
  /* Of this process: compilations so far, programs loaded now, at most, and
   * unloaded to make room. */
  uint64_t compiles, resident, most_resident, evicted;
} ane_device_counts;
ane_status ane_device_get_counts(const ane_device *device,
                                 ane_device_counts *counts);

/*===- Host steps ---------------------------------------------------------===*/

/* An array of a host step. Strides are in bytes, one per axis; an array need
 * not be packed. */
typedef struct ane_host_buffer {
  ane_dtype dtype;
  size_t rank;
  const int64_t *shape, *strides;
  void *data;
  /* For outputs whose shape has an extent of -1 (else null): gives packed
   * memory for `shape`, and sets data, shape and strides. Null: no memory. */
  void *(*resize)(struct ane_host_buffer *buffer, size_t rank,
                  const int64_t *shape);
  void *owner;
} ane_host_buffer;

/* A program that the host runs. Pointers live until open() returns. */
typedef struct ane_host_program {
  size_t size;
  /* The bundle's folder; paths below are relative to it. */
  const char *bundle, *text, *target;
  size_t weight_count;
  /* Paths in the text ("@model_path/weights/weight.bin") and their files. */
  const char *const *weight_paths, *const *weight_files;
  const char *procedure;
  /* On a device of kind "host" also programs of the engine. */
  int is_engine;
} ane_host_program;

/* Functions that run host steps. Each fails by a status other than ANE_OK and
 * a sentence in `message`. run() may be called from several threads at once,
 * with the same state. */
typedef struct ane_host_functions {
  size_t size;
  void *context;
  ane_status (*open)(void *context, const ane_host_program *program,
                     void **state, char *message, size_t message_size);
  ane_status (*run)(void *state, const ane_host_buffer *inputs,
                    size_t input_count, ane_host_buffer *outputs,
                    size_t output_count, char *message, size_t message_size);
  void (*close)(void *state);
} ane_host_functions;

/*===- Sessions -----------------------------------------------------------===*/

typedef struct ane_session ane_session;

typedef struct ane_session_options {
  size_t size; /* sizeof(ane_session_options) */
  /* Live as long as the session; null where there are no host steps. */
  const ane_host_functions *host;
  /* Requests of ane_session_submit() that are worked on at once, each with its
   * own surfaces and thread; 0 for one. At most the device's queue depth. */
  uint32_t in_flight;
  /* The function that is selected first, by name; null for the bundle's first.
   */
  const char *function;
} ane_session_options;

/* Compiles and loads every engine program of the selected function, opens its
 * host programs. `options` may be null. */
ane_status ane_session_create(ane_bundle *bundle, ane_device *device,
                              const ane_session_options *options,
                              ane_session **session);
/* Waits for requests in flight; unloads and removes what was staged. */
void ane_session_close(ane_session *session);

/* Another function, whose programs are compiled and loaded now where they were
 * not before. Inputs, outputs, steps and what is bound are those of the
 * selected function from here on; states go along. With requests in flight:
 * ANE_BUSY. */
ane_status ane_session_select(ane_session *session, size_t function);
size_t ane_session_selected(const ane_session *session);

/* Where ane_session_run() reads an input or writes an output: packed, row-major
 * memory of the port's dtype, `bytes` of it, that lives until it is bound anew.
 * Null unbinds: the input stays as it is in its surface, the output is not
 * copied out. */
ane_status ane_session_bind_input(ane_session *session, size_t index,
                                  const void *data, size_t bytes);
ane_status ane_session_bind_output(ane_session *session, size_t index,
                                   void *data, size_t bytes);

/* The memory that a program reads or writes itself: what is put there is not
 * copied. Where an input feeds programs of several layouts, the others are
 * filled from this one. */
typedef struct ane_surface {
  void *data;
  ane_dtype dtype;
  size_t rank;
  const int64_t *shape;
  const int64_t *strides; /* in bytes, one per axis of the logical shape */
  /* IOSurfaceRef, or null where the memory is the host's. */
  void *iosurface;
} ane_surface;
/* Fails with ANE_INVALID_ARGUMENT for an array whose axes are merged or cut in
 * its surface so that no strides describe it, or whose values are not kept as
 * they are (integers). Valid until the next run where a state is carried. */
ane_status ane_session_input_surface(ane_session *session, size_t index,
                                     ane_surface *surface);
ane_status ane_session_output_surface(ane_session *session, size_t index,
                                      ane_surface *surface);

/* States. An output becomes that input of the next run without a copy where one
 * surface can be both; rows are written into the input's surface. What is bound
 * to a state's input is taken once, by the next run, and begins anew there; or
 * the input's surface is filled before the first run; zeros otherwise. A run
 * that fails leaves states as they were, or as they were given. Not with
 * in_flight above 1. */

/* Makes a state of two ports of the selected function that the bundle does not
 * have as one. */
ane_status ane_session_carry(ane_session *session, size_t output, size_t input);
/* All states of all functions: zeros, at position 0. */
ane_status ane_session_reset_states(ane_session *session);
/* Rows that the state behind an input of the selected function holds; 0 where
 * it has no rows. */
ane_status ane_session_state_position(const ane_session *session, size_t input,
                                      int64_t *position);

/* Runs on what is bound. */
ane_status ane_session_run(ane_session *session);

/* Of an output in the last run; `rank` holds the room at `shape` and becomes
 * the rank. */
ane_status ane_session_output_shape(const ane_session *session, size_t index,
                                    int64_t *shape, size_t *rank);

/* Of the last run, packed, in the port's dtype: for outputs whose extents only
 * the run tells. `bytes` is exactly what they take. */
ane_status ane_session_read_output(ane_session *session, size_t index,
                                   void *data, size_t bytes);

/* Called once for each request on a thread of the session; `message` is empty
 * when it went well. It may submit the next request (of any session), for which
 * it does not wait: ANE_BUSY where there is no room, which does not happen to
 * the one request that takes the place of the one that ended. It must not wait
 * for requests or close sessions. */
typedef void (*ane_callback)(void *user, ane_status status,
                             const char *message);
/* Runs on these arrays (one pointer per port, sizes as in ane_port) without
 * waiting for the end; blocks while as many requests as the session takes at
 * once are waiting. Outputs of unknown shape are refused. */
ane_status ane_session_submit(ane_session *session, const void *const *inputs,
                              void *const *outputs, ane_callback callback,
                              void *user);
/* Waits for all requests. */
ane_status ane_session_wait(ane_session *session);

/* A step of the schedule and what it took. */
typedef struct ane_step {
  size_t size;         /* sizeof(ane_step) */
  const char *program; /* text file in the bundle */
  int is_engine;       /* 0 for a host step */
  double predicted_us; /* the cost model's */
  double last_us, total_us;
  uint64_t runs;
} ane_step;
size_t ane_session_step_count(const ane_session *session);
ane_status ane_session_get_step(const ane_session *session, size_t index,
                                ane_step *step);

/* The results of a step of the last run (of ane_session_run() alone), for
 * looking inside: the tensor's name in the manifest, its packed values. */
typedef struct ane_value {
  size_t size; /* sizeof(ane_value) */
  const char *name;
  ane_dtype dtype;
  size_t rank;
  const int64_t *shape;
  size_t bytes;
} ane_value;
size_t ane_session_step_result_count(const ane_session *session, size_t step);
ane_status ane_session_step_result(ane_session *session, size_t step,
                                   size_t result, ane_value *value);
ane_status ane_session_read_step_result(ane_session *session, size_t step,
                                        size_t result, void *data,
                                        size_t bytes);

#ifdef __cplusplus
}
#endif

#endif /* ANEMLIR_RUNTIME_ANE_RUNTIME_H */
