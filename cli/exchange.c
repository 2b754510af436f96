// SPDX-License-Identifier: BSD-3-Clause

#include "cli/exchange.h"

#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>

#define ANSWER_MAX ((size_t)64 << 20)
#define NS_PER_MS 1000000u

struct text {
	char *data;
	size_t len, room;
};

static size_t take(char *data, size_t size, size_t count, void *arg)
{
	struct text *text = arg;
	size_t len = size * count;

	if (text->len + len > ANSWER_MAX)
		return 0; // curl ends the transfer
	if (text->len + len > text->room) {
		size_t room = (text->len + len) * 2;
		char *grown = realloc(text->data, room);

		if (grown == NULL)
			return 0;
		text->data = grown;
		text->room = room;
	}
	memcpy(text->data + text->len, data, len);
	text->len += len;
	return len;
}

// curl calls this about once a second, and whenever something moves.
static int ends_early(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	(void)arg, (void)a, (void)b, (void)c, (void)d;
	return cli_interrupted;
}

static void set_where(CURL *curl, const struct exchange *exchange)
{
	curl_easy_setopt(curl, CURLOPT_URL, exchange->url);
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, exchange->method);
	curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, exchange->socket);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	if (exchange->ca != NULL)
		curl_easy_setopt(curl, CURLOPT_CAINFO, exchange->ca);
	if (exchange->token != NULL) {
		curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
		curl_easy_setopt(curl, CURLOPT_XOAUTH2_BEARER, exchange->token);
	}
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS,
		(long)((exchange->timeout_ns + NS_PER_MS - 1) / NS_PER_MS));
}

// Without "Expect: 100-continue", which would cost a round trip.
static struct curl_slist *set_body(CURL *curl, const char *body)
{
	struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");

	headers = curl_slist_append(headers, "Expect:");
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	return headers;
}

static void read_answer(CURL *curl, const struct text *text, struct exchange_answer *ret)
{
	const json_t *error;
	const char *schema;
	char *location = NULL;

	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &ret->status);
	curl_easy_getinfo(curl, CURLINFO_REDIRECT_URL, &location);
	if (location != NULL && strlen(location) < sizeof(ret->location))
		memcpy(ret->location, location, strlen(location) + 1);
	ret->envelope = json_loadb(
		text->data != NULL ? text->data : "", text->len, JSON_REJECT_DUPLICATES, NULL);
	schema = json_string_value(json_object_get(ret->envelope, "schema"));
	if (schema == NULL) {
		json_decref(ret->envelope);
		ret->envelope = NULL;
	} else if (strcmp(schema, "millrace.error/1") == 0) {
		error = json_object_get(json_object_get(ret->envelope, "data"), "text");
		ret->error = json_is_string(error) ? json_string_value(error) : "refused";
	}
}

void exchange_run(const struct exchange *exchange, struct exchange_answer *ret)
{
	struct curl_slist *headers = NULL;
	CURL *curl = curl_easy_init();
	struct text text = {0};

	*ret = (struct exchange_answer){.code = CURLE_OUT_OF_MEMORY};
	if (curl == NULL)
		return;
	set_where(curl, exchange);
	if (exchange->body != NULL)
		headers = set_body(curl, exchange->body);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, ret->detail);
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, exchange->interruptible ? 0L : 1L);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, ends_early);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &text);
	ret->code = curl_easy_perform(curl);
	if (ret->code == CURLE_OK)
		read_answer(curl, &text, ret);
	else
		curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &ret->os_error);
	free(text.data);
	curl_slist_free_all(headers);
	curl_easy_cleanup(curl);
}

void exchange_done(struct exchange_answer *answer)
{
	json_decref(answer->envelope);
	answer->envelope = NULL;
	answer->error = NULL;
}
