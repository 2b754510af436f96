// SPDX-License-Identifier: BSD-3-Clause
#include "wal/scrub_place.h"

#include "common/json_file.h"

#include <jansson.h>

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCHEMA "millrace.scrub-place/1"
#define FILE_MAX (64u << 10)

static json_t *point_json(const struct wal_walk_point *point)
{
	char id[33];

	wal_id_text(&point->segment_id, id);
	return json_pack("{s:s, s:I, s:I, s:I, s:I, s:b}", "segment_id", id, "offset",
		(json_int_t)point->offset, "next_seq", (json_int_t)point->next_seq, "batch",
		(json_int_t)point->batch, "prev_crc", (json_int_t)point->prev_crc, "sealed",
		(int)point->sealed);
}

static json_t *damage_json(const struct scrub_damage *damage)
{
	return json_pack("{s:I, s:o, s:s, s:I, s:I, s:b, s:I, s:s}", "segment_first",
		(json_int_t)damage->segment_first, "from", point_json(&damage->from), "file",
		damage->file, "offset", (json_int_t)damage->offset, "seq", (json_int_t)damage->seq,
		"can_mend", (int)damage->can_mend, "found_at", (json_int_t)damage->found_at, "what",
		damage->what);
}

static json_t *place_json(const struct scrub_place *place)
{
	json_t *damage = json_array();
	char id[33];

	for (unsigned i = 0; i < place->damage_count; i++)
		json_array_append_new(damage, damage_json(&place->damage[i]));
	wal_id_text(&place->log_id, id);
	return json_pack("{s:s, s:I, s:b, s:I, s:o, s:o}", "log_id", id, "round_began",
		(json_int_t)place->round_began, "round_ended", (int)place->round_ended,
		"segment_first", (json_int_t)place->segment_first, "from", point_json(&place->from),
		"damage", damage);
}

int scrub_place_save(const char *dir, const struct scrub_place *place)
{
	json_t *content = place_json(place);
	int r = json_file_save(dir, SCRUB_PLACE_NAME, SCHEMA, "place", content);

	json_decref(content);
	return r;
}

static bool point_parse(json_t *from, struct wal_walk_point *ret)
{
	json_int_t offset, next_seq, batch, prev_crc;
	const char *id;
	int sealed;

	if (json_unpack(from, "{s:s, s:I, s:I, s:I, s:I, s:b}", "segment_id", &id, "offset",
		    &offset, "next_seq", &next_seq, "batch", &batch, "prev_crc", &prev_crc,
		    "sealed", &sealed) < 0)
		return false;
	*ret = (struct wal_walk_point){
		.offset = (uint64_t)offset,
		.next_seq = (uint64_t)next_seq,
		.batch = (uint64_t)batch,
		.prev_crc = (uint32_t)prev_crc,
		.sealed = sealed,
	};
	return wal_id_parse(id, &ret->segment_id);
}

static bool damage_parse(json_t *from, struct scrub_damage *ret)
{
	json_int_t segment_first, offset, seq, found_at;
	const char *file, *what;
	json_t *point;
	int can_mend;

	if (json_unpack(from, "{s:I, s:o, s:s, s:I, s:I, s:b, s:I, s:s}", "segment_first",
		    &segment_first, "from", &point, "file", &file, "offset", &offset, "seq", &seq,
		    "can_mend", &can_mend, "found_at", &found_at, "what", &what) < 0)
		return false;
	*ret = (struct scrub_damage){
		.segment_first = (uint64_t)segment_first,
		.offset = (uint64_t)offset,
		.seq = (uint64_t)seq,
		.can_mend = can_mend,
		.found_at = found_at,
	};
	snprintf(ret->file, sizeof(ret->file), "%s", file);
	snprintf(ret->what, sizeof(ret->what), "%s", what);
	return point_parse(point, &ret->from);
}

static bool place_parse(json_t *from, struct scrub_place *ret)
{
	json_int_t round_began, segment_first;
	json_t *point, *damage, *one;
	int round_ended;
	const char *id;
	size_t i;

	if (json_unpack(from, "{s:s, s:I, s:b, s:I, s:o, s:o}", "log_id", &id, "round_began",
		    &round_began, "round_ended", &round_ended, "segment_first", &segment_first,
		    "from", &point, "damage", &damage) < 0)
		return false;
	*ret = (struct scrub_place){
		.round_began = round_began,
		.round_ended = round_ended,
		.segment_first = (uint64_t)segment_first,
		.damage_count = (unsigned)json_array_size(damage),
	};
	if (!json_is_array(damage) || json_array_size(damage) > SCRUB_DAMAGE_MAX)
		return false;
	json_array_foreach(damage, i, one)
	{
		if (!damage_parse(one, &ret->damage[i]))
			return false;
	}
	return wal_id_parse(id, &ret->log_id) && point_parse(point, &ret->from);
}

int scrub_place_load(const char *dir, const struct wal_id *log_id, struct scrub_place *ret)
{
	json_t *content = NULL;
	int r = json_file_load(dir, SCRUB_PLACE_NAME, FILE_MAX, SCHEMA, "place", &content);

	if (r == 0 && !place_parse(content, ret))
		r = -EBADMSG;
	json_decref(content);
	if (r == 0 && !wal_id_equal(&ret->log_id, log_id))
		r = -ESTALE;
	if (r < 0)
		*ret = (struct scrub_place){.log_id = *log_id};
	return r;
}
