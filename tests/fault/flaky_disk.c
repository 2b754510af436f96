// SPDX-License-Identifier: BSD-3-Clause

// A disk with a volatile write cache, and with faults: a FUSE file system of two files. 'disk' is
// the image, for a loop device. What is written to it stays in memory; a flush (fsync of the file,
// which the loop driver sends for a file system's flush) brings what was written before it to the
// stable image, an ordinary file that outlives this process. 'control' takes commands, one a write:
//
//   cut SEED           power cut: of what was not flushed some sectors reach the stable image, some
//                      don't, chosen by the seed; from then on everything fails with EIO
//   fail-writes N MIN  the next N writes of at least MIN bytes fail with EIO, half done
//   fail-flushes N     the next N flushes fail with EIO, nothing done
//   slow-flush MS      each flush takes so much longer
//
// and gives its counters when read.
//
// usage: flaky_disk IMAGE MOUNTPOINT    (as root, in the foreground; ends with whoever started it)

#define FUSE_USE_VERSION 31
#include <errno.h>
#include <fcntl.h>
#include <fuse3/fuse.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SECTOR 512u
#define CACHE_BYTES (32u << 20) // then the oldest go to the stable image, as of a real disk's cache
#define EIGHTHS 8

// A write that is not yet stable.
struct pending {
	STAILQ_ENTRY(pending) next;
	uint64_t number;
	off_t offset;
	size_t len;
	uint8_t data[];
};

// The lock guards all of it but what is set once.
static struct {
	int stable;    // set once
	size_t size;   // set once
	uint8_t *seen; // set once; what a reader sees: the stable image, privately mapped, and
		       // writes
	pthread_mutex_t lock;
	STAILQ_HEAD(, pending) cache;
	size_t cached;
	bool cut;
	unsigned long fail_writes, fail_flushes, slow_flush_ms;
	size_t fail_min;
	uint64_t writes, flushes, failed_writes, failed_flushes, lost_sectors, kept_sectors;
} disk = {.lock = PTHREAD_MUTEX_INITIALIZER, .cache = STAILQ_HEAD_INITIALIZER(disk.cache)};

static const char disk_path[] = "/disk", control_path[] = "/control";

static int store(const uint8_t *data, size_t len, off_t offset)
{
	while (len > 0) {
		ssize_t n = pwrite(disk.stable, data, len, offset);

		if (n < 0)
			return -errno;
		data += n;
		len -= (size_t)n;
		offset += n;
	}
	return 0;
}

static void drop_first(void)
{
	struct pending *p = STAILQ_FIRST(&disk.cache);

	STAILQ_REMOVE_HEAD(&disk.cache, next);
	disk.cached -= p->len;
	free(p);
}

// Brings the oldest writes to the stable image: those up to 'number', and what is above the room.
static int write_back(uint64_t number, size_t room)
{
	struct pending *p;

	while ((p = STAILQ_FIRST(&disk.cache)) && (p->number <= number || disk.cached > room)) {
		int r = store(p->data, p->len, p->offset);

		if (r < 0)
			return r;
		drop_first();
	}
	return 0;
}

