// SPDX-License-Identifier: BSD-3-Clause
// A library of names alone, each a jump to the function of that name in a real library, which is
// looked for at the first call. gen_stubs.sh compiles it, once for each library, with
//   SONAME     what the library is called in messages
//   REAL       where the real one is: a glob pattern, from the stub's own directory unless absolute
//   stubs.def  STUB(name, index) for each name
#define _GNU_SOURCE
#include <dlfcn.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HIDDEN __attribute__((visibility("hidden")))

#define STUB(name, index) #name,
static const char *const names[] = {
#include "stubs.def"
};
#undef STUB

HIDDEN void *stub_functions[sizeof(names) / sizeof(*names)];

static void *real_library(void)
{
	static void *library;
	char pattern[4096] = REAL;
	Dl_info self;
	glob_t found;

	if (library)
		return library;
	if (pattern[0] != '/' && dladdr((void *)real_library, &self)) {
		const char *slash = strrchr(self.dli_fname, '/');
		snprintf(pattern, sizeof(pattern), "%.*s/%s",
			slash ? (int)(slash - self.dli_fname) : 1, slash ? self.dli_fname : ".",
			REAL);
	}
	if (glob(pattern, 0, NULL, &found) == 0)
		library = dlopen(found.gl_pathv[0], RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
	if (!library) {
		fprintf(stderr, "%s: no real library at %s (%s)\n", SONAME, pattern, dlerror());
		abort();
	}
	return library;
}

HIDDEN void stub_load(long index)
{
	void *function = dlsym(real_library(), names[index]);

	if (!function) {
		fprintf(stderr, "%s: no %s\n", SONAME, names[index]);
		abort();
	}
	stub_functions[index] = function;
}

// The arguments are as the caller left them when the jump is taken. Seven words are pushed: with
// the return address the stack is aligned for the call.
#define STUB(name, index) \
	__asm__(".globl " #name "\n" \
		".type " #name ",@function\n" #name ":\n" \
		"cmpq $0, stub_functions + 8 * " #index "(%rip)\n" \
		"jne 1f\n" \
		"push %rdi\npush %rsi\npush %rdx\npush %rcx\npush %r8\npush %r9\npush %rax\n" \
		"mov $" #index ", %edi\n" \
		"call stub_load\n" \
		"pop %rax\npop %r9\npop %r8\npop %rcx\npop %rdx\npop %rsi\npop %rdi\n" \
		"1: jmp *stub_functions + 8 * " #index "(%rip)\n" \
		".size " #name ", . - " #name "\n");
#include "stubs.def"
