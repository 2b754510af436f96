// SPDX-License-Identifier: BSD-3-Clause

// Fibers, time and crashes. The keeper's thread is a fiber that runs when the owner's calls let it.

#include "sim.h"

#include <stdarg.h>
#include <ucontext.h>

#define STACK_BYTES (512u << 10)
#define CALLS_MAX 1000000 // a run that takes more hangs
#define TIMER_NS 200000000

struct fiber {
	ucontext_t context;
	void *(*run)(void *arg);
	void *arg;
	bool lives;
	bool (*ready)(void); // what it waits for, NULL: for nothing
};

struct sim_pace sim_pace;

static struct fiber owner, keeper;
static struct fiber *running; // NULL: outside
static ucontext_t outside;
static uint8_t stacks[2][STACK_BYTES] __attribute__((aligned(64)));
static bool calm;
static bool crashed;
static uint64_t calls, crash_at, faults;
static int64_t now_ns;

bool sim_inside(void)
{
	return running != NULL;
}

bool sim_in_keeper(void)
{
	return running == &keeper;
}

void sim_calm(bool is)
{
	calm = is;
}

bool sim_is_calm(void)
{
	return calm || running == NULL;
}

uint64_t sim_calls(void)
{
	return calls;
}

uint64_t sim_faults(void)
{
	return faults;
}

int64_t sim_now(void)
{
	return now_ns;
}

void sim_pass(int64_t ns)
{
	now_ns += ns;
}

static void switch_to(struct fiber *to)
{
	struct fiber *from = running;

	running = to;
	swapcontext(&from->context, &to->context);
}

// Whether the keeper can go on; its timer may run out now and then.
static bool keeper_ready(unsigned timer_chance)
{
	if (!keeper.lives)
		return false;
	return keeper.ready == NULL || keeper.ready() || sim_chance(timer_chance);
}

static void crash(void)
{
	struct fiber *from = running;

	sim_trace("power cut or kill at call %llu", (unsigned long long)calls);
	crashed = true;
	running = NULL;
	swapcontext(&from->context, &outside); // never to return
}

void sim_point(const char *what, ...)
{
	if (sim_is_calm())
		return;
	calls++;
	now_ns += 1000 + sim_below(20000);
	if (sim_verbose) {
		va_list ap;

		printf("%6llu %s ", (unsigned long long)calls,
			sim_in_keeper() ? "keeper" : "owner ");
		va_start(ap, what);
		vprintf(what, ap);
		va_end(ap);
		printf("\n");
	}
	if (calls == crash_at)
		crash();
	if (calls > CALLS_MAX)
		sim_violated("it hangs");
	if (!sim_chance(sim_pace.switches))
		return;
	if (running == &keeper)
		switch_to(&owner);
	else if (keeper_ready(20))
		switch_to(&keeper);
}

void sim_wait(void)
{
	if (running == &owner && keeper_ready(500))
		switch_to(&keeper);
	else if (running == &keeper)
		switch_to(&owner);
}

static bool strike(unsigned per_thousand)
{
	if (sim_is_calm() || !sim_chance(per_thousand))
		return false;
	sim_trace("a fault strikes");
	faults++;
	return true;
}

bool sim_fault(void)
{
	return strike(sim_pace.faults);
}

bool sim_flush_fault(void)
{
	bool struck = strike(sim_pace.faults + sim_pace.flush_faults);

	if (struck && sim_pace.kills > 0 && sim_chance(sim_pace.kills))
		crash_at = calls + 1;
	return struck;
}

static void owner_entry(void)
{
	owner.run(owner.arg);
	owner.lives = false;
	running = NULL;
}

static void keeper_entry(void)
{
	keeper.run(keeper.arg);
	keeper.lives = false;
	running = &owner;
}

static void fiber_make(struct fiber *f, uint8_t *stack, ucontext_t *then, void (*entry)(void))
{
	getcontext(&f->context);
	f->context.uc_stack.ss_sp = stack;
	f->context.uc_stack.ss_size = STACK_BYTES;
	f->context.uc_link = then;
	f->lives = true;
	f->ready = NULL;
	makecontext(&f->context, entry, 0);
}

void sim_keeper_start(void *(*fn)(void *), void *arg)
{
	keeper.run = fn;
	keeper.arg = arg;
	fiber_make(&keeper, stacks[1], &owner.context, keeper_entry);
}

bool sim_keeper_lives(void)
{
	return keeper.lives;
}

bool sim_keeper_poll(bool (*ready)(void))
{
	keeper.ready = ready;
	if (!ready())
		switch_to(&owner);
	keeper.ready = NULL;
	if (ready())
		return true;
	now_ns += TIMER_NS;
	return false;
}

struct call {
	void (*fn)(void *arg);
	void *arg;
};

static void *call_it(void *arg)
{
	const struct call *call = arg;

	call->fn(call->arg);
	return NULL;
}

enum sim_end sim_boot(void (*fn)(void *arg), void *arg, uint64_t at)
{
	struct call call = {fn, arg};

	calls = faults = 0;
	crash_at = at;
	calm = crashed = false;
	keeper.lives = false;
	owner.run = call_it;
	owner.arg = &call;
	fiber_make(&owner, stacks[0], &outside, owner_entry);
	running = &owner;
	swapcontext(&outside, &owner.context);
	running = NULL;
	return crashed ? SIM_CRASHED : SIM_RETURNED;
}
