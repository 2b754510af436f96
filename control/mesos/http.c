// SPDX-License-Identifier: BSD-3-Clause
#include "control/mesos/internal.h"

#include <stdio.h>
#include <string.h>

#define MS 1000000u

static void set_tls(CURL *easy, const struct mesos_options *o)
{
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, o->ca != NULL ? "https" : "http");
	if (o->ca == NULL)
		return;
	curl_easy_setopt(easy, CURLOPT_CAINFO, o->ca);
	curl_easy_setopt(easy, CURLOPT_CAPATH, NULL); // these, and no others
}

static void set_credentials(CURL *easy, const struct mesos_options *o)
{
	if (o->principal == NULL)
		return;
	curl_easy_setopt(easy, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
	curl_easy_setopt(easy, CURLOPT_USERNAME, o->principal);
	curl_easy_setopt(easy, CURLOPT_PASSWORD, o->secret != NULL ? o->secret : "");
}

// A proxy of the environment is not for us, and redirects are followed by the scheduler, which
// counts them and keeps to its scheme.
CURL *http_new(const struct mesos *m, const char *master, char *error)
{
	char url[MASTER_BYTES + 32];
	CURL *easy = curl_easy_init();

	if (easy == NULL)
		return NULL;
	snprintf(url, sizeof(url), "%s://%s/api/v1/scheduler",
		m->options.ca != NULL ? "https" : "http", master);
	curl_easy_setopt(easy, CURLOPT_URL, url);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, error);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(easy, CURLOPT_POST, 1L);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)(scheduler_answer_ns(m) / MS));
	set_tls(easy, &m->options);
	set_credentials(easy, &m->options);
	return easy;
}

static bool append(struct curl_slist **list, const char *line)
{
	struct curl_slist *longer = curl_slist_append(*list, line);

	if (longer != NULL)
		*list = longer;
	return longer != NULL;
}

// "Expect:" keeps curl from asking before it sends a long body.
struct curl_slist *http_headers(const char *stream_id)
{
	struct curl_slist *list = NULL;
	char line[STREAM_ID_BYTES + 32] = "Expect:";

	if (stream_id != NULL && stream_id[0] != '\0')
		snprintf(line, sizeof(line), "Mesos-Stream-Id: %s", stream_id);
	if (append(&list, "Content-Type: application/json") &&
		append(&list, "Accept: application/json") && append(&list, "Expect:") &&
		append(&list, line))
		return list;
	curl_slist_free_all(list);
	return NULL;
}

size_t http_take_text(char *data, size_t size, size_t count, void *http_text)
{
	struct http_text *t = http_text;
	size_t len = size * count;

	for (size_t i = 0; i < len && t->len < sizeof(t->text) - 1; i++)
		t->text[t->len++] = data[i] >= ' ' && data[i] != 0x7f ? data[i] : ' ';
	t->text[t->len] = '\0';
	return len;
}

void http_why(char *ret, size_t size, const char *master, long status, const struct http_text *text)
{
	snprintf(ret, size, "%s answered %ld%s%s", master, status, text->len > 0 ? ": " : "",
		text->len > 0 ? text->text : "");
}
