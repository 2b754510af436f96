// SPDX-License-Identifier: BSD-3-Clause
#include "common/crc32c.h"

#include "common/crc32c_impl.h"

#include <isa-l/crc.h>

#include <immintrin.h>
#include <string.h>

#define POLY 0x82f63b78u // reflected: bit 31 stands for x^0

// One piece of message is moved 'bits' further up by two carry-less products: its first 8 bytes
// times lo, its last 8 bytes times hi.
struct fold {
	uint64_t lo, hi;
};

static struct fold fold_2048, fold_512, fold_128;

// x^n mod P in the 64-bit reflected form in which bit 63 stands for x^0.
static uint64_t xpow(unsigned n)
{
	uint32_t r = 0x80000000u;

	while (n--)
		r = r & 1 ? r >> 1 ^ POLY : r >> 1;
	return (uint64_t)r << 32;
}

// A product of two reflected 64-bit numbers comes out shifted by one: hence the 63 and the -1.
static struct fold fold_by(unsigned bits)
{
	return (struct fold){.lo = xpow(bits + 63), .hi = xpow(bits - 1)};
}

__attribute__((target("sse4.2"))) static uint32_t crc_serial(
	uint32_t crc, const uint8_t *p, size_t len)
{
	uint64_t c = crc;

	for (; len >= 8; len -= 8, p += 8) {
		uint64_t v;

		memcpy(&v, p, 8);
		c = _mm_crc32_u64(c, v);
	}
	for (; len; len--, p++)
		c = _mm_crc32_u8((uint32_t)c, *p);
	return (uint32_t)c;
}

#define VPCLMUL __attribute__((target("avx512f,avx512vl,avx512bw,avx512dq,vpclmulqdq,sse4.2")))

VPCLMUL static inline __m512i fold_512_lanes(__m512i x, __m512i k, __m512i next)
{
	__m512i lo = _mm512_clmulepi64_epi128(x, k, 0x00);
	__m512i hi = _mm512_clmulepi64_epi128(x, k, 0x11);

	return _mm512_ternarylogic_epi64(lo, hi, next, 0x96); // xor of three
}

VPCLMUL static inline __m512i fold_broadcast(struct fold f)
{
	return _mm512_broadcast_i64x2(_mm_set_epi64x((long long)f.hi, (long long)f.lo));
}

// Four lanes of 128 bits to the 32 bits they are congruent to.
VPCLMUL static uint32_t reduce(__m512i x)
{
	__m512i k = fold_broadcast(fold_128);
	__m512i sum = x;
	uint64_t words[8];

	// The first lane moves up lane by lane and takes in the next on each step.
	for (int i = 0; i < 3; i++) {
		x = _mm512_alignr_epi64(_mm512_setzero_si512(), x, 2);
		sum = fold_512_lanes(sum, k, x);
	}
	_mm512_storeu_si512(words, sum);
	return (uint32_t)_mm_crc32_u64(_mm_crc32_u64(0, words[0]), words[1]);
}

VPCLMUL static uint32_t crc_vpclmul(uint32_t crc, const uint8_t *p, size_t len)
{
	__m512i k, a, b, c, d;

	if (len < 256)
		return crc_serial(crc, p, len);
	k = fold_broadcast(fold_2048);
	a = _mm512_xor_si512(
		_mm512_loadu_si512(p), _mm512_castsi128_si512(_mm_cvtsi32_si128((int)crc)));
	b = _mm512_loadu_si512(p + 64);
	c = _mm512_loadu_si512(p + 128);
	d = _mm512_loadu_si512(p + 192);
	for (len -= 256, p += 256; len >= 256; len -= 256, p += 256) {
		a = fold_512_lanes(a, k, _mm512_loadu_si512(p));
		b = fold_512_lanes(b, k, _mm512_loadu_si512(p + 64));
		c = fold_512_lanes(c, k, _mm512_loadu_si512(p + 128));
		d = fold_512_lanes(d, k, _mm512_loadu_si512(p + 192));
	}
	k = fold_broadcast(fold_512);
	b = fold_512_lanes(a, k, b);
	c = fold_512_lanes(b, k, c);
	d = fold_512_lanes(c, k, d);
	for (; len >= 64; len -= 64, p += 64)
		d = fold_512_lanes(d, k, _mm512_loadu_si512(p));
	return crc_serial(reduce(d), p, len);
}

// ISA-L takes an int for the length and inverts nothing.
static uint32_t crc_isal(uint32_t crc, const uint8_t *p, size_t len)
{
	while (len) {
		int part = len > 1 << 30 ? 1 << 30 : (int)len;

		crc = crc32_iscsi((unsigned char *)(uintptr_t)p, part, crc);
		p += part;
		len -= (size_t)part;
	}
	return crc;
}

const struct crc32c_impl crc32c_impls[] = {
	{"vpclmul", crc_vpclmul},
	{"isal", crc_isal},
};

static const struct crc32c_impl *chosen = &crc32c_impls[1];

bool crc32c_has_vpclmul(void)
{
	return __builtin_cpu_supports("vpclmulqdq") && __builtin_cpu_supports("avx512f") &&
	       __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
	       __builtin_cpu_supports("avx512dq");
}

// Before main(), hence before any thread.
__attribute__((constructor)) static void choose(void)
{
	__builtin_cpu_init();
	fold_2048 = fold_by(2048);
	fold_512 = fold_by(512);
	fold_128 = fold_by(128);
	if (crc32c_has_vpclmul())
		chosen = &crc32c_impls[0];
}

uint32_t crc32c(const void *data, size_t len)
{
	return ~chosen->update(0xffffffffu, data, len);
}

const char *crc32c_impl(void)
{
	return chosen->name;
}
