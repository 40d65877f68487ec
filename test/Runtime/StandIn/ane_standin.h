/*===- ane_standin.h - a Neural Engine framework without an engine
----------===*\
 *
 * Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
 *
 * libane-standin has the classes of Apple's private framework that load and run
 * MIL text, with this project's interpreter in place of the engine. It is as
 * unforgiving as machines were seen to be; README.md beside this file says what
 * it enforces and what it cannot know.
 *
 * How it behaves is said by the variable ANE_STANDIN, or by
 * ane_standin_configure(): words with ';' between them.
 *
 *   target=h16      which engine (rules, numerics); h16 is the default
 *   engine=none     evaluations leave outputs alone: for measuring a loader
 *   compiles=119    compilations before they fail, 0 for no limit
 *   resident=127    loaded programs before a load fails
 *   depth=127       evaluations at once; more of them wait
 *   stall=15000     milliseconds that a failed compilation blocks the next
 *   cache=0         compiledModelExists is always NO
 *   rules=0         text that breaks a rule of the target compiles
 *   lift=ID,ID      a machine that these rules are not true of: rules and
 *                   limits of operations, what is computed wrongly (L15,
 *                   L20, L23, L25), L02, L13, L40, L41, L42, L72
 *   enforce=ID,ID   a machine that these rules are true of, which sources
 *                   disagree about and no target has by itself: L01, L04, L11,
 *                   L16, L18, L22, L30, L31
 *   firstload=1     the first load of each program fails
 *   url=0           models do not respond to setModelURL:
 *   fail=KIND:N     the N-th call of a kind fails; 0 is each of them
 *   raise=KIND:N    the N-th call raises an exception
 *   die=KIND:N      the process ends in the N-th call (SIGKILL)
 *   delay=KIND:US   each call of a kind takes so many microseconds longer
 *   report=FILE     counts are written there at exit, as JSON
 *
 * Kinds: descriptor model compile load unload evaluate surface object request,
 * and any.
 *
\*===----------------------------------------------------------------------===*/

#ifndef ANE_STANDIN_H
#define ANE_STANDIN_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ane_standin_counts {
  /* Calls of each kind since the last ane_standin_configure(). */
  uint64_t descriptors, models, compiles, loads, unloads, evaluates, surfaces,
      objects, requests, calls;
  /* What is alive: it survives ane_standin_configure(), from which on
   * most_in_flight is counted. */
  uint64_t live_surfaces, live_programs, most_programs, in_flight,
      most_in_flight;
} ane_standin_counts;

void ane_standin_configure(const char *words);
void ane_standin_get_counts(ane_standin_counts *counts);

#ifdef __cplusplus
}
#endif

#endif /* ANE_STANDIN_H */