// splitmix64
static uint64_t dice(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

// The chances of a sector are the cut's own, from none to all: to lose all but a little, and a
// little of all, finds other mistakes than to lose half. Half of the writes are kept or lost whole.
static int power_cut(uint64_t seed)
{
	uint64_t state = seed;
	unsigned chance = dice(&state) % (EIGHTHS + 1);
	int r = 0;

	disk.cut = true;
	for (; !STAILQ_EMPTY(&disk.cache); drop_first()) {
		const struct pending *p = STAILQ_FIRST(&disk.cache);
		bool whole = dice(&state) % 2, keep = dice(&state) % EIGHTHS < chance;

		for (size_t at = 0; at < p->len && r == 0; at += SECTOR) {
			size_t n = p->len - at < SECTOR ? p->len - at : SECTOR;

			if (!whole)
				keep = dice(&state) % EIGHTHS < chance;
			if (keep)
				r = store(p->data + at, n, p->offset + (off_t)at);
			disk.kept_sectors += keep;
			disk.lost_sectors += !keep;
		}
	}
	return r;
}

static int command(const char *text)
{
	unsigned long count, min;
	uint64_t seed;

	if (sscanf(text, "cut %" SCNu64, &seed) == 1)
		return power_cut(seed);
	if (sscanf(text, "fail-writes %lu %lu", &count, &min) == 2) {
		disk.fail_writes = count;
		disk.fail_min = min;
		return 0;
	}
	if (sscanf(text, "fail-flushes %lu", &disk.fail_flushes) == 1 ||
		sscanf(text, "slow-flush %lu", &disk.slow_flush_ms) == 1)
		return 0;
	return -EINVAL;
}

static int control_write(const char *buf, size_t len)
{
	char text[128];
	int r;

	if (len >= sizeof(text))
		return -EINVAL;
	memcpy(text, buf, len);
	text[len] = '\0';
	pthread_mutex_lock(&disk.lock);
	r = command(text);
	pthread_mutex_unlock(&disk.lock);
	return r < 0 ? r : (int)len;
}

static int control_read(char *buf, size_t len, off_t offset)
{
	char text[512];
	int n;

	pthread_mutex_lock(&disk.lock);
	n = snprintf(text, sizeof(text),
		"{\"writes\": %" PRIu64 ", \"flushes\": %" PRIu64 ", \"failed_writes\": %" PRIu64
		", \"failed_flushes\": %" PRIu64 ", \"unflushed_bytes\": %zu, \"kept_sectors\": "
		"%" PRIu64 ", \"lost_sectors\": %" PRIu64 "}\n",
		disk.writes, disk.flushes, disk.failed_writes, disk.failed_flushes, disk.cached,
		disk.kept_sectors, disk.lost_sectors);
	pthread_mutex_unlock(&disk.lock);
	if (offset >= n)
		return 0;
	if (len > (size_t)(n - offset))
		len = (size_t)(n - offset);
	memcpy(buf, text + offset, len);
	return (int)len;
}

static int add(const char *buf, size_t len, off_t offset)
{
	struct pending *p = malloc(sizeof(*p) + len);

	if (!p)
		return -ENOMEM;
	p->number = ++disk.writes;
	p->offset = offset;
	p->len = len;
	memcpy(p->data, buf, len);
	STAILQ_INSERT_TAIL(&disk.cache, p, next);
	disk.cached += len;
	memcpy(disk.seen + offset, buf, len);
	return write_back(0, CACHE_BYTES);
}

static int disk_write(const char *buf, size_t len, off_t offset)
{
	int r = 0;

	if (offset < 0 || (size_t)offset > disk.size || len > disk.size - (size_t)offset)
		return -ENOSPC;
	pthread_mutex_lock(&disk.lock);
	if (disk.cut) {
		r = -EIO;
	} else if (disk.fail_writes > 0 && len >= disk.fail_min) {
		disk.fail_writes--;
		disk.failed_writes++;
		add(buf, len / 2 / SECTOR * SECTOR, offset);
		r = -EIO;
	} else {
		r = add(buf, len, offset);
	}
	pthread_mutex_unlock(&disk.lock);
	return r < 0 ? r : (int)len;
}

static int disk_read(char *buf, size_t len, off_t offset)
{
	int r = 0;

	if (offset < 0 || (size_t)offset >= disk.size)
		return 0;
	if (len > disk.size - (size_t)offset)
		len = disk.size - (size_t)offset;
	pthread_mutex_lock(&disk.lock);
	if (disk.cut)
		r = -EIO;
	else
		memcpy(buf, disk.seen + offset, len);
	pthread_mutex_unlock(&disk.lock);
	return r < 0 ? r : (int)len;
}

// Covers what was written before it came, however long it takes.
static int disk_flush(void)
{
	struct timespec wait;
	uint64_t covered;
	int r = 0;

	pthread_mutex_lock(&disk.lock);
	covered = disk.writes;
	wait.tv_sec = (time_t)(disk.slow_flush_ms / 1000);
	wait.tv_nsec = (long)(disk.slow_flush_ms % 1000 * 1000000);
	pthread_mutex_unlock(&disk.lock);
	if (wait.tv_sec > 0 || wait.tv_nsec > 0)
		nanosleep(&wait, NULL);

	pthread_mutex_lock(&disk.lock);
	if (disk.cut) {
		r = -EIO;
	} else if (disk.fail_flushes > 0) {
		disk.fail_flushes--;
		disk.failed_flushes++;
		r = -EIO;
	} else {
		disk.flushes++;
		r = write_back(covered, CACHE_BYTES);
	}
	pthread_mutex_unlock(&disk.lock);
	return r;
}

static bool is_control(const char *path)
{
	return strcmp(path, control_path) == 0;
}

static int flaky_getattr(const char *path, struct stat *st, struct fuse_file_info *)
{
	*st = (struct stat){.st_nlink = 1, .st_mode = S_IFREG | 0600};
	if (strcmp(path, "/") == 0) {
		st->st_mode = S_IFDIR | 0700;
		st->st_nlink = 2;
	} else if (strcmp(path, disk_path) == 0) {
		st->st_size = (off_t)disk.size;
	} else if (!is_control(path)) {
		return -ENOENT;
	}
	return 0;
}

static int flaky_readdir(const char *, void *buf, fuse_fill_dir_t fill, off_t,
	struct fuse_file_info *, enum fuse_readdir_flags)
{
	fill(buf, ".", NULL, 0, 0);
	fill(buf, "..", NULL, 0, 0);
	fill(buf, disk_path + 1, NULL, 0, 0);
	fill(buf, control_path + 1, NULL, 0, 0);
	return 0;
}

static int flaky_open(const char *, struct fuse_file_info *file)
{
	file->direct_io = 1; // no page cache between the loop device and this disk
	return 0;
}

static int flaky_read(
	const char *path, char *buf, size_t len, off_t offset, struct fuse_file_info *)
{
	return is_control(path) ? control_read(buf, len, offset) : disk_read(buf, len, offset);
}

static int flaky_write(
	const char *path, const char *buf, size_t len, off_t offset, struct fuse_file_info *)
{
	return is_control(path) ? control_write(buf, len) : disk_write(buf, len, offset);
}

static int flaky_fsync(const char *path, int, struct fuse_file_info *)
{
	return is_control(path) ? 0 : disk_flush();
}

// A shell opens 'control' with O_TRUNC.
static int flaky_truncate(const char *path, off_t, struct fuse_file_info *)
{
	return is_control(path) ? 0 : -EPERM;
}

static const struct fuse_operations operations = {
	.getattr = flaky_getattr,
	.readdir = flaky_readdir,
	.open = flaky_open,
	.read = flaky_read,
	.write = flaky_write,
	.fsync = flaky_fsync,
	.truncate = flaky_truncate,
};

static int open_image(const char *path)
{
	struct stat st;

	disk.stable = open(path, O_RDWR | O_CLOEXEC);
	if (disk.stable < 0 || fstat(disk.stable, &st) < 0)
		return -errno;
	disk.size = (size_t)st.st_size;
	disk.seen = mmap(NULL, disk.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE,
		disk.stable, 0);
	return disk.seen == MAP_FAILED ? -errno : 0;
}

// In a mount namespace of its own, without its own mount: else, when all are killed, it may fall to
// this process to unmount what lies on the disk, for which the disk would have to answer.
static int leave(const char *mountpoint)
{
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		umount2(mountpoint, MNT_DETACH) < 0)
		return -errno;
	return 0;
}

static int serve(char *name, const char *mountpoint)
{
	char *argv[] = {name, NULL};
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);
	struct fuse *fuse = fuse_new(&args, &operations, sizeof(operations), NULL);
	int r;

	if (!fuse)
		return -EINVAL;
	r = fuse_mount(fuse, mountpoint) < 0 ? -EIO : leave(mountpoint);
	if (r == 0)
		r = fuse_loop_mt(fuse, 0) < 0 ? -EIO : 0;
	fuse_destroy(fuse);
	return r;
}

int main(int argc, char **argv)
{
	int r;

	if (argc != 3) {
		fprintf(stderr, "usage: flaky_disk IMAGE MOUNTPOINT\n");
		return 2;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL); // a test that was killed leaves no disk behind
	r = open_image(argv[1]);
	if (r == 0)
		r = serve(argv[0], argv[2]);
	if (r < 0)
		fprintf(stderr, "flaky_disk: %s: %s\n", argv[1], strerror(-r));
	return r < 0 ? 1 : 0;
}
