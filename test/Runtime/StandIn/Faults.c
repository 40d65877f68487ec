/*===- Faults.c - what the stand-in is told to do ---------------------------===*\
 *
 * Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
 *
\*===----------------------------------------------------------------------===*/

#include "Faults.h"
#include "lib/Runtime/FactsC.h"
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const kKinds[STANDIN_KINDS] = {
    "descriptor", "model",   "compile", "load",    "unload",
    "evaluate",   "surface", "object",  "request", "any"};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static standin_settings settings;
static uint64_t calls[STANDIN_KINDS];
/* Which call of a kind fails, raises, ends the process; -1 none, 0 each. */
static long fails[STANDIN_KINDS], raises[STANDIN_KINDS], dies[STANDIN_KINDS],
    delays[STANDIN_KINDS];
static uint64_t surfaces, programs, most_programs, in_flight, most_in_flight;
static int configured;

static void set_number(long *numbers, const char *value) {
  const char *colon = strchr(value, ':');
  for (int kind = 0; colon && kind < STANDIN_KINDS; ++kind)
    if (strlen(kKinds[kind]) == (size_t)(colon - value) &&
        !strncmp(kKinds[kind], value, (size_t)(colon - value))) {
      numbers[kind] = atol(colon + 1);
      return;
    }
  fprintf(stderr, "ane-standin: expects KIND:N, but got '%s'\n", value);
  exit(2);
}

static void set_word(const char *key, const char *value) {
  if (!strcmp(key, "target"))
    snprintf(settings.target, sizeof settings.target, "%s", value);
  else if (!strcmp(key, "report"))
    snprintf(settings.report, sizeof settings.report, "%s", value);
  else if (!strcmp(key, "lift"))
    snprintf(settings.lifted, sizeof settings.lifted, ",%s,", value);
  else if (!strcmp(key, "enforce"))
    snprintf(settings.enforced, sizeof settings.enforced, "%s", value);
  else if (!strcmp(key, "engine"))
    settings.no_engine = !strcmp(value, "none");
  else if (!strcmp(key, "cache"))
    settings.no_cache = !atoi(value);
  else if (!strcmp(key, "rules"))
    settings.no_rules = !atoi(value);
  else if (!strcmp(key, "url"))
    settings.no_url = !atoi(value);
  else if (!strcmp(key, "firstload"))
    settings.first_load = atoi(value);
  else if (!strcmp(key, "compiles"))
    settings.compiles = atol(value);
  else if (!strcmp(key, "resident"))
    settings.resident = atol(value);
  else if (!strcmp(key, "depth"))
    settings.depth = atol(value);
  else if (!strcmp(key, "stall"))
    settings.stall_ms = atol(value);
  else if (!strcmp(key, "fail"))
    set_number(fails, value);
  else if (!strcmp(key, "raise"))
    set_number(raises, value);
  else if (!strcmp(key, "die"))
    set_number(dies, value);
  else if (!strcmp(key, "delay"))
    set_number(delays, value);
  else {
    fprintf(stderr, "ane-standin: knows no word '%s' (see ane_standin.h)\n",
            key);
    exit(2);
  }
}

static void report(void) {
  ane_standin_counts now;
  FILE *file = settings.report[0] ? fopen(settings.report, "w") : NULL;
  if (!file)
    return;
  ane_standin_get_counts(&now);
  fprintf(file,
          "{\"compiles\": %llu, \"loads\": %llu, \"unloads\": %llu, "
          "\"evaluates\": %llu, \"calls\": %llu, \"live_surfaces\": %llu, "
          "\"live_programs\": %llu, \"most_programs\": %llu, "
          "\"most_in_flight\": %llu}\n",
          (unsigned long long)now.compiles, (unsigned long long)now.loads,
          (unsigned long long)now.unloads, (unsigned long long)now.evaluates,
          (unsigned long long)now.calls, (unsigned long long)now.live_surfaces,
          (unsigned long long)now.live_programs,
          (unsigned long long)now.most_programs,
          (unsigned long long)now.most_in_flight);
  fclose(file);
}

