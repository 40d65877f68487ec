/*===- Faults.h - what the stand-in is told to do
---------------------------===*\
 *
 * Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
 *
\*===----------------------------------------------------------------------===*/

#ifndef ANE_STANDIN_FAULTS_H
#define ANE_STANDIN_FAULTS_H

#include "ane_standin.h"

typedef enum standin_kind {
  STANDIN_DESCRIPTOR,
  STANDIN_MODEL,
  STANDIN_COMPILE,
  STANDIN_LOAD,
  STANDIN_UNLOAD,
  STANDIN_EVALUATE,
  STANDIN_SURFACE,
  STANDIN_OBJECT,
  STANDIN_REQUEST,
  STANDIN_ANY,
  STANDIN_KINDS
} standin_kind;

typedef enum standin_fault {
  STANDIN_GOES_ON,
  STANDIN_FAILS,
  STANDIN_RAISES
} standin_fault;

typedef struct standin_settings {
  char target[32], report[1024], lifted[256], enforced[256];
  int no_engine, no_cache, no_rules, no_url, first_load;
  long compiles, resident, depth, stall_ms;
  /* Counts calls of ane_standin_configure(). */
  unsigned generation;
} standin_settings;

/* Whether the machine is one that a rule is not true of. */
int standin_is_lifted(const char *rule);
/* The settings in force. */
const standin_settings *standin_settings_now(void);
/* Counts a call, waits as long as it is told to, and ends the process where it
 * is told to. */
standin_fault standin_call(standin_kind kind);
/* Adds to what is alive. */
void standin_surface_lives(int change);
void standin_program_lives(int change);
uint64_t standin_live_programs(void);
/* Around an evaluation: waits while the queue is full, and as long as an
 * evaluation is told to take. */
void standin_enter(void);
void standin_leave(void);

#endif /* ANE_STANDIN_FAULTS_H */
