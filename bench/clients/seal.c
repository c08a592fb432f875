// Seals TLS records of full size and nothing else: what encryption alone takes on this core.
//
//   seal SECONDS        prints the CPU time of 1 MiB in nanoseconds
#define NO_COMPAT_IMB_API_053
#include <intel-ipsec-mb.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { kRecord = 16384, kRecordsOfMiB = 64, kTag = 16 };

static double cpu_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int count, char** arguments) {
  if (count != 2) {
    fprintf(stderr, "seal SECONDS\n");
    return 2;
  }
  static uint8_t plain[kRecord], sealed[kRecord + kTag];
  static struct gcm_key_data key __attribute__((aligned(64)));
  struct gcm_context_data state __attribute__((aligned(64)));
  uint8_t nonce[12] = {0}, additional[5] = {23, 3, 3, 64, 17};
  IMB_MGR* functions = alloc_mb_mgr(0);
  if (!functions) return 1;
  init_mb_mgr_auto(functions, NULL);
  IMB_AES128_GCM_PRE(functions, plain, &key);
  const double begin = cpu_seconds(), end = begin + atof(arguments[1]);
  long mebibytes = 0;
  double now = begin;
  for (; now < end; now = cpu_seconds(), ++mebibytes) {
    for (int i = 0; i < kRecordsOfMiB; ++i) {
      ++nonce[i % 8];
      IMB_AES128_GCM_ENC(functions, &key, &state, sealed, plain, kRecord, nonce, additional,
                         sizeof additional, sealed + kRecord, kTag);
    }
  }
  printf("%.0f\n", (now - begin) * 1e9 / (double)mebibytes);
  free_mb_mgr(functions);
  return 0;
}
