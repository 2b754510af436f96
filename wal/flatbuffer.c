// SPDX-License-Identifier: BSD-3-Clause
#include "wal/flatbuffer.h"

#include <string.h>

void flat_put(struct flat *w, const void *data, uint32_t len)
{
	if (len <= w->cap && w->len <= w->cap - len)
		memcpy(w->at + w->len, data, len);
	w->len = len > FLAT_OVERFLOW - w->len ? FLAT_OVERFLOW : w->len + len;
}

void flat_put16(struct flat *w, unsigned v)
{
	uint16_t n = (uint16_t)v;

	flat_put(w, &n, sizeof(n));
}

void flat_put32(struct flat *w, uint32_t v)
{
	flat_put(w, &v, sizeof(v));
}

void flat_put64(struct flat *w, uint64_t v)
{
	flat_put(w, &v, sizeof(v));
}

void flat_align(struct flat *w, uint32_t to, uint32_t less)
{
	while (w->len < FLAT_OVERFLOW && (w->len + less) % to != 0)
		flat_put(w, "", 1);
}

uint32_t flat_put_ref(struct flat *w)
{
	flat_put32(w, 0);
	return w->len - 4;
}

void flat_resolve(struct flat *w, uint32_t ref)
{
	uint32_t distance = w->len - ref;

	if (w->len <= w->cap)
		memcpy(w->at + ref, &distance, sizeof(distance));
}

uint32_t flat_put_vtable(struct flat *w, const uint16_t *fields, unsigned count, unsigned size)
{
	uint32_t at;

	flat_align(w, 4, 0);
	at = w->len;
	flat_put16(w, 4 + 2 * count);
	flat_put16(w, size);
	for (unsigned i = 0; i < count; i++)
		flat_put16(w, fields[i]);
	flat_align(w, 4, 0);
	return at;
}

void flat_put_table(struct flat *w, uint32_t vtable)
{
	flat_put32(w, w->len - vtable);
}

void flat_put_string(struct flat *w, uint32_t ref, const char *text)
{
	size_t len = strlen(text);

	if (len > FLAT_OVERFLOW)
		len = FLAT_OVERFLOW;
	flat_align(w, 4, 0);
	flat_resolve(w, ref);
	flat_put32(w, (uint32_t)len);
	flat_put(w, text, (uint32_t)len);
	flat_put(w, "", 1);
}

uint32_t flat_put_vector(struct flat *w, uint32_t ref, uint32_t count)
{
	flat_align(w, 4, 0);
	flat_resolve(w, ref);
	flat_put32(w, count);
	return w->len;
}
