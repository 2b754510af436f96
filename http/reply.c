// SPDX-License-Identifier: BSD-3-Clause

#include "common/counters.h"
#include "common/json.h"
#include "http/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STREAM_TIMEOUT_S 60u // a client may stop reading that long
#define STREAM_BLOCK 1024u   // the library asks for as much as its own buffer takes

void http_reply_header(struct http_reply *reply, const char *name, const char *fmt, ...)
{
	struct http_header *header = &reply->headers[reply->header_count];
	va_list args;

	if (reply->header_count == HTTP_HEADERS_MAX)
		return;
	header->name = name;
	va_start(args, fmt);
	vsnprintf(header->value, sizeof(header->value), fmt, args);
	va_end(args);
	reply->header_count++;
}

void http_reply_error(struct http_reply *reply, unsigned status, const char *fmt, ...)
{
	va_list args;

	reply->status = status;
	va_start(args, fmt);
	vsnprintf(reply->error, sizeof(reply->error), fmt, args);
	va_end(args);
}

// What each answer says, and what this one does.
static void add_headers(
	struct http_call *call, struct MHD_Response *response, const struct http_reply *reply)
{
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	if (reply->status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, call->allow);
	if (reply->status == MHD_HTTP_UNAUTHORIZED)
		MHD_add_response_header(
			response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer realm=\"millrace\"");
	for (unsigned i = 0; i < reply->header_count; i++)
		MHD_add_response_header(response, reply->headers[i].name, reply->headers[i].value);
}

static enum MHD_Result queue(
	struct http_call *call, struct MHD_Response *response, const struct http_reply *reply)
{
	enum MHD_Result ret;

	add_headers(call, response, reply);
	ret = MHD_queue_response(call->connection, reply->status, response);
	MHD_destroy_response(response);
	return ret;
}

// Takes over the text.
static enum MHD_Result send_text(struct http_call *call, const struct http_reply *reply,
	const char *type, char *text, size_t len)
{
	struct MHD_Response *response =
		MHD_create_response_from_buffer(len, text, MHD_RESPMEM_MUST_FREE);

	if (response == NULL) {
		free(text);
		return MHD_NO;
	}
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	return queue(call, response, reply);
}

enum MHD_Result http_send_text(
	struct http_call *call, unsigned status, const char *type, char *text, size_t len)
{
	struct http_reply reply = {.status = status};

	return send_text(call, &reply, type, text, len);
}

// The text may hold a piece of what a client sent, which need not be UTF-8.
static json_t *text_json(const char *text)
{
	json_t *ret = json_string(text);
	char plain[256];
	size_t i;

	for (i = 0; ret == NULL && text[i] != '\0' && i < sizeof(plain) - 1; i++)
		plain[i] = text[i] >= ' ' && text[i] < 0x7f ? text[i] : '?';
	if (ret == NULL) {
		plain[i] = '\0';
		ret = json_string(plain);
	}
	return ret;
}

static void make_error(const struct http_call *call, struct http_reply *reply)
{
	bool unknown = reply->status == MHD_HTTP_NOT_FOUND && call->route == NULL;
	json_t *paths = unknown ? http_known_paths(call->door->http) : json_null();
	const char *text = reply->error[0] != '\0' ? reply->error : "the request failed";

	reply->schema = "millrace.error/1";
	reply->data = json_pack("{s:i, s:o, s:o}", "status", (int)reply->status, "text",
		text_json(text), "paths", paths);
}

static enum MHD_Result send_json(struct http_call *call, struct http_reply *reply)
{
	struct http *http = call->door->http;
	json_t *envelope;
	char *text;
	size_t len;

	if (reply->status >= 400 && reply->data == NULL)
		make_error(call, reply);
	envelope = json_envelope(reply->schema, http->receiver, reply->data, reply->warnings);
	text = envelope == NULL ? NULL : json_dumps(envelope, JSON_COMPACT);
	json_decref(envelope);
	if (text == NULL)
		return MHD_NO; // closes the connection
	len = strlen(text);
	text[len++] = '\n'; // in place of the zero byte, for terminals
	return send_text(call, reply, "application/json", text, len);
}

static ssize_t read_stream(void *arg, uint64_t at, char *buf, size_t room)
{
	struct http_stream *stream = arg;
	ssize_t n = stream->read(stream->arg, buf, room);

	(void)at;
	if (n < 0)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	return n > 0 ? n : MHD_CONTENT_READER_END_OF_STREAM;
}

static void close_stream(void *arg)
{
	struct http_stream *stream = arg;

	stream->close(stream->arg);
	free(stream);
}

static enum MHD_Result send_stream(struct http_call *call, const struct http_reply *reply)
{
	struct http_stream *stream = malloc(sizeof(*stream));
	struct MHD_Response *response = NULL;

	if (stream != NULL) {
		*stream = reply->stream;
		response = MHD_create_response_from_callback(
			MHD_SIZE_UNKNOWN, STREAM_BLOCK, read_stream, stream, close_stream);
	}
	if (response == NULL) {
		free(stream);
		reply->stream.close(reply->stream.arg);
		return MHD_NO;
	}
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, reply->stream.type);
	MHD_set_connection_option(
		call->connection, MHD_CONNECTION_OPTION_TIMEOUT, STREAM_TIMEOUT_S);
	return queue(call, response, reply);
}

static enum MHD_Result send_nothing(struct http_call *call, const struct http_reply *reply)
{
	struct MHD_Response *response =
		MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);

	return response != NULL ? queue(call, response, reply) : MHD_NO;
}

enum MHD_Result http_send_reply(struct http_call *call, struct http_reply *reply)
{
	if (reply->stream.read != NULL && call->old_version) {
		reply->stream.close(reply->stream.arg);
		reply->stream = (struct http_stream){0};
		http_reply_error(reply, MHD_HTTP_HTTP_VERSION_NOT_SUPPORTED,
			"a stream wants HTTP/1.1, in which a cut differs from an end");
	}
	if (reply->status >= 400)
		counter_add(&call->door->http->values[HTTP_refused_requests], 1);
	if (reply->stream.read != NULL)
		return send_stream(call, reply);
	if (reply->status == MHD_HTTP_NO_CONTENT)
		return send_nothing(call, reply);
	return send_json(call, reply);
}

enum MHD_Result http_send_error(struct http_call *call, unsigned status, const char *text)
{
	struct http_reply reply = {.status = status};

	snprintf(reply.error, sizeof(reply.error), "%s", text);
	return http_send_reply(call, &reply);
}
