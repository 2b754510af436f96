// SPDX-License-Identifier: BSD-3-Clause

#include "http/tokens.h"

#include "common/file.h"
#include "common/logmsg.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define FILE_MAX (1u << 20)
#define HASH_BYTES crypto_generichash_BYTES

struct token {
	enum http_role role;
	uint8_t hash[HASH_BYTES];
};

struct token_list {
	unsigned count, room;
	struct token *list;
};

struct http_tokens {
	char path[CONFIG_PATH_MAX];
	uint8_t key[crypto_generichash_KEYBYTES]; // of this process: hashes are worth nothing
						  // outside
	struct stat seen;
	bool usable;
	struct token_list tokens;
};

static int mode_why(const struct stat *st, const char *path, const char *what, char *why)
{
	if ((st->st_mode & 07) == 0)
		return 0;
	snprintf(why, HTTP_WHY_BYTES,
		"%s %s may be read by others (mode %03o): chmod o= %s, and make what is in it anew",
		what, path, st->st_mode & 0777, path);
	return -EPERM;
}

int http_secret_file(const char *path, const char *what, char *why)
{
	struct stat st;

	if (stat(path, &st) == 0)
		return mode_why(&st, path, what, why);
	snprintf(why, HTTP_WHY_BYTES, "%s %s: %s", what, path, strerror(errno));
	return -errno;
}

static void hash(const struct http_tokens *tokens, const char *secret, size_t len, uint8_t *ret)
{
	crypto_generichash(
		ret, HASH_BYTES, (const uint8_t *)secret, len, tokens->key, sizeof(tokens->key));
}

// "read,consume": the highest of them.
static bool parse_roles(char *text, enum http_role *ret)
{
	static const char *const names[] = {"read", "consume", "admin"};
	char *rest = text, *word;

	*ret = HTTP_READ;
	while ((word = strsep(&rest, ",")) != NULL) {
		int role = HTTP_ADMIN;

		while (role >= 0 && strcmp(word, names[role]) != 0)
			role--;
		if (role < 0)
			return false;
		if (role > (int)*ret)
			*ret = (enum http_role)role;
	}
	return true;
}

static const char *next_word(char **rest)
{
	char *word;

	do
		word = strsep(rest, " \t\r");
	while (word != NULL && word[0] == '\0');
	return word;
}

static int add(struct token_list *all, const struct token *token)
{
	struct token *list = all->list;

	if (all->count == all->room) {
		list = realloc(list, (all->room + 16) * sizeof(*list));
		if (list == NULL)
			return -ENOMEM;
		all->list = list;
		all->room += 16;
	}
	list[all->count++] = *token;
	return 0;
}

// NULL, or what is wrong with the line; it never shows a part of it.
static const char *parse_line(const struct http_tokens *tokens, char *line, struct token_list *ret)
{
	char *rest = line, *roles = (char *)next_word(&rest);
	const char *name, *secret;
	struct token token;

	if (roles == NULL || roles[0] == '#')
		return NULL;
	name = next_word(&rest);
	secret = next_word(&rest);
	if (secret == NULL || next_word(&rest) != NULL)
		return "wants three words: ROLE[,ROLE] NAME SECRET";
	if (!parse_roles(roles, &token.role))
		return "roles are read, consume and admin, with commas between";
	if (strlen(name) >= CONFIG_NAME_MAX)
		return "the name is longer than 63 characters";
	if (strlen(secret) < HTTP_SECRET_MIN || strlen(secret) > HTTP_SECRET_MAX)
		return "the secret wants 16 to 512 characters: openssl rand -hex 32 makes one";
	if (ret->count >= HTTP_TOKENS_MAX)
		return "more than 1024 tokens";
	hash(tokens, secret, strlen(secret), token.hash);
	return add(ret, &token) < 0 ? "no memory" : NULL;
}