/* Under the mutex. */
static void configure(const char *words) {
  static int registered;
  if (!registered && (registered = 1))
    atexit(report);
  configured = 1;
  unsigned generation = settings.generation + 1;
  memset(&settings, 0, sizeof settings);
  settings.generation = generation;
  strcpy(settings.target, "h16");
  settings.compiles = ANE_FACT_compileLimit;
  settings.resident = ANE_FACT_residentLimit;
  settings.depth = ANE_FACT_queueDepth;
  settings.stall_ms = ANE_FACT_failedCompilePauseMs;
  most_in_flight = in_flight;
  memset(calls, 0, sizeof calls);
  memset(delays, 0, sizeof delays);
  for (int kind = 0; kind < STANDIN_KINDS; ++kind)
    fails[kind] = raises[kind] = dies[kind] = -1;
  char *copy = strdup(words ? words : ""), *rest = copy;
  for (char *word; copy && (word = strtok_r(rest, ";", &rest));) {
    char *value = strchr(word, '=');
    if (!value) {
      fprintf(stderr, "ane-standin: expects WORD=VALUE, but got '%s'\n", word);
      exit(2);
    }
    *value++ = 0;
    set_word(word, value);
  }
  free(copy);
}

void ane_standin_configure(const char *words) {
  pthread_mutex_lock(&mutex);
  configure(words);
  pthread_mutex_unlock(&mutex);
}

const standin_settings *standin_settings_now(void) {
  pthread_mutex_lock(&mutex);
  if (!configured)
    configure(getenv("ANE_STANDIN"));
  pthread_mutex_unlock(&mutex);
  return &settings;
}

void ane_standin_get_counts(ane_standin_counts *counts) {
  pthread_mutex_lock(&mutex);
  const uint64_t *of = calls;
  *counts = (ane_standin_counts){
      of[STANDIN_DESCRIPTOR], of[STANDIN_MODEL],  of[STANDIN_COMPILE],
      of[STANDIN_LOAD],       of[STANDIN_UNLOAD], of[STANDIN_EVALUATE],
      of[STANDIN_SURFACE],    of[STANDIN_OBJECT], of[STANDIN_REQUEST],
      of[STANDIN_ANY],        surfaces,           programs,
      most_programs,          in_flight,          most_in_flight};
  pthread_mutex_unlock(&mutex);
}

static int is_told(const long *numbers, standin_kind kind) {
  return numbers[kind] == 0 || (numbers[kind] > 0 &&
                                (uint64_t)numbers[kind] == calls[kind]);
}

standin_fault standin_call(standin_kind kind) {
  standin_settings_now();
  pthread_mutex_lock(&mutex);
  ++calls[kind];
  ++calls[STANDIN_ANY];
  int dying = is_told(dies, kind) || is_told(dies, STANDIN_ANY);
  standin_fault fault =
      is_told(raises, kind) || is_told(raises, STANDIN_ANY)  ? STANDIN_RAISES
      : is_told(fails, kind) || is_told(fails, STANDIN_ANY) ? STANDIN_FAILS
                                                            : STANDIN_GOES_ON;
  /* An evaluation takes its time in the queue: standin_enter(). */
  long delay = kind == STANDIN_EVALUATE ? 0 : delays[kind] + delays[STANDIN_ANY];
  pthread_mutex_unlock(&mutex);
  if (delay)
    usleep((useconds_t)delay);
  if (dying)
    raise(SIGKILL);
  return fault;
}

int standin_is_lifted(const char *rule) {
  char word[32];
  snprintf(word, sizeof word, ",%s,", rule);
  return strstr(standin_settings_now()->lifted, word) != NULL;
}

void standin_surface_lives(int change) {
  pthread_mutex_lock(&mutex);
  surfaces += (uint64_t)(int64_t)change;
  pthread_mutex_unlock(&mutex);
}
void standin_program_lives(int change) {
  pthread_mutex_lock(&mutex);
  programs += (uint64_t)(int64_t)change;
  if (programs > most_programs)
    most_programs = programs;
  pthread_mutex_unlock(&mutex);
}
uint64_t standin_live_programs(void) {
  pthread_mutex_lock(&mutex);
  uint64_t now = programs;
  pthread_mutex_unlock(&mutex);
  return now;
}

void standin_enter(void) {
  pthread_mutex_lock(&mutex);
  while (settings.depth > 0 && in_flight >= (uint64_t)settings.depth)
    pthread_cond_wait(&changed, &mutex);
  if (++in_flight > most_in_flight)
    most_in_flight = in_flight;
  long delay = delays[STANDIN_EVALUATE] + delays[STANDIN_ANY];
  pthread_mutex_unlock(&mutex);
  if (delay)
    usleep((useconds_t)delay);
}
void standin_leave(void) {
  pthread_mutex_lock(&mutex);
  --in_flight;
  pthread_cond_signal(&changed);
  pthread_mutex_unlock(&mutex);
}
