// SPDX-License-Identifier: BSD-3-Clause

#include "cli/options.h"

#include "common/units.h"
#include "common/words.h"

#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#define NAME_MAX_BYTES 64

enum global { GLOBAL_SOCKET, GLOBAL_JSON, GLOBAL_TIMEOUT, GLOBAL_HELP, GLOBAL_VERSION, GLOBAL_END };

const struct cli_option cli_global_options[] = {
	[GLOBAL_SOCKET] = {"socket", 0, "PATH",
		"of the receiver (default /run/millrace/millraced.sock)", NULL},
	[GLOBAL_JSON] = {"json", 0, NULL, "print JSON", NULL},
	[GLOBAL_TIMEOUT] = {"timeout", 0, "TIME", "wait at most so long for an answer (default 5s)",
		NULL},
	[GLOBAL_HELP] = {"help", 'h', NULL, "show help", NULL},
	[GLOBAL_VERSION] = {"version", 0, NULL, "show the version", NULL},
	[GLOBAL_END] = {0},
};

struct line {
	char **argv;
	int argc;
	int at; // the next word
	struct cli_request *request;
};

// An option as it was recognised.
struct found {
	const struct cli_option *option;
	unsigned index;
	bool global;
};

__attribute__((format(printf, 2, 3))) static int fail(struct line *line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line->request->error, sizeof(line->request->error), fmt, ap);
	va_end(ap);
	return EXIT_CLI_USAGE;
}

const struct cli_command *cli_find(const char *name)
{
	for (unsigned i = 0; cli_commands[i] != NULL; i++)
		if (strcmp(cli_commands[i]->name, name) == 0)
			return cli_commands[i];
	return NULL;
}

bool cli_is_group(const char *word)
{
	size_t len = strlen(word);

	for (unsigned i = 0; cli_commands[i] != NULL; i++)
		if (!cli_commands[i]->hidden && strncmp(cli_commands[i]->name, word, len) == 0 &&
			cli_commands[i]->name[len] == ' ')
			return true;
	return false;
}

static bool matches(const struct cli_option *option, const char *name, size_t len, char letter)
{
	if (name != NULL)
		return strlen(option->name) == len && memcmp(option->name, name, len) == 0;
	return option->letter != 0 && option->letter == letter;
}

static bool search(const struct cli_option *options, const char *name, size_t len, char letter,
	struct found *ret)
{
	for (unsigned i = 0; options != NULL && options[i].name != NULL; i++) {
		if (matches(&options[i], name, len, letter)) {
			ret->option = &options[i];
			ret->index = i;
			return true;
		}
	}
	return false;
}

static bool find_option(
	const struct line *line, const char *name, size_t len, char letter, struct found *ret)
{
	const struct cli_command *command = line->request->command;

	ret->global = false;
	if (command != NULL && search(command->options, name, len, letter, ret))
		return true;
	ret->global = true;
	return search(cli_global_options, name, len, letter, ret);
}

static int set_timeout(struct line *line, const char *value)
{
	uint64_t ns;

	if (!units_parse_duration(value, &ns) || ns == 0)
		return fail(line, "--timeout: '%s' is not a duration such as 5s", value);
	line->request->cli.timeout_ns = ns;
	return 0;
}

static int set_global(struct line *line, unsigned index, const char *value)
{
	struct cli_request *request = line->request;

	switch (index) {
	case GLOBAL_SOCKET:
		request->cli.socket = value;
		break;
	case GLOBAL_JSON:
		request->cli.json = true;
		break;
	case GLOBAL_TIMEOUT:
		return set_timeout(line, value);
	case GLOBAL_HELP:
		request->help = true;
		break;
	default:
		request->version = true;
		break;
	}
	return 0;
}

static bool is_one_of(const char *values, const char *value)
{
	size_t len = strlen(value);

	while (values != NULL) {
		const char *end = strchrnul(values, '|');

		if ((size_t)(end - values) == len && memcmp(values, value, len) == 0)
			return true;
		values = *end == '|' ? end + 1 : NULL;
	}
	return false;
}

static int set_option(struct line *line, const struct found *found, const char *value)
{
	const struct cli_option *option = found->option;

	if (option->values != NULL && !is_one_of(option->values, value))
		return fail(line, "--%s: '%s' is none of %s", option->name, value, option->values);
	if (found->global)
		return set_global(line, found->index, value);
	line->request->args.value[found->index] = value;
	return 0;
}

// The i-th long option that can stand here.
static const char *option_name(const void *arg, unsigned i)
{
	const struct cli_command *command = arg;
	const struct cli_option *own = command != NULL ? command->options : NULL;

	for (; own != NULL && own->name != NULL; own++)
		if (i-- == 0)
			return own->name;
	return i < GLOBAL_END ? cli_global_options[i].name : NULL;
}

static int unknown_option(struct line *line, const char *word, size_t len)
{
	const struct cli_command *command = line->request->command;
	char name[NAME_MAX_BYTES];
	const char *meant;

	snprintf(name, sizeof(name), "%.*s", (int)len, word);
	meant = word_closest(name, option_name, command);
	if (meant != NULL)
		return fail(line, "unknown option --%s; did you mean --%s?", name, meant);
	return fail(line, "unknown option --%s", name);
}

