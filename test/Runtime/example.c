/* Runs a bundle once on zeros and prints the first values: cc -std=c99 example.c -lane-runtime … (README, "A runtime").
 * example BUNDLE [engine|host]; host steps want -DWITH_HOST and -lane-host. */
#include "ane-mlir/Runtime/ane_runtime.h"
#ifdef WITH_HOST
#include "ane-mlir/Host/ane_host.h"
#endif
#include <stdio.h>
#include <stdlib.h>

static void check(ane_status status) {
  if (status == ANE_OK)
    return;
  fprintf(stderr, "%s: %s\n", ane_status_name(status), ane_last_error());
  exit(1);
}

int main(int argc, char **argv) {
  ane_bundle *bundle;
  ane_device *device;
  ane_session *session;
  ane_device_options on = {.size = sizeof on};
  ane_session_options with = {.size = sizeof with};
  ane_port port;
  size_t i, k;

  if (argc < 2)
    return fprintf(stderr, "example BUNDLE [engine|host]\n"), 2;
  on.kind = argc > 2 ? argv[2] : "engine";
#ifdef WITH_HOST
  with.host = ane_host_interpreter("engine");
#endif
  check(ane_bundle_open(argv[1], &bundle));
  check(ane_device_open(&on, &device));
  check(ane_session_create(bundle, device, &with, &session));

  for (i = 0; i < ane_bundle_input_count(bundle); ++i) {
    check(ane_bundle_input(bundle, i, &port));
    check(ane_session_bind_input(session, i, calloc(port.bytes, 1), port.bytes));
  }
  void **results = calloc(ane_bundle_output_count(bundle) + 1, sizeof(void *));
  for (i = 0; i < ane_bundle_output_count(bundle); ++i) {
    check(ane_bundle_output(bundle, i, &port));
    results[i] = malloc(port.bytes + 1);
    check(ane_session_bind_output(session, i, results[i], port.bytes));
  }
  check(ane_session_run(session));
  for (i = 0; i < ane_bundle_output_count(bundle); ++i) {
    check(ane_bundle_output(bundle, i, &port));
    printf("%s: %s", port.name, ane_dtype_name(port.dtype));
    for (k = 0; port.dtype == ANE_FP32 && k < 4 && k < port.bytes / 4; ++k)
      printf(" %g", ((float *)results[i])[k]);
    printf("\n");
  }
  ane_session_close(session);
  ane_device_close(device);
  ane_bundle_close(bundle);
  return 0;
}
