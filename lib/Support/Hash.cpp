//===- Hash.cpp - SHA-256 at the speed of the machine ---------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Support/Hash.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include <cstring>
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__) && defined(__ARM_FEATURE_SHA2)
#include <arm_neon.h>
#endif

using namespace mlir::ane;

// The first 32 bits of the fractional parts of the cube roots of the first 64
// primes (FIPS 180-4, 4.2.2).
alignas(16) static constexpr uint32_t kRound[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1,
    0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
    0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
    0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
    0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
    0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
    0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
    0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
    0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

#if defined(__x86_64__)

static bool hasInstructions() {
  return __builtin_cpu_supports("sha") && __builtin_cpu_supports("sse4.1");
}

/// The instructions hold the eight words as A B E F and C D G H, highest first.
__attribute__((target("sha,sse4.1"))) static void
addWithInstructions(uint32_t state[8], const uint8_t *data, size_t count) {
  const __m128i bigEndian =
      _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
  __m128i abef = _mm_set_epi32(state[0], state[1], state[4], state[5]);
  __m128i cdgh = _mm_set_epi32(state[2], state[3], state[6], state[7]);
  for (; count; --count, data += 64) {
    __m128i words[4], abefBefore = abef, cdghBefore = cdgh;
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i) {
      __m128i &next = words[i % 4];
      if (i < 4) {
        next = _mm_shuffle_epi8(
            _mm_loadu_si128(reinterpret_cast<const __m128i *>(data) + i),
            bigEndian);
      } else {
        // Of the words 16, 15, 7 and 2 before each.
        __m128i last = words[(i + 3) % 4];
        __m128i seventh = _mm_alignr_epi8(last, words[(i + 2) % 4], 4);
        next = _mm_sha256msg2_epu32(
            _mm_add_epi32(_mm_sha256msg1_epu32(next, words[(i + 1) % 4]),
                          seventh),
            last);
      }
      __m128i sum = _mm_add_epi32(
          next, _mm_load_si128(reinterpret_cast<const __m128i *>(kRound) + i));
      cdgh = _mm_sha256rnds2_epu32(cdgh, abef, sum);
      abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(sum, 0x0e));
    }
    abef = _mm_add_epi32(abef, abefBefore);
    cdgh = _mm_add_epi32(cdgh, cdghBefore);
  }
  alignas(16) uint32_t upper[4], lower[4];
  _mm_store_si128(reinterpret_cast<__m128i *>(upper), abef);
  _mm_store_si128(reinterpret_cast<__m128i *>(lower), cdgh);
  state[0] = upper[3], state[1] = upper[2], state[4] = upper[1];
  state[5] = upper[0], state[2] = lower[3], state[3] = lower[2];
  state[6] = lower[1], state[7] = lower[0];
}

#elif defined(__aarch64__) && defined(__ARM_FEATURE_SHA2)

static bool hasInstructions() { return true; }

static void addWithInstructions(uint32_t state[8], const uint8_t *data,
                                size_t count) {
  uint32x4_t abcd = vld1q_u32(state), efgh = vld1q_u32(state + 4);
  for (; count; --count, data += 64) {
    uint32x4_t words[4], abcdBefore = abcd, efghBefore = efgh;
    for (int i = 0; i < 16; ++i) {
      uint32x4_t &next = words[i % 4];
      if (i < 4)
        next = vreinterpretq_u32_u8(vrev32q_u8(vld1q_u8(data + 16 * i)));
      else
        next = vsha256su1q_u32(vsha256su0q_u32(next, words[(i + 1) % 4]),
                               words[(i + 2) % 4], words[(i + 3) % 4]);
      uint32x4_t sum = vaddq_u32(next, vld1q_u32(kRound + 4 * i));
      uint32x4_t before = abcd;
      abcd = vsha256hq_u32(abcd, efgh, sum);
      efgh = vsha256h2q_u32(efgh, before, sum);
    }
    abcd = vaddq_u32(abcd, abcdBefore);
    efgh = vaddq_u32(efgh, efghBefore);
  }
  vst1q_u32(state, abcd);
  vst1q_u32(state + 4, efgh);
}