static int take_long(struct line *line, const char *word)
{
	size_t len = strcspn(word, "=");
	const char *value = "";
	struct found found;

	if (!find_option(line, word, len, 0, &found))
		return unknown_option(line, word, len);
	if (found.option->arg == NULL && word[len] == '=')
		return fail(line, "--%s takes no value", found.option->name);
	if (found.option->arg != NULL && word[len] == '=')
		value = word + len + 1;
	else if (found.option->arg != NULL && line->at == line->argc)
		return fail(line, "--%s needs a value: %s", found.option->name, found.option->arg);
	else if (found.option->arg != NULL)
		value = line->argv[line->at++];
	return set_option(line, &found, value);
}

// "-n", "-n5", "-n 5", and switches together: "-ab".
static int take_letters(struct line *line, const char *word)
{
	struct found found;
	int rc = 0;

	for (; rc == 0 && *word != '\0'; word++) {
		const char *value = "";

		if (!find_option(line, NULL, 0, *word, &found))
			return fail(line, "unknown option -%c", *word);
		if (found.option->arg == NULL) {
			rc = set_option(line, &found, value);
			continue;
		}
		if (word[1] != '\0')
			value = word + 1;
		else if (line->at == line->argc)
			return fail(line, "-%c needs a value: %s", *word, found.option->arg);
		else
			value = line->argv[line->at++];
		return set_option(line, &found, value);
	}
	return rc;
}

static bool is_option(const char *word)
{
	return word[0] == '-' && word[1] != '\0';
}

static int take_option(struct line *line, const char *word)
{
	return word[1] == '-' ? take_long(line, word + 2) : take_letters(line, word + 1);
}

static const char *command_word(const void *arg, unsigned i)
{
	(void)arg;
	if (cli_commands[i] == NULL)
		return NULL;
	return cli_commands[i]->hidden ? "" : cli_commands[i]->name;
}

static int unknown_command(struct line *line, const char *word, const char *second)
{
	char name[NAME_MAX_BYTES];
	const char *meant;

	if (cli_is_group(word) && second == NULL)
		return fail(line, "'%s' needs a second word; see 'millrace help %s'", word, word);
	snprintf(name, sizeof(name), "%s %s", word, second != NULL ? second : "");
	meant = second != NULL ? word_closest(name, command_word, NULL) : NULL;
	if (meant == NULL)
		meant = word_closest(word, command_word, NULL);
	if (cli_is_group(word))
		snprintf(name, sizeof(name), "%s %s", word, second);
	else
		snprintf(name, sizeof(name), "%s", word);
	if (meant != NULL)
		return fail(line, "unknown command '%s'; did you mean '%s'?", name, meant);
	return fail(line, "unknown command '%s'; see 'millrace help'", name);
}

// The words at line->at name the command.
static int take_command(struct line *line)
{
	const char *word = line->argv[line->at++], *second = NULL;
	char name[NAME_MAX_BYTES];

	if (line->at < line->argc && !is_option(line->argv[line->at]))
		second = line->argv[line->at];
	if (second != NULL) {
		snprintf(name, sizeof(name), "%s %s", word, second);
		line->request->command = cli_find(name);
		if (line->request->command != NULL) {
			line->at++;
			return 0;
		}
	}
	line->request->command = cli_find(word);
	if (line->request->command != NULL)
		return 0;
	return unknown_command(line, word, second);
}

static int check_count(struct line *line)
{
	const struct cli_request *request = line->request;
	const struct cli_command *command = request->command;
	unsigned count = (unsigned)request->args.argc;

	if (count < command->min_args)
		return fail(line, "'%s' needs %s", command->name, command->args);
	if (count > command->max_args)
		return fail(line, "'%s' doesn't take '%s'", command->name,
			request->args.argv[command->max_args]);
	return 0;
}

static int take_words(struct line *line)
{
	struct cli_request *request = line->request;
	int rc = 0, kept = line->at;

	request->args.argv = line->argv + line->at;
	while (rc == 0 && line->at < line->argc) {
		char *word = line->argv[line->at++];

		if (strcmp(word, "--") == 0)
			break;
		if (is_option(word))
			rc = take_option(line, word);
		else
			line->argv[kept++] = word;
	}
	while (line->at < line->argc) // behind "--"
		line->argv[kept++] = line->argv[line->at++];
	request->args.argc = kept - (int)(request->args.argv - line->argv);
	return rc;
}

int cli_parse_line(int argc, char **argv, struct cli_request *ret)
{
	struct line line = {.argv = argv, .argc = argc, .at = 1, .request = ret};
	int rc = 0;

	memset(ret, 0, sizeof(*ret));
	ret->cli.socket = "/run/millrace/millraced.sock";
	ret->cli.timeout_ns = 5000000000;
	ret->cli.tty = isatty(STDOUT_FILENO) == 1;
	while (rc == 0 && line.at < argc && is_option(argv[line.at]) &&
		strcmp(argv[line.at], "--") != 0)
		rc = take_option(&line, argv[line.at++]);
	if (rc != 0 || (line.at == argc && (ret->help || ret->version)))
		return rc;
	if (line.at == argc)
		return fail(&line, "which command? See 'millrace help'");
	rc = take_command(&line);
	if (rc == 0)
		rc = take_words(&line);
	if (rc == 0 && !ret->help && !ret->version)
		rc = check_count(&line);
	return rc;
}