static int parse(const struct http_tokens *tokens, char *text, struct token_list *ret, char *why)
{
	char *rest = text, *line;

	for (unsigned n = 1; (line = strsep(&rest, "\n")) != NULL; n++) {
		const char *wrong = parse_line(tokens, line, ret);

		if (wrong == NULL)
			continue;
		snprintf(why, HTTP_WHY_BYTES, "the tokens' file %s, line %u: %s", tokens->path, n,
			wrong);
		return -EINVAL;
	}
	if (ret->count > 0)
		return 0;
	snprintf(why, HTTP_WHY_BYTES,
		"the tokens' file %s has no token: a line \"read,consume NAME SECRET\" is one",
		tokens->path);
	return -EINVAL;
}

static int read_tokens(struct http_tokens *tokens, struct token_list *ret, char *why)
{
	char *text = NULL;
	size_t len = 0;
	int r = mode_why(&tokens->seen, tokens->path, "the tokens' file", why);

	if (r < 0)
		return r;
	r = file_read(tokens->path, FILE_MAX, &text, &len);
	if (r < 0) {
		snprintf(
			why, HTTP_WHY_BYTES, "the tokens' file %s: %s", tokens->path, strerror(-r));
		return r;
	}
	r = parse(tokens, text, ret, why);
	sodium_memzero(text, len);
	free(text);
	return r;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mode == b->st_mode && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec && a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
	       a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

// Reads the file if it isn't as it was. What was known before is forgotten whatever comes of it: a
// token that was withdrawn must not live on by a mistake in another line.
static int refresh(struct http_tokens *tokens, char *why)
{
	struct token_list found = {0};
	struct stat now = {0};
	int r = 0;

	if (stat(tokens->path, &now) < 0)
		r = -errno;
	if (same_file(&now, &tokens->seen))
		return 1;
	tokens->seen = now;
	if (r < 0)
		snprintf(
			why, HTTP_WHY_BYTES, "the tokens' file %s: %s", tokens->path, strerror(-r));
	else
		r = read_tokens(tokens, &found, why);
	free(tokens->tokens.list);
	tokens->tokens = found;
	tokens->usable = r == 0;
	return r;
}

int http_tokens_open(struct http_tokens **ret, const char *path, char *why)
{
	struct http_tokens *tokens;
	int r;

	snprintf(why, HTTP_WHY_BYTES, "no memory for tokens");
	if (sodium_init() < 0)
		return -ENOMEM;
	tokens = calloc(1, sizeof(*tokens));
	if (tokens == NULL)
		return -ENOMEM;
	snprintf(tokens->path, sizeof(tokens->path), "%s", path);
	crypto_generichash_keygen(tokens->key);
	r = refresh(tokens, why);
	if (r != 0) {
		http_tokens_close(tokens);
		if (r > 0) // as if seen before: there is none
			snprintf(why, HTTP_WHY_BYTES, "the tokens' file %s: %s", path,
				strerror(ENOENT));
		return r < 0 ? r : -ENOENT;
	}
	*ret = tokens;
	return 0;
}

void http_tokens_close(struct http_tokens *tokens)
{
	if (tokens == NULL)
		return;
	free(tokens->tokens.list);
	sodium_memzero(tokens, sizeof(*tokens));
	free(tokens);
}

static const char *secret_of(const char *header)
{
	if (header == NULL || strncasecmp(header, "Bearer ", 7) != 0)
		return NULL;
	header += 7;
	return header + strspn(header, " ");
}

int http_tokens_check(struct http_tokens *tokens, const char *header, enum http_role *ret)
{
	char why[HTTP_WHY_BYTES];
	const char *secret = secret_of(header);
	uint8_t wanted[HASH_BYTES];
	int found = -EACCES;

	if (refresh(tokens, why) < 0)
		log_err("nobody gets in by TCP: %s", why);
	if (!tokens->usable)
		return -EIO;
	if (secret == NULL || strlen(secret) > HTTP_SECRET_MAX)
		return -EACCES;
	hash(tokens, secret, strlen(secret), wanted);
	// All are compared, each in full: how long that takes says nothing.
	for (unsigned i = 0; i < tokens->tokens.count; i++) {
		const struct token *t = &tokens->tokens.list[i];

		if (sodium_memcmp(t->hash, wanted, HASH_BYTES) == 0 && (int)t->role > found)
			found = (int)t->role;
	}
	if (found < 0)
		return -EACCES;
	*ret = (enum http_role)found;
	return 0;
}