#else

static bool hasInstructions() { return false; }
static void addWithInstructions(uint32_t *, const uint8_t *, size_t) {}

#endif

Hash::Hash(bool portable)
    : fast(!portable && hasInstructions()),
      state{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
            0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19} {}

void Hash::addBlocks(const uint8_t *data, size_t count) {
  addWithInstructions(state, data, count);
}

void Hash::update(llvm::ArrayRef<char> data) {
  auto *bytes = reinterpret_cast<const uint8_t *>(data.data());
  size_t size = data.size();
  if (!fast)
    return slow.update(llvm::ArrayRef<uint8_t>(bytes, size));
  total += size;
  if (restSize) {
    size_t part = std::min(size, sizeof(rest) - restSize);
    memcpy(rest + restSize, bytes, part);
    restSize += part, bytes += part, size -= part;
    if (restSize < sizeof(rest))
      return;
    addBlocks(rest, 1);
    restSize = 0;
  }
  addBlocks(bytes, size / 64);
  restSize = size % 64;
  if (restSize)
    memcpy(rest, bytes + size - restSize, restSize);
}

std::string Hash::finish() {
  if (!fast)
    return llvm::toHex(slow.final(), /*LowerCase=*/true);
  // A one bit, zeros, and the number of bits, up to a whole block.
  uint64_t bits = total * 8;
  char end[72] = {char(0x80)};
  size_t zeros = (restSize < 56 ? 56 : 120) - restSize;
  update(llvm::ArrayRef<char>(end, zeros));
  char length[8];
  llvm::support::endian::write64be(length, bits);
  update(llvm::ArrayRef<char>(length, 8));
  uint8_t sum[32];
  for (int i = 0; i < 8; ++i)
    llvm::support::endian::write32be(sum + 4 * i, state[i]);
  return llvm::toHex(llvm::ArrayRef<uint8_t>(sum), /*LowerCase=*/true);
}

/// Read in pieces, since a file that shrinks while mapped ends the process.
static llvm::Expected<std::string> sumOf(llvm::StringRef path) {
  auto file = llvm::sys::fs::openNativeFileForRead(path);
  if (!file)
    return file.takeError();
  Hash hash;
  std::vector<char> buffer(1 << 20);
  llvm::Error error = llvm::Error::success();
  for (;;) {
    llvm::Expected<size_t> size = llvm::sys::fs::readNativeFile(
        *file, llvm::MutableArrayRef<char>(buffer));
    if (!size)
      error = llvm::joinErrors(std::move(error), size.takeError());
    if (!size || !*size)
      break;
    hash.update(llvm::ArrayRef<char>(buffer).take_front(*size));
  }
  llvm::sys::fs::closeFile(*file);
  if (error)
    return error;
  return hash.finish();
}

bool mlir::ane::isHashName(llvm::StringRef path) {
  llvm::StringRef stem = llvm::sys::path::stem(path);
  return stem.size() == 64 && llvm::all_of(stem, llvm::isHexDigit);
}

llvm::Error mlir::ane::checkHashName(llvm::StringRef path,
                                     llvm::ArrayRef<char> mapped) {
  if (!isHashName(path))
    return llvm::Error::success();
  llvm::Expected<std::string> sum = sumOf(path);
  if (!sum && !mapped.empty() && !llvm::sys::fs::exists(path)) {
    llvm::consumeError(sum.takeError());
    Hash hash;
    hash.update(mapped);
    sum = hash.finish();
  }
  if (!sum)
    return llvm::createStringError("cannot read '" + path +
                                   "': " + llvm::toString(sum.takeError()));
  if (llvm::sys::path::stem(path).equals_insensitive(*sum))
    return llvm::Error::success();
  return llvm::createStringError(
      "'" + path +
      "' is corrupt: its name is a SHA-256 sum that its contents "
      "do not have (" +
      *sum + ")");
}
