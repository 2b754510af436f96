// SPDX-License-Identifier: BSD-3-Clause
#include "control/supervisor/ask.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_MS 1000L
#define ANSWER_MAX (4u << 20)

struct answer {
	char *data;
	size_t len;
};

static size_t take(char *data, size_t size, size_t count, void *arg)
{
	struct answer *answer = arg;
	size_t len = size * count;
	char *grown;

	if (answer->len + len > ANSWER_MAX)
		return 0; // curl ends the transfer
	grown = realloc(answer->data, answer->len + len + 1);
	if (grown == NULL)
		return 0;
	answer->data = grown;
	memcpy(answer->data + answer->len, data, len);
	answer->len += len;
	return len;
}

int ask_init(struct asker *asker, const char *socket)
{
	asker->socket = socket;
	asker->curl = curl_easy_init();
	if (asker->curl == NULL)
		return -ENOMEM;
	curl_easy_setopt(asker->curl, CURLOPT_UNIX_SOCKET_PATH, socket);
	curl_easy_setopt(asker->curl, CURLOPT_PROXY, "");
	curl_easy_setopt(asker->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(asker->curl, CURLOPT_TIMEOUT_MS, TIMEOUT_MS);
	curl_easy_setopt(asker->curl, CURLOPT_WRITEFUNCTION, take);
	return 0;
}

void ask_free(struct asker *asker)
{
	curl_easy_cleanup(asker->curl);
	asker->curl = NULL;
}

static json_t *data_of(const struct answer *answer, const char *path, char *why)
{
	json_t *envelope = json_loadb(answer->data != NULL ? answer->data : "", answer->len,
		JSON_REJECT_DUPLICATES, NULL);
	const char *schema = json_string_value(json_object_get(envelope, "schema"));
	json_t *data = NULL;

	if (schema != NULL && strcmp(schema, "millrace.error/1") != 0)
		data = json_incref(json_object_get(envelope, "data"));
	if (data == NULL)
		snprintf(why, ASK_WHY_BYTES, "its API refuses %s", path);
	json_decref(envelope);
	return data;
}

json_t *ask(struct asker *asker, const char *path, char *why)
{
	struct answer answer = {0};
	json_t *data = NULL;
	char url[128];
	CURLcode code;

	snprintf(url, sizeof(url), "http://millrace%s", path);
	curl_easy_setopt(asker->curl, CURLOPT_URL, url);
	curl_easy_setopt(asker->curl, CURLOPT_WRITEDATA, &answer);
	code = curl_easy_perform(asker->curl);
	if (code == CURLE_OK)
		data = data_of(&answer, path, why);
	else
		snprintf(why, ASK_WHY_BYTES, "its API doesn't answer on %.100s: %s", asker->socket,
			curl_easy_strerror(code));
	free(answer.data);
	return data;
}
