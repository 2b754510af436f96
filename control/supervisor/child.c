// SPDX-License-Identifier: BSD-3-Clause
#include "control/supervisor/child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_NOT_STARTED 127

// Between fork() and exec: nothing that takes a lock, for other threads may have held it.
static void become(
	const char *path, const char *config, const cpu_set_t *cpus, pid_t parent, int tell_fd)
{
	char *const argv[] = {(char *)"millraced", (char *)"-c", (char *)config, NULL};
	sigset_t none;
	int err;

	sigemptyset(&none);
	if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || getppid() != parent)
		_exit(EXIT_NOT_STARTED); // the supervisor ended before it could be seen to
	sigprocmask(SIG_SETMASK, &none, NULL);
	sched_setaffinity(0, sizeof(*cpus), cpus);
	// ZooKeeper's client opens its sockets without it. Kernels before 5.11 keep them open:
	// harmless.
	close_range(STDERR_FILENO + 1, ~0u, CLOSE_RANGE_CLOEXEC);
	execvp(path, argv);
	err = errno;
	if (write(tell_fd, &err, sizeof(err)) < 0)
		err = errno;
	_exit(EXIT_NOT_STARTED);
}

// What the pipe says: nothing when exec closed it.
static int exec_error(int fd)
{
	int err = 0;
	ssize_t n;

	do
		n = read(fd, &err, sizeof(err));
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)sizeof(err) ? -err : 0;
}

int child_start(const char *path, const char *config, const cpu_set_t *cpus, pid_t *ret)
{
	pid_t parent = getpid();
	int pipe_fds[2], err;
	pid_t pid;

	if (pipe2(pipe_fds, O_CLOEXEC) != 0)
		return -errno;
	pid = fork();
	if (pid == 0)
		become(path, config, cpus, parent, pipe_fds[1]);
	err = pid < 0 ? -errno : 0;
	close(pipe_fds[1]);
	if (err == 0)
		err = exec_error(pipe_fds[0]);
	close(pipe_fds[0]);
	if (err != 0 && pid > 0)
		waitpid(pid, NULL, 0);
	*ret = pid;
	return err;
}

bool child_ended(pid_t pid, struct ending *ret)
{
	int status;

	if (waitpid(pid, &status, WNOHANG) != pid)
		return false;
	if (WIFSIGNALED(status))
		*ret = (struct ending){ENDING_SIGNAL, WTERMSIG(status)};
	else
		*ret = (struct ending){ENDING_EXIT, WEXITSTATUS(status)};
	return true;
}
