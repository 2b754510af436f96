// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Who may use the API over TCP: bearer tokens out of a file that others may not read. One a line,
//
//   ROLE[,ROLE] NAME SECRET      # roles: read, consume, admin
//
// Secrets are forgotten as soon as they are read: what is kept and compared are their hashes. They
// are in no message. Where a role's name stands, the roles below it are meant, too. One thread's.

#include "http/server.h"

#define HTTP_TOKENS_MAX 1024
#define HTTP_SECRET_MIN 16
#define HTTP_SECRET_MAX 512

struct http_tokens;

// -EPERM: others may read it; -EINVAL: a line is no token, or there is none at all; 'why'
// (HTTP_WHY_BYTES) says what is wrong and the mend.
int http_tokens_open(struct http_tokens **ret, const char *path, char *why);
void http_tokens_close(struct http_tokens *tokens); // NULL is fine

// The role that an Authorization header (NULL: none) has. The file is read again when it has
// changed. -EACCES: none; -EIO: the file as it is now can't be taken, which is logged once, and
// lets nobody in.
int http_tokens_check(struct http_tokens *tokens, const char *header, enum http_role *ret);

// Whether a file that holds secrets may be read by others; then -EPERM and 'why'.
int http_secret_file(const char *path, const char *what, char *why);
